//! What the history of a zone says beside a change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zonecast_builder::{ChangeKind, ChangeNote};

/// Who asks for changes, and for how long they can be taken back however many follow.
#[derive(Clone, Debug)]
pub struct Author {
    by: String,
    keep: Duration,
}

impl Author {
    /// By this name.
    pub fn new(by: String, keep: Duration) -> Self {
        Self { by, keep }
    }

    /// For log lines.
    pub fn name(&self) -> &str {
        &self.by
    }

    /// A change of this kind, now.
    pub fn note(&self, kind: ChangeKind) -> ChangeNote<'_> {
        let time = unix_time();
        ChangeNote { kind, time, by: &self.by, keep_since: time.saturating_sub(self.keep.as_secs()) }
    }
}

/// Milliseconds since 1970 on the clock of this machine.
pub(crate) fn unix_time_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970 on the clock of this machine.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
