//! The interface between the copy of an edge and the in-memory structures of its readers, such as zone tables and
//! caches.

use thiserror::Error;
use zonecast_kv_proto::{OpRef, Position, Version, View, ViewError};
use zonecast_kv_store::EdgeSnapshot;

/// The index cannot handle the content of the store. The edge stops applying versions and keeps answering.
#[derive(Debug, Error)]
pub enum ReaderIndexError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] ViewError),
    /// A value that makes no sense to the index.
    #[error("{0}")]
    Value(String),
}

/// Keeps an in-memory structure in step with a copy. The edge calls it on the thread that applies versions.
///
/// At the start and after every loaded snapshot, the edge calls `reset` and then `publish`. Otherwise it calls `apply`
/// for each operation of the versions that it applies together, writes them to the store, and then calls `publish`. So
/// at `publish` the index and the snapshot have the same version; implementations must switch readers to both at
/// the same time.
pub trait ReaderIndex: Send + 'static {
    /// Discards the index and builds it again from `view`.
    ///
    /// # Errors
    /// The store could not be read, or holds an invalid value.
    fn reset(&mut self, view: &dyn View) -> Result<(), ReaderIndexError>;

    /// Applies one operation; operations come in order. The operation is not in the store yet and readers must not see
    /// its effect before `publish`. They will see it at `seen_at`, the last of the versions that are applied together.
    ///
    /// # Errors
    /// The operation is invalid; the edge then applies none of the versions of this write.
    fn apply(&mut self, op: OpRef<'_>, seen_at: Version) -> Result<(), ReaderIndexError>;

    /// Makes the index and `snapshot` visible to readers. `snapshot` stands at `position` and contains all
    /// operations since the last call.
    fn publish(&mut self, snapshot: EdgeSnapshot, position: Position);
}
