//! What is proposed and not applied yet: counted where it is proposed, counted off where raft answers.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::metrics::CoreMetrics;

/// At most so many bytes are proposed and unapplied; what comes then is told to come again.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What a proposal takes beside its operations: entry, responder, overlay.
pub(crate) const OVERHEAD: usize = 512;

/// See the module.
#[derive(Debug)]
pub(crate) struct Flight {
    counts: Mutex<Counts>,
    landed: Condvar,
    metrics: CoreMetrics,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Bytes taken.
    pub(crate) bytes: usize,
    /// Staged proposals without an answer.
    pub(crate) staged: usize,
    /// Of them, bulk.
    pub(crate) bulk: usize,
    /// The last ticket that was answered.
    pub(crate) answered: u64,
    /// One of them was not committed.
    pub(crate) failed: bool,
}

impl Flight {
    pub(crate) fn new(metrics: CoreMetrics) -> Self {
        Self { counts: Mutex::default(), landed: Condvar::new(), metrics }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().expect("no holder panics")
    }

    /// Takes room for a proposal of so many bytes, if there is any.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let mut counts = self.counts.lock().expect("no holder panics");
        let has_room = counts.bytes == 0 || counts.bytes + bytes <= MAX_BYTES;
        if has_room {
            counts.bytes += bytes;
            self.show(&counts);
        }
        has_room
    }

    /// Gives back room that no proposal will use.
    pub(crate) fn give_back(&self, bytes: usize) {
        let mut counts = self.counts.lock().expect("no holder panics");
        counts.bytes -= bytes;
        self.show(&counts);
    }

    /// A proposal is on its way.
    pub(crate) fn start(&self, is_bulk: bool) {
        let mut counts = self.counts.lock().expect("no holder panics");
        counts.staged += 1;
        counts.bulk += usize::from(is_bulk);
    }

    /// It has its answer.
    pub(crate) fn land(&self, ticket: u64, bytes: usize, is_bulk: bool, is_committed: bool) {
        let mut counts = self.counts.lock().expect("no holder panics");
        counts.bytes -= bytes;
        counts.staged -= 1;
        counts.bulk -= usize::from(is_bulk);
        counts.answered = counts.answered.max(ticket);
        counts.failed |= !is_committed;
        self.show(&counts);
        if counts.staged == 0 {
            self.landed.notify_all();
        }
    }

    /// Waits until nothing is on its way, and forgets the failure.
    pub(crate) fn drain(&self) {
        let mut counts = self.counts.lock().expect("no holder panics");
        while counts.staged > 0 {
            // Every answer notifies; the time only bounds what a lost one would cost.
            let wait = self.landed.wait_timeout(counts, Duration::from_secs(1));
            counts = wait.expect("no holder panics").0;
        }
        counts.failed = false;
    }

    fn show(&self, counts: &Counts) {
        self.metrics.in_flight_bytes.set(i64::try_from(counts.bytes).unwrap_or(i64::MAX));
    }
}
