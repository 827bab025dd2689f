//! What a voter stands on: a runtime, databases, a network, a clock. The voter itself is the same code over any of them:
//! on RocksDB, QUIC and tokio ([`Machine`](crate::machine::Machine)), or in a simulation where disks forget and networks
//! lose.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use openraft::AsyncRuntime;
use zonecast_kv_proto::{Edition, Head, RequestId, RequestRecord, SectionId, Verdict, View, ViewError};
use zonecast_kv_store::{AppliedVersion, Completion, StoreError};

use crate::member::Member;

/// See the module.
pub(crate) trait Environment: Clone + Send + Sync + 'static {
    type Runtime: AsyncRuntime;
    type Log: EntryLog;
    type State: State<Snapshot = Self::Snapshot>;
    type Snapshot: Send + 'static;
    type Wire: Wire;

    /// Runs work that waits for a disk where it holds up no async thread. The work goes on when nobody waits for it any
    /// more.
    fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + Send;

    /// Runs a future that computes for long at a stretch, and reads the disk, where it holds up nobody else. The future
    /// that comes back ends with it, and says whether it ended without a panic.
    ///
    /// # Errors
    /// There is no thread for it.
    fn apart(
        &self,
        name: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<impl Future<Output = bool> + Send + 'static>;

    /// The state, for another voter: as it is now, or as it was a while ago if somebody was sent that in part. The log has
    /// entries from `oldest` on, and must go on from there.
    ///
    /// # Errors
    /// The state could not be read.
    fn snapshot(&self, state: &Self::State, oldest: u64) -> Result<StateSnapshot<Self::Snapshot>, StoreError> {
        let _ = oldest;
        state.snapshot()
    }

    /// Sends a snapshot of the state, or a later one. The other voter has it whole when this returns.
    fn send_snapshot(
        &self,
        state: &Self::State,
        snapshot: Self::Snapshot,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// The other end of it. The state is not touched yet.
    fn receive_snapshot(
        &self,
        state: &Self::State,
        sender: &mut impl MessageSender,
        receiver: &mut impl MessageReceiver,
    ) -> impl Future<Output = io::Result<StateSnapshot<Self::Snapshot>>> + Send;

    /// Microseconds of Unix time, by the clock of this machine.
    fn now_us(&self) -> u64;
}

/// The raft log on disk, as [`RaftLog`](zonecast_kv_store::RaftLog) has it: a write is readable at once, and durable
/// when its completion is called.
pub(crate) trait EntryLog: Debug + Send + Sync + 'static {
    fn range(&self) -> Range<u64>;
    fn last(&self) -> Result<Option<Bytes>, StoreError>;
    fn purged(&self) -> Option<(u64, Bytes)>;
    fn vote(&self) -> Option<Bytes>;
    fn committed(&self) -> Option<Bytes>;
    fn read(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<(u64, Bytes)>, StoreError>;
    fn read_cached(&self, range: Range<u64>) -> Option<Vec<(u64, Bytes)>>;
    fn append(&self, entries: Vec<(u64, Bytes)>, done: Completion) -> Result<(), StoreError>;
    fn truncate(&self, from: u64, done: Completion) -> Result<(), StoreError>;
    fn purge(&self, upto: u64, mark: Bytes) -> Result<(), StoreError>;
    fn save_vote(&self, vote: Bytes, done: Completion) -> Result<(), StoreError>;
    fn save_committed(&self, committed: Option<Bytes>);
    /// How long the present write has taken so far, if there is one under way.
    fn writing_for(&self) -> Option<Duration> {
        None
    }
}

/// The applied part of the log, as [`StateStore`](zonecast_kv_store::StateStore) has it. Clones share it.
pub(crate) trait State: Clone + Debug + Send + Sync + 'static {
    type View: View + Send + 'static;
    type Snapshot: Send + 'static;

    fn head(&self) -> Head;
    /// The log id of the last applied entry, encoded.
    fn applied(&self) -> Option<Bytes>;
    /// The last applied membership, encoded.
    fn membership(&self) -> Option<Bytes>;
    /// The state as it is now, unchanging.
    fn view(&self) -> Self::View;
    fn edition(view: &Self::View, section: SectionId) -> Result<Edition, ViewError>;
    /// What is kept of a request, now.
    fn request(&self, id: &RequestId) -> Result<Option<RequestRecord>, StoreError>;
    /// Applies steps in one write, which ends with a step that holds a marker: on an error, some of the writes are not done,
    /// and the voter must stop.
    fn apply(&self, steps: &[Step]) -> io::Result<AppliedSteps>;
    /// Makes durable what is applied.
    fn sync(&self) -> Result<(), StoreError>;
    /// All of the state as it is now, for another voter.
    fn snapshot(&self) -> Result<StateSnapshot<Self::Snapshot>, StoreError>;
    /// The log id, encoded, of a snapshot of which some has come and the rest has not, if there is one. Empty where it is
    /// not known.
    fn part(&self) -> Option<Bytes> {
        None
    }
    /// Removes that part. Fails while the rest is coming.
    fn forget_part(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// Replaces the state as a whole by one that has applied the log up to this log id, encoded. Durable when it returns.
    fn install(&self, snapshot: Self::Snapshot, applied: Option<Bytes>) -> Result<(), StoreError>;
}

/// One entry for the state.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Encoded.
    pub(crate) log_id: Bytes,
    pub(crate) content: StepContent,
}

#[derive(Clone, Debug)]
pub(crate) enum StepContent {
    Nothing,
    /// An encoded [`Command`](zonecast_kv_proto::Command), or a [`Group`](zonecast_kv_proto::Group) of them.
    Command(Bytes),
    /// Encoded.
    Membership(Bytes),
}

/// What applying steps came to.
#[derive(Debug, Default)]
pub(crate) struct AppliedSteps {
    /// For each step those of its commands.
    pub(crate) verdicts: Vec<Vec<Verdict>>,
    /// The versions among them, in order.
    pub(crate) versions: Vec<AppliedVersion>,
}

/// The state at one log id.
#[derive(Debug)]
pub(crate) struct StateSnapshot<S> {
    /// Encoded.
    pub(crate) applied: Option<Bytes>,
    /// Encoded.
    pub(crate) membership: Option<Bytes>,
    pub(crate) content: S,
}

/// How messages reach another core: streams of messages, each in order, none waiting for another.
pub(crate) trait Wire: Clone + Send + Sync + 'static {
    type Sender: MessageSender;
    type Receiver: MessageReceiver;

    /// Opens a stream to a core whose certificate has this name; to any core, if the name is empty. Fails when nobody can
    /// be reached there, or somebody else is there.
    fn open(&self, to: &Member, kind: u8) -> impl Future<Output = io::Result<(Self::Sender, Self::Receiver)>> + Send;
}

/// One way of a stream. Dropped before it is finished, it breaks the stream.
pub(crate) trait MessageSender: Send + 'static {
    fn send(&mut self, messages: Vec<Bytes>) -> impl Future<Output = io::Result<()>> + Send;
    /// No more will come; what was sent arrives.
    fn finish(self);
}

/// The other way.
pub(crate) trait MessageReceiver: Send + 'static {
    /// The next message, or nothing when no more will come. May be dropped and asked again.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;
}
