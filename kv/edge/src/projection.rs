//! The seam between an edge's copy and what its readers keep in memory: zone tables, hot caches.

use thiserror::Error;
use zonecast_kv_proto::{OpRef, Position, Version, View, ViewError};
use zonecast_kv_store::EdgeSnapshot;

/// What the store holds cannot be projected: the edge stops applying and goes on answering.
#[derive(Debug, Error)]
pub enum ProjectionError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] ViewError),
    /// A value that makes no sense to the projection.
    #[error("{0}")]
    Value(String),
}

/// Follows every change of a copy, on the thread that applies them.
///
/// The calls are: `reset` and `publish` at the start and after every loaded snapshot; else `apply` for each operation
/// of the versions that are applied together, then, once they are in the store, `publish`. So at `publish` the
/// projection and the snapshot are of the same version, and readers should get them as a pair, at once.
pub trait Projection: Send + 'static {
    /// Forgets everything and reads it anew.
    ///
    /// # Errors
    /// The store could not be read, or holds what makes no sense.
    fn reset(&mut self, view: &dyn View) -> Result<(), ProjectionError>;

    /// One operation, in order. It is not in the store yet, and readers must not see it yet; they will at `seen_at`, the
    /// last of the versions that are applied together.
    ///
    /// # Errors
    /// The operation makes no sense; nothing of its write is applied then.
    fn apply(&mut self, op: OpRef<'_>, seen_at: Version) -> Result<(), ProjectionError>;

    /// Everything since the last call is in `snapshot`, which stands at `position`: let readers see both.
    fn publish(&mut self, snapshot: EdgeSnapshot, position: Position);
}
