//! What is published: the newest versions, encoded once for all downstreams, and the store for those who are further
//! behind.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use zonecast_kv_proto::{BatchSource, Epoch, Position, Tail, Version};

use crate::lock::lock;
use crate::publisher_options::PublisherOptions;

/// Epochs that a downstream is believed to be ahead: more than restores that anybody accepts and loses again. The next one
/// accepted begins above, and epochs must not come to an end because one node is out of its mind.
const MAX_EPOCHS_AHEAD: u64 = 1 << 16;

/// The newest versions in memory for downstreams that are up to date, and the store for those that are behind.
pub(crate) struct Feed {
    pub(crate) source: Arc<dyn BatchSource>,
    /// Snapshots that may be read at a time.
    pub(crate) snapshots: Semaphore,
    /// Changes when there is something new in the tail.
    head: watch::Sender<Version>,
    tail: Mutex<Tail>,
    /// The latest epoch of this store that anybody has subscribed with.
    highest_epoch: AtomicU64,
}

impl Feed {
    pub(crate) fn new(source: Arc<dyn BatchSource>, head: Position, options: &PublisherOptions) -> Self {
        Self {
            source,
            snapshots: Semaphore::new(options.max_snapshots),
            head: watch::Sender::new(head.version),
            tail: Mutex::new(Tail::new(head, options.tail_bytes)),
            highest_epoch: AtomicU64::new(head.epoch.get()),
        }
    }

    /// Gives the next version to everyone. `position` is where it leads.
    pub(crate) fn push(&self, now: Duration, position: Position, frames: Bytes) {
        self.tail().push(now, position, frames);
        self.head.send_replace(position.version);
    }

    /// The store has come there without the versions between.
    pub(crate) fn jump(&self, position: Position) {
        self.tail().jump(position);
        self.head.send_replace(position.version);
    }

    /// A majority confirms that nothing is missing.
    pub(crate) fn confirm(&self, now: Duration) {
        self.tail().confirm(now);
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    /// The newest version in the tail.
    pub(crate) fn head(&self) -> Version {
        self.tail().head().version
    }

    /// Changes when there is a newer one.
    pub(crate) fn changes(&self) -> watch::Receiver<Version> {
        self.head.subscribe()
    }

    /// How many sessions follow.
    pub(crate) fn followers(&self) -> usize {
        self.head.receiver_count()
    }

    /// An edge stands there.
    pub(crate) fn seen(&self, position: Option<Position>) {
        let head = self.source.position();
        let epoch = position.filter(|position| position.store == head.store).map(|position| position.epoch.get());
        let epoch = epoch.filter(|epoch| epoch.saturating_sub(head.epoch.get()) <= MAX_EPOCHS_AHEAD);
        self.highest_epoch.fetch_max(epoch.unwrap_or_default(), Ordering::Relaxed);
    }

    /// The latest epoch that the store or any downstream of it has been in.
    pub(crate) fn highest_epoch(&self) -> Epoch {
        Epoch::new(self.highest_epoch.load(Ordering::Relaxed))
    }
}
