//! Requests and responses of `/v1` as they stand in JSON; the server and [`Client`](crate::Client) share them.
//!
//! Names are in presentation format with the trailing dot. Unknown fields of a response are to be ignored, unknown
//! fields of a request are an error.

use serde::{Deserialize, Serialize};

/// Body of every response that is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// For programs: one of the words in docs/api.md.
    pub code: String,
    /// For people, one line.
    pub message: String,
    /// Where in a zone file, when that is what was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Something about a record that is wrong or odd.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// File, if it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The record, or as much of it as could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// For programs: which rule.
    pub rule: String,
    /// For people.
    pub message: String,
}

/// Answer of every write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Zone that was written.
    pub zone: String,
    /// The version that holds the write; when nothing had to change, the last version.
    pub version: u64,
    /// Whether anything changed.
    pub changed: bool,
    /// Serial of the zone after it; absent when the zone was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Records of the zone after a whole zone was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// What is odd but served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
    /// Where it is live, if the request waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// Where a version is live.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which version.
    pub version: u64,
    /// Whether as many edges as were asked for have applied it.
    pub reached: bool,
    /// Edges that have applied it.
    pub applied: usize,
    /// Edges the core knows.
    pub of: usize,
    /// Each edge.
    pub edges: Vec<EdgeReceipt>,
}

/// Where one edge stands to a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeReceipt {
    /// Its name, from its certificate.
    pub edge: String,
    /// Whether it has applied the version.
    pub applied: bool,
    /// Milliseconds from the commit to the edge's acknowledgement, both on the core's clock; absent when not applied
    /// yet, or so long ago that the time is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
}

/// One zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneInfo {
    /// Its apex.
    pub zone: String,
    /// Stable identity.
    pub id: u64,
    /// Under which its keys live now.
    pub generation: u64,
    /// Of its SOA.
    pub serial: u32,
}

/// Zones in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonePage {
    /// This page.
    pub zones: Vec<ZoneInfo>,
    /// `after` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One RRset as the core holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrsetInfo {
    /// Owner, absolute.
    pub name: String,
    /// Type mnemonic.
    #[serde(rename = "type")]
    pub rtype: String,
    /// Seconds; the smallest of its records'.
    pub ttl: u32,
    /// RDATA of each record in presentation format.
    pub data: Vec<String>,
}

/// RRsets of a zone or a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RrsetPage {
    /// The zone.
    pub zone: String,
    /// In canonical order.
    pub rrsets: Vec<RrsetInfo>,
    /// Whether more than `limit` would match.
    pub truncated: bool,
}

/// What to do with one RRset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The RRset is exactly these records afterwards.
    Set,
    /// These records are in the RRset afterwards, beside what was there.
    Add,
    /// These records, or without data the whole RRset, or without a type everything at the name, are gone afterwards.
    Delete,
}

/// One change of a zone's records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordChange {
    /// What to do.
    pub action: Action,
    /// Owner: relative to the zone, `@` for the apex, absolute with a trailing dot.
    pub name: String,
    /// Type mnemonic or `TYPE123`; only a delete may leave it out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// Seconds. Left out: the present TTL of the RRset, else 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// RDATA in presentation format, one string a record; names in it are relative to the zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
}

/// Changes of one zone, applied as one version or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// In order.
    pub changes: Vec<RecordChange>,
}

/// What the store holds for a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lookup {
    /// `core`, or the edge's name.
    pub at: String,
    /// The state that was read.
    pub version: u64,
    /// Name that was looked up.
    pub name: String,
    /// Zone it lies in, if one is hosted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The entries, by key.
    pub entries: Vec<Entry>,
}

/// One key of the store, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The key's bytes in hexadecimal.
    pub key: String,
    /// The key's parts for people.
    pub key_text: String,
    /// The value's length in bytes.
    pub value_len: usize,
    /// The value's bytes in hexadecimal.
    pub value: String,
    /// What the value says; derived, never stored.
    pub decoded: serde_json::Value,
}

/// How the system stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Release of the core.
    pub release: String,
    /// Whether all zones it was started with are served.
    pub ready: bool,
    /// Identity of the store.
    pub store: String,
    /// History of the store.
    pub epoch: u64,
    /// Last committed version.
    pub version: u64,
    /// Chain at that version.
    pub chain: String,
    /// Zones hosted.
    pub zones: u64,
    /// Seconds since start.
    pub uptime_s: u64,
    /// Folder that everything is kept in.
    pub data: String,
    /// Each edge the core knows.
    pub edges: Vec<EdgeStatus>,
}

/// How one edge stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// Its name, from its certificate.
    pub edge: String,
    /// Where it answers DNS, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<String>,
    /// Whether it is connected now.
    pub connected: bool,
    /// Last version it acknowledged.
    pub applied: u64,
    /// Last version it acknowledged as safe from power loss.
    pub durable: u64,
    /// Versions it is behind.
    pub lag: u64,
}

/// The one line of a node that is ready, with `--json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// `ready`.
    pub event: String,
    /// Where each edge answers DNS over UDP and TCP.
    pub dns: Vec<String>,
    /// Where the API listens.
    pub http: String,
    /// Where all of it is stored.
    pub data: String,
    /// Zones served.
    pub zones: u64,
    /// Records in the zones that were listed and loaded.
    pub records: u64,
    /// Zones that were listed and refused.
    pub refused: u64,
    /// From the start of the process.
    pub seconds: f64,
    /// Served by all edges.
    pub version: u64,
}
