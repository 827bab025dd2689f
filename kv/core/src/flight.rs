//! Counts the proposed batches that are not applied yet. A batch is counted when it is proposed, until raft answers.
//!
//! Whoever holds a [`Room`] or a [`Flown`] holds what it counts: dropped on whatever way, cancelled and panicking ones
//! included, it gives back.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
    /// Since when one of them was not committed.
    pub(crate) failed: Option<Instant>,
}

/// Room for a proposal.
#[derive(Debug)]
pub(crate) struct Room {
    flight: Arc<Flight>,
    bytes: usize,
}

/// A proposal on its way. It lands when it is dropped.
#[derive(Debug)]
pub(crate) struct Flown {
    room: Room,
    ticket: u64,
    is_bulk: bool,
    is_committed: bool,
}

impl Flight {
    pub(crate) fn new(metrics: CoreMetrics) -> Self {
        Self { counts: Mutex::default(), landed: Condvar::new(), metrics }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Takes room for a proposal of so many bytes, if there is any.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Room> {
        let mut counts = self.lock();
        if counts.bytes > 0 && counts.bytes + bytes > MAX_BYTES {
            return None;
        }
        counts.bytes += bytes;
        self.show(&counts);
        Some(Room { flight: Arc::clone(self), bytes })
    }

    /// Waits until nothing is on its way, but at most until this long after something failed. Says whether that is so;
    /// then the failure is forgotten.
    pub(crate) fn drain(&self, within: Duration) -> bool {
        let mut counts = self.lock();
        let until = counts.failed.unwrap_or_else(Instant::now) + within;
        while counts.staged > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.landed.wait_timeout(counts, left);
            counts = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        counts.failed = None;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Whole between any two calls.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, counts: &Counts) {
        self.metrics.in_flight_bytes.set(i64::try_from(counts.bytes).unwrap_or(i64::MAX));
    }
}

impl Room {
    /// The proposal is on its way.
    pub(crate) fn start(self, ticket: u64, is_bulk: bool) -> Flown {
        let mut counts = self.flight.lock();
        counts.staged += 1;
        counts.bulk += usize::from(is_bulk);
        drop(counts);
        Flown { room: self, ticket, is_bulk, is_committed: false }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut counts = self.flight.lock();
        counts.bytes = counts.bytes.saturating_sub(self.bytes);
        self.flight.show(&counts);
    }
}

impl Flown {
    /// It has its answer.
    pub(crate) fn land(mut self, is_committed: bool) {
        self.is_committed = is_committed;
    }
}

impl Drop for Flown {
    fn drop(&mut self) {
        let flight = &self.room.flight;
        let mut counts = flight.lock();
        counts.staged = counts.staged.saturating_sub(1);
        counts.bulk = counts.bulk.saturating_sub(usize::from(self.is_bulk));
        counts.answered = counts.answered.max(self.ticket);
        if !self.is_committed && counts.failed.is_none() {
            counts.failed = Some(Instant::now());
        }
        if counts.staged == 0 {
            flight.landed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    fn flight() -> Arc<Flight> {
        Arc::new(Flight::new(CoreMetrics::register(&Registry::new()).unwrap()))
    }

    #[test]
    fn room_comes_back_on_whatever_way_it_is_let_go() {
        let flight = flight();
        let room = flight.take(MAX_BYTES).unwrap();
        assert!(flight.take(1).is_none());
        drop(room);
        let flown = flight.take(MAX_BYTES).unwrap().start(1, true);
        assert_eq!((flight.counts().staged, flight.counts().bulk), (1, 1));
        flown.land(true);
        assert!(flight.counts().failed.is_none());
        drop(flight.take(MAX_BYTES).unwrap().start(2, false));
        let Counts { bytes, staged, bulk, answered, failed } = flight.counts();
        assert_eq!((bytes, staged, bulk, answered, failed.is_some()), (0, 0, 0, 2, true));
        assert!(flight.drain(Duration::ZERO));
        assert!(flight.counts().failed.is_none());
    }

    #[test]
    fn a_drain_ends_though_something_never_lands() {
        let flight = flight();
        let stuck = flight.take(1).unwrap().start(1, false);
        flight.take(1).unwrap().start(2, false).land(false);
        assert!(!flight.drain(Duration::from_millis(5)));
        assert!(flight.counts().failed.is_some(), "it is not forgotten");
        stuck.land(true);
        assert!(flight.drain(Duration::ZERO));
    }
}
