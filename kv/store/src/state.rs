//! The state of a voter: what the applied part of the raft log has come to, in a RocksDB database of its own.
//!
//! # Format
//! | column family | key | value |
//! |---|---|---|
//! | `published` | key | value; what edges hold |
//! | `private` | key | value; what they never see |
//! | `batches` | version, 8 bytes | the encoded version: the batch log |
//! | `meta` | `head` | [`Head`] |
//! | | `applied`, `membership` | of the raft log, as the caller gave them |
//! | | `installing` | present while a foreign state is copied in |
//! | | `e`, keyspace (2), partition (8) | edition of the section, 8 bytes |
//! | | `f`, epoch (8) | the fork that began it: a version |
//! | | `s`, version (8) | bytes of the batch log's segment that begins there, 8 bytes |
//!
//! Numbers are big-endian.
//!
//! # Invariants
//! - What a command writes, the head and the applied log id stand in one write: after a crash at any instant the
//!   state is exactly that of some applied log id.
//! - Writes are not synced one by one: a lost end of the write-ahead log is applied again from the raft log, which
//!   may be purged only up to what [`StateStore::sync`] has made durable.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use rocksdb::{Cache, ColumnFamily, DB, DBRecoveryMode, Direction, IteratorMode, WriteBatch, WriteOptions};
use zonecast_kv_proto::{Edition, Head, Position, Revision, SectionId, Version};

use crate::batch_log::{BatchLog, Segment};
use crate::pins::Pins;
use crate::state_apply::Apply;
use crate::state_view::StateView;
use crate::{StoreError, StoreMetrics, options};

/// What [`StateOptions::raft_log_bytes`] is unless somebody says otherwise.
pub const RAFT_LOG_BYTES: usize = 64 * 1024 * 1024;

/// What an operator may set.
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

pub(crate) const PUBLISHED: &str = "published";
pub(crate) const PRIVATE: &str = "private";
pub(crate) const BATCHES: &str = "batches";
pub(crate) const META: &str = "meta";
pub(crate) const FAMILIES: [&str; 4] = [PUBLISHED, PRIVATE, BATCHES, META];

pub(crate) const HEAD: &[u8] = b"head";
pub(crate) const APPLIED: &[u8] = b"applied";
pub(crate) const MEMBERSHIP: &[u8] = b"membership";
const INSTALLING: &[u8] = b"installing";
/// Followed by the epoch.
pub(crate) const FORK: &[u8] = b"f";
/// Above every key.
const END: &[u8] = &[0xff; zonecast_kv_proto::MAX_KEY_LEN + 1];

/// See the module. Cloning shares it.
#[derive(Clone, Debug)]
pub struct StateStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) db: DB,
    pub(crate) path: PathBuf,
    pub(crate) metrics: StoreMetrics,
    pub(crate) current: RwLock<Current>,
    /// Held by the one who applies.
    pub(crate) log: Mutex<BatchLog>,
    /// What the log keeps for those who load a snapshot.
    pub(crate) pins: Pins,
}

/// What the database holds, for those who need not ask it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Current {
    pub(crate) head: Head,
    pub(crate) applied: Option<Bytes>,
    pub(crate) membership: Option<Bytes>,
    /// The first version of the batch log.
    pub(crate) first: Option<Version>,
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
        let inner = Inner {
            db,
            path: path.to_path_buf(),
            metrics,
            current: RwLock::default(),
            log: Mutex::new(BatchLog::new(state_options.batch_log_bytes, [])),
            pins: Pins::default(),
        };
        if inner.get(META, INSTALLING)?.is_some() {
            tracing::warn!(path = %path.display(), "a state was being copied in when the process ended: it starts empty");
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

impl Inner {
    pub(crate) fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("opened with every family")
    }

    pub(crate) fn fail(&self, error: rocksdb::Error) -> StoreError {
        StoreError::from_rocksdb(&self.path, error)
    }

    pub(crate) fn current(&self) -> Current {
        self.current.read().expect("no holder panics").clone()
    }

    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let found = self.db.get_cf(self.family(family), key).map_err(|error| self.fail(error))?;
        Ok(found.map(Bytes::from))
    }

    pub(crate) fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        let found = self.db.get_pinned_cf(self.family(META), edition_key(section)).map_err(|error| self.fail(error))?;
        let Some(bytes) = found else { return Ok(Edition::ZERO) };
        self.number(&bytes).map(Edition::new)
    }

    pub(crate) fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(|error| self.fail(error))
    }

    /// Leaves nothing but the mark that says so.
    fn wipe(&self) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for name in FAMILIES {
            batch.delete_range_cf(self.family(name), &[][..], END);
        }
        batch.put_cf(self.family(META), INSTALLING, b"");
        self.write(batch, true)
    }

    fn load(&self, cap: u64) -> Result<(), StoreError> {
        let log = self.load_log(cap)?;
        self.load_current(log.first())?;
        *self.log.lock().expect("no holder panics") = log;
        Ok(())
    }

    /// Removes that mark, durably.
    fn write_done(&self) -> Result<(), StoreError> {
        let mut done = WriteBatch::default();
        done.delete_cf(self.family(META), INSTALLING);
        self.write(done, true)
    }

    fn load_current(&self, first: Option<Version>) -> Result<(), StoreError> {
        let head = match self.get(META, HEAD)? {
            None => Head::default(),
            Some(bytes) => {
                Head::from_bytes(&bytes).map_err(|error| StoreError::damaged(&self.path, error.to_string()))?
            }
        };
        let current =
            Current { head, applied: self.get(META, APPLIED)?, membership: self.get(META, MEMBERSHIP)?, first };
        *self.current.write().expect("no holder panics") = current;
        Ok(())
    }

    fn load_log(&self, cap: u64) -> Result<BatchLog, StoreError> {
        let mut segments = Vec::new();
        let mode = IteratorMode::From(b"s", Direction::Forward);
        for item in self.db.iterator_cf(self.family(META), mode) {
            let (key, value) = item.map_err(|error| self.fail(error))?;
            let Some(first) = key.strip_prefix(b"s").filter(|rest| rest.len() == 8) else { break };
            segments.push(Segment { first: Version::new(self.number(first)?), bytes: self.number(&value)? });
        }
        if let Some(open) = segments.last_mut() {
            open.bytes = 0;
            let start = open.first.get().to_be_bytes();
            let mode = IteratorMode::From(&start, Direction::Forward);
            for item in self.db.iterator_cf(self.family(BATCHES), mode) {
                open.bytes += item.map_err(|error| self.fail(error))?.1.len() as u64;
            }
        }
        let log = BatchLog::new(cap, segments);
        self.metrics.batch_log_bytes.set(i64::try_from(log.total()).unwrap_or(i64::MAX));
        Ok(log)
    }

    pub(crate) fn number(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let bytes = bytes.try_into().map_err(|_| StoreError::damaged(&self.path, "a number is not 8 bytes long"))?;
        Ok(u64::from_be_bytes(bytes))
    }
}

pub(crate) fn edition_key(section: SectionId) -> Vec<u8> {
    [&b"e"[..], &section.keyspace.get().to_be_bytes(), &section.partition.to_be_bytes()].concat()
}

pub(crate) fn segment_key(first: Version) -> Vec<u8> {
    [&b"s"[..], &first.get().to_be_bytes()].concat()
}
