//! Deleted zones that can be restored.

use serde::{Deserialize, Serialize};

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
