//! Present keys of one node, and the records they were made of: the inverse of [`crate::emit`].

use domain::base::iana::Rtype;
use zonecast_kv_proto::KeyspaceId;
use zonecast_records::{
    ADDRESS_KIND, AddressValue, AsideRecord, CoreNode, DnsKey, KeySection, NotServed, OwnTtls, Rrset, RrsetValue,
    ValueError, ZoneValue,
};

use crate::node::{Aside, Node, Rr};
use crate::read_error::ReadError;

/// A node whose records own their RDATA.
pub(crate) type OwnedNode = Node<Vec<u8>>;

/// A key and its value.
pub(crate) type Entry = (Vec<u8>, Vec<u8>);

/// Every key that belongs to one owner name, the zone's own keys excepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct PresentNode {
    /// Keys and values.
    pub(crate) entries: Vec<Entry>,
}

impl PresentNode {
    /// The records behind the keys, normalised. At the apex SOA and NS come from the zone key.
    pub(crate) fn read(&self, zone: Option<&ZoneValue<'_>>) -> Result<OwnedNode, ReadError> {
        let core = self.core()?;
        let mut reading = Reading { node: Node::new(core.owner.to_vec()), ttls: &core.ttls };
        reading.node.overridden = core.overridden.iter().map(|number| Rtype::from_int(*number)).collect();
        reading.node.aside = core.aside.iter().map(aside).collect();
        if let Some(zone) = zone {
            reading.rrset(Rtype::SOA, &zone.soa);
            reading.rrset(Rtype::NS, &zone.ns);
        }
        for (key, value) in &self.entries {
            reading.entry(&parse(key)?, value).map_err(|source| ReadError::value(key, source))?;
        }
        let mut node = reading.node;
        node.normalise(|_| ());
        Ok(node)
    }

    /// Whether a published node with data of its own stands here.
    pub(crate) fn has_published_data(&self) -> Result<bool, ReadError> {
        Ok(self.published()?.is_some_and(|value| !value.types().is_empty()))
    }

    /// What is published at this node, unless something above hides it.
    pub(crate) fn published(&self) -> Result<Option<AddressValue<'_>>, ReadError> {
        for (key, value) in &self.entries {
            let parsed = parse(key)?;
            if is_address(&parsed) && parsed.section == KeySection::Name {
                return AddressValue::decode(value).map(Some).map_err(|source| ReadError::value(key, source));
            }
        }
        Ok(None)
    }

    fn core(&self) -> Result<CoreNode<'_>, ReadError> {
        for (key, value) in &self.entries {
            let parsed = parse(key)?;
            if parsed.keyspace == KeyspaceId::CORE && parsed.kind == ADDRESS_KIND {
                return CoreNode::decode(value).map_err(|source| ReadError::value(key, source));
            }
        }
        Ok(CoreNode::default())
    }
}

/// Takes a key apart.
pub(crate) fn parse(key: &[u8]) -> Result<DnsKey<'_>, ReadError> {
    DnsKey::parse(key).map_err(|source| ReadError::Key { key: key.to_vec(), source })
}

/// Whether it is a published address key, of a node or of glue.
fn is_address(key: &DnsKey<'_>) -> bool {
    key.keyspace == KeyspaceId::DNS && key.kind == ADDRESS_KIND
}

fn aside(record: &AsideRecord<'_>) -> Aside<Vec<u8>> {
    let AsideRecord { rtype, ttl, rdata, why } = record;
    let rr = Rr { rtype: Rtype::from_int(*rtype), ttl: *ttl, rdata: rdata.to_vec(), location: None };
    // Checked when it was decoded.
    Aside { rr, why: NotServed::from_number(*why).unwrap_or_default() }
}

struct Reading<'r> {
    node: OwnedNode,
    ttls: &'r [OwnTtls],
}

impl Reading<'_> {
    fn entry(&mut self, key: &DnsKey<'_>, value: &[u8]) -> Result<(), ValueError> {
        if is_address(key) {
            let value = AddressValue::decode(value)?;
            value.a.iter().for_each(|rrset| self.rrset(Rtype::A, rrset));
            value.aaaa.iter().for_each(|rrset| self.rrset(Rtype::AAAA, rrset));
            value.cname.iter().for_each(|rrset| self.rrset(Rtype::CNAME, rrset));
            if let Some(cut) = &value.cut {
                self.rrset(Rtype::NS, &cut.ns);
                cut.ds.iter().for_each(|rrset| self.rrset(Rtype::DS, rrset));
            }
        } else if key.kind != ADDRESS_KIND {
            self.rrset(Rtype::from_int(key.kind), &RrsetValue::decode(value)?.rrset);
        }
        Ok(())
    }

    fn rrset(&mut self, rtype: Rtype, rrset: &Rrset<'_>) {
        let own = self.ttls.iter().find(|own| own.rtype == rtype.to_int());
        let records = own.map(|own| own.records.as_slice()).unwrap_or_default();
        let sigs = own.map(|own| own.sigs.as_slice()).unwrap_or_default();
        match rtype {
            Rtype::A => self.records(rtype, rrset.ttl, records, rrset.fixed(4)),
            Rtype::AAAA => self.records(rtype, rrset.ttl, records, rrset.fixed(16)),
            _ => self.records(rtype, rrset.ttl, records, rrset.rdata().iter()),
        }
        self.records(Rtype::RRSIG, rrset.ttl, sigs, rrset.signatures().iter());
    }

    fn records<'d>(&mut self, rtype: Rtype, ttl: u32, own: &[u32], data: impl Iterator<Item = &'d [u8]>) {
        let ttls = own.iter().copied().chain(std::iter::repeat(ttl));
        let rrs = data.zip(ttls).map(|(rdata, ttl)| Rr { rtype, ttl, rdata: rdata.to_vec(), location: None });
        self.node.rrs.extend(rrs);
    }
}
