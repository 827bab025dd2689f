//! Keeps the zone table and the stamps of changed keys in step with the copy, on the thread that applies.

use std::sync::Arc;

use zonecast_edge_reader::{Changes, ZoneTable};
use zonecast_kv_edge::{EdgeSnapshot, Projection, ProjectionError};
use zonecast_kv_proto::{OpRef, Position, Version, View};

use crate::{EdgeState, EdgeStates};

/// The table that is being prepared, and where it is swapped in.
pub(crate) struct ZoneProjection {
    /// Ahead of the published one while a write is being applied.
    zones: ZoneTable,
    changes: Arc<Changes>,
    states: EdgeStates,
}

impl ZoneProjection {
    pub(crate) fn new(states: EdgeStates) -> Self {
        Self { zones: ZoneTable::new(), changes: Arc::default(), states }
    }
}

impl Projection for ZoneProjection {
    fn reset(&mut self, view: &dyn View) -> Result<(), ProjectionError> {
        self.zones = ZoneTable::load(view)?;
        // Nothing that was read from another copy holds.
        self.changes = Arc::default();
        Ok(())
    }

    fn apply(&mut self, op: OpRef<'_>, seen_at: Version) -> Result<(), ProjectionError> {
        self.zones.apply(op);
        self.changes.stamp(op, seen_at.get());
        Ok(())
    }

    fn publish(&mut self, snapshot: EdgeSnapshot, position: Position) {
        let (zones, changes) = (self.zones.clone(), Arc::clone(&self.changes));
        self.states.swap_in(EdgeState { snapshot, zones, position, changes });
    }
}
