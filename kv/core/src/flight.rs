//! Counts the proposed batches that are not applied yet. A batch is counted when it is proposed, until raft answers.
//!
//! Whoever holds a [`Room`] or a [`Flown`] holds what it counts: dropped on whatever way, cancelled and panicking ones
//! included, it gives back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openraft::{AsyncRuntime, Instant as _};
use tokio::sync::Notify;

use crate::environment::Environment;
use crate::metrics::CoreMetrics;
use crate::types::Moment;

/// At most so many bytes are proposed and unapplied; what comes then is told to come again.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What a proposal takes beside its operations: entry, responder, overlay.
pub(crate) const OVERHEAD: usize = 512;

/// Counts what one lead has proposed and raft has not answered.
pub(crate) struct Flight<E: Environment> {
    counts: Mutex<Counts>,
    /// Since when one of them was not committed.
    failed_at: Mutex<Option<Moment<E>>>,
    /// Nothing is on its way any more.
    landed: Notify,
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
    pub(crate) has_failed: bool,
}

/// Room for a proposal.
pub(crate) struct Room<E: Environment> {
    flight: Arc<Flight<E>>,
    bytes: usize,
}

/// A proposal on its way. It lands when it is dropped.
pub(crate) struct Flown<E: Environment> {
    room: Room<E>,
    ticket: u64,
    is_bulk: bool,
    is_committed: bool,
}

impl<E: Environment> Flight<E> {
    pub(crate) fn new(metrics: CoreMetrics) -> Self {
        Self { counts: Mutex::default(), failed_at: Mutex::default(), landed: Notify::new(), metrics }
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.lock()
    }

    /// Takes room for a proposal of so many bytes, if there is any.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Room<E>> {
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
    pub(crate) async fn drain(&self, within: Duration) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let until = failed_at.unwrap_or_else(Moment::<E>::now) + within;
        let empty = async {
            loop {
                let landed = self.landed.notified();
                if self.counts().staged == 0 {
                    return;
                }
                landed.await;
            }
        };
        if E::Runtime::timeout_at(until, empty).await.is_err() && self.counts().staged > 0 {
            return false;
        }
        self.lock().has_failed = false;
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

impl<E: Environment> Room<E> {
    /// The proposal is on its way.
    pub(crate) fn start(self, ticket: u64, is_bulk: bool) -> Flown<E> {
        let mut counts = self.flight.lock();
        counts.staged += 1;
        counts.bulk += usize::from(is_bulk);
        drop(counts);
        Flown { room: self, ticket, is_bulk, is_committed: false }
    }
}

impl<E: Environment> Drop for Room<E> {
    fn drop(&mut self) {
        let mut counts = self.flight.lock();
        counts.bytes = counts.bytes.saturating_sub(self.bytes);
        self.flight.show(&counts);
    }
}

impl<E: Environment> Flown<E> {
    /// It has its answer.
    pub(crate) fn land(mut self, is_committed: bool) {
        self.is_committed = is_committed;
    }
}

impl<E: Environment> Drop for Flown<E> {
    fn drop(&mut self) {
        let flight = &self.room.flight;
        let mut counts = flight.lock();
        counts.staged = counts.staged.saturating_sub(1);
        counts.bulk = counts.bulk.saturating_sub(usize::from(self.is_bulk));
        counts.answered = counts.answered.max(self.ticket);
        let has_drained = counts.staged == 0;
        if !self.is_committed && !std::mem::replace(&mut counts.has_failed, true) {
            *flight.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::<E>::now());
        }
        drop(counts);
        if has_drained {
            flight.landed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::machine::Machine;

    fn flight() -> Arc<Flight<Machine>> {
        Arc::new(Flight::new(CoreMetrics::register(&Registry::new()).unwrap()))
    }

    #[tokio::test]
    async fn room_comes_back_on_whatever_way_it_is_let_go() {
        let flight = flight();
        let room = flight.take(MAX_BYTES).unwrap();
        assert!(flight.take(1).is_none());
        drop(room);
        let flown = flight.take(MAX_BYTES).unwrap().start(1, true);
        assert_eq!((flight.counts().staged, flight.counts().bulk), (1, 1));
        flown.land(true);
        assert!(!flight.counts().has_failed);
        drop(flight.take(MAX_BYTES).unwrap().start(2, false));
        let Counts { bytes, staged, bulk, answered, has_failed } = flight.counts();
        assert_eq!((bytes, staged, bulk, answered, has_failed), (0, 0, 0, 2, true));
        assert!(flight.drain(Duration::ZERO).await);
        assert!(!flight.counts().has_failed);
    }

    #[tokio::test]
    async fn a_drain_ends_though_something_never_lands() {
        let flight = flight();
        let stuck = flight.take(1).unwrap().start(1, false);
        flight.take(1).unwrap().start(2, false).land(false);
        assert!(!flight.drain(Duration::from_millis(5)).await);
        assert!(flight.counts().has_failed, "it is not forgotten");
        stuck.land(true);
        assert!(flight.drain(Duration::ZERO).await);
    }
}
