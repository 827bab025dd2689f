//! The state of a voter: what the applied part of the raft log has come to, in a RocksDB database of its own.
//!
//! The database is a generation (`generations.rs`) `state-<n>` of the folder; its keys are in `state_keys.rs`. The state
//! of another voter is received beside it (`state_receive.rs`), and replaces it in one step.
//!
//! # Invariants
//! - What a command writes, the head and the applied log id stand in one write: after a crash at any instant the
//!   state is exactly that of some applied log id.
//! - Writes are not synced one by one: a lost end of the write-ahead log is applied again from the raft log, which
//!   may be purged only up to what [`StateStore::sync`] has made durable.
//! - Whoever reads or applies takes the live database once and keeps it to the end, so nothing is ever read from two of
//!   them or applied to one that is replaced. A replaced one is removed when its last view goes.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, Weak};

use bytes::Bytes;
use zonecast_kv_proto::{Edition, Head, Position, RequestId, RequestRecord, Revision, SectionId};

use crate::batch_log::BatchLog;
use crate::generations::Generations;
use crate::pins::Pins;
use crate::state_apply::Apply;
use crate::state_db::{Opened, Settings, StateDb};
use crate::state_receive::ReceivedState;
use crate::state_send::SendState;
use crate::state_view::StateView;
use crate::{RangeChecks, StoreError, StoreMetrics};

/// What the name of every database in the folder begins with.
const PREFIX: &str = "state-";

/// What [`StateOptions::raft_log_bytes`] is unless somebody says otherwise.
pub const RAFT_LOG_BYTES: usize = 64 * 1024 * 1024;

/// What [`StateOptions::snapshot_bytes_per_second`] is unless somebody says otherwise: 200 MiB.
pub const SNAPSHOT_BYTES_PER_SECOND: NonZeroU64 = NonZeroU64::new(200 * 1024 * 1024).expect("it is not 0");

/// Options of the state of a voter that an operator may set.
#[derive(Clone, Debug)]
pub struct StateOptions {
    /// Bytes of versions kept for edges that fall behind. Those further behind take a snapshot.
    pub batch_log_bytes: u64,
    /// Bytes of table blocks, filters and indexes kept in memory.
    pub cache_bytes: usize,
    /// Bytes of the raft log that are applied before the state is made durable and the log is given up to there: little
    /// next to the disk, much next to the cost of a sync.
    pub raft_log_bytes: usize,
    /// Bytes a second at which the state is sent to a voter that is behind: a share of a disk and a network that leaves
    /// enough for the log.
    pub snapshot_bytes_per_second: NonZeroU64,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self {
            batch_log_bytes: 256 * 1024 * 1024,
            cache_bytes: 64 * 1024 * 1024,
            raft_log_bytes: RAFT_LOG_BYTES,
            snapshot_bytes_per_second: SNAPSHOT_BYTES_PER_SECOND,
        }
    }
}

/// The state of a voter: the result of all applied raft log entries. Clones share the database.
#[derive(Clone, Debug)]
pub struct StateStore {
    pub(crate) shared: Arc<Shared>,
}

/// What clones share.
pub(crate) struct Shared {
    live: RwLock<Arc<StateDb>>,
    /// Accounting of the batch log of the live database. Held by the one who applies, and by the one who replaces the
    /// database together with it.
    log: Mutex<BatchLog>,
    /// What the batch log keeps for those who load a snapshot, also across a replacement.
    pub(crate) pins: Pins,
    pub(crate) metrics: StoreMetrics,
    pub(crate) settings: Settings,
    /// Held by whoever receives a state: there is one folder for it.
    pub(crate) receiving: Mutex<Weak<()>>,
    pub(crate) generations: Arc<Generations>,
    /// Of the live database.
    pub(crate) checks: RangeChecks,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.checks.end();
    }
}

impl Shared {
    pub(crate) fn live(&self) -> Arc<StateDb> {
        Arc::clone(&self.live.read().expect("no holder panics"))
    }

    pub(crate) fn lock_log(&self) -> MutexGuard<'_, BatchLog> {
        self.log.lock().expect("no holder panics")
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("live", &self.live().path()).finish_non_exhaustive()
    }
}

impl StateStore {
    /// Opens the state in the folder `path`, made if it is missing. Databases that are not live are removed.
    ///
    /// # Errors
    /// The folder is in use, cannot be used, or the state is damaged.
    pub fn open(path: &Path, state_options: &StateOptions, metrics: StoreMetrics) -> Result<Self, StoreError> {
        let generations = Arc::new(Generations::open(path, PREFIX)?);
        let settings = Settings::new(state_options);
        let Opened { db, log } = open_live(&settings, &generations)?;
        generations.sweep(Some(&db.generation))?;
        metrics.shows(&log);
        let shared = Shared {
            live: RwLock::new(Arc::new(db)),
            log: Mutex::new(log),
            pins: Pins::default(),
            metrics,
            settings,
            receiving: Mutex::default(),
            generations,
            checks: RangeChecks::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where the state stands.
    #[must_use]
    pub fn head(&self) -> Head {
        self.live().current().head
    }

    /// The last version and what it is a version of.
    #[must_use]
    pub fn position(&self) -> Position {
        self.head().position
    }

    /// The last accepted batch.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.head().revision
    }

    /// What is kept of a request that is done once.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, StoreError> {
        self.live().request(id)
    }

    /// The applied log id, as it was given to [`Apply::log_id`].
    #[must_use]
    pub fn applied(&self) -> Option<Bytes> {
        self.live().current().applied
    }

    /// The last membership, as it was given to [`Apply::membership`].
    #[must_use]
    pub fn membership(&self) -> Option<Bytes> {
        self.live().current().membership
    }

    /// How many batches have touched a section.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        self.live().edition(section)
    }

    /// The state as it is now, unchanging.
    #[must_use]
    pub fn view(&self) -> StateView {
        StateView::new(self.live())
    }

    /// What the state comes to at markers.
    #[must_use]
    pub fn checks(&self) -> &RangeChecks {
        &self.shared.checks
    }

    /// Begins to apply a slice of the log. Waits until an earlier slice is done.
    #[must_use]
    pub fn apply(&self) -> Apply<'_> {
        Apply::new(&self.shared)
    }

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync(&self) -> Result<(), StoreError> {
        let live = self.live();
        live.db.flush_wal(true).map_err(|error| live.fail(error))
    }

    /// Lays out a state in a folder that is not there yet, of the files of one ([`StateStore::snapshot_files`]): `fill` puts
    /// them into the empty folder that it is given, and makes them durable.
    ///
    /// # Errors
    /// The folder is there or cannot be used, or `fill` failed.
    pub fn lay_out<E: From<StoreError>>(to: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
        Generations::lay_out(to, PREFIX, fill)
    }

    /// Whether this folder holds a state. Opening one that does not makes a new state.
    #[must_use]
    pub fn is_in(path: &Path) -> bool {
        Generations::is_in(path)
    }

    /// The whole state as files, as it is now, to be sent to another voter or kept as a backup.
    ///
    /// # Errors
    /// The disk failed or is full.
    pub fn snapshot_files(&self) -> Result<SendState, StoreError> {
        SendState::take(&self.live())
    }

    /// Replaces the state by one that was received, for all clones at once; waits until a slice that is being applied is
    /// done. Views of the state before stay as they are.
    ///
    /// # Errors
    /// The disk failed: the state is the one before, and either may be found at the next start, so the voter must halt. Or
    /// it was received for another store.
    pub fn install(&self, received: ReceivedState) -> Result<(), StoreError> {
        let Opened { db, log } = received.into_opened();
        if !Arc::ptr_eq(&db.generations, &self.shared.generations) {
            return Err(StoreError::BadState("it was received for another store".into()));
        }
        let mut present = self.shared.lock_log();
        self.shared.generations.switch(&db.generation)?;
        let before = std::mem::replace(&mut *self.shared.live.write().expect("no holder panics"), Arc::new(db));
        before.generation.retire();
        self.shared.checks.forget();
        self.shared.metrics.shows(&log);
        *present = log;
        // Closing and removing a database takes its time, and nobody need wait for that.
        drop(present);
        drop(before);
        Ok(())
    }

    pub(crate) fn live(&self) -> Arc<StateDb> {
        self.shared.live()
    }
}

/// The database that is live, or the first one.
fn open_live(settings: &Settings, generations: &Arc<Generations>) -> Result<Opened, StoreError> {
    if let Some(generation) = generations.live()? {
        return settings.open(generations, generation, false);
    }
    generations.sweep(None)?;
    let first = settings.open(generations, generations.begin()?, true)?;
    generations.switch(&first.db.generation)?;
    Ok(first)
}
