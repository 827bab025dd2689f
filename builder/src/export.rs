//! The records of a present zone, read back from its keys.

use std::ops::ControlFlow;

use domain::base::Serial;
use domain::base::iana::Rtype;
use zonecast_kv_proto::{Batch, KeyspaceId, Op, Value, View};
use zonecast_records::{ADDRESS_KIND, CoreNode, CoreZone, Name, NotServed, Path, RecordRef, ZoneSettings};

use crate::layer_change::LayerChange;
use crate::layers::Layers;
use crate::node::{Rr, smallest_ttl};
use crate::nsec3::hash_path;
use crate::ops::batch_of;
use crate::pages::{Pages, Place};
use crate::present::{OwnedNode, PresentNode, parse};
use crate::read_error::ReadError;
use crate::reader::Reader;
use crate::shape::ZoneIdentity;
use crate::undo::Undo;
use crate::zone_keys::{PresentZone, zone_key};

/// Properties of a present zone that are known without reading its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneInfo {
    /// In the letter case of the source.
    pub apex: Name,
    /// Under which its keys stand.
    pub identity: ZoneIdentity,
    /// As set by the importer, see [`crate::Settings::with_origin`].
    pub origin: Vec<u8>,
    /// Settings of the zone.
    pub settings: ZoneSettings,
    /// How many records it serves, hidden ones included.
    pub records: u64,
    /// The serial of the SOA.
    pub serial: Serial,
}

/// The layer that a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A record of the zone that is answered, or hidden by a zone cut or DNAME.
    Source,
    /// A record of an override.
    Override,
    /// An override without records; the record has a type but no data.
    Nothing,
    /// A record of the zone that an override replaces.
    Overridden,
    /// A record of the zone that is disabled.
    Disabled,
    /// The CNAME of an apex, which is answered with addresses.
    Flattened,
    /// An address that is answered in place of the CNAME of an apex.
    Address,
}

/// Looks up a present zone.
///
/// # Errors
/// The keys could not be read.
pub fn zone_info(view: &dyn View, apex: &Name) -> Result<Option<ZoneInfo>, ReadError> {
    let Some(zone) = PresentZone::read(view, apex)? else { return Ok(None) };
    Ok(Some(ZoneInfo {
        apex: zone.shape.apex,
        identity: zone.shape.identity,
        origin: zone.settings.origin().to_vec(),
        settings: zone.settings.zone(),
        records: zone.tally.records,
        serial: Serial(zone.serial()?),
    }))
}

/// Chooses other settings for the zone at `apex`; empty when they are those it has. They say what later changes do, so
/// nothing that is published changes. Gives what takes it back beside the batch.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn change_settings(view: &dyn View, apex: &Name, settings: ZoneSettings) -> Result<(Batch, Undo), ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let mut undo = Undo::new(zone.shape.identity, &zone.keys.published, zone.serial()?);
    if zone.settings.zone() == settings {
        return Ok((Batch::default(), undo));
    }
    let core = CoreZone::decode(&zone.keys.private).map_err(|_| ReadError::counts(apex))?;
    let value = Value::new(core.with_settings(settings).encode()).expect("no larger than it was");
    let key = zone_key(KeyspaceId::CORE, apex);
    undo.push(key.clone(), Some(&zone.keys.private));
    Ok((batch_of(zone.shape.identity.id, vec![], vec![Op::Put { key, value }]), undo))
}

/// What is laid over the records of the zone at `apex`, as changes that lay it over others: overrides, what is disabled,
/// and the addresses that stand for an alias. Costs nothing where there is nothing, else a scan of what only the core keeps.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn zone_layers(view: &dyn View, apex: &Name) -> Result<Vec<LayerChange>, ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let mut changes = vec![];
    if zone.tally.layered() == 0 {
        return Ok(changes);
    }
    let reader = Reader::new(view, &zone);
    let mut pages = Pages::new(view, zone.shape.identity.generation, Place::CORE);
    while pages.peek()?.is_some() {
        let Some((key, value)) = pages.next() else { break };
        let parsed = parse(&key)?;
        let is_layered = || CoreNode::decode(&value).map(|node| node.is_layered());
        if parsed.kind != ADDRESS_KIND || !is_layered().map_err(|source| ReadError::value(&key, source))? {
            continue;
        }
        let path = parsed.node_path().map_err(|source| ReadError::Key { key: key.clone(), source })?;
        let node = reader.read(path, &reader.load(path)?)?;
        let owner = zone.shape.name(path, &node.owner);
        let is_flattened = node.alias().is_some();
        let layers = Layers::of(node);
        let disabled = layers.source.into_iter().filter(|(_, disabled)| *disabled);
        changes.extend(disabled.map(|(rr, _)| LayerChange::Disable { owner, rtype: rr.rtype, rdata: rr.rdata }));
        if is_flattened {
            let ttl = smallest_ttl(&layers.addresses);
            let (a, aaaa) = layers.addresses.into_iter().partition::<Vec<_>, _>(|rr| rr.rtype == Rtype::A);
            let [a, aaaa] = [a, aaaa].map(|rrs| rrs.into_iter().map(|rr| rr.rdata).collect());
            changes.push(LayerChange::Flatten { owner, ttl, a, aaaa });
        }
        changes.extend(layers.overrides.into_iter().map(|(rtype, rrs)| {
            let ttl = smallest_ttl(&rrs);
            LayerChange::Override { owner, rtype, ttl, rdatas: rrs.into_iter().map(|rr| rr.rdata).collect() }
        }));
    }
    Ok(changes)
}

/// Shows every record of the zone at `apex`, hidden ones included, with its own TTL and in the letter case of the
/// source: the SOA first, then names in canonical order, NSEC3 records last. Ends early when `visit` breaks.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn export(
    view: &dyn View,
    apex: &Name,
    mut visit: impl FnMut(Layer, RecordRef<'_>) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let reader = Reader::new(view, &zone);
    let flow = reader.for_each_node(|path, present| {
        let node = reader.read(path, present)?;
        Ok(show(&node, &zone.shape.name(path, &node.owner), &mut visit))
    })?;
    if flow.is_break() {
        return Ok(());
    }
    reader.for_each_nsec3(|hash, (key, value)| {
        let path_bytes = hash_path(hash);
        let path = Path::new(&path_bytes).ok_or(ReadError::counts(&zone.shape.apex))?;
        let mut present = PresentNode { entries: reader.core_key(path)? };
        present.entries.push((key.to_vec(), value.to_vec()));
        let node = present.read(None)?;
        Ok(show(&node, &zone.shape.name(path, &node.owner), &mut visit))
    })
}

/// Shows every record at one name, hidden ones included.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn read_name(
    view: &dyn View,
    apex: &Name,
    owner: &Name,
    mut visit: impl FnMut(Layer, RecordRef<'_>) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    if !owner.is_within(&zone.shape.apex) {
        return Ok(());
    }
    let reader = Reader::new(view, &zone);
    let path = zone.shape.path_of(owner);
    if let Some(path) = Path::new(&path) {
        let node = reader.read(path, &reader.load(path)?)?;
        let _ = show(&node, &zone.shape.name(path, &node.owner), &mut visit);
    }
    Ok(())
}

fn show(
    node: &OwnedNode,
    owner: &Name,
    visit: &mut dyn FnMut(Layer, RecordRef<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (soa, others): (Vec<_>, Vec<_>) = node.rrs.iter().partition(|rr| rr.rtype == Rtype::SOA);
    let is_overridden = |rtype: Rtype| node.overridden.contains(&rtype);
    let mut record =
        |layer, rr: &Rr<Vec<u8>>| visit(layer, RecordRef { owner, rtype: rr.rtype, ttl: rr.ttl, rdata: &rr.rdata });
    let is_flattened = node.alias().is_some();
    for rr in soa.into_iter().chain(others) {
        let layer = match rr.rtype {
            rtype if is_overridden(rtype) => Layer::Override,
            Rtype::A | Rtype::AAAA if is_flattened => Layer::Address,
            _ => Layer::Source,
        };
        record(layer, rr)?;
    }
    for rtype in node.overridden.iter().filter(|rtype| !node.has(**rtype)) {
        record(Layer::Nothing, &Rr { rtype: *rtype, ttl: 0, rdata: vec![], location: None })?;
    }
    for aside in &node.aside {
        let layer = match aside.why {
            NotServed::Overridden => Layer::Overridden,
            NotServed::Disabled => Layer::Disabled,
            NotServed::Flattened => Layer::Flattened,
        };
        record(layer, &aside.rr)?;
    }
    ControlFlow::Continue(())
}
