//! What answers are made from: a snapshot of an edge's copy and the zone table of the same version, switched together.
//!
//! The thread that applies changes keeps the table in step and swaps the pair in; DNS workers load the pair once per
//! burst of queries, without a lock.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use zonecast_edge_reader::ZoneTable;
use zonecast_kv_edge::{EdgeSnapshot, Projection, ProjectionError};
use zonecast_kv_proto::{OpRef, Position, View};

/// One version, as readers see it.
#[derive(Debug)]
pub(crate) struct EdgeState {
    /// The keys.
    pub snapshot: EdgeSnapshot,
    /// The zones in them.
    pub zones: ZoneTable,
    /// Which version.
    pub position: Position,
}

/// The present [`EdgeState`] of one edge. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct EdgeStates {
    present: Arc<ArcSwapOption<EdgeState>>,
}

impl EdgeStates {
    /// The last state that was swapped in; `None` while the copy is new.
    #[must_use]
    pub(crate) fn load(&self) -> Option<Arc<EdgeState>> {
        self.present.load_full()
    }

    /// What swaps states in here.
    #[must_use]
    pub(crate) fn projection(&self) -> Box<dyn Projection> {
        Box::new(ZoneProjection { zones: ZoneTable::new(), states: self.clone() })
    }
}

impl fmt::Debug for EdgeStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeStates").finish_non_exhaustive()
    }
}

struct ZoneProjection {
    /// Ahead of the published one while a write is being applied.
    zones: ZoneTable,
    states: EdgeStates,
}

impl Projection for ZoneProjection {
    fn reset(&mut self, view: &dyn View) -> Result<(), ProjectionError> {
        self.zones = ZoneTable::load(view)?;
        Ok(())
    }

    fn apply(&mut self, op: OpRef<'_>) -> Result<(), ProjectionError> {
        self.zones.apply(op);
        Ok(())
    }

    fn publish(&mut self, snapshot: EdgeSnapshot, position: Position) {
        let state = EdgeState { snapshot, zones: self.zones.clone(), position };
        self.states.present.store(Some(Arc::new(state)));
    }
}
