//! A node to follow.

use std::net::SocketAddr;

use zonecast_kv_transport::Role;

/// Another node that this edge may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where.
    pub address: SocketAddr,
    /// Required role of the upstream: a core or a relay.
    pub role: Role,
}
