//! The state that answers are made from: a snapshot of the copy and the zone table of the same version, switched
//! together.
//!
//! # Threads
//! The thread that applies changes updates the table and swaps in the pair. Threads that answer load the pair once per
//! burst of queries, without a lock.

use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use zonecast_edge_reader::{Changes, FindError, Reader, ZoneTable};
use zonecast_kv_edge::{EdgeSnapshot, ReaderIndex};
use zonecast_kv_proto::{Position, View};

use crate::Reading;
use crate::next_state::NextState;

/// One version of the copy, as readers see it.
#[derive(Debug)]
pub struct EdgeState {
    /// Snapshot of the keys.
    pub snapshot: EdgeSnapshot,
    /// The zones in the snapshot.
    pub zones: ZoneTable,
    /// Position of the snapshot.
    pub position: Position,
    /// Change stamps of the keys since the copy was opened or loaded; all versions of the copy share them.
    pub changes: Arc<Changes>,
}

impl EdgeState {
    pub(crate) fn reader<'r, V: View>(&'r self, view: &'r V) -> Reader<'r, V> {
        Reader::new(view, &self.zones).with_changes(&self.changes, self.position.version.get())
    }

    /// Has damage that a reader ran into repaired.
    pub(crate) fn seen<T>(&self, found: Result<T, FindError>) -> Result<T, FindError> {
        if let Err(error) = &found
            && let Some(what) = error.damage()
        {
            self.snapshot.report_damage(&what);
        }
        found
    }
}

/// The present [`EdgeState`] of one edge. Clones share it: each thread that answers has a clone.
#[derive(Clone, Default)]
pub struct EdgeStates {
    present: Arc<ArcSwapOption<EdgeState>>,
}

impl EdgeStates {
    /// The last state that was swapped in; `None` while the copy is new.
    #[must_use]
    pub fn load(&self) -> Option<Arc<EdgeState>> {
        self.present.load_full()
    }

    /// The present state, for one burst of queries.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading::of(self.load())
    }

    /// The same for who must not keep the copy open.
    pub(crate) fn downgrade(&self) -> WeakStates {
        WeakStates(Arc::downgrade(&self.present))
    }

    /// The index of the readers that swaps states in here, for [`zonecast_kv_edge::Edge::start`].
    #[must_use]
    pub fn reader_index(&self) -> Box<dyn ReaderIndex> {
        Box::new(NextState::new(self.clone()))
    }

    pub(crate) fn swap_in(&self, state: EdgeState) {
        self.present.store(Some(Arc::new(state)));
    }
}

/// The states of an edge, as long as somebody else has them.
#[derive(Clone)]
pub(crate) struct WeakStates(Weak<ArcSwapOption<EdgeState>>);

impl WeakStates {
    /// The present state; `None` when the edge is gone.
    pub(crate) fn read(&self) -> Option<Reading> {
        self.0.upgrade().map(|present| Reading::of(present.load_full()))
    }
}

impl fmt::Debug for WeakStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakStates").finish_non_exhaustive()
    }
}

impl fmt::Debug for EdgeStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeStates").finish_non_exhaustive()
    }
}
