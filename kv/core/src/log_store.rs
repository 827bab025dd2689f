//! openraft's log over [`RaftLog`]. Nothing here waits for the disk on an async thread.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::oneshot;
use zonecast_kv_store::{Completion, RaftLog, StateStore, StoreError};

use crate::entry::{decode, decode_entry, decode_log_id, encode, encode_entry, encode_log_id};
use crate::store_use::StoreUse;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// Entries read for a follower at once.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// The log, and the state that must be durable before any of the log is given up.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    log: Arc<RaftLog>,
    state: StateStore,
    hold: StoreUse,
    /// Written to while nothing may be given up.
    keep: Arc<RwLock<()>>,
}

impl LogStore {
    pub(crate) fn new(log: Arc<RaftLog>, state: StateStore, hold: StoreUse) -> Self {
        Self { log, state, hold, keep: Arc::default() }
    }

    /// Whoever holds this for writing keeps every entry in the log; what could be given up meanwhile is given up with
    /// what comes after it.
    pub(crate) fn keep(&self) -> Arc<RwLock<()>> {
        Arc::clone(&self.keep)
    }

    async fn read(&self, range: impl RangeBounds<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let entries = match self.log.read_cached(start..end) {
            Some(entries) => entries,
            None => {
                let log = Arc::clone(&self.log);
                blocking(&self.hold, move || log.read(start..end, max_bytes)).await?
            }
        };
        entries.into_iter().map(|(_, bytes)| decode_entry(bytes)).collect()
    }

    /// Hands a write to the writer and waits until it is durable.
    async fn durable(&self, write: impl FnOnce(&RaftLog, Completion) -> Result<(), StoreError>) -> io::Result<()> {
        let (done, durable) = oneshot::channel();
        let done: Completion = Box::new(move |result| drop(done.send(result)));
        write(&self.log, done).map_err(io::Error::other)?;
        durable.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        self.read(range, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, MAX_READ_BYTES).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.vote().map(|bytes| decode(&bytes)).transpose()
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = Arc::clone(&self.log);
        let (last, purged) = blocking(&self.hold, move || Ok((log.last()?, log.purged()))).await?;
        let last_purged_log_id = purged.map(|(_, mark)| decode_log_id(mark)).transpose()?;
        let last = last.map(decode_entry).transpose()?.map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id, last_log_id: last.or(last_purged_log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = encode(vote);
        self.durable(|log, done| log.save_vote(vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.save_committed(committed.as_ref().map(encode_log_id));
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.log.committed().map(decode_log_id).transpose()
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<(u64, Bytes)> =
            entries.into_iter().map(|entry| (entry.log_id.index, encode_entry(&entry))).collect();
        let done: Completion = Box::new(move |result| callback.io_completed(result.map_err(io::Error::other)));
        self.log.append(entries, done).map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let from = last_log_id.map_or(0, |log_id| log_id.index + 1);
        self.durable(|log, done| log.truncate(from, done)).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let (log, state, keep) = (Arc::clone(&self.log), self.state.clone(), Arc::clone(&self.keep));
        blocking(&self.hold, move || {
            let Ok(_nobody_copies) = keep.try_read() else { return Ok(()) };
            state.sync()?;
            log.purge(log_id.index, encode_log_id(&log_id))
        })
        .await
    }
}

/// Runs disk work where it holds up no async thread. It goes on when the one who waits for it is gone, and is waited
/// for at the end.
pub(crate) async fn blocking<T: Send + 'static>(
    hold: &StoreUse,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> io::Result<T> {
    hold.spawn_blocking(work).await.map_err(io::Error::other)?.map_err(io::Error::other)
}
