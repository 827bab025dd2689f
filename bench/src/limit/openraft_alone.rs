//! openraft with nothing around it: one voter, whose log is a file that is synced, and whose state is a counter. What a
//! core in one process could reach at most.
//!
//! Appends that come while the disk is busy are made durable together, as in the raft log of a core.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::File;
use std::future::Future;
use std::io::{self, Write as _};
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_util::{Stream, StreamExt as _};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use openraft::storage::{EntryResponder, IOFlushed, LogState, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::{Config, EntryPayload, OptionalSend, RaftLogReader, RaftNetworkFactory, RaftNetworkV2, SnapshotPolicy};

openraft::declare_raft_types!(Types: D = Payload, R = u64, AsyncRuntime = openraft_rt_tokio::TokioRuntime);

type Entry = <Types as openraft::RaftTypeConfig>::Entry;
type LogId = LogIdOf<Types>;
type Vote = VoteOf<Types>;

/// What is replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Payload(Vec<u8>);

impl std::fmt::Display for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A voter that is alone.
pub(crate) struct OpenraftAlone {
    raft: openraft::Raft<Types, Counter>,
}

impl OpenraftAlone {
    /// Its log in this folder, which is empty.
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let config = Config { snapshot_policy: SnapshotPolicy::Never, ..Config::default() }.validate()?;
        let log = Log::create(&folder.join("log"))?;
        let raft = openraft::Raft::new(1, Arc::new(config), Nobody, log, Counter::default()).await?;
        raft.initialize(BTreeMap::from([(1, BasicNode::default())])).await?;
        raft.wait(None).current_leader(1, "the only voter leads").await?;
        Ok(Self { raft })
    }

    /// Returns when these bytes are durable and applied.
    pub(crate) async fn put(&self, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.raft.client_write(Payload(bytes)).await?;
        Ok(())
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(self.raft.shutdown().await?)
    }
}

/// Entries in memory, and their bytes in a file.
#[derive(Clone)]
struct Log {
    kept: Arc<Mutex<Kept>>,
    writer: Sender<Append>,
}

#[derive(Default)]
struct Kept {
    entries: BTreeMap<u64, Entry>,
    vote: Option<Vote>,
    purged: Option<LogId>,
}

struct Append {
    bytes: Vec<u8>,
    done: IOFlushed<Types>,
}

impl Log {
    fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        let (writer, appends) = channel();
        thread::Builder::new().name("openraft-log".into()).spawn(move || write(file, &appends))?;
        Ok(Self { kept: Arc::default(), writer })
    }

    fn kept<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes what has come, syncs once, and says so to all of it; ends with the senders.
fn write(mut file: File, appends: &Receiver<Append>) {
    let (mut bytes, mut done) = (Vec::new(), Vec::new());
    while let Ok(first) = appends.recv() {
        for append in std::iter::once(first).chain(appends.try_iter()) {
            bytes.extend_from_slice(&append.bytes);
            done.push(append.done);
        }
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        bytes.clear();
        for callback in done.drain(..) {
            callback.io_completed(written.as_ref().map_err(|error| io::Error::from(error.kind())).copied());
        }
    }
}

fn payload(entry: &Entry) -> &[u8] {
    match &entry.payload {
        EntryPayload::Normal(payload) => &payload.0,
        EntryPayload::Blank | EntryPayload::Membership(_) => &[],
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        Ok(self.kept(|kept| kept.entries.range(bounds).map(|(_, entry)| entry.clone()).collect()))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.kept(|kept| kept.vote))
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        Ok(self.kept(|kept| {
            let last = kept.entries.last_key_value().map(|(_, entry)| entry.log_id);
            LogState { last_purged_log_id: kept.purged, last_log_id: last.or(kept.purged) }
        }))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.kept(|kept| kept.vote = Some(*vote));
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut bytes = Vec::new();
        self.kept(|kept| {
            for entry in entries {
                bytes.extend_from_slice(payload(&entry));
                kept.entries.insert(entry.log_id.index, entry);
            }
        });
        self.writer.send(Append { bytes, done: callback }).map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.kept(|kept| drop(kept.entries.split_off(&from)));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        self.kept(|kept| {
            kept.entries = kept.entries.split_off(&(log_id.index + 1));
            kept.purged = Some(log_id);
        });
        Ok(())
    }
}

/// Counts what is applied.
#[derive(Clone, Debug, Default)]
struct Counter {
    applied: Option<LogId>,
    membership: StoredMembershipOf<Types>,
    count: u64,
}

impl RaftStateMachine<Types> for Counter {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembershipOf<Types>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembershipOf::<Types>::new(Some(entry.log_id), membership);
                }
                EntryPayload::Blank | EntryPayload::Normal(_) => self.count += 1,
            }
            if let Some(responder) = responder {
                responder.send(self.count);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(&mut self, _: &SnapshotMetaOf<Types>, (): ()) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, ()>>> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Counter {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, ()>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A network without anybody.
struct Nobody;

impl RaftNetworkFactory<Types> for Nobody {
    type Network = Self;

    async fn new_client(&mut self, _: u64, _: &BasicNode) -> Self {
        Self
    }
}

fn unreachable() -> Unreachable<Types> {
    Unreachable::new(&io::Error::from(io::ErrorKind::NotConnected))
}

impl RaftNetworkV2<Types> for Nobody {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(unreachable()))
    }

    async fn vote(&mut self, _: VoteRequest<Types>, _: RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(unreachable()))
    }

    async fn transfer_leader(
        &mut self,
        _: TransferLeaderRequest<Types>,
        _: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(unreachable()))
    }
}
