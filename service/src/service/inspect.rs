//! Keys and values of a store for people: what `zonecast get` shows. Derived when asked, never stored.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use serde_json::{Value, json};
use zonecast_ingest::format_rdata;
use zonecast_kv_proto::{KeyspaceId, View, ViewError};
use zonecast_records::{
    ADDRESS_KIND, AddressValue, CoreNode, CoreZone, DnsKey, Generation, KeyBuffer, KeySection, Name, NameInZone, Path,
    Rrset, RrsetValue, ValueError, ZoneValue,
};

use crate::zone::StoredZone;
use zonecast_api::types::Entry;

/// Every key that `view` holds for `name` in `zone`, or only the one that holds `rtype`.
///
/// # Errors
/// The store could not be read.
pub(super) fn entries(
    view: &(impl View + ?Sized),
    zone: &StoredZone,
    name: &Name,
    rtype: Option<Rtype>,
) -> Result<Vec<Entry>, ViewError> {
    let mut found = Vec::new();
    let mut key = KeyBuffer::new();
    let mut value = Vec::new();
    let at_apex = *name == zone.apex;
    for keyspace in [KeyspaceId::DNS, KeyspaceId::CORE] {
        let wanted = matches!(rtype, None | Some(Rtype::SOA | Rtype::NS));
        if at_apex && wanted && view.get(key.zone(keyspace, &zone.apex), &mut value)? {
            found.push(entry(key.as_bytes(), &value, &zone.apex));
        }
        for section in [KeySection::Name, KeySection::Glue, KeySection::Nsec] {
            let node = NameInZone { name, apex_labels: zone.apex.label_count() };
            let lower = key.node(keyspace, zone.generation, section, node, 0).to_vec();
            let last = key.node(keyspace, zone.generation, section, node, ADDRESS_KIND);
            let end = [last, &[0]].concat();
            view.scan(&lower, &end, &mut |key, value| {
                if holds(key, value, rtype) {
                    found.push(entry(key, value, &zone.apex));
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    Ok(found)
}

/// Whether a key of a node is the one to look at for a type.
fn holds(key: &[u8], value: &[u8], rtype: Option<Rtype>) -> bool {
    let (Some(rtype), Ok(key)) = (rtype, DnsKey::parse(key)) else { return true };
    if key.kind != ADDRESS_KIND {
        return key.kind == rtype.to_int();
    }
    let in_cut = || AddressValue::decode(value).is_ok_and(|value| value.cut.is_some());
    match rtype {
        Rtype::A | Rtype::AAAA | Rtype::CNAME => true,
        Rtype::NS | Rtype::DS => in_cut(),
        _ => false,
    }
}

fn entry(key: &[u8], value: &[u8], apex: &Name) -> Entry {
    let decoded = match DnsKey::parse(key) {
        Ok(parsed) => decode(&parsed, value).unwrap_or_else(|error| json!({ "damaged": error.to_string() })),
        Err(error) => json!({ "damaged": error.to_string() }),
    };
    Entry { key: hex(key), key_text: key_text(key, apex), value_len: value.len(), value: hex(value), decoded }
}

/// `dns | generation 7 | name | www.example.com. | ADDRESS`
fn key_text(key: &[u8], apex: &Name) -> String {
    let Ok(key) = DnsKey::parse(key) else { return "damaged".into() };
    let keyspace = match key.keyspace {
        KeyspaceId::DNS => "dns".into(),
        KeyspaceId::CORE => "core".into(),
        other => format!("keyspace {}", other.get()),
    };
    let section = match key.section {
        KeySection::Zone => "zone",
        KeySection::Name => "name",
        KeySection::Glue => "glue",
        KeySection::Nsec => "nsec",
        KeySection::Nsec3 => "nsec3",
        KeySection::History => "history",
        KeySection::Retired => "retired",
        KeySection::Alias => "alias",
        KeySection::Deleted => "deleted",
        KeySection::Store => "store",
    };
    let above = if key.generation == Generation::ZONES { &Name::ROOT } else { apex };
    let name = Path::new(key.path).and_then(|path| path.to_name(above).ok());
    let name = name.map_or_else(|| hex(key.path), |name| name.to_string());
    let kind = match key.kind {
        ADDRESS_KIND => "ADDRESS".into(),
        kind => Rtype::from_int(kind).to_string(),
    };
    format!("{keyspace} | generation {} | {section} | {name} | {kind}", key.generation.get())
}

fn decode(key: &DnsKey<'_>, value: &[u8]) -> Result<Value, ValueError> {
    match (key.keyspace, key.section, key.kind) {
        (KeyspaceId::DNS, KeySection::Zone, _) => zone(&ZoneValue::decode(value)?),
        (KeyspaceId::CORE, KeySection::Zone, _) => Ok(core_zone(&CoreZone::decode(value)?)),
        (KeyspaceId::CORE, _, ADDRESS_KIND) => Ok(core_node(&CoreNode::decode(value)?)),
        (_, _, ADDRESS_KIND) => address(&AddressValue::decode(value)?),
        (_, _, kind) => Ok(rrset(Rtype::from_int(kind), &RrsetValue::decode(value)?.rrset)),
    }
}

fn zone(value: &ZoneValue<'_>) -> Result<Value, ValueError> {
    let depths = |bits: u32| (0..u32::BITS).filter(|depth| bits & (1 << depth) != 0).collect::<Vec<_>>();
    Ok(json!({
        "format": value.format,
        "apex": value.apex()?.to_string(),
        "id": value.id.get(),
        "generation": value.generation.get(),
        "depths": {
            "wildcards": depths(value.summary.wildcards),
            "cuts": depths(value.summary.cuts),
            "dnames": depths(value.summary.dnames),
        },
        "soa": rrset(Rtype::SOA, &value.soa),
        "ns": rrset(Rtype::NS, &value.ns),
    }))
}

fn core_zone(value: &CoreZone<'_>) -> Value {
    json!({
        "format": value.format,
        "origin": hex(value.origin),
        "records": value.records,
        "wildcards": value.wildcards,
        "cuts": value.cuts,
        "dnames": value.dnames,
        "nsec3_chains": value.chains.iter().map(|chain| json!({ "parameters": hex(chain.parameters), "keys": chain.count })).collect::<Vec<_>>(),
    })
}

fn address(value: &AddressValue<'_>) -> Result<Value, ValueError> {
    let mut decoded = json!({
        "format": value.format,
        "types": value.types().iter().map(|rtype| rtype.to_string()).collect::<Vec<_>>(),
    });
    let mut put = |name: &str, part: Value| {
        if let Some(object) = decoded.as_object_mut() {
            object.insert(name.into(), part);
        }
    };
    for (rtype, part) in [(Rtype::A, &value.a), (Rtype::AAAA, &value.aaaa), (Rtype::CNAME, &value.cname)] {
        if let Some(part) = part {
            put(&rtype.to_string().to_lowercase(), rrset(rtype, part));
        }
    }
    if let Some(cut) = &value.cut {
        let glue: Result<Vec<_>, ValueError> = cut
            .glue()
            .map(|glue| {
                let glue = glue?;
                let name = Name::from_wire(glue.name).map_err(|_| ValueError::Field("glue"))?;
                Ok(json!({
                    "name": name.to_string(),
                    "a": glue.a.map(|a| rrset(Rtype::A, &a)),
                    "aaaa": glue.aaaa.map(|aaaa| rrset(Rtype::AAAA, &aaaa)),
                }))
            })
            .collect();
        let ds = cut.ds.map(|ds| rrset(Rtype::DS, &ds));
        put("cut", json!({ "ns": rrset(Rtype::NS, &cut.ns), "ds": ds, "glue": glue? }));
    }
    Ok(decoded)
}

fn core_node(value: &CoreNode<'_>) -> Value {
    let ttls: Vec<Value> = value
        .ttls
        .iter()
        .map(|own| {
            let rtype = Rtype::from_int(own.rtype).to_string();
            json!({ "type": rtype, "records": own.records, "sigs": own.sigs })
        })
        .collect();
    json!({ "format": value.format, "ttls": ttls })
}

fn rrset(rtype: Rtype, rrset: &Rrset<'_>) -> Value {
    let data = data(rtype, rrset);
    let signatures: Vec<String> = rrset.signatures().iter().map(|sig| format_rdata(Rtype::RRSIG, sig)).collect();
    if signatures.is_empty() {
        json!({ "ttl": rrset.ttl, "data": data })
    } else {
        json!({ "ttl": rrset.ttl, "data": data, "signatures": signatures })
    }
}

/// RDATA of each record in presentation format.
fn data(rtype: Rtype, rrset: &Rrset<'_>) -> Vec<String> {
    let width = match rtype {
        Rtype::A => Some(4),
        Rtype::AAAA => Some(16),
        _ => None,
    };
    match width {
        Some(width) => rrset.fixed(width).map(|rdata| format_rdata(rtype, rdata)).collect(),
        None => rrset.rdata().iter().map(|rdata| format_rdata(rtype, rdata)).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
