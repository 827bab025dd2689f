//! What is published: the newest versions, encoded once for all downstreams, and the store for those who are further
//! behind.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use zonecast_kv_proto::{BatchSource, Path, Position, SignedManifest, Tail, Version};

use crate::Identity;
use crate::lock::lock;
use crate::publisher_options::PublisherOptions;
use crate::snapshot_rate::SnapshotRate;
use crate::table_fetcher::TableFetcher;
use crate::table_shelf::TableShelf;

/// The newest versions in memory for downstreams that are up to date, and the store for those that are behind.
pub(crate) struct Feed {
    pub(crate) source: Arc<dyn BatchSource>,
    /// Snapshots that may be read at a time.
    pub(crate) snapshots: Semaphore,
    /// How fast they may be read.
    pub(crate) rate: SnapshotRate,
    /// Table files that are made for them.
    pub(crate) tables: Arc<TableShelf>,
    /// Changes when there is something new in the tail.
    head: watch::Sender<Version>,
    tail: Mutex<Tail>,
}

impl Feed {
    pub(crate) fn new(
        source: Arc<dyn BatchSource>,
        head: Position,
        options: &PublisherOptions,
        identity: Identity,
        fetcher: Option<Arc<dyn TableFetcher>>,
    ) -> Self {
        let believes = Box::new(move |signed: &SignedManifest| identity.check_manifest(signed).is_ok());
        Self {
            source,
            snapshots: Semaphore::new(options.max_snapshots),
            rate: SnapshotRate::new(options.snapshot_bytes_per_second),
            tables: Arc::new(TableShelf::new(believes, fetcher)),
            head: watch::Sender::new(head.version),
            tail: Mutex::new(Tail::new(head, options.tail_bytes)),
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

    /// Versions come by this way from now on.
    pub(crate) fn set_path(&self, path: Path) {
        if self.tail().set_path(path) {
            // Those who have everything hear of it, too.
            self.head.send_modify(|_| {});
        }
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
}
