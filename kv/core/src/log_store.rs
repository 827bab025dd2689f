//! openraft's log over an [`EntryLog`]. Nothing here waits for the disk on an async thread.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::oneshot;
use zonecast_kv_store::{Completion, StoreError};

use crate::entry::{decode_entry, decode_log_id, decode_vote, encode_entry, encode_log_id, encode_vote};
use crate::environment::{EntryLog, Environment, State as _};
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// Entries read for a follower at once.
const MAX_READ_BYTES: usize = 1024 * 1024;

/// The log, and the state that must be durable before any of the log is given up.
pub(crate) struct LogStore<E: Environment> {
    environment: E,
    log: Arc<E::Log>,
    state: E::State,
}

impl<E: Environment> Clone for LogStore<E> {
    fn clone(&self) -> Self {
        let Self { environment, log, state } = self;
        Self { environment: environment.clone(), log: log.clone(), state: state.clone() }
    }
}

impl<E: Environment> LogStore<E> {
    pub(crate) fn new(environment: E, log: Arc<E::Log>, state: E::State) -> Self {
        Self { environment, log, state }
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
            Some(entries) => at_most(entries, max_bytes),
            None => {
                let log = Arc::clone(&self.log);
                self.on_disk(move || log.read(start..end, max_bytes)).await?
            }
        };
        entries.into_iter().map(|(_, bytes)| decode_entry(bytes)).collect()
    }

    /// Hands a write to the writer and waits until it is durable.
    async fn durable(&self, write: impl FnOnce(&E::Log, Completion) -> Result<(), StoreError>) -> io::Result<()> {
        let (done, durable) = oneshot::channel();
        let done: Completion = Box::new(move |result| drop(done.send(result)));
        write(&self.log, done).map_err(io::Error::other)?;
        durable.await.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> io::Result<T> {
        self.environment.on_disk(work).await?.map_err(io::Error::other)
    }
}

/// The first entry, and as many of the others as come to about so many bytes: what goes into one message.
fn at_most(mut entries: Vec<(u64, Bytes)>, max_bytes: usize) -> Vec<(u64, Bytes)> {
    let mut total = 0_usize;
    let fit = entries.iter().take_while(|(_, bytes)| {
        let has_room = total < max_bytes;
        total = total.saturating_add(bytes.len());
        has_room
    });
    let count = fit.count().max(1);
    entries.truncate(count);
    entries
}

impl<E: Environment> RaftLogReader<TypeConfig<E>> for LogStore<E> {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        self.read(range, usize::MAX).await
    }

    /// At least the first entry, or an error: openraft takes nothing for an answer that never comes.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let entries = self.read(start..end, MAX_READ_BYTES).await?;
        if start < end && entries.first().is_none_or(|first| first.log_id.index != start) {
            return Err(io::Error::other(format!("entry {start} is not in the raft log any more")));
        }
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.log.vote().map(decode_vote).transpose()
    }
}

impl<E: Environment> RaftLogStorage<TypeConfig<E>> for LogStore<E> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig<E>>> {
        let log = Arc::clone(&self.log);
        let (last, purged) = self.on_disk(move || Ok((log.last()?, log.purged()))).await?;
        let last_purged_log_id = purged.map(|(_, mark)| decode_log_id(mark)).transpose()?;
        let last = last.map(decode_entry).transpose()?.map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id, last_log_id: last.or(last_purged_log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = encode_vote(vote);
        self.durable(|log, done| log.save_vote(vote, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.save_committed(committed.as_ref().map(encode_log_id));
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.log.committed().map(decode_log_id).transpose()
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig<E>>) -> io::Result<()>
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

    /// The state may be ahead of the log: a majority of others can commit an entry before this disk has it, and a power
    /// cut then takes it from the log alone. openraft gives up the log to beyond its end then.
    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let (log, state) = (Arc::clone(&self.log), self.state.clone());
        self.on_disk(move || {
            state.sync()?;
            log.purge(log_id.index, encode_log_id(&log_id))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes into one message must fit into one, also where it comes from memory.
    #[test]
    fn entries_of_one_message_end_at_the_first_that_reaches_the_limit() {
        let entries = |lens: &[usize]| lens.iter().map(|len| (0, Bytes::from(vec![0; *len]))).collect::<Vec<_>>();
        let lens = |entries: Vec<(u64, Bytes)>| entries.iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>();
        assert_eq!(lens(at_most(entries(&[3, 3, 3, 3]), 5)), [3, 3]);
        assert_eq!(lens(at_most(entries(&[9, 1]), 5)), [9]);
        assert_eq!(lens(at_most(entries(&[9, 1]), 0)), [9]);
        assert_eq!(lens(at_most(entries(&[3, 3]), usize::MAX)), [3, 3]);
        assert!(at_most(vec![], 5).is_empty());
    }
}
