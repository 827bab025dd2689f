//! A real machine: RocksDB on its disks, QUIC between machines, tokio.

use std::future::Future;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use openraft_rt_tokio::TokioRuntime;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use zonecast_kv_proto::{Edition, Head, RequestId, RequestRecord, SectionId, ViewError};
use zonecast_kv_store::{Completion, RaftLog, ReceivedState, StateStore, StateView, StoreError};

use crate::checkpoint::{Checkpoint, KeptCheckpoint, Sending};
use crate::entry::decode_log_id;
use crate::environment::{
    AppliedSteps, EntryLog, Environment, MessageReceiver, MessageSender, State, StateSnapshot, Step, StepContent,
};
use crate::metrics::CoreMetrics;
use crate::quic_wire::QuicWire;
use crate::store_use::StoreUse;
use crate::transfer::Transfer;
use crate::voter::random;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    // First, because it is in the folder of a store.
    kept: KeptCheckpoint,
    store_use: StoreUse,
    metrics: CoreMetrics,
    snapshot_rate: NonZeroU64,
}

/// What a machine is made of.
pub(crate) struct MachineParts {
    pub(crate) store_use: StoreUse,
    pub(crate) metrics: CoreMetrics,
    /// Bytes a second at which a snapshot is sent.
    pub(crate) snapshot_rate: NonZeroU64,
}

impl Machine {
    pub(crate) fn new(parts: MachineParts) -> Self {
        let MachineParts { store_use, metrics, snapshot_rate } = parts;
        Self { kept: KeptCheckpoint::default(), store_use, metrics, snapshot_rate }
    }

    fn transfer(&self) -> Transfer<'_> {
        Transfer { disk: &self.store_use, metrics: &self.metrics }
    }

    /// A checkpoint to send: the kept one, if it is not older than the snapshot that raft asks for.
    async fn checkpoint(&self, state: &StateStore, snapshot: MachineSnapshot) -> io::Result<Arc<Checkpoint>> {
        let (state, kept) = (state.clone(), self.kept.clone());
        let taking = self.on_disk(move || {
            let applied = match snapshot {
                MachineSnapshot::Kept(checkpoint) => return Ok(checkpoint),
                MachineSnapshot::Received(_) => return Err(StoreError::BadState("it is on its way in".into())),
                MachineSnapshot::Present(view) => index(view.applied()?),
            };
            if let Some(present) = kept.present().filter(|kept| index(kept.files.applied()) >= applied) {
                return Ok(present);
            }
            let id = random().map_err(|error| StoreError::BadState(error.to_string()))?;
            let checkpoint = Arc::new(Checkpoint { id, files: state.snapshot_files()? });
            kept.keep(&checkpoint);
            Ok(checkpoint)
        });
        taking.await?.map_err(io::Error::other)
    }
}

/// The index of an encoded log id.
fn index(applied: Option<Bytes>) -> Option<u64> {
    Some(decode_log_id(applied?).ok()?.index)
}

impl Environment for Machine {
    type Runtime = TokioRuntime;
    type Log = RaftLog;
    type State = StateStore;
    type Snapshot = MachineSnapshot;
    type Wire = QuicWire;

    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        self.store_use.spawn_blocking(work).await.map_err(io::Error::other)
    }

    fn apart(
        &self,
        name: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<impl Future<Output = bool> + Send + 'static> {
        let (tell, ended) = oneshot::channel();
        let (runtime, held) = (Handle::current(), self.store_use.clone());
        std::thread::Builder::new().name(name.into()).spawn(move || {
            runtime.block_on(work);
            drop(held);
            // A panic drops it unsaid.
            let _ = tell.send(());
        })?;
        Ok(async move { ended.await.is_ok() })
    }

    fn snapshot(&self, state: &StateStore, oldest: u64) -> Result<StateSnapshot<MachineSnapshot>, StoreError> {
        let goes_on = |kept: &Arc<Checkpoint>| index(kept.files.applied()).is_some_and(|index| index + 1 >= oldest);
        match self.kept.present().filter(goes_on) {
            None => state.snapshot(),
            Some(kept) => Ok(StateSnapshot {
                applied: kept.files.applied(),
                membership: kept.files.membership(),
                content: MachineSnapshot::Kept(kept),
            }),
        }
    }

    async fn send_snapshot(
        &self,
        state: &StateStore,
        snapshot: MachineSnapshot,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<()> {
        let sending = Sending { kept: &self.kept, checkpoint: self.checkpoint(state, snapshot).await? };
        self.transfer().send(&sending.checkpoint, self.snapshot_rate, sender, receiver).await?;
        sending.ends();
        Ok(())
    }

    async fn receive_snapshot(
        &self,
        state: &StateStore,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> io::Result<StateSnapshot<MachineSnapshot>> {
        let received = self.transfer().receive(state, sender, receiver).await?;
        let (applied, membership) = (received.applied(), received.membership());
        Ok(StateSnapshot { applied, membership, content: MachineSnapshot::Received(received) })
    }

    fn now_us(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        u64::try_from(now).unwrap_or(u64::MAX)
    }
}

/// A snapshot of the state, as raft hands it about.
#[derive(Debug)]
pub(crate) enum MachineSnapshot {
    /// The state of this voter: no copy is made until somebody asks for the files.
    Present(StateView),
    /// The same as files, sent to somebody in part.
    Kept(Arc<Checkpoint>),
    /// That of another voter, received and open beside it.
    Received(ReceivedState),
}

impl EntryLog for RaftLog {
    fn range(&self) -> Range<u64> {
        self.range()
    }

    fn last(&self) -> Result<Option<Bytes>, StoreError> {
        self.last()
    }

    fn purged(&self) -> Option<(u64, Bytes)> {
        self.purged()
    }

    fn vote(&self) -> Option<Bytes> {
        self.vote()
    }

    fn committed(&self) -> Option<Bytes> {
        self.committed()
    }

    fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<(u64, Bytes)>, StoreError> {
        self.read(range, max_bytes)
    }

    fn read_cached(&self, range: Range<u64>) -> Option<Vec<(u64, Bytes)>> {
        self.read_cached(range)
    }

    fn append(&self, entries: Vec<(u64, Bytes)>, done: Completion) -> Result<(), StoreError> {
        self.append(entries, done)
    }

    fn truncate(&self, from: u64, done: Completion) -> Result<(), StoreError> {
        self.truncate(from, done)
    }

    fn purge(&self, upto: u64, mark: Bytes) -> Result<(), StoreError> {
        self.purge(upto, mark)
    }

    fn save_vote(&self, vote: Bytes, done: Completion) -> Result<(), StoreError> {
        self.save_vote(vote, done)
    }

    fn save_committed(&self, committed: Option<Bytes>) {
        self.save_committed(committed);
    }

    fn writing_for(&self) -> Option<Duration> {
        self.writing_for()
    }
}

impl State for StateStore {
    type View = StateView;
    type Snapshot = MachineSnapshot;

    fn head(&self) -> Head {
        self.head()
    }

    fn applied(&self) -> Option<Bytes> {
        self.applied()
    }

    fn membership(&self) -> Option<Bytes> {
        self.membership()
    }

    fn view(&self) -> StateView {
        self.view()
    }

    fn edition(view: &StateView, section: SectionId) -> Result<Edition, ViewError> {
        Ok(view.edition(section)?)
    }

    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, StoreError> {
        self.request(id)
    }

    fn apply(&self, steps: &[Step]) -> io::Result<AppliedSteps> {
        let mut apply = self.apply();
        let (mut verdicts, mut versions) = (Vec::with_capacity(steps.len()), Vec::new());
        for step in steps {
            if apply.is_at_marker() {
                versions.extend(apply.commit().map_err(io::Error::other)?);
                apply = self.apply();
            }
            verdicts.push(match &step.content {
                StepContent::Nothing => Vec::new(),
                StepContent::Command(command) => apply.command(command).map_err(|error| {
                    tracing::error!(%error, "this voter must stop: upgrade it, or replace its disk");
                    io::Error::other(error)
                })?,
                StepContent::Membership(membership) => {
                    apply.membership(membership.clone());
                    Vec::new()
                }
            });
            apply.log_id(step.log_id.clone());
        }
        versions.extend(apply.commit().map_err(io::Error::other)?);
        Ok(AppliedSteps { verdicts, versions })
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.sync()
    }

    fn snapshot(&self) -> Result<StateSnapshot<MachineSnapshot>, StoreError> {
        let view = self.view();
        let (applied, membership) = (view.applied()?, view.membership()?);
        Ok(StateSnapshot { applied, membership, content: MachineSnapshot::Present(view) })
    }

    fn part(&self) -> Option<Bytes> {
        self.incoming()
    }

    fn forget_part(&self) -> Result<(), StoreError> {
        self.forget_incoming()
    }

    fn install(&self, snapshot: MachineSnapshot, applied: Option<Bytes>) -> Result<(), StoreError> {
        let received = match snapshot {
            MachineSnapshot::Present(view) => self.receive_local(&view)?,
            MachineSnapshot::Kept(_) => return Err(StoreError::BadState("it is on its way out".into())),
            MachineSnapshot::Received(received) => received,
        };
        if received.applied() != applied {
            return Err(StoreError::BadState("it stands for another log id than its snapshot".into()));
        }
        self.install(received)
    }
}
