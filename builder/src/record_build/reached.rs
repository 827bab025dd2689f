//! The second step: names whose keys change although no change names them are taken in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use domain::base::iana::Rtype;
use zonecast_kv_proto::MAX_BATCH_LEN;
use zonecast_records::Path;

use super::names::{ChangedName, ChangedNames, as_path};
use super::settled::{EmptyNonTerminals, Settled, SettledName};
use super::touched::Touched;
use crate::change::ChangeError;
use crate::finding::Report;
use crate::node_role::{Above, NodeRole};
use crate::nsec3::hash_at;
use crate::read_error::ReadError;

/// All names whose keys may change but empty non-terminals.
pub(super) struct Reached<'v> {
    names: ChangedNames<'v>,
    report: Report,
}

impl<'v> Reached<'v> {
    /// From the names that changes name.
    pub(super) fn from(touched: Touched<'v>) -> Result<Self, ChangeError> {
        let Touched { names, report, .. } = touched;
        let mut reached = Self { names, report };
        reached.take_in_beneath()?;
        reached.take_in_cuts()?;
        Ok(reached)
    }

    /// Finds out what each name is in its zone afterwards, once all of them are here.
    pub(super) fn settle(self) -> Result<Settled<'v>, ReadError> {
        let roles = self.names.by_path.iter().map(|(path, name)| self.role(path, name));
        let roles: Vec<NodeRole> = roles.collect::<Result<_, _>>()?;
        let is_published =
            |name: &ChangedName, role: &NodeRole| role.is_apex || (name.after.makes_node() && !role.occluded);
        let published = self.names.by_path.iter().zip(&roles).filter(|((_, name), role)| is_published(name, role));
        let published: BTreeSet<Vec<u8>> = published.map(|((path, _), _)| path.clone()).collect();
        let empty = self.empty_non_terminals(&published)?;
        let Self { names: ChangedNames { reader, shape, by_path }, report } = self;
        let settled = by_path.into_iter().zip(roles).map(|((path, name), role)| (path, SettledName { name, role }));
        let names: BTreeMap<_, _> = settled.collect();
        Ok(Settled { reader, shape, names, empty, report })
    }

    /// Takes in every name beneath a cut or DNAME that comes or goes.
    fn take_in_beneath(&mut self) -> Result<(), ChangeError> {
        let flipped = |(path, name): (&Vec<u8>, &ChangedName)| {
            let is_apex = path.is_empty();
            (name.before.covers(is_apex) != name.after.covers(is_apex)).then(|| path.clone())
        };
        let flipped: Vec<Vec<u8>> = self.names.by_path.iter().filter_map(flipped).collect();
        for above in flipped {
            let nodes = self.names.reader.beneath(as_path(&above), MAX_BATCH_LEN)?.ok_or(ChangeError::TooLarge)?;
            for (path, present) in nodes {
                if self.names.by_path.contains_key(&path) {
                    continue;
                }
                // Its NSEC3 key, if it has one, stands elsewhere.
                match hash_at(as_path(&path)) {
                    Some(_) => self.names.load(path)?,
                    None => self.names.take(path, present)?,
                }
            }
        }
        Ok(())
    }

    /// Takes in the cuts above changed addresses: their keys hold copies.
    fn take_in_cuts(&mut self) -> Result<(), ReadError> {
        let moved = |name: &ChangedName| {
            [Rtype::A, Rtype::AAAA].iter().any(|rtype| name.before.of_type(*rtype) != name.after.of_type(*rtype))
        };
        let moved: Vec<Vec<u8>> =
            self.names.by_path.iter().filter(|(_, name)| moved(name)).map(|(path, _)| path.clone()).collect();
        for path in moved {
            if let Some(cover) = self.names.topmost_cover(as_path(&path))?
                && cover.is_cut
            {
                self.names.load(cover.path)?;
            }
        }
        Ok(())
    }

    fn role(&self, path: &[u8], name: &ChangedName) -> Result<NodeRole, ReadError> {
        let at = name.after_at(path);
        let above = self.names.topmost_cover(at.path)?;
        let above = above.map(|cover| if cover.is_cut { Above::Cut } else { Above::Dname });
        // Only findings of names that changes name matter.
        let elsewhere = name.touched && self.is_elsewhere(at.path)?;
        Ok(NodeRole::new(at, above, elsewhere))
    }

    /// Whether another zone that is hosted here answers for a name below the apex.
    fn is_elsewhere(&self, path: Path<'_>) -> Result<bool, ReadError> {
        for depth in 1..=path.depth() {
            if self.names.reader.is_apex(&self.names.shape.name(path.ancestor(depth), &[]))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those that come, go or stay; `published` are the names here that are published nodes with data afterwards.
    fn empty_non_terminals(&self, published: &BTreeSet<Vec<u8>>) -> Result<EmptyNonTerminals, ReadError> {
        let mut candidates = BTreeSet::new();
        for (path, name) in &self.names.by_path {
            let after = published.contains(path);
            if !after {
                candidates.insert(path.clone());
            }
            if after != name.present.has_published_data()? {
                let path = as_path(path);
                candidates.extend((1..path.depth()).map(|depth| path.ancestor(depth).as_bytes().to_vec()));
            }
        }
        let mut found = EmptyNonTerminals::default();
        for candidate in candidates {
            if published.contains(&candidate) {
                continue;
            }
            let path = as_path(&candidate);
            if !self.names.by_path.contains_key(&candidate) {
                let node = self.names.reader.address_key(path)?;
                if node.has_published_data()? {
                    continue;
                }
                found.others.push(node);
            }
            if !self.names.is_occluded(path)? && self.has_data_beneath(path, published)? {
                found.after.insert(candidate);
            }
        }
        Ok(found)
    }

    /// Whether a published node with data stands beneath a path afterwards.
    fn has_data_beneath(&self, path: Path<'_>, published: &BTreeSet<Vec<u8>>) -> Result<bool, ReadError> {
        let mut after = published.range::<[u8], _>((Bound::Excluded(path.as_bytes()), Bound::Unbounded));
        if after.next().is_some_and(|other| path.contains(as_path(other))) {
            return Ok(true);
        }
        self.names.reader.has_data_beneath(path, |other| self.names.by_path.contains_key(other))
    }
}
