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
    /// Host names only.
    #[error(
        "every upstream is a host name: an edge must find one without asking a DNS that may be itself; add the IP \
         address and port of one of them, such as \"192.0.2.1:8054\""
    )]
    OnlyNames,
    /// The thread that applies cannot be started.
    #[error("cannot start the thread that applies versions: {0}")]
    Thread(#[source] std::io::Error),
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// A host name that leads nowhere.
    #[error("the host name cannot be resolved: {0}")]
    Unresolved(#[source] std::io::Error),
    /// The upstream has the certificate of this node.
    #[error("this is this node itself")]
    Itself,
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
