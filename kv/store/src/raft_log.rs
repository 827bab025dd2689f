//! The raft log of a voter: entries, vote and what is committed, in a RocksDB database of its own.
//!
//! It knows entries as bytes under dense numbers; its keys are in `raft_keys.rs`. A write is readable at once, durable when its completion is called.
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

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rocksdb::{Cache, DB, DBRecoveryMode};

use crate::raft_keys::{entry_index, entry_key};
use crate::raft_shared::{Shared, State};
use crate::raft_writer::{self, Completion, Job, SyncCompletion, Work};
use crate::{StoreError, StoreMetrics, options};

/// Writes that may wait for the writer. Proposals are bounded above this, so it only fills if the disk stands still.
const MAX_JOBS: usize = 16 * 1024;
/// One memtable: entries that are purged before it is full never reach a table.
const WRITE_BUFFER: usize = 64 * 1024 * 1024;
/// Old write-ahead logs are given up beyond this.
const MAX_WAL: u64 = 256 * 1024 * 1024;
/// A write that takes longer may never end. Nothing that was acknowledged waits for it.
const HANGS_AFTER: Duration = Duration::from_secs(20);
/// Reads of the log are rare and in order.
const CACHE: usize = 8 * 1024 * 1024;

/// The raft log of a voter in a RocksDB database: entries, vote and the committed log id.
#[derive(Debug)]
pub struct RaftLog {
    shared: Arc<Shared>,
    /// Held while a write takes its place in the order.
    jobs: Mutex<SyncSender<Job>>,
    writer: Mutex<Option<JoinHandle<()>>>,
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
        let shared = Arc::new(Shared::load(db, path, metrics)?);
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
        self.shared.state().entries()
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
        self.shared.state().purged()
    }

    /// What [`RaftLog::save_vote`] was given last.
    pub fn vote(&self) -> Option<Bytes> {
        self.shared.state().vote.clone()
    }

    /// What [`RaftLog::save_committed`] was given last, or before the last crash earlier than that.
    pub fn committed(&self) -> Option<Bytes> {
        self.shared.state().committed()
    }

    /// Entries of `range` in order, at least one if there is one and then until `max_bytes` are reached. Those that
    /// are purged or not there yet are left out.
    ///
    /// # Errors
    /// The log could not be read, or an entry is missing between others.
    pub fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        let (on_disk, cached) = {
            let state = self.shared.state();
            let range = state.within(&range);
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
        let range = state.within(&range);
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
            state.append(&entries, job).map_err(|index| {
                let what = format!("entry {index} cannot follow entries {:?}", state.entries());
                StoreError::damaged(&self.shared.path, what)
            })?;
            Ok(Work::Append(entries))
        })
    }

    /// Forgets all entries from `from` on.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn truncate(&self, from: u64, done: Completion) -> Result<(), StoreError> {
        self.submit(Some(done), |state, _| Ok(Work::Remove(state.truncate(from))))
    }

    /// Forgets all entries up to and with `upto`, which the state must have made durable, and keeps `mark` for it.
    /// Not durable by itself: after a crash the entries may be back.
    ///
    /// # Errors
    /// The log has stopped.
    pub fn purge(&self, upto: u64, mark: Bytes) -> Result<(), StoreError> {
        self.submit(None, |state, _| {
            let range = state.purge(upto, mark.clone());
            Ok(Work::Purge { range, mark: [&upto.to_be_bytes()[..], &mark].concat().into() })
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
        self.shared.state().commit(committed);
    }

    /// How long the present write or sync has taken so far, if there is one under way.
    pub fn writing_for(&self) -> Option<Duration> {
        self.shared.under_way.so_long()
    }

    /// Writes and syncs everything, and ends the writer. Does not wait for a disk that hangs. Later writes fail.
    ///
    /// # Errors
    /// The last writes could not be made durable.
    pub fn close(&self) -> Result<(), StoreError> {
        if self.writing_for().is_some_and(|so_long| so_long > HANGS_AFTER) {
            return Err(StoreError::Stopped { path: self.shared.path.clone() });
        }
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
        let done = done.map(|done| SyncCompletion::new(done, &self.shared.path));
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
