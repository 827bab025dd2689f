//! The status that an edge reports of itself.

use serde::{Deserialize, Serialize};

use super::status::EdgeInfo;
use super::vitals::Vitals;

/// How an edge stands, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeNode {
    /// The role of the node: `edge`, or `relay` if others follow it.
    pub role: String,
    /// Release of the edge.
    pub release: String,
    /// Its name, from its certificate.
    pub edge: String,
    /// Whether it has a copy to answer from, however old.
    pub ready: bool,
    /// Identity of the store it has a copy of; empty while it has none.
    pub store: String,
    /// The epoch of the store; it changes with every accepted restore.
    pub epoch: u64,
    /// The published keyspaces that it is to hold, `dns` for that of DNS; absent if it is to hold all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyspaces: Vec<String>,
    /// Whether its copy holds others than it is to hold: a snapshot of the right ones has not come yet.
    #[serde(default)]
    pub holds_others: bool,
    /// Version that it answers from.
    pub version: u64,
    /// The chain at the version that it answers from.
    pub chain: String,
    /// Version that power loss cannot take.
    pub durable: u64,
    /// The furthest it knows its core to be.
    pub head: u64,
    /// Whether it gets versions from its core: `streaming`, `loading` or `away`.
    pub following: String,
    /// Seconds since its core said anything; absent when it never has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_s: Option<f64>,
    /// The nodes that its versions come by, from a core to its upstream, each as role and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Seconds since a majority of the cores confirmed that the versions it knows of are all there are, at least; absent
    /// when that was never heard since its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_s: Option<f64>,
    /// Where other nodes follow it, if they may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quic: Option<String>,
    /// The nodes that follow it, or a relay below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<EdgeInfo>,
    /// Why it does not follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What is damaged in its copy, while a new one is being fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// What shows that another process uses its identity, for two minutes after it did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// What ended applying for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Number of zones it answers for.
    pub zones: u64,
    /// The addresses where it answers DNS.
    pub dns: Vec<String>,
    /// Seconds since the process started.
    pub uptime_s: u64,
    /// Folder that everything is kept in.
    pub data: String,
    /// How its process and machine stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<Vitals>,
}
