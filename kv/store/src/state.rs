//! The state of a voter: what the applied part of the raft log has come to, in a RocksDB database of its own.
//!
//! Its keys are in `state_keys.rs`.
//!
//! # Invariants
//! - What a command writes, the head and the applied log id stand in one write: after a crash at any instant the
//!   state is exactly that of some applied log id.
//! - Writes are not synced one by one: a lost end of the write-ahead log is applied again from the raft log, which
//!   may be purged only up to what [`StateStore::sync`] has made durable.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use rocksdb::{Cache, DB, DBRecoveryMode, WriteBatch};
use zonecast_kv_proto::{Edition, Head, Position, Revision, SectionId};

use crate::batch_log::BatchLog;
use crate::pins::Pins;
use crate::state_apply::Apply;
use crate::state_db::StateDb;
use crate::state_keys::{BATCHES, FAMILIES, INSTALLING, META, PUBLISHED};
use crate::state_view::StateView;
use crate::{StoreError, StoreMetrics, options};

/// What [`StateOptions::raft_log_bytes`] is unless somebody says otherwise.
pub const RAFT_LOG_BYTES: usize = 64 * 1024 * 1024;

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
}

impl Default for StateOptions {
    fn default() -> Self {
        Self { batch_log_bytes: 256 * 1024 * 1024, cache_bytes: 64 * 1024 * 1024, raft_log_bytes: RAFT_LOG_BYTES }
    }
}

const PUBLISHED_BUFFER: usize = 64 * 1024 * 1024;
const BATCHES_BUFFER: usize = 32 * 1024 * 1024;
const OTHER_BUFFER: usize = 16 * 1024 * 1024;
/// Old write-ahead logs are given up, and small column families flushed, beyond this.
const MAX_WAL: u64 = 256 * 1024 * 1024;
/// Bytes of a foreign state that are written at once.
const INSTALL_BYTES: usize = 4 * 1024 * 1024;

/// The state database of a voter: the result of all applied raft log entries. Clones share the database.
#[derive(Clone, Debug)]
pub struct StateStore {
    pub(crate) inner: Arc<StateDb>,
}

impl StateStore {
    /// Opens the state in the folder `path`, made if it is missing.
    ///
    /// # Errors
    /// The folder is in use, cannot be used, or the state is damaged.
    pub fn open(path: &Path, state_options: &StateOptions, metrics: StoreMetrics) -> Result<Self, StoreError> {
        options::make_folder(path)?;
        let cache = Cache::new_hyper_clock_cache(state_options.cache_bytes, 0);
        let families = FAMILIES.map(|name| {
            let family = match name {
                PUBLISHED => options::table(&cache, PUBLISHED_BUFFER),
                BATCHES => options::log(&cache, BATCHES_BUFFER),
                _ => options::table(&cache, OTHER_BUFFER),
            };
            (name, family)
        });
        let database = options::database(DBRecoveryMode::PointInTime, MAX_WAL);
        let db =
            DB::open_cf_with_opts(&database, path, families).map_err(|error| StoreError::from_rocksdb(path, error))?;
        let inner = StateDb {
            db,
            path: path.to_path_buf(),
            metrics,
            current: RwLock::default(),
            log: Mutex::new(BatchLog::new(state_options.batch_log_bytes, [])),
            pins: Pins::default(),
        };
        if inner.get(META, INSTALLING)?.is_some() {
            tracing::warn!(path = %path.display(), "the process ended while a state was copied in; the state starts empty");
            inner.wipe()?;
            inner.write_done()?;
        }
        inner.load(state_options.batch_log_bytes)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the state stands.
    #[must_use]
    pub fn head(&self) -> Head {
        self.inner.current().head
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

    /// The applied log id, as it was given to [`Apply::log_id`].
    #[must_use]
    pub fn applied(&self) -> Option<Bytes> {
        self.inner.current().applied
    }

    /// The last membership, as it was given to [`Apply::membership`].
    #[must_use]
    pub fn membership(&self) -> Option<Bytes> {
        self.inner.current().membership
    }

    /// How many batches have touched a section.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        self.inner.edition(section)
    }

    /// The state as it is now, unchanging.
    #[must_use]
    pub fn view(&self) -> StateView {
        StateView::new(Arc::clone(&self.inner))
    }

    /// Begins to apply a slice of the log. Waits until an earlier slice is done.
    #[must_use]
    pub fn apply(&self) -> Apply<'_> {
        Apply::new(&self.inner)
    }

    /// Makes everything applied so far durable.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.inner.db.flush_wal(true).map_err(|error| self.inner.fail(error))
    }

    /// Puts a copy of the database, as it is now, into a folder that is not there yet. Where the folder is on the same
    /// file system the copy shares what never changes.
    ///
    /// # Errors
    /// The disk failed or is full, or the folder is there.
    pub fn checkpoint(&self, to: &Path) -> Result<(), StoreError> {
        options::checkpoint(&self.inner.db, to)
    }

    /// Replaces everything by the state of another store.
    ///
    /// # Errors
    /// Either could not be read or written. The state is then empty after the next start.
    pub fn install(&self, from: &StateView) -> Result<(), StoreError> {
        let inner = &self.inner;
        let mut log = inner.log.lock().expect("no holder panics");
        inner.wipe()?;
        for name in FAMILIES {
            let mut batch = WriteBatch::default();
            from.scan_family(name, &mut |key, value| {
                batch.put_cf(inner.family(name), key, value);
                if batch.size_in_bytes() < INSTALL_BYTES {
                    return Ok(());
                }
                inner.write(std::mem::take(&mut batch), false)
            })?;
            inner.write(batch, false)?;
        }
        inner.write_done()?;
        *log = inner.load_log(log.cap())?;
        inner.load_current(log.first())
    }
}
