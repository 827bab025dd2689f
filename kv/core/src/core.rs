//! One voter on a real machine: its databases, and what can be asked of it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::Registry;
use thiserror::Error;
use zonecast_kv_proto::{Batch, BatchSource, Epoch, Head, Position, Published, RestoreId, View};
use zonecast_kv_store::{RaftLog, StateOptions, StateStore, StateView, StoreError, StoreMetrics};

use crate::entry::{decode_entry, decode_log_id};
use crate::machine::Machine;
use crate::member::Member;
use crate::metrics::CoreMetrics;
use crate::network::Network;
use crate::outcome::{ChangeError, Pending, ProposeError};
use crate::proposer::Editions;
use crate::quic_wire::QuicWire;
use crate::removal::Removal;
use crate::state_machine::AppliedSink;
use crate::store_use::{Released, StoreUse};
use crate::voter::{LAND_WITHIN, Voter, VoterParts};

/// Folders of the databases.
const RAFT: &str = "raft";
const STATE: &str = "state";
/// The node id of the voter that founds a cluster.
const FOUNDER: u64 = 1;
/// How long a shutdown waits for those who use the stores: much longer than a slow disk takes.
const RELEASED_WITHIN: std::time::Duration = LAND_WITHIN;

/// How to start a core.
#[derive(Clone)]
pub struct CoreConfig {
    /// Holds the folders `raft` and `state`.
    pub data_dir: PathBuf,
    /// Of the state.
    pub state: StateOptions,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Where applied versions go.
    pub sink: Arc<dyn AppliedSink>,
}

/// A core that cannot start or go on.
#[derive(Debug, Error)]
pub enum CoreError {
    /// A database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Metrics of these names are there already.
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Raft stopped or cannot start.
    #[error("raft: {0}")]
    Raft(String),
    /// This core cannot take it, or not now.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The operating system gives no random numbers, or no thread.
    #[error("{0}")]
    System(String),
    /// A bug; the log has the place.
    #[error("the thread that proposes changes has panicked: this is a bug; the log says where, start again")]
    Panicked,
    /// Changes under way, or a user of the stores, did not end in time.
    #[error("the core could not end within {} s", LAND_WITHIN.as_secs())]
    Stuck,
}

/// One voter of the core. Cloning shares it.
#[derive(Clone)]
pub struct Core {
    inner: Arc<Inner>,
}

struct Inner {
    voter: Voter<Machine>,
    /// Taken at shutdown.
    released: Mutex<Option<Released>>,
}

impl Core {
    /// Opens the databases and takes the lead. At the first start the store is founded. When this returns, everything
    /// that was ever acknowledged is applied.
    ///
    /// # Errors
    /// A database cannot be opened, or raft cannot start.
    pub async fn start(config: CoreConfig) -> Result<Self, CoreError> {
        let store_metrics = StoreMetrics::register(&config.registry)?;
        let metrics = CoreMetrics::register(&config.registry)?;
        let (log, state) = open(&config, store_metrics).await?;
        let (store_use, released) = StoreUse::new();
        let voter = Voter::start(VoterParts {
            id: FOUNDER,
            environment: Machine::new(store_use),
            log: Arc::new(log),
            network: Network::new(FOUNDER, QuicWire::default(), state.clone(), Removal::new()),
            state,
            sink: config.sink,
            metrics,
            raft_log_bytes: config.state.raft_log_bytes,
        })
        .await?;
        voter.lead_alone(Member { name: "core".into(), address: String::new() }).await?;
        Ok(Self { inner: Arc::new(Inner { voter, released: Mutex::new(Some(released)) }) })
    }

    /// The applied state, unchanging.
    #[must_use]
    pub fn view(&self) -> StateView {
        self.inner.voter.state.view()
    }

    /// The last applied version.
    #[must_use]
    pub fn position(&self) -> Position {
        self.inner.voter.state.position()
    }

    /// Where the applied state stands.
    #[must_use]
    pub fn head(&self) -> Head {
        self.inner.voter.state.head()
    }

    /// The published history, for publishers.
    #[must_use]
    pub fn source(&self) -> Arc<dyn BatchSource> {
        Arc::new(self.inner.voter.state.clone())
    }

    /// Builds a change over everything that is proposed so far and proposes it, so that changes to one section need
    /// not wait for each other. Every section it touches gets the precondition that no one else has touched it.
    ///
    /// `build` runs on a thread of its own and may read the disk. It gets the state and a reader of editions, for
    /// preconditions on sections that it only reads. It returns the batch, and what the caller wants to know about it.
    ///
    /// # Errors
    /// `build` said no, the core is busy, or it has stopped. Then nothing was proposed, except when it is
    /// [`ProposeError::Lost`].
    pub async fn change<T, E>(
        &self,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, T), E> + Send + 'static,
    ) -> Result<(T, Pending), ChangeError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.inner.voter.change(build).await
    }

    /// Reads the state as it will be once every change proposed so far is applied. What bulk writes is in it once that is
    /// applied. `read` runs on the thread that builds changes.
    ///
    /// # Errors
    /// `read` said no, or the core has stopped.
    pub async fn ahead<T, E>(
        &self,
        read: impl FnOnce(&dyn View) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ChangeError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.inner.voter.ahead(read).await
    }

    /// Proposes a batch as it is, for bulk: its sections are closed to changes until it is applied. Several may be on
    /// their way; they commit in order, and yield to changes. Its preconditions are those of the view that it was built
    /// from; if anything went on its way since, it is refused.
    ///
    /// # Errors
    /// Too much is on its way already (wait for an earlier one), the batch cannot be encoded, or the core has stopped.
    pub async fn propose(&self, batch: &Batch) -> Result<Pending, ProposeError> {
        self.inner.voter.propose(batch).await
    }

    /// Hands out ids that were never handed out before, and never will be again. The first is 1.
    ///
    /// # Errors
    /// This voter does not lead, has stopped, or there are no ids left.
    pub async fn allocate(&self, count: u64) -> Result<Range<u64>, CoreError> {
        self.inner.voter.allocate(count).await
    }

    /// Accepts the content of the store after a restore from a backup, although edges may be ahead of it. A new epoch
    /// begins, at least this one. The fork that begins it is the last of [`Core::forks`] then.
    ///
    /// # Errors
    /// This voter does not lead, or has stopped.
    pub async fn accept_restore(&self, epoch: Epoch) -> Result<RestoreId, CoreError> {
        self.inner.voter.accept_restore(epoch).await
    }

    /// Every restore that was ever accepted, the first one first.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn forks(&self) -> Result<Vec<Published>, CoreError> {
        Ok(self.inner.voter.state.forks()?)
    }

    /// Copies state and raft log, as they are now, into `folder`, which is there and has neither. What is copied opens as
    /// what was acknowledged before. Reads and writes go on meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// The disk failed or is full.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), CoreError> {
        // The log must still have what the copied state lacks, so the state is copied first, and the log kept.
        let voter = &self.inner.voter;
        let _kept = voter.keep.write().unwrap_or_else(PoisonError::into_inner);
        voter.state.checkpoint(&folder.join(STATE))?;
        voter.log.checkpoint(&folder.join(RAFT))?;
        Ok(())
    }

    /// Waits until nothing can be committed any more, by [`Core::shutdown`] or because raft or the proposer cannot go on (a
    /// failed disk, a command of a later release, a panic), and says why. Reads still work then.
    pub async fn stopped(&self) -> CoreError {
        self.inner.voter.stopped().await
    }

    /// Waits for the changes under way, syncs the stores and stops. Later calls fail with the error for a stopped core.
    /// When the last clone, view and source is dropped after it, the databases can be opened again.
    ///
    /// # Errors
    /// The last writes could not be made durable. What was acknowledged is.
    pub async fn shutdown(&self) -> Result<(), CoreError> {
        let released = self.inner.released.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(released) = released else { return Ok(()) };
        let voter = &self.inner.voter;
        let landed = voter.shutdown().await;
        tokio::time::timeout(RELEASED_WITHIN, released.wait()).await.map_err(|_| CoreError::Stuck)?;
        let (log, state) = (Arc::clone(&voter.log), voter.state.clone());
        let closed = tokio::task::spawn_blocking(move || {
            state.sync()?;
            log.close()
        });
        closed.await.map_err(|error| CoreError::System(error.to_string()))??;
        landed
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core at {}", self.position())
    }
}

/// Opens both databases; the log first, because its lock is the voter's.
async fn open(config: &CoreConfig, metrics: StoreMetrics) -> Result<(RaftLog, StateStore), CoreError> {
    let (data_dir, options) = (config.data_dir.clone(), config.state.clone());
    let opening = tokio::task::spawn_blocking(move || {
        let log = RaftLog::open(&data_dir.join(RAFT), metrics.clone())?;
        let state = StateStore::open(&data_dir.join(STATE), &options, metrics)?;
        check_no_gap(&log, &state, &data_dir)?;
        Ok((log, state))
    });
    opening.await.map_err(|error| CoreError::System(error.to_string()))?.map_err(CoreError::Store)
}

/// The log must reach from where the state ends, or before, to at least there.
fn check_no_gap(log: &RaftLog, state: &StateStore, data_dir: &std::path::Path) -> Result<(), StoreError> {
    let damaged = |what: String| StoreError::Damaged { path: data_dir.to_path_buf(), what };
    let applied = state.applied().map(decode_log_id).transpose().map_err(|error| damaged(error.to_string()))?;
    if let Some(last) = log.last()? {
        decode_entry(last).map_err(|error| damaged(error.to_string()))?;
    }
    let (next, entries) = (applied.map_or(0, |log_id| log_id.index + 1), log.range());
    if next < entries.start {
        return Err(damaged(format!("the state ends before entry {next}, the raft log begins at {}", entries.start)));
    }
    // Entries are durable before they are applied. RocksDB takes a flipped length near the end of its log for a torn
    // write and drops what follows; this is where that shows.
    if next > entries.end {
        return Err(damaged(format!(
            "the state has applied entry {}, the raft log ends before {}",
            next - 1,
            entries.end
        )));
    }
    Ok(())
}

impl From<io::Error> for CoreError {
    fn from(error: io::Error) -> Self {
        Self::System(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use zonecast_kv_proto::{Key, KeyspaceId, Op, Section, SectionId, Value, ViewError};

    use super::*;
    use crate::types::Proposal;
    use crate::{Applied, Outcome};

    /// Longest wait for what must come.
    const LEAD_TIMEOUT: Duration = Duration::from_secs(120);

    fn config(folder: &Path, raft_log_bytes: usize) -> CoreConfig {
        CoreConfig {
            data_dir: folder.to_path_buf(),
            state: StateOptions { raft_log_bytes, ..StateOptions::default() },
            registry: Registry::new(),
            sink: Arc::new(|_: &Applied| {}),
        }
    }

    async fn write(core: &Core, number: u64) -> Option<Outcome> {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let key = Key::new([&[0, 1][..], &number.to_be_bytes()].concat()).unwrap();
        let op = Op::Put { key, value: Value::new(vec![7; 100]).unwrap() };
        let batch = Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] };
        let ((), pending) = core.change(move |_, _| Ok::<_, ViewError>((batch, ()))).await.ok()?;
        Some(pending.await)
    }

    /// Writes so often and stops.
    async fn write_and_stop(folder: &Path, raft_log_bytes: usize, count: u64) -> Head {
        let core = Core::start(config(folder, raft_log_bytes)).await.unwrap();
        for number in 0..count {
            assert!(matches!(write(&core, number).await, Some(Outcome::Committed { .. })));
        }
        let head = core.head();
        core.shutdown().await.unwrap();
        head
    }

    fn put_in_place(folder: &Path, from: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).unwrap();
        for entry in from.read_dir().unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }

    async fn refused(folder: &Path) -> String {
        let error = Core::start(config(folder, usize::MAX)).await.expect_err("state and log do not fit");
        assert!(matches!(error, CoreError::Store(StoreError::Damaged { .. })), "{error}");
        error.to_string()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_state_and_a_log_with_a_gap_between_them_do_not_start() {
        let folder = tempfile::tempdir().unwrap();
        let [data, older, newer] = ["data", "older", "newer"].map(|name| folder.path().join(name));
        write_and_stop(&data, 20_000, 10).await;
        put_in_place(&older.join(STATE), &data.join(STATE));
        put_in_place(&older.join(RAFT), &data.join(RAFT));
        // More than the log keeps behind what it gives up.
        let head = write_and_stop(&data, 20_000, 600).await;
        put_in_place(&newer.join(STATE), &data.join(STATE));
        put_in_place(&newer.join(RAFT), &data.join(RAFT));

        put_in_place(&data.join(RAFT), &older.join(RAFT));
        let message = refused(&data).await;
        assert!(message.contains("the state has applied entry") && message.contains("the raft log ends"), "{message}");
        put_in_place(&data.join(RAFT), &newer.join(RAFT));
        put_in_place(&data.join(STATE), &older.join(STATE));
        let message = refused(&data).await;
        assert!(message.contains("the state ends before entry"), "{message}");
        // Nothing of it was changed: what fits starts.
        put_in_place(&data.join(STATE), &newer.join(STATE));
        let core = Core::start(config(&data, usize::MAX)).await.unwrap();
        assert_eq!(core.head(), head);
        core.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_gives_nothing_up_while_a_copy_is_made_and_does_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start(config(folder.path(), 20_000)).await.unwrap();
        let (tell_held, held) = std::sync::mpsc::channel();
        let (let_go, told) = std::sync::mpsc::channel::<()>();
        let copying = std::thread::spawn({
            let core = core.clone();
            move || {
                let _kept = core.inner.voter.keep.write().unwrap();
                tell_held.send(()).unwrap();
                told.recv().unwrap();
            }
        });
        held.recv().unwrap();
        let first = core.inner.voter.log.range().start;
        // More than the log keeps behind what it gives up.
        for number in 0..600 {
            assert!(matches!(write(&core, number).await, Some(Outcome::Committed { .. })));
        }
        assert_eq!(core.inner.voter.log.range().start, first);
        let_go.send(()).unwrap();
        copying.join().unwrap();
        let deadline = Instant::now() + LEAD_TIMEOUT;
        while core.inner.voter.log.range().start == first {
            assert!(Instant::now() < deadline, "it keeps everything for ever");
            assert!(matches!(write(&core, 600).await, Some(Outcome::Committed { .. })));
        }
        core.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_command_of_a_later_release_halts_the_voter_and_is_not_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start(config(folder.path(), usize::MAX)).await.unwrap();
        assert!(matches!(write(&core, 1).await, Some(Outcome::Committed { .. })));
        let head = core.head();
        // Format 1, kind 99.
        let unknown = Proposal(Bytes::from_static(&[0x92, 1, 99]));
        assert!(core.inner.voter.raft.client_write(unknown).await.is_err());
        let why = tokio::time::timeout(LEAD_TIMEOUT, core.stopped()).await.unwrap();
        assert!(why.to_string().contains("command kind 99 is not known"), "{why}");
        assert_eq!((core.head(), core.view().head().unwrap()), (head, head), "reads go on");
        assert!(!matches!(write(&core, 2).await, Some(Outcome::Committed { .. })));
        assert_eq!(core.head(), head);
        let _ = core.shutdown().await;
        drop(core);
        // It halts there again, and what stands in the log stays.
        let error = tokio::time::timeout(LEAD_TIMEOUT, Core::start(config(folder.path(), usize::MAX))).await.unwrap();
        assert!(error.is_err(), "it went on without the command");
    }
}
