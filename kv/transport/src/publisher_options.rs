//! What an operator may set of a publisher.

use std::num::NonZeroU64;

/// Limits of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherOptions {
    /// Newest versions kept in memory for all downstreams together: who is less behind needs no disk.
    pub tail_bytes: usize,
    /// Connections of nodes that subscribe, at a time. Each may hold about 4 MiB when it is slow: what is being written
    /// to it, and what QUIC keeps until it is acknowledged. Handshakes and connections between cores have places of
    /// their own.
    pub max_connections: usize,
    /// Snapshots being read at a time; the others wait. Each holds on to a state of the store.
    pub max_snapshots: usize,
    /// Bytes of snapshots a second, all together; without a limit if there is none.
    pub snapshot_bytes_per_second: Option<NonZeroU64>,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self { tail_bytes: 64 * 1024 * 1024, max_connections: 4096, max_snapshots: 4, snapshot_bytes_per_second: None }
    }
}
