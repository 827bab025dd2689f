//! Records that went and came between two states of a zone.
//!
//! Names are found by the keys that differ, so two states of one generation cost what changed between them; two
//! generations are read side by side, a piece of each at a time.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use zonecast_kv_proto::{Batch, Key, Op, View};
use zonecast_records::{DnsKey, Generation, KEY_PREFIX_LEN, Name, Path, RecordRef};

use crate::nsec3::hash_path;
use crate::ops::laid_over;
use crate::pages::{Pages, Place};
use crate::past::{Past, PastError};
use crate::present::{OwnedNode, parse};
use crate::read_error::ReadError;
use crate::reader::{PLACES, Reader};
use crate::zone_keys::PresentZone;

/// On which side a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The record is in the first state only.
    Removed,
    /// The record is in the second state only.
    Added,
}

/// Two states of a zone, each by the number of the last change that it includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeSpan {
    /// The number of the change that led to the first state.
    pub from: u64,
    /// The number of the change that led to the second state.
    pub to: u64,
}

/// Shows the records of the zone at `apex` that went and came between two of its states, name by name in
/// canonical order, what went first. Says whether there were more than `limit` names that differ, or than those at whose
/// end `visit` has broken; then only some are shown.
///
/// # Errors
/// One of the two states is not kept.
pub fn zone_diff(
    view: &dyn View,
    apex: &Name,
    changes: ChangeSpan,
    limit: usize,
    mut visit: impl FnMut(Side, RecordRef<'_>) -> ControlFlow<()>,
) -> Result<bool, PastError> {
    let ChangeSpan { from, to } = changes;
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
        let was = GenerationIn { view: &one_view, generation: was };
        names.add_generations(was, GenerationIn { view: &other_view, generation: is })?;
    }
    let before = State { view: &one_view, zone: Some(&before) };
    let after = State { view: &other_view, zone: Some(&after) };
    Ok(names.show(before, after, &mut visit)?)
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
        (Some(was), Some(is)) if was != is => {
            let was = GenerationIn { view, generation: was };
            names.add_generations(was, GenerationIn { view: &after_view, generation: is })?;
        }
        (_, Some(is)) => names.add_all(batch.sections.iter().flat_map(|section| &section.ops).map(Op::key), is)?,
        (_, None) => {}
    }
    let before = State { view, zone: before.as_ref() };
    names.show(before, State { view: &after_view, zone: after.as_ref() }, &mut visit)
}

/// Names that differ, with the apex: its SOA is in no key of the generation.
struct Names {
    paths: BTreeSet<Vec<u8>>,
    limit: usize,
}

/// A state of a zone.
#[derive(Clone, Copy)]
struct State<'v> {
    view: &'v dyn View,
    /// Without one there was none.
    zone: Option<&'v PresentZone>,
}

impl State<'_> {
    fn read(self, path: Path<'_>) -> Result<OwnedNode, ReadError> {
        let Some(zone) = self.zone else { return Ok(OwnedNode::default()) };
        let reader = Reader::new(self.view, zone);
        reader.read(path, &reader.load(path)?)
    }
}

/// A generation of a zone, where it can be read.
#[derive(Clone, Copy)]
struct GenerationIn<'v> {
    view: &'v dyn View,
    generation: Generation,
}

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
    fn add_generations(&mut self, one: GenerationIn<'_>, other: GenerationIn<'_>) -> Result<(), ReadError> {
        for place in PLACES.into_iter().chain([Place::NSEC3]) {
            let [one, other] = [one, other].map(|of| Pages::new(of.view, of.generation, place));
            side_by_side(one, other, self)?;
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
        for (shown, bytes) in (1..).zip(self.paths.iter().take(self.limit)) {
            let Some(path) = Path::new(bytes) else { continue };
            let (before_node, after_node) = (before.read(path)?, after.read(path)?);
            let mut is_enough = false;
            let mut show = |side, node: &OwnedNode, zone: Option<&PresentZone>, other: &OwnedNode| {
                let Some(zone) = zone else { return };
                let owner = zone.shape.name(path, &node.owner);
                for rr in node.rrs.iter().filter(|rr| !other.rrs.contains(rr)) {
                    let record = RecordRef { owner: &owner, rtype: rr.rtype, ttl: rr.ttl, rdata: &rr.rdata };
                    is_enough |= visit(side, record).is_break();
                }
            };
            show(Side::Removed, &before_node, before.zone, &after_node);
            show(Side::Added, &after_node, after.zone, &before_node);
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
