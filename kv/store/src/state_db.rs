//! The open database of a voter's state, and what is known of it without asking it: what writing, reading and applying
//! share.

use std::path::Path;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use rocksdb::{Cache, ColumnFamily, DB, DBRecoveryMode, Direction, IteratorMode, Options, WriteBatch};
use zonecast_kv_proto::{Edition, Head, RequestId, RequestRecord, SectionId, Version};

use crate::batch_log::{BatchLog, Segment};
use crate::generations::{Generation, Generations};
use crate::state_keys::{APPLIED, BATCHES, FAMILIES, HEAD, MEMBERSHIP, META, PUBLISHED, REQUESTS, edition_key};
use crate::version_log::VersionLog;
use crate::{StateOptions, StoreError, options};

const PUBLISHED_BUFFER: usize = 64 * 1024 * 1024;
const BATCHES_BUFFER: usize = 32 * 1024 * 1024;
const OTHER_BUFFER: usize = 16 * 1024 * 1024;
/// Old write-ahead logs are given up, and small column families flushed, beyond this.
const MAX_WAL: u64 = 256 * 1024 * 1024;

/// What every database of a state is opened with. They share one block cache.
pub(crate) struct Settings {
    database: Options,
    families: [(&'static str, Options); FAMILIES.len()],
    batch_log_bytes: u64,
}

/// One open database of a state with its position in memory, so that a read of the position does not touch the disk.
/// Closed and, if it is retired, removed when nobody uses it any more.
#[derive(Debug)]
pub(crate) struct StateDb {
    // Before the generation, so that it is closed before its files go.
    pub(crate) db: DB,
    pub(crate) current: RwLock<Current>,
    pub(crate) generation: Generation,
    // Last, so that no other process comes in before the database is closed.
    pub(crate) generations: Arc<Generations>,
}

/// A database that was opened, and the accounting of its batch log, which belongs to whoever applies.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) db: StateDb,
    pub(crate) log: BatchLog,
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

impl Settings {
    pub(crate) fn new(state_options: &StateOptions) -> Self {
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
        Self { database, families, batch_log_bytes: state_options.batch_log_bytes }
    }

    /// Opens the database of a generation.
    pub(crate) fn open(
        &self,
        generations: &Arc<Generations>,
        generation: Generation,
        is_new: bool,
    ) -> Result<Opened, StoreError> {
        let mut database = self.database.clone();
        // RocksDB would make a new database where one of its own files is missing.
        database.create_if_missing(is_new);
        let path = generation.path();
        let db = DB::open_cf_with_opts(&database, path, self.families.clone())
            .map_err(|error| StoreError::from_rocksdb(path, error))?;
        let db = StateDb { db, current: RwLock::default(), generation, generations: Arc::clone(generations) };
        let log = db.load_log(self.batch_log_bytes)?;
        db.load_current(log.first())?;
        Ok(Opened { db, log })
    }
}

impl StateDb {
    pub(crate) fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("opened with every family")
    }

    pub(crate) fn path(&self) -> &Path {
        self.generation.path()
    }

    pub(crate) fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::damaged(self.path(), what)
    }

    pub(crate) fn fail(&self, error: rocksdb::Error) -> StoreError {
        StoreError::from_rocksdb(self.path(), error)
    }

    pub(crate) fn current(&self) -> Current {
        self.current.read().expect("no holder panics").clone()
    }

    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let found = self.db.get_cf(self.family(family), key).map_err(|error| self.fail(error))?;
        Ok(found.map(Bytes::from))
    }

    /// The batch log, to be read.
    pub(crate) fn version_log(&self) -> VersionLog<'_> {
        VersionLog { db: &self.db, family: self.family(BATCHES), path: self.path() }
    }

    pub(crate) fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        let found = self.db.get_pinned_cf(self.family(META), edition_key(section)).map_err(|error| self.fail(error))?;
        let Some(bytes) = found else { return Ok(Edition::ZERO) };
        self.number(&bytes).map(Edition::new)
    }

    /// What is kept of a request.
    pub(crate) fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, StoreError> {
        let found = self.get(REQUESTS, &id.to_bytes())?;
        found.map(|bytes| self.record(&bytes)).transpose()
    }

    /// The first records from here on of those that are wanted, at most so many.
    pub(crate) fn requests(
        &self,
        from: &RequestId,
        most: usize,
        is_wanted: impl Fn(&RequestId) -> bool,
    ) -> Result<Vec<(RequestId, RequestRecord)>, StoreError> {
        let (first, mut found) = (from.to_bytes(), Vec::new());
        for item in self.db.iterator_cf(self.family(REQUESTS), IteratorMode::From(&first, Direction::Forward)) {
            let (key, value) = item.map_err(|error| self.fail(error))?;
            let id = RequestId::from_bytes(&key).ok_or_else(|| self.damaged("the key of a request is none"))?;
            if is_wanted(&id) {
                found.push((id, self.record(&value)?));
            }
            if found.len() == most {
                break;
            }
        }
        Ok(found)
    }

    fn record(&self, bytes: &[u8]) -> Result<RequestRecord, StoreError> {
        RequestRecord::from_bytes(bytes).map_err(|error| self.damaged(error.to_string()))
    }

    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.db.write(batch).map_err(|error| self.fail(error))
    }

    fn load_current(&self, first: Option<Version>) -> Result<(), StoreError> {
        let head = match self.get(META, HEAD)? {
            None => Head::default(),
            Some(bytes) => Head::from_bytes(&bytes).map_err(|error| self.damaged(error.to_string()))?,
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
        Ok(BatchLog::new(cap, segments))
    }

    pub(crate) fn number(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let bytes = bytes.try_into().map_err(|_| self.damaged("a number is not 8 bytes long"))?;
        Ok(u64::from_be_bytes(bytes))
    }
}
