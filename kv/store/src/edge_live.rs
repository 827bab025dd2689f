//! One database of an edge's copy.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBRecoveryMode, IngestExternalFileOptions, Options, Snapshot,
    WriteOptions,
};
use zonecast_kv_proto::{Filter, Position};

use crate::edge_damage::Damage;
use crate::edge_log::{EdgeLog, LOG_FAMILY, LogLimits};
use crate::edge_options::EdgeOptions;
use crate::generations::Generation;
use crate::pins::Pins;
use crate::version_log::VersionLog;
use crate::{StoreError, edge_position, options};

const POSITION_FAMILY: &str = "position";
pub(crate) const POSITION_KEY: &[u8] = b"position";
/// Beside it: where the snapshot stood that the copy began with.
const BASE_KEY: &[u8] = b"base";
/// And what the copy holds, if not everything.
const FILTER_KEY: &[u8] = b"filter";
/// The write-ahead log is cut by flushing beyond this: what is read again after a crash.
const MAX_WAL: u64 = 256 * 1024 * 1024;
/// Write buffers under way before applying waits: three, so that a burst does not wait for one flush.
const WRITE_BUFFERS: i32 = 4;

/// What every copy in the folder is opened with.
pub(crate) struct Settings {
    database: Options,
    pub(crate) table: Options,
    log: Options,
    limits: LogLimits,
}

/// What a copy is of.
pub(crate) struct Contents {
    pub(crate) position: Position,
    /// What it holds, if not everything.
    pub(crate) filter: Option<Filter>,
}

/// One database, closed and, if it is retired, removed when nobody reads it any more.
pub(crate) struct Live {
    // Before the generation, so that it is closed before its files go.
    pub(crate) db: DB,
    position: Mutex<Option<Position>>,
    /// What it holds, if not everything.
    pub(crate) filter: Option<Filter>,
    /// The versions that led there, where others follow this edge.
    pub(crate) log: Option<EdgeLog>,
    damage: Arc<Damage>,
    pub(crate) generation: Generation,
}

impl Settings {
    pub(crate) fn new(options: EdgeOptions) -> Self {
        let cache = Cache::new_hyper_clock_cache(options.cache_bytes, 0);
        let mut database = options::database(DBRecoveryMode::PointInTime, MAX_WAL);
        // Data and position are flushed together, so that no point in the log separates them.
        database.set_atomic_flush(true);
        let mut table = options::table(&cache, options.write_buffer_bytes);
        table.set_max_write_buffer_number(WRITE_BUFFERS);
        let log = options::log(&cache, options.write_buffer_bytes);
        let limits = LogLimits { bytes: options.batch_log_bytes, pins: Pins::default() };
        Self { database, table, log, limits }
    }

    /// What must stay in the log.
    pub(crate) fn pins(&self) -> &Pins {
        &self.limits.pins
    }

    /// Opens the database of a generation.
    pub(crate) fn open(&self, generation: Generation, is_new: bool, damage: &Arc<Damage>) -> Result<Live, StoreError> {
        let mut database = self.database.clone();
        // RocksDB would make a new database where one of its own files is missing, and then read old logs into it.
        database.create_if_missing(is_new);
        let families = [
            ("default", self.table.clone()),
            (POSITION_FAMILY, edge_position::family()),
            (LOG_FAMILY, self.log.clone()),
        ]
        .map(|(name, options)| ColumnFamilyDescriptor::new(name, options));
        let db = DB::open_cf_descriptors(&database, generation.path(), families)
            .map_err(|error| StoreError::from_rocksdb(generation.path(), error))?;
        let damage = Arc::clone(damage);
        let mut live = Live { db, position: Mutex::new(None), filter: None, log: None, damage, generation };
        let position = live.db.get_pinned_cf(live.family(), POSITION_KEY).map_err(|error| live.error(error))?;
        let position = position.map(|bytes| live.decode_position(&bytes)).transpose()?;
        live.log = EdgeLog::open(&live.db, &self.limits, position.as_ref()).map_err(|error| live.error(error))?;
        let filter = live.db.get_pinned_cf(live.family(), FILTER_KEY).map_err(|error| live.error(error))?;
        live.filter = filter.map(|bytes| live.decode_filter(&bytes)).transpose()?;
        *live.position() = position;
        Ok(live)
    }
}

impl Live {
    pub(crate) fn position(&self) -> MutexGuard<'_, Option<Position>> {
        lock(&self.position)
    }

    pub(crate) fn family(&self) -> &ColumnFamily {
        self.db.cf_handle(POSITION_FAMILY).expect("opened with it")
    }

    pub(crate) fn log_family(&self) -> &ColumnFamily {
        self.db.cf_handle(LOG_FAMILY).expect("opened with it")
    }

    /// The log, to be read.
    pub(crate) fn version_log(&self) -> VersionLog<'_> {
        VersionLog { db: &self.db, family: self.log_family(), path: self.path() }
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position, StoreError> {
        edge_position::read(bytes).map_err(|what| StoreError::damaged(self.generation.path(), what))
    }

    fn decode_filter(&self, bytes: &[u8]) -> Result<Filter, StoreError> {
        Filter::from_bytes(bytes).map_err(|error| StoreError::damaged(self.generation.path(), error.to_string()))
    }

    /// Where the snapshot stood that this copy began with, if it is known.
    pub(crate) fn base(&self) -> Result<Option<Position>, StoreError> {
        let bytes = self.db.get_pinned_cf(self.family(), BASE_KEY).map_err(|error| self.error(error))?;
        bytes.map(|bytes| self.decode_position(&bytes)).transpose()
    }

    /// The position that a snapshot of this database stands at.
    pub(crate) fn position_in(&self, snapshot: &Snapshot<'_>) -> Result<Option<Position>, StoreError> {
        let bytes = snapshot.get_pinned_cf(self.family(), POSITION_KEY).map_err(|error| self.error(error))?;
        bytes.map(|bytes| self.decode_position(&bytes)).transpose()
    }

    /// A read has failed with this, or has found what makes no sense.
    pub(crate) fn read_failed(&self, error: &StoreError) {
        // What nobody reads any more after this one needs no repair.
        self.damage.read_failed(error.to_string(), self.generation.is_live() && error.is_damage());
    }

    pub(crate) fn path(&self) -> &Path {
        self.generation.path()
    }

    pub(crate) fn error(&self, error: rocksdb::Error) -> StoreError {
        StoreError::from_rocksdb(self.generation.path(), error)
    }

    /// Takes in sorted table files, which are all that there is of these contents.
    pub(crate) fn ingest(&mut self, files: Vec<PathBuf>, contents: &Contents) -> Result<(), StoreError> {
        if !files.is_empty() {
            let mut ingest = IngestExternalFileOptions::default();
            ingest.set_move_files(true);
            self.db.ingest_external_file_opts(&ingest, files).map_err(|error| self.error(error))?;
        }
        // Never in the log: where RocksDB knows the position, its manifest has the tables that were named before it.
        let mut unlogged = WriteOptions::default();
        unlogged.disable_wal(true);
        let first = edge_position::first(&contents.position);
        let filter = contents.filter.as_ref().map(Filter::to_bytes);
        let mut values = vec![(BASE_KEY, &first), (POSITION_KEY, &first)];
        values.extend(filter.as_ref().map(|filter| (FILTER_KEY, filter)));
        values
            .into_iter()
            .try_for_each(|(key, value)| self.db.put_cf_opt(self.family(), key, value, &unlogged))
            .and_then(|()| self.db.flush_cf(self.family()))
            .map_err(|error| self.error(error))?;
        *self.position() = Some(contents.position);
        self.filter.clone_from(&contents.filter);
        Ok(())
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can leave them half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
