//! Requests and responses of `/v1` in JSON; the server and [`Client`](crate::Client) share them.
//!
//! Names are in presentation format with the trailing dot. Clients must ignore unknown fields of a response. Unknown
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
    /// The findings, if a zone file was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The fault that keeps the core from writing, if known: `disk` when the disk is full, read-only or failing, else
    /// `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Severity of a finding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The record is served, but probably a mistake.
    Warning,
    /// The zone or change is refused.
    #[default]
    Error,
}

/// An error or warning about a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Severity of the finding.
    #[serde(default)]
    pub severity: Severity,
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

/// The `code` of an error when it is not known whether a write was done. After any other error, a repeated write cannot
/// be done twice.
pub const UNKNOWN: &str = "unknown";

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
    /// Which version.
    pub version: u64,
    /// Whether as many edges as were asked for have applied it.
    pub reached: bool,
    /// Whether the core was stopped before the wait was over, so that it is not known which edges will get the version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Number of edges that have applied the version.
    pub applied: usize,
    /// Number of edges that `--wait all` waits for.
    pub of: usize,
    /// Each of them.
    pub edges: Vec<EdgeReceipt>,
}

/// State of one edge for a version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EdgeReceipt {
    /// Its name, from its certificate.
    pub edge: String,
    /// Its role, from its certificate: `edge` or `relay`.
    pub role: String,
    /// Whether it has applied the version.
    pub applied: bool,
    /// Seconds for which the core has not served it; absent while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away_s: Option<f64>,
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
    /// Number of its last change, 0 before the first; only when one zone is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<u64>,
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
    /// `override` where it replaces the records of the zone, `overridden` or `disabled` where the zone has it and it is
    /// not served, `flattened` for the CNAME of an apex and `address` for what stands for it; absent for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
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

/// The last changes of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneLog {
    /// The zone.
    pub zone: String,
    /// Newest first.
    pub changes: Vec<ZoneLogEntry>,
}

/// One change of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneLogEntry {
    /// Counted from 1 in each zone.
    pub number: u64,
    /// `records`, `replaced`, `rolled-back`, `settings`, `deleted` or `undeleted`.
    pub kind: String,
    /// On the clock of the core, seconds of Unix time.
    pub time: u64,
    /// Name of the token, or how else the change came; empty where no token is asked for.
    pub by: String,
    /// Serial before.
    pub serial_before: u32,
    /// Serial afterwards.
    pub serial: u32,
    /// Whether the state before the change can be restored. It cannot if the zone was replaced as a whole too long ago.
    pub can_be_undone: bool,
}

/// One record of a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiffRecord {
    /// Owner, absolute.
    pub name: String,
    /// Seconds.
    pub ttl: u32,
    /// Type mnemonic.
    #[serde(rename = "type")]
    pub rtype: String,
    /// RDATA in presentation format.
    pub data: String,
}

/// The difference between two states of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneDiff {
    /// The zone.
    pub zone: String,
    /// Number of the change that led to the first state; 0 is the state before the first change.
    pub from: u64,
    /// Number of the change that led to the second state.
    pub to: u64,
    /// Records of the first state only.
    pub removed: Vec<DiffRecord>,
    /// Records of the second state only.
    pub added: Vec<DiffRecord>,
    /// Whether more names differ than are shown.
    pub truncated: bool,
}

/// The target of a rollback: one of the two fields is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Number of the change whose resulting state is restored; 0 is the state before the first change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Number of the change to undo, which must be the last one. A repeated request changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<u64>,
}

/// Deleted zones that can be restored, in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedZones {
    /// The page.
    pub zones: Vec<DeletedZone>,
    /// What the next page's `after` is; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A deleted zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedZone {
    /// Its apex.
    pub zone: String,
    /// Stable identity.
    pub id: u64,
    /// When it was deleted, seconds of Unix time.
    pub deleted: u64,
    /// Time until which it can be restored, seconds of Unix time.
    pub kept_until: u64,
}

/// What to do with one RRset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    /// The RRset is exactly these records afterwards.
    Set,
    /// These records are in the RRset afterwards, beside what was there.
    Add,
    /// These records, or without data the whole RRset, or without a type everything at the name, are gone afterwards.
    Delete,
    /// All records of the name are at another name afterwards, beside the records that are there.
    Rename,
    /// These records are answered for the name and type instead of those of the zone, also after the zone is replaced.
    /// Without data, the answer has no records.
    Override,
    /// The records of the zone are answered again for the name and type.
    Restore,
    /// These records stay in the zone and are not served.
    Disable,
    /// They are served again.
    Enable,
}

/// One change of a zone's records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordChange {
    /// What to do.
    pub action: Action,
    /// Owner: relative to the zone, `@` for the apex, absolute with a trailing dot.
    pub name: String,
    /// Type mnemonic or `TYPE123`; only a delete may leave it out.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub rtype: Option<String>,
    /// Seconds. Left out: the present TTL of the RRset, else the default TTL of the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// RDATA in presentation format, one string a record; names in it are relative to the zone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// A delete without a type: everything beneath the name is gone as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub subtree: bool,
    /// A rename: the other name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// For fields that are left out when they say nothing.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The settings of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSettingsInfo {
    /// Its apex.
    pub zone: String,
    /// What a record change does with the serial of the SOA: `increment`, `date`, `unix` or `keep`.
    pub serial_policy: String,
    /// TTL in seconds of new RRsets that are added without a TTL.
    pub default_ttl: u32,
    /// Whether a CNAME at the apex is answered with the addresses of its target.
    #[serde(default)]
    pub flatten_apex: bool,
    /// The largest share of its records that a write may remove without `allow_shrink`, such as `50%`, or `default` if
    /// the setting of the store applies.
    #[serde(default)]
    pub max_shrink: String,
    /// What happens to a write with a lower serial: `warn`, `refuse`, or `default`.
    #[serde(default)]
    pub older_serial: String,
}

/// The settings that apply to zones without settings of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSettings {
    /// See [`ZoneSettingsInfo::max_shrink`].
    pub max_shrink: String,
    /// See [`ZoneSettingsInfo::older_serial`].
    pub older_serial: String,
}

/// What else is to be chosen for all zones; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettingsChange {
    /// See [`ZoneSettingsInfo::max_shrink`]; `default` is as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_shrink: Option<String>,
    /// See [`ZoneSettingsInfo::older_serial`]; `default` is as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_serial: Option<String>,
}

/// What else is to be chosen for a zone; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// See [`ZoneSettingsInfo::serial_policy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_policy: Option<String>,
    /// See [`ZoneSettingsInfo::default_ttl`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl: Option<u32>,
    /// See [`ZoneSettingsInfo::flatten_apex`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flatten_apex: Option<bool>,
    /// See [`ZoneSettingsInfo::max_shrink`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_shrink: Option<String>,
    /// See [`ZoneSettingsInfo::older_serial`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older_serial: Option<String>,
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

/// How a node stands, whichever it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NodeStatus {
    /// An edge, by itself.
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

/// How the process of a node and its machine stand. What the system does not tell is 0 or absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// The node's wall clock when it answered, seconds of Unix time.
    pub now: f64,
    /// Of the process.
    pub pid: u32,
    /// Bytes of memory it holds (resident set).
    pub memory_bytes: u64,
    /// Files and sockets it has open.
    pub open_files: u64,
    /// How many it may have open; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u64>,
    /// Of the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpace>,
    /// Its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateInfo>,
}

/// Room on the disk of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Bytes of the whole file system.
    pub total_bytes: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes that the folder takes.
    pub used_bytes: u64,
}

/// A node's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    /// Whose it is: role and name.
    pub node: String,
    /// Its number, hexadecimal.
    pub serial: String,
    /// When it expires, seconds of Unix time.
    pub not_after: u64,
    /// Whether the node's own list of the revoked names it.
    pub revoked: bool,
}

/// The chain at a version, as the core knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainInfo {
    /// Identity of the store.
    pub store: String,
    /// History of the store.
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
    /// `core`.
    pub role: String,
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
    /// What ended writing for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Seconds since start.
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

/// A restore that was accepted: where an epoch begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkInfo {
    /// The epoch that begins.
    pub epoch: u64,
    /// Its first version.
    pub version: u64,
    /// Random id of the restore.
    pub restore: String,
    /// When it was accepted, in seconds of Unix time.
    pub time: u64,
    /// In the answer of the request that accepts it: what is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// Body of `POST /v1/accept-restore`: says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptRestore {}

/// Body of `POST /v1/backup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Absolute path on the machine of the core: a folder that is not there yet, or empty.
    pub folder: String,
}

/// A backup that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// Where.
    pub folder: String,
    /// Files in it, without its manifest.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Identity of the store.
    pub store: String,
    /// Its epoch.
    pub epoch: u64,
    /// The version that it holds at least.
    pub version: u64,
    /// What is not in it.
    pub lacks: Vec<String>,
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
    /// Versions it is behind.
    pub lag: u64,
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

/// The one line of a node that is ready, with `--json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// `ready`.
    pub event: String,
    /// `core`, `edge`, or `dev` for both in one process.
    pub role: String,
    /// Where each edge answers DNS over UDP and TCP.
    pub dns: Vec<String>,
    /// Where HTTP listens.
    pub http: String,
    /// Where edges connect, if there is a core in the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quic: Option<String>,
    /// Where all of it is stored.
    pub data: String,
    /// Zones served.
    pub zones: u64,
    /// Records in the zones that were listed and loaded.
    pub records: u64,
    /// Zones that were listed and refused.
    pub refused: u64,
    /// Zones that were listed and are as they were, because their file would have taken away too much.
    #[serde(default)]
    pub held: u64,
    /// From the start of the process.
    pub seconds: f64,
    /// Served by all edges.
    pub version: u64,
    /// The processes behind it, if it is not one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<Process>,
}

/// A process that was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Of its node.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

impl Ready {
    /// The same for people.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { event, role, dns, http, quic, data, zones, records, refused, held, seconds, version, processes } =
            self;
        let dns = if dns.is_empty() { String::new() } else { format!(" dns={}", dns.join(",")) };
        let quic = quic.as_ref().map(|quic| format!(" quic={quic}")).unwrap_or_default();
        let counts = format!(" records={records} refused={refused} held={held}");
        let records = if role == "edge" { String::new() } else { counts };
        let pids: Vec<String> = processes.iter().map(|Process { name, pid }| format!("{name}:{pid}")).collect();
        let pids = if pids.is_empty() { String::new() } else { format!(" pids={}", pids.join(",")) };
        format!(
            "{event} role={role}{dns} http={http}{quic} zones={zones}{records} seconds={seconds:.2} \
             version={version} data={data}{pids}"
        )
    }
}
