//! A store in memory: the plain model that tests compare with, and the smallest thing the edge reader can answer from.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;

use crate::{Batch, Op, View, ViewError};

/// Sorted keys and values in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryView {
    entries: BTreeMap<Bytes, Bytes>,
}

impl MemoryView {
    /// Nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does what the batch says, section by section, in order; preconditions are not looked at.
    pub fn apply(&mut self, batch: &Batch) {
        for op in batch.sections.iter().flat_map(|section| &section.ops) {
            self.apply_op(op);
        }
    }

    /// Does one operation.
    pub fn apply_op(&mut self, op: &Op) {
        match op {
            Op::Put { key, value } => self.insert(key.as_bytes(), value.as_bytes()),
            Op::Delete { key } => {
                self.entries.remove(key.as_bytes());
            }
            Op::DeleteRange { start, end } => {
                self.entries.retain(|key, _| !(start.as_bytes()..end.as_bytes()).contains(&key.as_ref()))
            }
        }
    }

    /// Puts one entry.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.entries.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    }

    /// Entries in ascending order of key.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl View for MemoryView {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        let found = self.entries.get(key);
        if let Some(bytes) = found {
            (**bytes).clone_into(value);
        }
        Ok(found.is_some())
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        if lower > upper {
            return Ok(false);
        }
        let bounds = (Bound::Included(lower), Bound::Included(upper));
        let found = self.entries.range::<[u8], _>(bounds).next_back();
        if let Some((found_key, found_value)) = found {
            (**found_key).clone_into(key);
            (**found_value).clone_into(value);
        }
        Ok(found.is_some())
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
        for (key, value) in self.entries.range::<[u8], _>(bounds) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}
