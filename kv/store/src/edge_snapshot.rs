//! One unchanging state of an edge's copy, owned, and reads of it.
//!
//! An [`EdgeSnapshot`] keeps its database alive, so it can be handed to any thread and outlive the switch to another
//! copy. An [`EdgeView`] reads it without allocating: it keeps its read options and one iterator.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use rocksdb::{DBRawIterator, ReadOptions, Snapshot};
use zonecast_kv_proto::{Filter, Position, View, ViewError};

use crate::StoreError;
use crate::edge_live::Live;
use crate::range_checks::{Summed, Visit};

self_cell::self_cell!(
    struct Cell {
        owner: Arc<Live>,
        #[covariant]
        dependent: Held,
    }
);

/// A snapshot, released with the cell.
struct Held<'a>(Snapshot<'a>);

/// One state of an edge's copy.
pub struct EdgeSnapshot {
    cell: Cell,
    position: Option<Position>,
}

impl EdgeSnapshot {
    /// What its copy holds, if not everything.
    pub(crate) fn filter(&self) -> Option<&Filter> {
        self.cell.borrow_owner().filter.as_ref()
    }

    pub(crate) fn take(live: Arc<Live>) -> Result<Self, StoreError> {
        let cell = Cell::new(live, |live| Held(live.db.snapshot()));
        let position = cell.with_dependent(|live, held| live.position_in(&held.0))?;
        Ok(Self { cell, position })
    }

    /// Where it stands; `None` for a copy that is new, and empty.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Reads of it. Making one costs a small allocation, so keep it for a burst of reads.
    #[must_use]
    pub fn view(&self) -> EdgeView<'_> {
        let (live, snapshot) = (&**self.cell.borrow_owner(), &self.cell.borrow_dependent().0);
        let mut options = ReadOptions::default();
        options.set_snapshot(snapshot);
        EdgeView { live, snapshot, options, iterator: RefCell::new(None) }
    }

    /// Reports that a reader found an invalid value, which is damage that RocksDB does not detect.
    pub fn report_damage(&self, what: &str) {
        let live = self.cell.borrow_owner();
        live.read_failed(&StoreError::damaged(live.path(), what));
    }
}

impl Summed for EdgeSnapshot {
    fn published(&self, lower: &[u8], end: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let (live, snapshot) = (&**self.cell.borrow_owner(), &self.cell.borrow_dependent().0);
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let mut iterator = snapshot.raw_iterator_opt(options);
        iterator.seek(lower);
        while let Some((key, value)) = iterator.item().filter(|(key, _)| *key < end) {
            if visit(key, value).is_break() {
                break;
            }
            iterator.next();
        }
        iterator.status().map_err(|error| {
            let error = live.error(error);
            live.read_failed(&error);
            error
        })
    }

    fn private(&self, _: &mut Visit<'_>) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl fmt::Debug for EdgeSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeSnapshot").field("position", &self.position).finish_non_exhaustive()
    }
}

/// Reads of one [`EdgeSnapshot`], for one thread at a time.
pub struct EdgeView<'a> {
    live: &'a Live,
    snapshot: &'a Snapshot<'a>,
    options: ReadOptions,
    /// Made at the first ordered read, taken while it is in use.
    iterator: RefCell<Option<DBRawIterator<'a>>>,
}

impl<'a> EdgeView<'a> {
    fn take_iterator(&self) -> DBRawIterator<'a> {
        self.iterator.take().unwrap_or_else(|| self.snapshot.raw_iterator())
    }

    fn put_iterator(&self, iterator: DBRawIterator<'a>) -> Result<(), ViewError> {
        iterator.status().map_err(|error| self.failed(error))?;
        self.iterator.replace(Some(iterator));
        Ok(())
    }

    #[cold]
    fn failed(&self, error: rocksdb::Error) -> ViewError {
        let error = self.live.error(error);
        self.live.read_failed(&error);
        error.into()
    }
}

impl View for EdgeView<'_> {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        let found = self.live.db.get_pinned_opt(key, &self.options).map_err(|error| self.failed(error))?;
        if let Some(bytes) = &found {
            (**bytes).clone_into(value);
        }
        Ok(found.is_some())
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        let mut iterator = self.take_iterator();
        iterator.seek_for_prev(upper);
        let found = match iterator.item() {
            Some((found_key, found_value)) if found_key >= lower => {
                found_key.clone_into(key);
                found_value.clone_into(value);
                true
            }
            _ => false,
        };
        self.put_iterator(iterator)?;
        Ok(found)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        let mut iterator = self.take_iterator();
        iterator.seek(lower);
        while let Some((key, value)) = iterator.item().filter(|(key, _)| *key < end) {
            if visit(key, value).is_break() {
                break;
            }
            iterator.next();
        }
        self.put_iterator(iterator)
    }
}

impl fmt::Debug for EdgeView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeView").finish_non_exhaustive()
    }
}
