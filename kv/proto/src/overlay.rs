//! Changes that are proposed but not applied yet, laid over the state they will be applied to.
//!
//! The leader builds each change on what all earlier ones will have done. Every staged batch has a ticket (they
//! ascend); once a batch is applied, the overlay forgets it and all before it. When proposals are lost, the
//! overlay is cleared as a whole: batches built on the lost ones fail their preconditions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Bound, ControlFlow};

use crate::{Batch, Edition, Key, Op, SectionId, Value, View, ViewError};

/// Staged changes, by key.
#[derive(Debug, Default)]
pub struct Overlay {
    /// The last staged change of each key: its ticket and the value, or `None` for deleted.
    points: BTreeMap<Key, (u64, Option<Value>)>,
    /// Staged range deletes in order of ticket. They are rare: a zone goes, or a generation.
    ranges: Vec<StagedRange>,
    /// How many staged batches touch each section, and the ticket of the last one.
    sections: BTreeMap<SectionId, StagedSection>,
}

#[derive(Debug)]
struct StagedRange {
    ticket: u64,
    start: Key,
    end: Key,
}

#[derive(Debug)]
struct StagedSection {
    /// Edition after the last staged batch.
    edition: Edition,
    last_ticket: u64,
}

impl Overlay {
    /// Nothing staged.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays one more batch on top. Tickets must ascend. `base` is the applied edition of a section.
    ///
    /// # Errors
    /// Only those of `base`.
    pub fn stage<E>(
        &mut self,
        ticket: u64,
        batch: &Batch,
        mut base: impl FnMut(SectionId) -> Result<Edition, E>,
    ) -> Result<(), E> {
        let touched = batch.sections.iter().filter(|section| !section.ops.is_empty());
        self.stage_unseen(ticket, touched.map(|section| section.id), &mut base)?;
        for op in batch.sections.iter().flat_map(|section| &section.ops) {
            self.stage_op(ticket, op);
        }
        Ok(())
    }

    /// Counts one more batch for each of these sections without laying its operations on top: for bulk, whose
    /// operations nobody reads before they are applied. Tickets must ascend.
    ///
    /// # Errors
    /// Only those of `base`.
    pub fn stage_unseen<E>(
        &mut self,
        ticket: u64,
        sections: impl IntoIterator<Item = SectionId>,
        mut base: impl FnMut(SectionId) -> Result<Edition, E>,
    ) -> Result<(), E> {
        for section in sections {
            let edition = self.edition(section, &mut base)?.next().expect("editions do not reach 2^64");
            self.sections.insert(section, StagedSection { edition, last_ticket: ticket });
        }
        Ok(())
    }

    /// The edition of a section after everything staged.
    ///
    /// # Errors
    /// Only those of `base`.
    pub fn edition<E>(
        &self,
        section: SectionId,
        base: impl FnOnce(SectionId) -> Result<Edition, E>,
    ) -> Result<Edition, E> {
        match self.sections.get(&section) {
            Some(staged) => Ok(staged.edition),
            None => base(section),
        }
    }

    /// Forgets what was staged up to and with `ticket`: it is in the state below now.
    pub fn forget_applied(&mut self, ticket: u64) {
        self.points.retain(|_, (staged, _)| *staged > ticket);
        self.ranges.retain(|range| range.ticket > ticket);
        self.sections.retain(|_, section| section.last_ticket > ticket);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether nothing is staged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    /// The state `base` with everything staged on top.
    pub fn over<V: View>(&self, base: V) -> OverlayView<'_, V> {
        OverlayView { overlay: self, base }
    }

    fn stage_op(&mut self, ticket: u64, op: &Op) {
        match op {
            Op::Put { key, value } => {
                self.points.insert(key.clone(), (ticket, Some(value.clone())));
            }
            Op::Delete { key } => {
                self.points.insert(key.clone(), (ticket, None));
            }
            Op::DeleteRange { start, end } => {
                // Points inside are older, so the range decides them; those staged later are put on top again.
                let bounds = (Bound::Included(start.clone()), Bound::Excluded(end.clone()));
                if start < end {
                    let inside: Vec<Key> = self.points.range(bounds).map(|(key, _)| key.clone()).collect();
                    for key in inside {
                        if let Entry::Occupied(point) = self.points.entry(key) {
                            point.remove();
                        }
                    }
                    self.ranges.push(StagedRange { ticket, start: start.clone(), end: end.clone() });
                }
            }
        }
    }

    /// A staged range that hides the base's entry under `key`.
    fn hiding(&self, key: &[u8]) -> Option<&StagedRange> {
        self.ranges.iter().find(|range| range.start.as_bytes() <= key && key < range.end.as_bytes())
    }

    /// The last staged point in `lower..=upper` that is a put.
    fn last_put(&self, lower: &[u8], upper: &[u8]) -> Option<(&Key, &Value)> {
        let bounds = (Bound::Included(lower), Bound::Included(upper));
        self.points
            .range::<[u8], _>(bounds)
            .rev()
            .find_map(|(key, (_, value))| value.as_ref().map(|value| (key, value)))
    }
}

/// See [`Overlay::over`].
#[derive(Debug)]
pub struct OverlayView<'o, V> {
    overlay: &'o Overlay,
    base: V,
}

impl<V: View> OverlayView<'_, V> {
    /// The last entry of the base in `lower..=upper` that nothing staged hides.
    fn last_in_base(
        &self,
        lower: &[u8],
        upper: &[u8],
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool, ViewError> {
        let mut upper = upper.to_vec();
        while self.base.last_in(lower, &upper, key, value)? {
            let next_upper = match self.overlay.hiding(key) {
                Some(range) => range.start.as_bytes(),
                None if self.overlay.points.contains_key(key.as_slice()) => key.as_slice(),
                None => return Ok(true),
            };
            match predecessor(next_upper) {
                Some(next) => upper = next,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// The largest byte string of bounded length below `key`. Keys have at most [`crate::MAX_KEY_LEN`] bytes, so nothing
/// lies between.
fn predecessor(key: &[u8]) -> Option<Vec<u8>> {
    let (last, front) = key.split_last()?;
    let mut below = front.to_vec();
    if let Some(smaller) = last.checked_sub(1) {
        below.push(smaller);
        below.resize(crate::MAX_KEY_LEN, 0xff);
    }
    Some(below)
}

impl<V: View> View for OverlayView<'_, V> {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        match self.overlay.points.get(key) {
            Some((_, Some(staged))) => {
                staged.as_bytes().clone_into(value);
                Ok(true)
            }
            Some((_, None)) => Ok(false),
            None if self.overlay.hiding(key).is_some() => Ok(false),
            None => self.base.get(key, value),
        }
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        if lower > upper {
            return Ok(false);
        }
        let in_base = self.last_in_base(lower, upper, key, value)?;
        let Some((staged_key, staged_value)) = self.overlay.last_put(lower, upper) else {
            return Ok(in_base);
        };
        if !in_base || staged_key.as_bytes() > key.as_slice() {
            staged_key.as_bytes().clone_into(key);
            staged_value.as_bytes().clone_into(value);
        }
        Ok(true)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        if lower >= end {
            return Ok(());
        }
        let bounds = (Bound::Included(lower), Bound::Excluded(end));
        let mut staged = self.overlay.points.range::<[u8], _>(bounds).peekable();
        let mut flow = ControlFlow::Continue(());
        self.base.scan(lower, end, &mut |key, value| {
            while let Some((staged_key, (_, staged_value))) = staged.next_if(|(staged, _)| staged.as_bytes() < key) {
                if let Some(staged_value) = staged_value {
                    flow = visit(staged_key.as_bytes(), staged_value.as_bytes());
                    if flow.is_break() {
                        return flow;
                    }
                }
            }
            flow = match staged.next_if(|(staged, _)| staged.as_bytes() == key) {
                Some((_, (_, Some(staged_value)))) => visit(key, staged_value.as_bytes()),
                Some((_, (_, None))) => ControlFlow::Continue(()),
                None if self.overlay.hiding(key).is_some() => ControlFlow::Continue(()),
                None => visit(key, value),
            };
            flow
        })?;
        if flow.is_break() {
            return Ok(());
        }
        for (key, (_, value)) in staged {
            if let Some(value) = value
                && visit(key.as_bytes(), value.as_bytes()).is_break()
            {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{KeyspaceId, MemoryView, Section};

    fn key() -> impl Strategy<Value = Key> {
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, 255]), 0..4)
            .prop_map(|tail| Key::new([&[0, 1][..], &tail].concat()).unwrap())
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (key(), any::<u8>()).prop_map(|(key, byte)| Op::Put { key, value: Value::new(vec![byte]).unwrap() }),
            3 => key().prop_map(|key| Op::Delete { key }),
            1 => (key(), key()).prop_map(|(start, end)| Op::DeleteRange { start, end }),
        ]
    }

    fn batch() -> impl Strategy<Value = Batch> {
        prop::collection::vec(op(), 0..6).prop_map(|ops| Batch {
            preconditions: vec![],
            sections: vec![Section { id: SectionId { keyspace: KeyspaceId::DNS, partition: 1 }, ops }],
        })
    }

    fn entries(view: &impl View, lower: &[u8], end: &[u8], most: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = vec![];
        view.scan(lower, end, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        found
    }

    proptest! {
        /// An overlay over a state reads as the state with the batches applied, also after it forgot
        /// some.
        #[test]
        fn reads_as_if_applied(
            before in prop::collection::vec(op(), 0..12),
            batches in prop::collection::vec(batch(), 0..5),
            applied in 0_usize..5,
            probes in prop::collection::vec((key(), key()), 1..12),
        ) {
            let mut base = MemoryView::new();
            before.iter().for_each(|op| base.apply_op(op));
            let mut model = base.clone();
            let mut overlay = Overlay::new();
            for (ticket, batch) in batches.iter().enumerate() {
                overlay.stage(ticket as u64 + 1, batch, |_| Ok::<_, ()>(Edition::ZERO)).unwrap();
                model.apply(batch);
            }
            for batch in batches.iter().take(applied) {
                base.apply(batch);
            }
            overlay.forget_applied(applied as u64);
            let view = overlay.over(&base);
            for (one, other) in probes {
                let (one, other) = (one.as_bytes(), other.as_bytes());
                let (mut key, mut value) = (vec![], vec![]);
                let (mut model_key, mut model_value) = (vec![], vec![]);
                prop_assert_eq!(view.get(one, &mut value), model.get(one, &mut model_value));
                prop_assert_eq!(&value, &model_value);
                let found = view.last_in(one, other, &mut key, &mut value).unwrap();
                prop_assert_eq!(found, model.last_in(one, other, &mut model_key, &mut model_value).unwrap());
                if found {
                    prop_assert_eq!((&key, &value), (&model_key, &model_value));
                }
                for most in [1, 2, usize::MAX] {
                    prop_assert_eq!(entries(&view, one, other, most), entries(&model, one, other, most));
                }
            }
        }
    }

    #[test]
    fn edition_counts_what_is_in_flight() {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let put = Op::Delete { key: Key::new(vec![0, 1, 9]).unwrap() };
        let batch = Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![put] }] };
        let mut overlay = Overlay::new();
        let base = |_| Ok::<_, ()>(Edition::new(7));
        overlay.stage(1, &batch, base).unwrap();
        overlay.stage(2, &batch, base).unwrap();
        assert_eq!(overlay.edition(id, base), Ok(Edition::new(9)));
        overlay.forget_applied(2);
        assert_eq!(overlay.edition(id, base), Ok(Edition::new(7)));
    }
}
