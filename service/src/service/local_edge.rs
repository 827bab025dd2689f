//! What the service knows of an edge in its own process.

use std::net::SocketAddr;

use zonecast_edge::EdgeStates;

/// An edge that runs in this process.
#[derive(Clone, Debug)]
pub struct LocalEdge {
    /// Its name.
    pub name: String,
    /// Where it answers DNS.
    pub dns: Vec<SocketAddr>,
    /// What it answers from.
    pub states: EdgeStates,
}
