//! Deleted zones that can be restored.

use serde::{Deserialize, Serialize};

/// Deleted zones that can be restored, in canonical order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedZones {
    /// The zones of this page.
    pub zones: Vec<DeletedZone>,
    /// What the next page's `after` is; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A deleted zone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedZone {
    /// The apex of the zone.
    pub zone: String,
    /// The id of the zone; a zone that is created again gets another one.
    pub id: u64,
    /// When it was deleted, seconds of Unix time.
    pub deleted: u64,
    /// Time until which it can be restored, seconds of Unix time.
    pub kept_until: u64,
}
