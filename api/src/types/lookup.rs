//! The keys and values that a store has for a name.

use serde::{Deserialize, Serialize};

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
    /// The entries of the store, in the order of their keys.
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
