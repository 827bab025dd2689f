//! The history of a zone: its changes, differences between two states, and the way back.

use serde::{Deserialize, Serialize};

/// The last changes of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneLog {
    /// The apex of the zone.
    pub zone: String,
    /// The changes, newest first.
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
    /// The serial of the SOA before the change.
    pub serial_before: u32,
    /// The serial of the SOA after the change.
    pub serial: u32,
    /// Whether the state before the change can be restored. It cannot if the zone was replaced as a whole too long ago.
    pub can_be_undone: bool,
}

/// One record of a difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DiffRecord {
    /// The owner name, absolute.
    pub name: String,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The type mnemonic.
    #[serde(rename = "type")]
    pub rtype: String,
    /// RDATA in presentation format.
    pub data: String,
}

/// The difference between two states of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneDiff {
    /// The apex of the zone.
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
