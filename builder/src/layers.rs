//! The layers over the records of a source: overrides, disabled records, and the addresses that replace a CNAME at the
//! apex.
//!
//! The source holds the records of the zone. An override replaces them for one name and type, perhaps by no records. A
//! disabled record is in the source and not served. If the zone flattens its apex, the addresses of the target are
//! served in place of the CNAME. Replacing the zone replaces the source; the layers stay.

use domain::base::iana::Rtype;
use zonecast_records::NotServed;

use crate::node::{Aside, Node, Rr};

/// The records of one name by what they are. Whoever changes them takes a node apart and puts it together again.
#[derive(Clone, Debug)]
pub(crate) struct Layers<D> {
    /// Each with whether it is disabled. No RR stands twice.
    pub(crate) source: Vec<(Rr<D>, bool)>,
    /// By type, each ascending.
    pub(crate) overrides: Vec<(Rtype, Vec<Rr<D>>)>,
    /// Addresses that stand for an alias.
    pub(crate) addresses: Vec<Rr<D>>,
}

/// Whether a type can be overridden or disabled: not what belongs to others or to the whole zone.
pub(crate) fn can_be_layered(rtype: Rtype) -> bool {
    !matches!(rtype, Rtype::SOA | Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 | Rtype::DNSKEY | Rtype::NSEC3PARAM)
}

fn is_address(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::A | Rtype::AAAA)
}

impl<D> Layers<D> {
    /// Nothing.
    pub(crate) fn none() -> Self {
        Self { source: vec![], overrides: vec![], addresses: vec![] }
    }

    fn is_overridden(&self, rtype: Rtype) -> bool {
        self.overrides.iter().any(|(other, _)| *other == rtype)
    }

    /// Whether there is one CNAME and no address beside it, so that addresses can stand for it.
    fn has_only_an_alias(&self) -> bool {
        let served = |rtype: Rtype| {
            let served = self.source.iter().filter(|(rr, disabled)| rr.rtype == rtype && !disabled);
            if self.is_overridden(rtype) { 0 } else { served.count() }
        };
        served(Rtype::CNAME) == 1 && served(Rtype::A) + served(Rtype::AAAA) == 0
    }
}

impl<D: AsRef<[u8]>> Layers<D> {
    /// Of a normalised node.
    pub(crate) fn of(node: Node<D>) -> Self {
        let is_flattened = node.alias().is_some();
        let Node { rrs, overridden, aside, .. } = node;
        let mut layers = Self::none();
        layers.overrides = overridden.into_iter().map(|rtype| (rtype, vec![])).collect();
        layers.source = aside.into_iter().map(|one| (one.rr, one.why == NotServed::Disabled)).collect();
        for rr in rrs {
            match layers.overrides.iter_mut().find(|(rtype, _)| *rtype == rr.rtype) {
                Some((_, rrs)) => rrs.push(rr),
                None if is_flattened && is_address(rr.rtype) => layers.addresses.push(rr),
                None => layers.source.push((rr, false)),
            }
        }
        layers
    }

    /// The node that answers so. `flatten` says whether an alias there stands for addresses.
    pub(crate) fn into_node(self, owner: D, flatten: bool) -> Node<D> {
        let is_flattened = flatten && self.has_only_an_alias();
        let Self { source, mut overrides, addresses } = self;
        overrides.sort_by_key(|(rtype, _)| *rtype);
        let mut node = Node::new(owner);
        node.overridden = overrides.iter().map(|(rtype, _)| *rtype).collect();
        for (rr, disabled) in source {
            let why = match rr.rtype {
                _ if disabled => NotServed::Disabled,
                rtype if node.overridden.contains(&rtype) => NotServed::Overridden,
                Rtype::CNAME if is_flattened => NotServed::Flattened,
                _ => {
                    node.rrs.push(rr);
                    continue;
                }
            };
            node.aside.push(Aside { rr, why });
        }
        if is_flattened {
            node.rrs.extend(addresses.into_iter().filter(|rr| !node.overridden.contains(&rr.rtype)));
        }
        node.rrs.extend(overrides.into_iter().flat_map(|(_, rrs)| rrs));
        node.aside.sort_by(|one, other| one.rr.order(&other.rr));
        node.normalise(|_| ());
        node
    }

    /// Takes a record of the source away, disabled or not.
    pub(crate) fn remove(&mut self, rtype: Rtype, rdata: &[u8]) {
        self.source.retain(|(rr, _)| !rr.is(rtype, rdata));
    }

    /// Takes an RRset of the source away.
    pub(crate) fn remove_type(&mut self, rtype: Rtype) {
        self.source.retain(|(rr, _)| rr.rtype != rtype);
    }

    /// Adds a record to the source; one that is there goes.
    pub(crate) fn add(&mut self, rr: Rr<D>) {
        self.remove(rr.rtype, rr.rdata.as_ref());
        self.source.push((rr, false));
    }

    /// Disables a record of the source, or enables it again.
    pub(crate) fn set_disabled(&mut self, rtype: Rtype, rdata: &[u8], disabled: bool) {
        let found = self.source.iter_mut().find(|(rr, _)| rr.is(rtype, rdata));
        found.into_iter().for_each(|(_, is_disabled)| *is_disabled = disabled);
    }

    /// Lays an RRset over that of the source.
    pub(crate) fn set_override(&mut self, rtype: Rtype, rrs: Vec<Rr<D>>) {
        self.clear_override(rtype);
        self.overrides.push((rtype, rrs));
    }

    /// Takes an override away.
    pub(crate) fn clear_override(&mut self, rtype: Rtype) {
        self.overrides.retain(|(other, _)| *other != rtype);
    }
}
