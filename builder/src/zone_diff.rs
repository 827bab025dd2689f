//! Records that went and came between two states of a zone.
//!
//! Names are found by the keys that differ, so two states of one generation cost what changed between them; two
//! generations are read side by side, a piece of each at a time.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, View};
use zonecast_records::{DnsKey, Generation, KEY_PREFIX_LEN, KeySection, Name, Path, RecordRef};

use crate::history::{Past, PastError, laid_over};
use crate::nsec3::hash_path;
use crate::pages::Pages;
use crate::present::{OwnedNode, parse};
use crate::read_error::ReadError;
use crate::reader::{PLACES, Reader};
use crate::zone_keys::PresentZone;

/// On which side a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It went.
    Removed,
    /// It came.
    Added,
}

/// Shows the records of the zone at `apex` that went and came from its change `from` to its change `to`, name by name in
/// canonical order, what went first. Says whether there were more than `limit` names that differ, or than those at whose
/// end `visit` has broken; then only some are shown.
///
/// # Errors
/// One of the two states is not kept.
pub fn zone_diff(
    view: &dyn View,
    apex: &Name,
    (from, to): (u64, u64),
    limit: usize,
    mut visit: impl FnMut(Side, RecordRef<'_>) -> ControlFlow<()>,
) -> Result<bool, PastError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let (one, other) = (Past::read(view, &zone, from)?, Past::read(view, &zone, to)?);
    let (one_view, other_view) = (one.view(view), other.view(view));
    let [before, after] = [&one_view as &dyn View, &other_view].map(|view| PresentZone::read(view, apex));
    let (before, after) = (before?.ok_or(ReadError::no_zone(apex))?, after?.ok_or(ReadError::no_zone(apex))?);
    let (was, is) = (before.shape.identity.generation, after.shape.identity.generation);
    let mut names = Names::new(limit);
    if was == is {
        names.add_all(one.keys().chain(other.keys()), is)?;
    } else {
        names.add_generations((&one_view, was), (&other_view, is))?;
    }
    Ok(names.show((&one_view, Some(&before)), (&other_view, Some(&after)), &mut visit)?)
}

/// The same for what a batch would change of the zone at `apex`, which it may make.
///
/// # Errors
/// The store could not be read.
pub fn batch_diff(
    view: &dyn View,
    apex: &Name,
    batch: &Batch,
    limit: usize,
    mut visit: impl FnMut(Side, RecordRef<'_>) -> ControlFlow<()>,
) -> Result<bool, ReadError> {
    let overlay = laid_over(batch);
    let after_view = overlay.over(view);
    let (before, after) = (PresentZone::read(view, apex)?, PresentZone::read(&after_view, apex)?);
    let mut names = Names::new(limit);
    let generation = |zone: &Option<PresentZone>| zone.as_ref().map(|zone| zone.shape.identity.generation);
    match (generation(&before), generation(&after)) {
        // A rollback may return to a generation that the store has kept.
        (Some(was), Some(is)) if was != is => names.add_generations((view, was), (&after_view, is))?,
        (_, Some(is)) => names.add_all(batch.sections.iter().flat_map(|section| &section.ops).map(Op::key), is)?,
        (_, None) => {}
    }
    names.show((view, before.as_ref()), (&after_view, after.as_ref()), &mut visit)
}

/// Names that differ, with the apex: its SOA is in no key of the generation.
struct Names {
    paths: BTreeSet<Vec<u8>>,
    limit: usize,
}

/// A state of a zone; without one there was none.
type State<'v> = (&'v dyn View, Option<&'v PresentZone>);

impl Names {
    fn new(limit: usize) -> Self {
        Self { paths: BTreeSet::from([vec![]]), limit }
    }

    /// Adds the names of the keys of a generation.
    fn add_all<'k>(&mut self, keys: impl Iterator<Item = &'k Key>, of: Generation) -> Result<(), ReadError> {
        for key in keys.filter(|key| is_of(key.as_bytes(), of)) {
            if self.add(key.as_bytes())?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Adds the names at which two generations differ.
    fn add_generations(
        &mut self,
        one: (&dyn View, Generation),
        other: (&dyn View, Generation),
    ) -> Result<(), ReadError> {
        for place in PLACES.into_iter().chain([(KeyspaceId::DNS, KeySection::Nsec3)]) {
            side_by_side(Pages::new(one.0, one.1, place), Pages::new(other.0, other.1, place), self)?;
        }
        Ok(())
    }

    /// Shows what differs at each; says whether there are more than are wanted.
    fn show(
        &self,
        before: State<'_>,
        after: State<'_>,
        visit: &mut dyn FnMut(Side, RecordRef<'_>) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        let read = |(view, zone): State<'_>, path| match zone {
            Some(zone) => {
                let reader = Reader::new(view, zone);
                reader.read(path, &reader.load(path)?)
            }
            None => Ok(OwnedNode::default()),
        };
        for (shown, bytes) in (1..).zip(self.paths.iter().take(self.limit)) {
            let Some(path) = Path::new(bytes) else { continue };
            let (before_node, after_node) = (read(before, path)?, read(after, path)?);
            let mut is_enough = false;
            let mut show = |side, node: &OwnedNode, zone: Option<&PresentZone>, other: &OwnedNode| {
                let Some(zone) = zone else { return };
                let owner = zone.shape.name(path, &node.owner);
                for rr in node.rrs.iter().filter(|rr| !other.rrs.contains(rr)) {
                    let record = RecordRef { owner: &owner, rtype: rr.rtype, ttl: rr.ttl, rdata: &rr.rdata };
                    is_enough |= visit(side, record).is_break();
                }
            };
            show(Side::Removed, &before_node, before.1, &after_node);
            show(Side::Added, &after_node, after.1, &before_node);
            if is_enough {
                return Ok(self.paths.len() > shown);
            }
        }
        Ok(self.paths.len() > self.limit)
    }

    /// Adds the name that a key belongs to; breaks when there are more than are wanted.
    fn add(&mut self, key: &[u8]) -> Result<ControlFlow<()>, ReadError> {
        self.paths.insert(path_of(&parse(key)?));
        Ok(if self.paths.len() > self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// Whether a key is one of a generation.
fn is_of(key: &[u8], generation: Generation) -> bool {
    DnsKey::parse(key).is_ok_and(|key| key.generation == generation)
}

/// The path of the name that a key belongs to: NSEC3 records are owned by their hash.
fn path_of(key: &DnsKey<'_>) -> Vec<u8> {
    key.nsec3_parts().map_or_else(|| key.path.to_vec(), |(_, hash)| hash_path(hash))
}

/// Adds the names of keys that are in one of two generations only, or have another value there.
fn side_by_side(mut one: Pages<'_>, mut other: Pages<'_>, names: &mut Names) -> Result<(), ReadError> {
    loop {
        let order = match (one.peek()?, other.peek()?) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((key, _)), Some((other_key, _))) => suffix(key).cmp(suffix(other_key)),
        };
        let left = if order.is_le() { one.next() } else { None };
        let right = if order.is_ge() { other.next() } else { None };
        let is_same = matches!((&left, &right), (Some((_, value)), Some((_, other_value))) if value == other_value);
        if let Some((key, _)) = left.or(right).filter(|_| !is_same)
            && names.add(&key)?.is_break()
        {
            return Ok(());
        }
    }
}

/// Path and kind: what keys of two generations have in common.
fn suffix(key: &[u8]) -> &[u8] {
    key.get(KEY_PREFIX_LEN..).unwrap_or_default()
}
