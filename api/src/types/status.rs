//! The status of a core and of the edges it knows.

use serde::{Deserialize, Serialize};

use super::backup_info::ForkInfo;
use super::edge_node::EdgeNode;
use super::vitals::Vitals;

/// How a node stands, whichever it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NodeStatus {
    /// The status of an edge, as it reports itself.
    Edge(EdgeNode),
    /// A core, with the edges it knows.
    Core(Status),
}

impl NodeStatus {
    /// How its process and machine stand; releases that do not say so leave it out.
    #[must_use]
    pub fn vitals(&self) -> Option<&Vitals> {
        match self {
            Self::Edge(edge) => edge.vitals.as_ref(),
            Self::Core(core) => core.vitals.as_ref(),
        }
    }
}

/// The chain at a version, as the core knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainInfo {
    /// Identity of the store.
    pub store: String,
    /// The epoch of the store; it changes with every accepted restore.
    pub epoch: u64,
    /// Last committed version.
    pub head: u64,
    /// Which version was asked for.
    pub version: u64,
    /// Chain at that version; absent when it is too old for the core to remember, or not there yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

/// How the system stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The role of the node, always `core`.
    pub role: String,
    /// Release of the core.
    pub release: String,
    /// Whether all zones it was started with are served.
    pub ready: bool,
    /// Identity of the store.
    pub store: String,
    /// The epoch of the store; it changes with every accepted restore.
    pub epoch: u64,
    /// Last committed version.
    pub version: u64,
    /// Chain at that version.
    pub chain: String,
    /// Number of zones hosted.
    pub zones: u64,
    /// This core has a folder of zone files that is not imported, because that of the core of this name is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_elsewhere: Option<String>,
    /// What ended writing for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Seconds since the process started.
    pub uptime_s: u64,
    /// Folder that everything is kept in.
    pub data: String,
    /// Where that folder was when a process worked on it last, if it was moved or copied since: another copy of this core
    /// may be running there. Until the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// How its process and machine stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<Vitals>,
    /// Every restore that was accepted, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<ForkInfo>,
    /// Seconds: an edge that is away for longer is said to be away for long.
    #[serde(default)]
    pub away_after_s: u64,
    /// Each edge that is waited for or has connected.
    pub edges: Vec<EdgeInfo>,
}

/// Which edges there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeList {
    /// Seconds: an edge that is away for longer is said to be away for long.
    pub away_after_s: u64,
    /// Each edge that is waited for or has connected, by role and name.
    pub edges: Vec<EdgeInfo>,
}

/// How one edge stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeInfo {
    /// Its name, from its certificate.
    pub edge: String,
    /// Its role, from its certificate: `edge` or `relay`.
    pub role: String,
    /// Whether it is waited for: it has caught up once or was named, and is not forgotten.
    pub expected: bool,
    /// Where it answers DNS, if it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Whether it is connected and served now.
    pub connected: bool,
    /// Seconds for which it has not been; absent while it is. After a start of the core it may be some minutes off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_s: Option<f64>,
    /// Last version it acknowledged.
    pub applied: u64,
    /// Last version it acknowledged as safe from power loss.
    pub durable: u64,
    /// Number of versions it is behind the core.
    pub lag: u64,
    /// The relay that serves it, or did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Where it connected from last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Seconds since its last acknowledgement; absent without one since the core started. An edge that has everything
    /// has nothing to acknowledge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_s: Option<f64>,
    /// What is wrong with it, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}
