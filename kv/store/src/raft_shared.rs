//! What readers and the writer of a raft log share: its database, and what reads see, which the database may lag behind.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use rocksdb::{DB, Direction, IteratorMode};

use crate::raft_keys::{COMMITTED, PURGED, VOTE, entry_index, entry_key};
use crate::under_way::UnderWay;
use crate::{StoreError, StoreMetrics};

/// Written entries that are kept in memory, because they are about to be applied or sent to followers.
const MAX_CACHED_BYTES: usize = 16 * 1024 * 1024;

/// The database of a raft log, and the state that reads see, which is ahead of the database while a write is pending.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) db: DB,
    pub(crate) path: PathBuf,
    pub(crate) metrics: StoreMetrics,
    pub(crate) under_way: UnderWay,
    state: Mutex<State>,
}

/// What reads see.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) vote: Option<Bytes>,
    committed: Option<Bytes>,
    committed_written: bool,
    purged: Option<(u64, Bytes)>,
    /// Indexes of the entries there are.
    entries: Range<u64>,
    /// The last of them: at least all that the database does not hold yet.
    cached: VecDeque<Cached>,
    cached_bytes: usize,
    /// The last write handed to the writer.
    pub(crate) last_job: u64,
    /// The last write the database holds.
    written_job: u64,
}

#[derive(Debug)]
struct Cached {
    bytes: Bytes,
    job: u64,
}

impl Shared {
    /// Reads what the database holds.
    ///
    /// # Errors
    /// It could not be read, or is damaged.
    pub(crate) fn load(db: DB, path: &Path, metrics: StoreMetrics) -> Result<Self, StoreError> {
        let state = Mutex::new(State::load(&db, path)?);
        let shared = Self { db, path: path.to_path_buf(), metrics, under_way: UnderWay::new(), state };
        shared.show_size();
        Ok(shared)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// What is committed, if the database does not have it yet.
    pub(crate) fn take_committed(&self) -> Option<Bytes> {
        let mut state = self.state();
        let unwritten = !std::mem::replace(&mut state.committed_written, true);
        state.committed.clone().filter(|_| unwritten)
    }

    /// Shows what the files of the database take.
    pub(crate) fn show_size(&self) {
        let files = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        let bytes: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
        self.metrics.raft_log_disk_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Everything up to this write is in the database.
    pub(crate) fn written(&self, job: u64) {
        self.state().written(job);
    }
}

impl State {
    fn load(db: &DB, path: &Path) -> Result<Self, StoreError> {
        let get = |key| db.get(key).map_err(|error| StoreError::from_rocksdb(path, error));
        let purged = match get(PURGED)? {
            None => None,
            Some(bytes) => {
                let (index, mark) =
                    bytes.split_first_chunk::<8>().ok_or_else(|| StoreError::damaged(path, "bad purge mark"))?;
                Some((u64::from_be_bytes(*index), Bytes::copy_from_slice(mark)))
            }
        };
        let start = purged.as_ref().map(|(index, _)| index + 1);
        let mut entries = start.unwrap_or(0)..start.unwrap_or(0);
        let mut is_first = true;
        for item in db.iterator(IteratorMode::From(&entry_key(0), Direction::Forward)) {
            let (key, _) = item.map_err(|error| StoreError::from_rocksdb(path, error))?;
            let Some(index) = entry_index(&key) else { break };
            if std::mem::take(&mut is_first) && start.is_none() {
                entries = index..index;
            }
            if index != entries.end {
                return Err(StoreError::damaged(path, format!("entry {} is missing", entries.end)));
            }
            entries.end += 1;
        }
        let vote = get(VOTE)?.map(Bytes::from);
        let committed = get(COMMITTED)?.map(Bytes::from);
        Ok(Self { vote, committed, committed_written: true, purged, entries, ..Self::default() })
    }

    pub(crate) fn entries(&self) -> Range<u64> {
        self.entries.clone()
    }

    pub(crate) fn purged(&self) -> Option<(u64, Bytes)> {
        self.purged.clone()
    }

    pub(crate) fn committed(&self) -> Option<Bytes> {
        self.committed.clone()
    }

    /// What is committed now; [`Shared::take_committed`] has it until it is written.
    pub(crate) fn commit(&mut self, committed: Option<Bytes>) {
        self.committed = committed;
        self.committed_written = false;
    }

    /// The part of `range` that there is.
    pub(crate) fn within(&self, range: &Range<u64>) -> Range<u64> {
        range.start.max(self.entries.start)..range.end.min(self.entries.end)
    }

    /// From here on all entries are in memory.
    pub(crate) fn first_cached(&self) -> u64 {
        self.entries.end - self.cached.len() as u64
    }

    /// Entries of a range that begins among the cached and ends before the end.
    pub(crate) fn cached_in(&self, range: Range<u64>) -> Vec<(u64, Bytes)> {
        let first = self.first_cached();
        let position = |index: u64| usize::try_from(index - first).unwrap_or(usize::MAX).min(self.cached.len());
        if range.is_empty() {
            return Vec::new();
        }
        let entries = self.cached.range(position(range.start)..position(range.end));
        (range.start..).zip(entries).map(|(index, entry)| (index, entry.bytes.clone())).collect()
    }

    /// These entries are being written by `job`. Says which one cannot follow, and then has done nothing.
    pub(crate) fn append(&mut self, entries: &[(u64, Bytes)], job: u64) -> Result<(), u64> {
        let Some(&(first, _)) = entries.first() else { return Ok(()) };
        let is_new = self.entries.is_empty() && self.purged.is_none();
        let expected = if is_new { first } else { self.entries.end };
        if let Some((index, _)) = (expected..).zip(entries).map(|(at, entry)| (entry.0, at)).find(|(is, at)| is != at) {
            return Err(index);
        }
        if is_new {
            self.entries = first..first;
        }
        for (_, bytes) in entries {
            self.entries.end += 1;
            self.cached_bytes += bytes.len();
            self.cached.push_back(Cached { bytes: bytes.clone(), job });
        }
        Ok(())
    }

    /// There are no entries from `from` on. Says which ones are gone.
    pub(crate) fn truncate(&mut self, from: u64) -> Range<u64> {
        let first_cached = self.first_cached();
        let old_end = self.entries.end;
        self.entries.end = old_end.min(from.max(self.entries.start));
        let keep = usize::try_from(self.entries.end.saturating_sub(first_cached)).unwrap_or(usize::MAX);
        while self.cached.len() > keep {
            self.cached_bytes -= self.cached.pop_back().map_or(0, |entry| entry.bytes.len());
        }
        from..old_end.max(from)
    }

    /// There are no entries up to and with `upto`. Says which ones are gone.
    pub(crate) fn purge(&mut self, upto: u64, mark: Bytes) -> Range<u64> {
        let first_cached = self.first_cached();
        let old_start = self.entries.start;
        let start = (upto + 1).max(old_start);
        let drop = usize::try_from(start.saturating_sub(first_cached)).unwrap_or(usize::MAX);
        for entry in self.cached.drain(..drop.min(self.cached.len())) {
            self.cached_bytes -= entry.bytes.len();
        }
        self.entries = start..self.entries.end.max(start);
        self.purged = Some((upto, mark));
        old_start..upto + 1
    }

    fn written(&mut self, job: u64) {
        self.written_job = job;
        while self.cached_bytes > MAX_CACHED_BYTES
            && self.cached.front().is_some_and(|entry| entry.job <= self.written_job)
        {
            self.cached_bytes -= self.cached.pop_front().map_or(0, |entry| entry.bytes.len());
        }
    }
}
