//! What is laid over the records of a source: overrides, and records that are disabled.
//!
//! The source says what a zone has; an override says what is answered for one name and type instead, be it nothing; a
//! disabled record is in the source and not served. Replacing the zone replaces the source: overrides stay, and so does
//! what is disabled and still there.

use domain::base::iana::Rtype;

use crate::node::{Aside, Node, Rr};

/// The records of one name by what they are. Whoever changes them takes a node apart and puts it together again.
#[derive(Clone, Debug)]
pub(crate) struct Layers<D> {
    /// Each with whether it is disabled. No RR stands twice.
    pub(crate) source: Vec<Aside<D>>,
    /// By type, each ascending.
    pub(crate) overrides: Vec<(Rtype, Vec<Rr<D>>)>,
}

/// Whether a type can be overridden or disabled: not what belongs to others or to the whole zone.
pub(crate) fn can_be_layered(rtype: Rtype) -> bool {
    !matches!(rtype, Rtype::SOA | Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 | Rtype::DNSKEY | Rtype::NSEC3PARAM)
}

impl<D: AsRef<[u8]> + Clone> Layers<D> {
    /// Of a normalised node.
    pub(crate) fn of(node: Node<D>) -> Self {
        let Node { rrs, overridden, aside, .. } = node;
        let mut overrides: Vec<(Rtype, Vec<Rr<D>>)> = overridden.into_iter().map(|rtype| (rtype, vec![])).collect();
        let mut source = aside;
        for rr in rrs {
            match overrides.iter_mut().find(|(rtype, _)| *rtype == rr.rtype) {
                Some((_, rrs)) => rrs.push(rr),
                None => source.push(Aside { rr, disabled: false }),
            }
        }
        Self { source, overrides }
    }

    /// The node that answers so.
    pub(crate) fn into_node(self, owner: D) -> Node<D> {
        let Self { source, mut overrides } = self;
        let mut node = Node::new(owner);
        overrides.sort_by_key(|(rtype, _)| *rtype);
        for one in source {
            let is_overridden = overrides.iter().any(|(rtype, _)| *rtype == one.rr.rtype);
            if one.disabled || is_overridden { node.aside.push(one) } else { node.rrs.push(one.rr) }
        }
        for (rtype, rrs) in overrides {
            node.overridden.push(rtype);
            node.rrs.extend(rrs);
        }
        node.aside.sort_by(|one, other| one.rr.order(&other.rr));
        node.normalise(|_| ());
        node
    }

    /// Takes a record of the source away, disabled or not.
    pub(crate) fn remove(&mut self, rtype: Rtype, rdata: &[u8]) {
        self.source.retain(|one| !one.rr.is(rtype, rdata));
    }

    /// Takes an RRset of the source away.
    pub(crate) fn remove_type(&mut self, rtype: Rtype) {
        self.source.retain(|one| one.rr.rtype != rtype);
    }

    /// Adds a record to the source; one that is there goes.
    pub(crate) fn add(&mut self, rr: Rr<D>, disabled: bool) {
        self.remove(rr.rtype, rr.rdata.as_ref());
        self.source.push(Aside { rr, disabled });
    }

    /// Disables a record of the source, or enables it again.
    pub(crate) fn set_disabled(&mut self, rtype: Rtype, rdata: &[u8], disabled: bool) {
        let found = self.source.iter_mut().find(|one| one.rr.is(rtype, rdata));
        found.into_iter().for_each(|one| one.disabled = disabled);
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
