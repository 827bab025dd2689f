//! The status that an edge reports of itself.

use serde::{Deserialize, Serialize};

use super::vitals::Vitals;

/// How an edge stands, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeNode {
    /// `edge`.
    pub role: String,
    /// Release of the edge.
    pub release: String,
    /// Its name, from its certificate.
    pub edge: String,
    /// Whether it has a copy to answer from, however old.
    pub ready: bool,
    /// Identity of the store it has a copy of; empty while it has none.
    pub store: String,
    /// History of the store.
    pub epoch: u64,
    /// Version that it answers from.
    pub version: u64,
    /// Chain at that version.
    pub chain: String,
    /// Version that power loss cannot take.
    pub durable: u64,
    /// The furthest it knows its core to be.
    pub head: u64,
    /// `streaming`, `loading` or `away`.
    pub following: String,
    /// Seconds since its core said anything; absent when it never has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_s: Option<f64>,
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
    /// Zones it answers for.
    pub zones: u64,
    /// Where it answers DNS.
    pub dns: Vec<String>,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Folder that everything is kept in.
    pub data: String,
    /// How its process and machine stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<Vitals>,
}
