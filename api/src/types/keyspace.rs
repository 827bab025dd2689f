//! Keyspaces beside DNS: what they are, their keys, and changes of them.

use serde::{Deserialize, Serialize};

use super::octets::Octets;
use super::written::Receipt;

/// A keyspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyspaceInfo {
    /// Its name.
    pub keyspace: String,
    /// The number in front of its keys in the store.
    pub id: u16,
    /// Whether edges never see it.
    pub private: bool,
    /// Most keys.
    pub max_keys: u64,
    /// Most bytes of keys and values together.
    pub max_bytes: u64,
    /// Largest value in bytes.
    pub max_value: u64,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of keys and values in it.
    pub bytes: u64,
    /// The number of its changes.
    pub revision: u64,
}

/// All keyspaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyspaceList {
    /// In the order of their ids.
    pub keyspaces: Vec<KeyspaceInfo>,
}

/// What a keyspace is to be. What is left out stays as it is; in a new one it is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyspaceSetup {
    /// Whether edges never see it; it stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private: Option<bool>,
    /// Most keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_keys: Option<u64>,
    /// Most bytes of keys and values together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Largest value in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_value: Option<u64>,
}

/// Answer of every write of a keyspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeyspaceWritten {
    /// The keyspace.
    pub keyspace: String,
    /// Its revision after the write.
    pub revision: u64,
    /// The version that holds the write; when nothing had to change, the last version. Absent for a private keyspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Whether the write changed anything.
    pub changed: bool,
    /// Whether this is the answer of an earlier request under the same idempotency key, and nothing was done now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
    /// The edges that have the write, if the request waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// A key with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The key.
    pub key: Octets,
    /// The revision of its last change.
    pub revision: u64,
    /// Bytes of its value.
    pub len: usize,
    /// Its value; absent when only keys were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Octets>,
}

/// Keys of a keyspace, all of one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPage {
    /// The keyspace.
    pub keyspace: String,
    /// The node that was read: `core`, or the name of an edge.
    pub at: String,
    /// The version that was read.
    pub version: u64,
    /// The revision of the keyspace then.
    pub revision: u64,
    /// In ascending order.
    pub keys: Vec<KeyEntry>,
    /// The `after` of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Octets>,
}

/// Comparisons and changes, done all or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTransaction {
    /// What must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compare: Vec<KeyComparison>,
    /// What is done then, in order.
    #[serde(default)]
    pub changes: Vec<KeyChange>,
}

/// What must hold of a key: exactly one of the fields beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyComparison {
    /// The key.
    pub key: Octets,
    /// Its last change has this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// It has this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Octets>,
    /// Whether there is such a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exists: Option<bool>,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub enum KeyChange {
    /// Put a value, whatever was there.
    Put {
        /// The key.
        key: Octets,
        /// The value.
        value: Octets,
    },
    /// Delete a key if it is there.
    Delete {
        /// The key.
        key: Octets,
    },
}

/// A line of a watch: what one version changed, or, without changes, up to which version there were none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchLine {
    /// The version. A watch from here on misses nothing.
    pub version: u64,
    /// The keys that it changed, all of them that the watch is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<KeyNews>,
    /// The keyspace is gone with all its keys; nothing follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// Why nothing follows, if that is not the end of the time that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A key that was put or deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyNews {
    /// The key.
    pub key: Octets,
    /// Whether it is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// The revision that put it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Octets>,
}

/// All keys of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupContent {
    /// Every key that the group is to have.
    pub files: Vec<GroupEntry>,
}

/// A key of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// The key is the name of the group, a slash, and this.
    pub path: Octets,
    /// Its value.
    pub value: Octets,
}

/// The last changes of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLog {
    /// The keyspace.
    pub keyspace: String,
    /// The group.
    pub group: String,
    /// Newest first.
    pub changes: Vec<GroupLogEntry>,
}

/// A change of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLogEntry {
    /// The revision of the keyspace that it made.
    pub revision: u64,
    /// `published`, `rolled-back`, or `keys` when single keys were written.
    pub kind: String,
    /// Seconds of Unix time.
    pub time: u64,
    /// Name of the token, or empty.
    pub by: String,
    /// Keys that it put.
    pub puts: u64,
    /// Keys that it deleted.
    pub deletes: u64,
}
