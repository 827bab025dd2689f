//! Why an edge does not run.

use thiserror::Error;
use zonecast_kv_proto::Peer;
use zonecast_kv_store::StoreError;
use zonecast_kv_transport::EndpointError;

use crate::reader_index::ReaderIndexError;

/// Why an edge cannot start, or has stopped applying.
#[derive(Debug, Error)]
pub enum EdgeError {
    /// The copy cannot be opened, read or written.
    #[error(transparent)]
    Store(StoreError),
    /// The copy holds what readers cannot use.
    #[error("the readers cannot use the copy: {0}")]
    Index(#[from] ReaderIndexError),
    /// An operation that was checked is malformed after all.
    #[error("{0}")]
    Operation(String),
    /// Nobody to follow.
    #[error("no upstream is configured")]
    NoUpstream,
    /// Others may follow it, and its certificate does not say so.
    #[error("{0} may not be followed; issue it a certificate of role relay")]
    NoRelay(Peer),
    /// The thread that applies cannot be started.
    #[error("cannot start the thread that applies versions: {0}")]
    Thread(#[source] std::io::Error),
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// No endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A snapshot that ends without having begun.
    #[error("the core ended a snapshot that it had not begun")]
    NoSnapshot,
    /// The thread that applies is gone.
    #[error("the thread that applies versions has ended")]
    WriterGone,
}

impl From<StoreError> for EdgeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
