//! The answer to a write, and which edges serve it.

use serde::{Deserialize, Serialize};

use super::error_body::Finding;
use super::zone_log::ZoneDiff;

/// Answer of every write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Zone that was written.
    pub zone: String,
    /// The version that holds the write; when nothing had to change, the last version.
    pub version: u64,
    /// Whether the write changed anything.
    pub changed: bool,
    /// Whether this is the answer of an earlier request under the same idempotency key, and nothing was done now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// Serial of the zone after it; absent when the zone was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Records of the zone after a whole zone was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Warnings about records that are served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
    /// The difference that the write would make; only for a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<ZoneDiff>,
    /// The edges that serve the write, if the request waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// Which edges serve a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The version that the receipt is about.
    pub version: u64,
    /// Whether as many edges as were asked for have applied it.
    pub reached: bool,
    /// Whether the core was stopped before the wait was over, so that it is not known which edges will get the version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Number of edges that have applied the version.
    pub applied: usize,
    /// Number of edges that have it on their disk, too.
    #[serde(default)]
    pub durable: usize,
    /// Number of edges that `--wait all` waits for.
    pub of: usize,
    /// Milliseconds from the leader's stamp to the commit; by two clocks, where another core stamped it. Absent when it is
    /// forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_ms: Option<f64>,
    /// Of the edges that have applied it, as far as it is remembered, how long that took after the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<ReceiptTook>,
    /// The state of each of these edges; of at most 1,000, and of those first that have not applied the version.
    pub edges: Vec<EdgeReceipt>,
}

/// How long a version took to edges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReceiptTook {
    /// Milliseconds within which half of them had it.
    pub p50_ms: f64,
    /// Milliseconds within which 99 of 100 had it.
    pub p99_ms: f64,
    /// Milliseconds of the slowest.
    pub max_ms: f64,
    /// The slowest.
    pub slowest: String,
}

/// State of one edge for a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeReceipt {
    /// Its name, from its certificate.
    pub edge: String,
    /// Its role, from its certificate: `edge` or `relay`.
    pub role: String,
    /// The relay that serves it, or did last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Whether it has applied the version.
    pub applied: bool,
    /// Whether it has the version on its disk.
    #[serde(default)]
    pub durable: bool,
    /// Whether the relay that serves it is gone, so that this is the last that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last_known: bool,
    /// Seconds for which the core has not served it; absent while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_s: Option<f64>,
    /// Milliseconds from the commit to the edge's acknowledgement, both on the core's clock; absent when not applied
    /// yet, or so long ago that the time is forgotten, or when a relay tells of many edges together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// Of `ms`, the milliseconds until the relay that serves it had the version; absent without a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_ms: Option<f64>,
    /// Of `ms`, the milliseconds on the network from there to the edge and back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_ms: Option<f64>,
    /// Of `ms`, the milliseconds in which the edge applied it, as the edge says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_ms: Option<f64>,
}
