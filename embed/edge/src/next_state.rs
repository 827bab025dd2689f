//! Keeps the zone table and the stamps of changed keys in step with the copy, on the thread that applies versions.

use std::sync::Arc;

use zonecast_edge_reader::{Changes, ZoneTable};
use zonecast_kv_edge::{EdgeSnapshot, ReaderIndex, ReaderIndexError};
use zonecast_kv_proto::{Key, KeyspaceId, OpRef, Position, Version, View};

use crate::{EdgeState, EdgeStates};

/// The state that readers get next: zone table and stamps are ahead of the readers while a write is applied, and
/// `publish` swaps them in together with the snapshot.
pub(crate) struct NextState {
    zones: ZoneTable,
    changes: Arc<Changes>,
    states: EdgeStates,
}

impl NextState {
    pub(crate) fn new(states: EdgeStates) -> Self {
        Self { zones: ZoneTable::new(), changes: Arc::default(), states }
    }
}

impl ReaderIndex for NextState {
    fn reset(&mut self, view: &dyn View) -> Result<(), ReaderIndexError> {
        self.zones = ZoneTable::load(view)?;
        // Nothing that was read from another copy holds.
        self.changes = Arc::default();
        Ok(())
    }

    fn apply(&mut self, op: OpRef<'_>, seen_at: Version) -> Result<(), ReaderIndexError> {
        // Of other keyspaces nothing is in memory.
        if keyspace(op) == Some(KeyspaceId::DNS) {
            self.zones.apply(op);
            self.changes.stamp(op, seen_at.get());
        }
        Ok(())
    }

    fn publish(&mut self, snapshot: EdgeSnapshot, position: Position) {
        let (zones, changes) = (self.zones.clone(), Arc::clone(&self.changes));
        self.states.swap_in(EdgeState { snapshot, zones, position, changes });
    }
}

/// The keyspace of an operation, which has been checked to be that of all its keys.
fn keyspace(op: OpRef<'_>) -> Option<KeyspaceId> {
    let (OpRef::Put { key, .. } | OpRef::Delete { key } | OpRef::DeleteRange { start: key, .. }) = op;
    Key::check(key).ok()
}
