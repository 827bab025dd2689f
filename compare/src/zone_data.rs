//! All records of a zone and the names that exist in it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use domain::base::ToName;
use domain::base::iana::Rtype;

use crate::{Name, Rr};

/// A zone, names without case.
#[derive(Clone, Debug)]
pub struct ZoneData {
    /// Where it begins.
    pub apex: Name,
    records: BTreeSet<Rr>,
    types: BTreeMap<Name, BTreeSet<Rtype>>,
}

impl ZoneData {
    /// From its records.
    #[must_use]
    pub fn new(apex: Name, records: impl IntoIterator<Item = Rr>) -> Self {
        let records: BTreeSet<Rr> = records.into_iter().collect();
        let mut types: BTreeMap<Name, BTreeSet<Rtype>> = BTreeMap::new();
        for rr in &records {
            types.entry(rr.owner.clone()).or_default().insert(rr.rtype);
            // Empty non-terminals.
            for ancestor in rr.owner.iter_suffixes().skip(1).take_while(|name| name.ends_with(&apex)) {
                types.entry(ancestor.to_vec()).or_default();
            }
        }
        Self { apex, records, types }
    }

    /// Every name with records and every empty non-terminal, with the types there; names in canonical order.
    pub fn nodes(&self) -> impl Iterator<Item = (&Name, &BTreeSet<Rtype>)> {
        self.types.iter()
    }

    /// Those beneath a name, in canonical order.
    pub fn nodes_beneath(&self, name: &Name) -> impl Iterator<Item = &Name> {
        let from = (Bound::Excluded(name.clone()), Bound::Unbounded);
        let above = name.clone();
        self.types.range(from).map(|(node, _)| node).take_while(move |node| node.ends_with(&above))
    }

    /// Whether it holds exactly this record.
    #[must_use]
    pub fn contains(&self, rr: &Rr) -> bool {
        self.records.contains(rr)
    }

    /// Whether it holds a wildcard record that this record may be synthesised from (RFC 4592 section 3.3.1).
    #[must_use]
    pub fn synthesises(&self, rr: &Rr) -> bool {
        let wildcards =
            rr.owner.iter_suffixes().skip(1).take_while(|name| name.ends_with(&self.apex)).filter_map(|name| {
                let wire = [b"\x01*", name.as_slice()].concat();
                Name::from_octets(wire).ok()
            });
        wildcards.into_iter().any(|owner| self.contains(&Rr { owner, ..rr.clone() }))
    }

    /// All records.
    pub fn records(&self) -> impl Iterator<Item = &Rr> {
        self.records.iter()
    }

    /// Records at `name`.
    pub fn records_at(&self, name: &Name) -> impl Iterator<Item = &Rr> {
        let first = Rr { owner: name.clone(), rtype: Rtype::from_int(0), rdata: Vec::new(), ttl: 0 };
        self.records.range(first..).take_while(move |rr| rr.owner == *name)
    }

    /// Types at `name`; none where it does not exist.
    #[must_use]
    pub fn types_at(&self, name: &Name) -> Option<&BTreeSet<Rtype>> {
        self.types.get(name)
    }

    /// How many records it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}
