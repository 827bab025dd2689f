//! Keeps the zone table in step with the copy, on the thread that applies.

use zonecast_edge_reader::ZoneTable;
use zonecast_kv_edge::{EdgeSnapshot, Projection, ProjectionError};
use zonecast_kv_proto::{OpRef, Position, View};

use crate::{EdgeState, EdgeStates};

/// The table that is being prepared, and where it is swapped in.
pub(crate) struct ZoneProjection {
    /// Ahead of the published one while a write is being applied.
    zones: ZoneTable,
    states: EdgeStates,
}

impl ZoneProjection {
    pub(crate) fn new(states: EdgeStates) -> Self {
        Self { zones: ZoneTable::new(), states }
    }
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
        self.states.swap_in(EdgeState { snapshot, zones: self.zones.clone(), position });
    }
}
