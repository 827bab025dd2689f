//! The thread that writes the raft log: takes what has piled up, writes it at once, syncs once, completes each.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use rocksdb::{WriteBatch, WriteOptions};

use crate::StoreError;
use crate::raft_keys::{COMMITTED, PURGED, VOTE, entry_key};
use crate::raft_shared::Shared;

/// One write, so that a group of bulk entries does not hold up what comes after it for long.
const MAX_GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Bytes written between two looks at how much room the log takes.
const SHOW_EVERY: usize = 4 * 1024 * 1024;

/// Called once when a write is durable, or with the error that stopped the log.
pub type Completion = Box<dyn FnOnce(Result<(), Arc<StoreError>>) + Send>;

/// One write to the log in its place in the order.
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) work: Work,
    /// Called when it is durable. A write without one needs no sync of its own.
    pub(crate) done: Option<SyncCompletion>,
}

/// A completion that is called whatever happens: one that the writer drops, because it panics, has failed. Whoever waits
/// for the log would wait for ever.
pub(crate) struct SyncCompletion {
    completion: Option<Completion>,
    path: PathBuf,
}

impl SyncCompletion {
    pub(crate) fn new(completion: Completion, path: &Path) -> Self {
        Self { completion: Some(completion), path: path.to_path_buf() }
    }

    fn call(mut self, result: Result<(), Arc<StoreError>>) {
        if let Some(completion) = self.completion.take() {
            completion(result);
        }
    }
}

impl Drop for SyncCompletion {
    fn drop(&mut self) {
        if let Some(completion) = self.completion.take() {
            completion(Err(Arc::new(StoreError::Stopped { path: self.path.clone() })));
        }
    }
}

pub(crate) enum Work {
    Append(Vec<(u64, Bytes)>),
    Remove(Range<u64>),
    Purge { range: Range<u64>, mark: Bytes },
    Vote(Bytes),
    Close,
}

/// Writes until the log is closed. After an error everything that follows fails.
pub(crate) fn run(shared: &Shared, queue: &Receiver<Job>) {
    let mut failed: Option<Arc<StoreError>> = None;
    let mut closing = false;
    let mut unshown = 0;
    while !closing && let Ok(first) = queue.recv() {
        let (mut batch, mut number, mut dones, mut bytes) = (WriteBatch::default(), 0, Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            number = job.number;
            closing |= matches!(job.work, Work::Close);
            bytes += job.work.add_to(&mut batch);
            dones.extend(job.done);
            next = if bytes < MAX_GROUP_BYTES && !closing { queue.try_recv().ok() } else { None };
        }
        if failed.is_none() {
            failed = write(shared, batch, number, dones.len(), bytes).err().map(Arc::new);
        }
        unshown += bytes;
        for done in dones {
            done.call(failed.clone().map_or(Ok(()), Err));
        }
        if unshown >= SHOW_EVERY {
            unshown = 0;
            shared.show_size();
        }
    }
}

fn write(shared: &Shared, mut batch: WriteBatch, number: u64, group: usize, bytes: usize) -> Result<(), StoreError> {
    if let Some(committed) = shared.take_committed() {
        batch.put(COMMITTED, committed);
    }
    if batch.is_empty() {
        shared.written(number);
        return Ok(());
    }
    let mut options = WriteOptions::default();
    options.set_sync(group > 0);
    let timer = (group > 0).then(|| shared.metrics.fsync_seconds.start_timer());
    let writing = shared.under_way.begin();
    let written = shared.db.write_opt(batch, &options);
    drop(writing);
    drop(timer);
    if let Err(error) = written {
        let error = StoreError::from_rocksdb(&shared.path, error);
        tracing::error!(%error, "the raft log takes no more writes: free or replace the disk and start again");
        return Err(error);
    }
    if group > 0 {
        #[allow(clippy::cast_precision_loss, reason = "a group has thousands, not 2^53")]
        shared.metrics.fsync_group.observe(group as f64);
    }
    shared.metrics.raft_log_bytes.inc_by(bytes as u64);
    shared.written(number);
    Ok(())
}

impl Work {
    /// Says how many bytes of entries that adds.
    fn add_to(self, batch: &mut WriteBatch) -> usize {
        match self {
            Self::Append(entries) => {
                for (index, bytes) in &entries {
                    batch.put(entry_key(*index), bytes);
                }
                return entries.iter().map(|(_, bytes)| bytes.len()).sum();
            }
            Self::Remove(range) => remove(batch, &range),
            Self::Purge { range, mark } => {
                remove(batch, &range);
                batch.put(PURGED, mark);
            }
            Self::Vote(vote) => batch.put(VOTE, vote),
            Self::Close => {}
        }
        0
    }
}

fn remove(batch: &mut WriteBatch, range: &Range<u64>) {
    if !range.is_empty() {
        batch.delete_range(entry_key(range.start), entry_key(range.end));
    }
}
