//! A node to follow.

use std::net::SocketAddr;

/// Another node that this edge may follow, a core or a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where.
    pub address: SocketAddr,
}
