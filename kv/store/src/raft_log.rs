//! The raft log of a voter: entries, vote and what is committed, in a RocksDB database of its own.
//!
//! It knows entries as bytes under dense numbers. A write is readable at once, durable when its completion is called.
//!
//! # Format
//! `e` + index (8 bytes, big-endian) holds an entry; `m/vote`, `m/committed` and `m/purged` hold what the caller gave,
//! the last with the index (8 bytes, big-endian) in front.
//!
//! # Failure
//! - Completions come after the write-ahead log is synced. A crash may cut off a write that was never completed; such
//!   a torn end is dropped at the next start.
//! - Anything else that does not read back (a failed checksum anywhere, a gap) stops the start: an acknowledged entry
//!   must never be dropped in silence. Of RocksDB's recovery modes only `TolerateCorruptedTailRecords` does both:
//!   `PointInTime` ends the log at the first damage and opens, `AbsoluteConsistency` refuses the torn end too.
//!   The manifest also tracks the sizes of synced logs, so that a whole one cannot go missing. One kind of damage
//!   looks like a torn end: a flipped length in the last block of the write-ahead log. The caller can tell by what
//!   was applied: an entry that was applied must be here or purged.
//! - After a failed write nothing more is written until the database is opened again.
//!
//! # Threads
//! One thread writes. What piles up while it syncs goes into its next write together: one sync for all.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use bytes::Bytes;
use rocksdb::{Cache, DB, DBRecoveryMode, IteratorMode};

use crate::raft_writer::{self, Done, Job, Work};
use crate::{StoreError, StoreMetrics, options};

/// Called once when a write is durable, or with the error that stopped the log.
pub type Completion = Box<dyn FnOnce(Result<(), Arc<StoreError>>) + Send>;

/// Writes that may wait for the writer. Proposals are bounded above this, so it only fills if the disk stands still.
const MAX_JOBS: usize = 16 * 1024;
/// Written entries that are kept in memory, because they are about to be applied or sent to followers.
const MAX_CACHED_BYTES: usize = 16 * 1024 * 1024;
/// One memtable: entries that are purged before it is full never reach a table.
const WRITE_BUFFER: usize = 64 * 1024 * 1024;
/// Old write-ahead logs are given up beyond this.
const MAX_WAL: u64 = 256 * 1024 * 1024;
/// Reads of the log are rare and in order.
const CACHE: usize = 8 * 1024 * 1024;

pub(crate) const VOTE: &[u8] = b"m/vote";
pub(crate) const COMMITTED: &[u8] = b"m/committed";
pub(crate) const PURGED: &[u8] = b"m/purged";

/// See the module.
#[derive(Debug)]
pub struct RaftLog {
    shared: Arc<Shared>,
    /// Held while a write takes its place in the order.
    jobs: Mutex<SyncSender<Job>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) db: DB,
    pub(crate) path: PathBuf,
    pub(crate) metrics: StoreMetrics,
    state: Mutex<State>,
}

/// What reads see; the database may lag behind it.
#[derive(Debug, Default)]
struct State {
    vote: Option<Bytes>,
    committed: Option<Bytes>,
    committed_written: bool,
    purged: Option<(u64, Bytes)>,
    /// Indexes of the entries there are.
    entries: Range<u64>,
    /// The last of them: at least all that the database does not hold yet.
    cached: VecDeque<Cached>,
    cached_bytes: usize,
    /// The last write handed to the writer.
    last_job: u64,
    /// The last write the database holds.
    written_job: u64,
}

#[derive(Debug)]
struct Cached {
    bytes: Bytes,
    job: u64,
}

impl RaftLog {
    /// Opens the log in the folder `path`, made if it is missing.
    ///
    /// # Errors
    /// The folder is in use, cannot be used, or the log is damaged.
    pub fn open(path: &Path, metrics: StoreMetrics) -> Result<Self, StoreError> {
        options::make_folder(path)?;
        let mut database = options::database(DBRecoveryMode::TolerateCorruptedTailRecords, MAX_WAL);
        database.set_track_and_verify_wals_in_manifest(true);
        let cache = Cache::new_hyper_clock_cache(CACHE, 0);
        let entries = options::log(&cache, WRITE_BUFFER);
        let db = DB::open_cf_with_opts(&database, path, [("default", entries)])
            .map_err(|error| StoreError::from_rocksdb(path, error))?;
        let state = State::load(&db, path)?;
        let shared = Arc::new(Shared { db, path: path.to_path_buf(), metrics, state: Mutex::new(state) });
        let (jobs, queue) = sync_channel(MAX_JOBS);
        let for_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("raft-log".into())
            .spawn(move || raft_writer::run(&for_writer, &queue))
            .map_err(|source| StoreError::Folder { path: path.to_path_buf(), source })?;
        Ok(Self { shared, jobs: Mutex::new(jobs), writer: Mutex::new(Some(writer)) })
    }

    /// Indexes of the entries there are.
    pub fn range(&self) -> Range<u64> {
        self.shared.state().entries.clone()
    }

    /// The last entry, if there is one.
    ///
    /// # Errors
    /// The log could not be read.
    pub fn last(&self) -> Result<Option<Bytes>, StoreError> {
        let range = self.range();
        let Some(last) = range.end.checked_sub(1).filter(|last| range.contains(last)) else { return Ok(None) };
        Ok(self.read(last..range.end, usize::MAX)?.pop().map(|(_, bytes)| bytes))
    }

    /// Up to which index entries were purged, with what [`RaftLog::purge`] was given.
    pub fn purged(&self) -> Option<(u64, Bytes)> {
        self.shared.state().purged.clone()
    }

    /// What [`RaftLog::save_vote`] was given last.
    pub fn vote(&self) -> Option<Bytes> {
        self.shared.state().vote.clone()
    }

    /// What [`RaftLog::save_committed`] was given last, or before the last crash earlier than that.
    pub fn committed(&self) -> Option<Bytes> {
        self.shared.state().committed.clone()
    }

    /// Entries of `range` in order, at least one if there is one and then until `max_bytes` are reached. Those that
    /// are purged or not there yet are left out.
    ///
    /// # Errors
    /// The log could not be read, or an entry is missing between others.
    pub fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let (on_disk, cached) = {
            let state = self.shared.state();
            let range = range.start.max(state.entries.start)..range.end.min(state.entries.end);
            let first = state.first_cached();
            let cached = state.cached_in(range.start.max(first)..range.end);
            (range.start..range.end.min(first), cached)
        };
        let mut found = self.read_disk(on_disk.clone(), max_bytes)?;
        let complete = on_disk.is_empty() || found.last().is_some_and(|(index, _)| index + 1 == on_disk.end);
        if complete {
            let mut total: usize = found.iter().map(|(_, bytes)| bytes.len()).sum();
            for (index, bytes) in cached {
                if !found.is_empty() && total >= max_bytes {
                    break;
                }
                total += bytes.len();
                found.push((index, bytes));
            }
        }
        Ok(found)
    }

    /// Entries of `range` if all that there are of it are in memory: an answer without the disk.
    pub fn read_cached(&self, range: Range<u64>) -> Option<Vec<(u64, Bytes)>> {
        let state = self.shared.state();
        let range = range.start.max(state.entries.start)..range.end.min(state.entries.end);
        if range.is_empty() {
            return Some(Vec::new());
        }
        (range.start >= state.first_cached()).then(|| state.cached_in(range))
    }

    /// Adds entries at the end. The first index is the one after the last entry; in an empty log that was never
    /// purged it may be any.
    ///
    /// # Errors
    /// The entries do not follow the last one, or the log has stopped.
    pub fn append(&self, entries: Vec<(u64, Bytes)>, done: Completion) -> Result<(), StoreError> {
        self.submit(Some(done), |state, job| {
            let Some(&(first, _)) = entries.first() else { return Ok(Work::Append(entries)) };
            let is_new = state.entries.is_empty() && state.purged.is_none();
            let expected = if is_new { first } else { state.entries.end };
            if let Some((index, _)) =
                (expected..).zip(&entries).map(|(at, entry)| (entry.0, at)).find(|(is, at)| is != at)
            {
                let what = format!("entry {index} cannot follow entries {:?}", state.entries);
                return Err(StoreError::damaged(&self.shared.path, what));
            }
            state.entries = if is_new { first..first } else { state.entries.clone() };
            for (_, bytes) in &entries {
                state.entries.end += 1;
                state.cached_bytes += bytes.len();
                state.cached.push_back(Cached { bytes: bytes.clone(), job });
            }
            Ok(Work::Append(entries))
        })
    }

    /// Forgets all entries from `from` on.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn truncate(&self, from: u64, done: Completion) -> Result<(), StoreError> {
        self.submit(Some(done), |state, _| {
            let first_cached = state.first_cached();
            let old_end = state.entries.end;
            state.entries.end = old_end.min(from.max(state.entries.start));
            let keep = usize::try_from(state.entries.end.saturating_sub(first_cached)).unwrap_or(usize::MAX);
            while state.cached.len() > keep {
                state.cached_bytes -= state.cached.pop_back().map_or(0, |entry| entry.bytes.len());
            }
            Ok(Work::Remove(from..old_end.max(from)))
        })
    }

    /// Forgets all entries up to and with `upto`, which the state must have made durable, and keeps `mark` for it.
    /// Not durable by itself: after a crash the entries may be back.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn purge(&self, upto: u64, mark: Bytes) -> Result<(), StoreError> {
        self.submit(None, |state, _| {
            let first_cached = state.first_cached();
            let old_start = state.entries.start;
            let start = (upto + 1).max(old_start);
            let drop = usize::try_from(start.saturating_sub(first_cached)).unwrap_or(usize::MAX);
            for entry in state.cached.drain(..drop.min(state.cached.len())) {
                state.cached_bytes -= entry.bytes.len();
            }
            state.entries = start..state.entries.end.max(start);
            state.purged = Some((upto, mark.clone()));
            Ok(Work::Purge { range: old_start..upto + 1, mark: [&upto.to_be_bytes()[..], &mark].concat().into() })
        })
    }

    /// Keeps the vote.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn save_vote(&self, vote: Bytes, done: Completion) -> Result<(), StoreError> {
        self.submit(Some(done), |state, _| {
            state.vote = Some(vote.clone());
            Ok(Work::Vote(vote))
        })
    }

    /// Keeps what is committed, with the next write: losing it in a crash only costs time at the next start.
    pub fn save_committed(&self, committed: Option<Bytes>) {
        let mut state = self.shared.state();
        state.committed = committed;
        state.committed_written = false;
    }

    /// Puts a copy of the database, with every entry that is durable now, into a folder that is not there yet.
    ///
    /// # Errors
    /// The disk failed or is full, or the folder is there.
    pub fn checkpoint(&self, to: &Path) -> Result<(), StoreError> {
        options::checkpoint(&self.shared.db, to)
    }

    /// Writes and syncs everything, and ends the writer. Later writes fail.
    ///
    /// # Errors
    /// The last writes could not be made durable.
    pub fn close(&self) -> Result<(), StoreError> {
        // A writer that is gone already has nothing left to write.
        let _ = self.submit(None, |_, _| Ok(Work::Close));
        let writer = self.writer.lock().expect("no holder panics").take();
        if let Some(writer) = writer {
            writer.join().map_err(|_| StoreError::Stopped { path: self.shared.path.clone() })?;
        }
        self.shared.db.flush_wal(true).map_err(|error| StoreError::from_rocksdb(&self.shared.path, error))
    }

    /// Changes what reads see and hands the same change to the writer, in one order.
    fn submit(
        &self,
        done: Option<Completion>,
        change: impl FnOnce(&mut State, u64) -> Result<Work, StoreError>,
    ) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().expect("no holder panics");
        let (number, work) = {
            let mut state = self.shared.state();
            let number = state.last_job + 1;
            let work = change(&mut state, number)?;
            state.last_job = number;
            (number, work)
        };
        let done = done.map(|done| Done::new(done, &self.shared.path));
        // The state is not locked while this waits: the writer needs it to make room.
        jobs.send(Job { number, work, done }).map_err(|_| StoreError::Stopped { path: self.shared.path.clone() })
    }

    fn read_disk(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let (mut found, mut total) = (Vec::new(), 0);
        if range.is_empty() {
            return Ok(found);
        }
        let fail = |error| StoreError::from_rocksdb(&self.shared.path, error);
        let mut iterator = self.shared.db.raw_iterator();
        iterator.seek(entry_key(range.start));
        while let Some((key, value)) = iterator.item() {
            let Some(index) = entry_index(key).filter(|index| range.contains(index)) else { break };
            if let Some((last, _)) = found.last() {
                if total >= max_bytes {
                    return Ok(found);
                }
                if last + 1 != index {
                    return Err(StoreError::damaged(&self.shared.path, format!("entry {} is missing", last + 1)));
                }
            }
            total += value.len();
            found.push((index, Bytes::copy_from_slice(value)));
            iterator.next();
        }
        iterator.status().map_err(fail)?;
        Ok(found)
    }
}

impl Drop for RaftLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the raft log was not closed cleanly; acknowledged entries are safe");
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// What is committed, if the database does not have it yet.
    pub(crate) fn take_committed(&self) -> Option<Bytes> {
        let mut state = self.state();
        let unwritten = !std::mem::replace(&mut state.committed_written, true);
        state.committed.clone().filter(|_| unwritten)
    }

    /// Everything up to this write is in the database.
    pub(crate) fn written(&self, job: u64) {
        let mut state = self.state();
        state.written_job = job;
        while state.cached_bytes > MAX_CACHED_BYTES
            && state.cached.front().is_some_and(|entry| entry.job <= state.written_job)
        {
            state.cached_bytes -= state.cached.pop_front().map_or(0, |entry| entry.bytes.len());
        }
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
        for item in db.iterator(IteratorMode::From(&entry_key(0), rocksdb::Direction::Forward)) {
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

    fn first_cached(&self) -> u64 {
        self.entries.end - self.cached.len() as u64
    }

    /// Entries of a range that begins among the cached and ends before the end.
    fn cached_in(&self, range: Range<u64>) -> Vec<(u64, Bytes)> {
        let first = self.first_cached();
        let position = |index: u64| usize::try_from(index - first).unwrap_or(usize::MAX).min(self.cached.len());
        if range.is_empty() {
            return Vec::new();
        }
        let entries = self.cached.range(position(range.start)..position(range.end));
        (range.start..).zip(entries).map(|(index, entry)| (index, entry.bytes.clone())).collect()
    }
}

pub(crate) fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [b'e'; 9];
    if let Some((_, number)) = key.split_first_chunk_mut::<1>() {
        number.copy_from_slice(&index.to_be_bytes());
    }
    key
}

fn entry_index(key: &[u8]) -> Option<u64> {
    let (prefix, number) = key.split_first()?;
    (*prefix == b'e').then(|| number.try_into().map(u64::from_be_bytes).ok()).flatten()
}
