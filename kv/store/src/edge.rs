//! The copy of an edge: everything published, and the position it stands at.
//!
//! # Format
//! The generations (`generations.rs`) `copy-<n>` of a folder are RocksDB databases: published keys and values in `default`,
//! one key in `position`. There are two while a snapshot is loading. The value of the only key in `position` is the position, and what it follows (`edge_position.rs`).
//!
//! # Invariants
//! Versions and the position they lead to are one write, so a copy stands at exactly one version whenever the process
//! ends. A snapshot becomes the live copy after all of it is durable. What RocksDB has of the position,
//! it has everything before: a copy in which something in the middle is missing has none.
//!
//! # Failure
//! A copy can always be fetched again, so one that is damaged is never repaired: at a start it is left behind for a new
//! one, and damage that a read runs into later is told to whoever can fetch ([`EdgeStore::damage`]).
//!
//! # Threads
//! One thread applies; any thread takes snapshots and syncs. A retired copy is removed when its last snapshot goes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocksdb::{Cache, ColumnFamilyDescriptor, DB, DBRecoveryMode, Options, WriteBatch};
use zonecast_kv_proto::{OpRef, Position, Published, decode_ops};

use crate::edge_damage::Damage;
use crate::generations::{Generation, Generations};
use crate::{EdgeSnapshot, SnapshotLoad, StoreError, edge_position, options};

const PREFIX: &str = "copy-";
const POSITION_FAMILY: &str = "position";
const POSITION_KEY: &[u8] = b"position";
/// The write-ahead log is cut by flushing beyond this: what is read again after a crash.
const MAX_WAL: u64 = 256 * 1024 * 1024;
/// Write buffers under way before applying waits: three, so that a burst does not wait for one flush.
const WRITE_BUFFERS: i32 = 4;

/// How much memory a copy may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeOptions {
    /// Block cache, filters and indexes included.
    pub cache_bytes: usize,
    /// One write buffer; there are up to four.
    pub write_buffer_bytes: usize,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self { cache_bytes: 256 * 1024 * 1024, write_buffer_bytes: 32 * 1024 * 1024 }
    }
}

/// The copy of an edge.
pub struct EdgeStore {
    pub(crate) settings: Settings,
    live: Mutex<Arc<Live>>,
    damage: Arc<Damage>,
    // Last, so that nobody else comes in before the database is closed.
    generations: Generations,
}

/// What every copy in the folder is opened with.
pub(crate) struct Settings {
    pub(crate) database: Options,
    pub(crate) table: Options,
}

/// One database, closed and, if it is retired, removed when nobody reads it any more.
pub(crate) struct Live {
    // Before the generation, so that it is closed before its files go.
    pub(crate) db: DB,
    position: Mutex<Option<Position>>,
    damage: Arc<Damage>,
    generation: Generation,
}

impl EdgeStore {
    /// Opens the copy in a folder, or makes a new one that stands nowhere yet: also in place of one that is damaged,
    /// which [`EdgeStore::damage`] then says. What an interrupted snapshot left is removed.
    ///
    /// # Errors
    /// The folder cannot be used, is in use, or its disk is full.
    pub fn open(folder: &Path, options: EdgeOptions) -> Result<Self, StoreError> {
        let generations = Generations::open(folder, PREFIX)?;
        let settings = Settings::new(options);
        let damage = Arc::new(Damage::default());
        let live = match open_live(&settings, &generations, &damage) {
            Ok(live) => live,
            Err(error) if error.is_damage() => {
                tracing::warn!("{error}; this copy is given up, and fetched again from the core");
                let live = make_live(&settings, &generations, &damage)?;
                damage.found(error.to_string());
                live
            }
            Err(error) => return Err(error),
        };
        generations.sweep(Some(&live.generation))?;
        Ok(Self { settings, live: Mutex::new(Arc::new(live)), damage, generations })
    }

    /// Gives up the present copy, which is damaged, for a new one that stands nowhere yet.
    ///
    /// # Errors
    /// A new one cannot be made; the present one stays.
    pub fn start_anew(&self, why: &str) -> Result<(), StoreError> {
        let live = make_live(&self.settings, &self.generations, &self.damage)?;
        self.replace(live);
        self.damage.found(why.to_owned());
        Ok(())
    }

    /// What is known to be damaged in the copy, until a snapshot has replaced it.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        self.damage.get()
    }

    /// Something in the copy turns out to be damaged.
    pub fn report_damage(&self, what: &str) {
        self.damage.found(what.to_owned());
    }

    /// Reads that have failed so far, and what was wrong with the last of them.
    #[must_use]
    pub fn read_errors(&self) -> (u64, Option<String>) {
        self.damage.read_errors()
    }

    /// Calls `tell` whenever a read fails or damage is found, from then on. Only the first call counts.
    pub fn on_trouble(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.damage.on_trouble(Box::new(tell));
    }

    /// Where the copy stands; `None` when it is new.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        *self.live().position()
    }

    /// Applies versions that follow the present position, in one write; says where that leads. Not synced.
    ///
    /// # Errors
    /// The write failed, or the versions do not follow; nothing is applied then.
    pub fn apply(&self, versions: &[Published]) -> Result<Position, StoreError> {
        let live = self.live();
        let before = (*live.position())
            .ok_or_else(|| StoreError::damaged(self.generations.folder(), "versions for a copy that is new"))?;
        let mut position = before;
        let mut batch = WriteBatch::default();
        for published in versions {
            let Some(next) = published.next_after(&position) else {
                let what = format!("version {} cannot follow {position}", published.version);
                return Err(StoreError::damaged(self.generations.folder(), what));
            };
            for op in published.sections.iter().flat_map(decode_ops) {
                match op.map_err(|error| StoreError::damaged(self.generations.folder(), error.to_string()))? {
                    OpRef::Put { key, value } => batch.put(key, value),
                    OpRef::Delete { key } => batch.delete(key),
                    // RocksDB takes a range that ends before it starts for an error.
                    OpRef::DeleteRange { start, end } if start < end => batch.delete_range(start, end),
                    OpRef::DeleteRange { .. } => {}
                }
            }
            position = next;
        }
        batch.merge_cf(live.family(), POSITION_KEY, edge_position::step(&before, &position));
        live.db.write(batch).map_err(|error| live.error(error))?;
        *live.position() = Some(position);
        Ok(position)
    }

    /// Makes everything applied so far durable; says up to where that is.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync(&self) -> Result<Option<Position>, StoreError> {
        let live = self.live();
        let position = *live.position();
        live.db.flush_wal(true).map_err(|error| live.error(error))?;
        Ok(position)
    }

    /// The present state, unchanging.
    ///
    /// # Errors
    /// The position could not be read.
    pub fn snapshot(&self) -> Result<EdgeSnapshot, StoreError> {
        EdgeSnapshot::take(self.live())
    }

    /// Begins a new copy beside the live one.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn begin_snapshot(&self) -> Result<SnapshotLoad<'_>, StoreError> {
        Ok(SnapshotLoad::new(self, self.generations.begin()?))
    }

    /// Opens a complete copy and makes it the live one.
    pub(crate) fn switch(
        &self,
        generation: Generation,
        files: Vec<PathBuf>,
        position: &Position,
    ) -> Result<(), StoreError> {
        let live = self.settings.open(generation, true, &self.damage)?;
        if !files.is_empty() {
            let mut ingest = rocksdb::IngestExternalFileOptions::default();
            ingest.set_move_files(true);
            live.db.ingest_external_file_opts(&ingest, files).map_err(|error| live.error(error))?;
        }
        // Never in the log: where RocksDB knows the position, its manifest has the tables that were named before it.
        let mut unlogged = rocksdb::WriteOptions::default();
        unlogged.disable_wal(true);
        let first = edge_position::first(position);
        let put = live.db.put_cf_opt(live.family(), POSITION_KEY, first, &unlogged);
        put.and_then(|()| live.db.flush_cf(live.family())).map_err(|error| live.error(error))?;
        *live.position() = Some(*position);
        self.generations.switch(&live.generation)?;
        self.replace(live);
        self.damage.gone();
        Ok(())
    }

    fn replace(&self, live: Live) {
        let before = std::mem::replace(&mut *lock(&self.live), Arc::new(live));
        before.generation.retire();
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        lock(&self.live).clone()
    }
}

impl std::fmt::Debug for EdgeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeStore").field("folder", &self.generations.folder()).finish_non_exhaustive()
    }
}

impl Settings {
    fn new(options: EdgeOptions) -> Self {
        let cache = Cache::new_hyper_clock_cache(options.cache_bytes, 0);
        let mut database = options::database(DBRecoveryMode::PointInTime, MAX_WAL);
        // Data and position are flushed together, so that no point in the log separates them.
        database.set_atomic_flush(true);
        let mut table = options::table(&cache, options.write_buffer_bytes);
        table.set_max_write_buffer_number(WRITE_BUFFERS);
        Self { database, table }
    }

    fn open(&self, generation: Generation, is_new: bool, damage: &Arc<Damage>) -> Result<Live, StoreError> {
        let mut database = self.database.clone();
        // RocksDB would make a new database where one of its own files is missing, and then read old logs into it.
        database.create_if_missing(is_new);
        let families = [("default", self.table.clone()), (POSITION_FAMILY, edge_position::family())]
            .map(|(name, options)| ColumnFamilyDescriptor::new(name, options));
        let db = DB::open_cf_descriptors(&database, generation.path(), families)
            .map_err(|error| StoreError::from_rocksdb(generation.path(), error))?;
        let live = Live { db, position: Mutex::new(None), damage: Arc::clone(damage), generation };
        let position = live.db.get_pinned_cf(live.family(), POSITION_KEY).map_err(|error| live.error(error))?;
        let position = position.map(|bytes| live.decode_position(&bytes)).transpose()?;
        *live.position() = position;
        Ok(live)
    }
}

impl Live {
    fn position(&self) -> MutexGuard<'_, Option<Position>> {
        lock(&self.position)
    }

    fn family(&self) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(POSITION_FAMILY).expect("opened with it")
    }

    fn decode_position(&self, bytes: &[u8]) -> Result<Position, StoreError> {
        edge_position::read(bytes).map_err(|what| StoreError::damaged(self.generation.path(), what))
    }

    /// The position that a snapshot of this database stands at.
    pub(crate) fn position_in(&self, snapshot: &rocksdb::Snapshot<'_>) -> Result<Option<Position>, StoreError> {
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
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds these locks can leave them half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The copy that is live, or the first one.
fn open_live(settings: &Settings, generations: &Generations, damage: &Arc<Damage>) -> Result<Live, StoreError> {
    if let Some(generation) = generations.live()? {
        return settings.open(generation, false, damage);
    }
    generations.sweep(None)?;
    make_live(settings, generations, damage)
}

/// A new copy, which stands nowhere yet, in place of whatever is live.
fn make_live(settings: &Settings, generations: &Generations, damage: &Arc<Damage>) -> Result<Live, StoreError> {
    let live = settings.open(generations.begin()?, true, damage)?;
    generations.switch(&live.generation)?;
    Ok(live)
}
