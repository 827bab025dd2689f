//! What the history of a zone says beside a change.

use std::time::{SystemTime, UNIX_EPOCH};

use zonecast_builder::{ChangeKind, ChangeNote};

/// A change of this kind, now, by this author.
pub(crate) fn now(kind: ChangeKind, by: &str) -> ChangeNote<'_> {
    ChangeNote { kind, time: unix_time(), by }
}

/// Seconds since 1970 on the clock of this machine.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
