//! What a keyspace may hold.

/// Largest value of a user in bytes: what takes a change back holds key and value in one value of the store.
pub const MAX_VALUE_LEN: usize = zonecast_kv_proto::MAX_VALUE_LEN - 2048;

/// Most keyspaces of one store: an answer can list all of them.
pub const MAX_KEYSPACES: usize = 1000;

/// Limits of a keyspace, which all cores share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most keys.
    pub max_keys: u64,
    /// Most bytes of keys and values together.
    pub max_bytes: u64,
    /// Largest value in bytes.
    pub max_value: u64,
}

impl Default for Limits {
    /// Enough for most; so that a mistake fills no disk.
    fn default() -> Self {
        Self { max_keys: 1_000_000, max_bytes: 1 << 30, max_value: MAX_VALUE_LEN as u64 }
    }
}
