//! One voter on a real machine: its databases, and what can be asked of it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{fmt, io};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use prometheus::Registry;
use zonecast_kv_proto::{
    Batch, BatchSource, Head, Idempotency, Note, Once, Peer, Position, Published, RequestId, RequestKey, RequestRecord,
    View,
};
use zonecast_kv_store::{RangeChecks, SendState, StateOptions, StateView, StoreMetrics};
use zonecast_kv_transport::{CoreService, CoreStream, Endpoint};

use crate::core_error::CoreError;
use crate::entry::decode_log_id;
use crate::held_lead::HeldLead;
use crate::machine::{Machine, MachineParts};
use crate::member::Member;
use crate::members::MemberError;
use crate::message::stream;
use crate::metrics::CoreMetrics;
use crate::network::Network;
use crate::node_file::{Node, Stage};
use crate::outcome::{ChangeError, Pending, ProposeError, ReadError};
use crate::patience::Patience;
use crate::proposer::Editions;
use crate::quic_wire::{QuicWire, Receiver, Sender};
use crate::removal::Removal;
use crate::saved_log::{LogSpan, SavedLog, save};
use crate::start::{
    FOUNDER, Opened, check_address, check_name, has_log, known_node, new_node, open, refuse_unfinished,
};
use crate::state_machine::AppliedSink;
use crate::status::ClusterStatus;
use crate::store_use::{Released, StoreUse};
use crate::voter::{Voter, VoterParts};

/// Folders of the databases.
pub(crate) const RAFT: &str = "raft";
pub(crate) const STATE: &str = "state";
/// Kinds of streams between cores from here on belong to the users of this crate.
pub const FIRST_OTHER_KIND: u8 = stream::FIRST_OTHER;
/// Between two looks whether raft has written something.
const MARK_EVERY: Duration = Duration::from_millis(100);

/// How to start a core.
#[derive(Clone)]
pub struct CoreConfig {
    /// Holds the folders `raft` and `state`, and the file `node`.
    pub data_dir: PathBuf,
    /// Of the state.
    pub state: StateOptions,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Where applied versions go.
    pub sink: Arc<dyn AppliedSink>,
    /// How it reaches other cores. Without it, it is alone.
    pub cluster: Option<ClusterConfig>,
}

/// How a core reaches others.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The name in its certificate, and where the others reach it.
    pub member: Member,
    /// The endpoint that others dial, too.
    pub endpoint: Endpoint,
    /// Addresses of a cluster that it asks to let it in, at its first start. None: it founds a cluster, or is in one.
    pub join: Vec<String>,
}

/// One voter of the core. Cloning shares it.
#[derive(Clone)]
pub struct Core {
    inner: Arc<Inner>,
}

struct Inner {
    voter: Voter<Machine>,
    wire: QuicWire,
    removal: Removal,
    /// Taken at shutdown.
    released: Mutex<Option<Released>>,
}

impl Core {
    /// Opens the databases and starts raft. A core that is alone takes the lead; at its first start it founds the store.
    /// When this returns, everything that was ever acknowledged is applied then. A core of several follows or elects from
    /// here on, once [`Core::service`] serves the others; [`Core::catch_up`] waits for it. One that is to join waits here
    /// until it is admitted.
    ///
    /// # Errors
    /// A database cannot be opened, raft cannot start, or the cluster refuses it.
    pub async fn start(config: CoreConfig) -> Result<Self, CoreError> {
        Self::start_with(config, Patience::default()).await
    }

    /// As [`Core::start`], with less patience, or more.
    ///
    /// # Errors
    /// As [`Core::start`].
    pub async fn start_with(config: CoreConfig, patience: Patience) -> Result<Self, CoreError> {
        let store_metrics = StoreMetrics::register(&config.registry)?;
        let metrics = CoreMetrics::register(&config.registry)?;
        refuse_unfinished(&config.data_dir)?;
        let opened = open(config.data_dir.clone(), config.state.clone(), store_metrics).await?;
        let (endpoint, me, join) = match config.cluster {
            Some(ClusterConfig { member, endpoint, join }) => (Some(endpoint), member, join),
            None => (None, Member { name: "core".into(), address: String::new() }, vec![]),
        };
        let wire = QuicWire::new(endpoint);
        let node = match known_node(&config.data_dir, &opened)? {
            Some(node) => node,
            None => new_node(config.data_dir.clone(), wire.clone(), me.clone(), join.clone()).await?,
        };
        let (store_use, released) = StoreUse::new();
        let removal = Removal::new();
        let Opened { log, state } = opened;
        let voter = Voter::start(VoterParts {
            id: node.id,
            environment: Machine::new(MachineParts {
                store_use,
                metrics: metrics.clone(),
                snapshot_rate: config.state.snapshot_bytes_per_second,
            }),
            log: Arc::new(log),
            network: Network::new(node.id, wire.clone(), state.clone(), removal.clone()),
            state,
            sink: config.sink,
            metrics,
            raft_log_bytes: config.state.raft_log_bytes,
            join,
            patience,
        })
        .await?;
        if node.stage == Stage::Admitted {
            drop(tokio::spawn(mark_begun(node, Arc::downgrade(&voter.log), config.data_dir)));
        }
        let known = voter.effective_membership().await?;
        check_address(&known, &me)?;
        let founds = node.id == FOUNDER && known.log_id().is_none();
        if founds || known.voter_ids().eq([node.id]) {
            voter.lead_alone(me.clone()).await?;
            voter.members.moved(node.id, me).await.map_err(|error| CoreError::Raft(error.to_string()))?;
        } else {
            check_name(&known, node.id, &me.name)?;
            // Without an address its log has no membership yet, and the others keep the address that they know.
            if !me.address.is_empty() {
                drop(tokio::spawn(voter.announce(me)));
            }
        }
        let released = Mutex::new(Some(released));
        Ok(Self { inner: Arc::new(Inner { voter, wire, removal, released }) })
    }

    /// What serves the streams of other cores on the endpoint. Streams of other kinds than raft's are not served.
    #[must_use]
    pub fn service(&self) -> Arc<dyn CoreService> {
        Arc::new(Service(Arc::downgrade(&self.inner)))
    }

    /// Opens a stream of a kind of the caller's own, [`FIRST_OTHER_KIND`] or above, to another core.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn open(&self, to: &Member, kind: u8) -> io::Result<CoreStream> {
        self.inner.wire.open_stream(to, kind).await
    }

    /// Who leads, as far as is known here.
    #[must_use]
    pub fn leader(&self) -> Option<Member> {
        self.inner.voter.leader()
    }

    /// The same, if it is another core.
    #[must_use]
    pub fn other_leader(&self) -> Option<Member> {
        self.inner.voter.other_leader()
    }

    /// Whether this core leads and takes changes.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.inner.voter.leads().borrow().is_some()
    }

    /// Whether nothing can be committed here any more: raft has ended, by a failed disk or at the end of the process.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.inner.voter.has_stopped()
    }

    /// Waits until this core leads, or does not lead any more; never, once it has stopped.
    pub async fn lead_changed(&self, leads: bool) {
        let mut lead = self.inner.voter.leads();
        if lead.wait_for(|lead| lead.is_some() == leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until everything is applied here that was committed anywhere when this was called, as a majority confirms:
    /// a read after it is linearizable.
    ///
    /// # Errors
    /// No majority has answered in time; what is here can still be read, and may be outdated.
    pub async fn catch_up(&self, within: Duration) -> Result<(), ReadError> {
        self.inner.voter.catch_up(within).await
    }

    /// How long ago this core was last told something by that one, which leads or led; nothing if another one has told it
    /// something since.
    #[must_use]
    pub fn silent_for(&self, leader: &Member) -> Option<Duration> {
        self.inner.voter.server.heard.silent_for(&leader.name)
    }

    /// The members of the cluster, as this core knows them; where each stands is asked of it.
    pub async fn cluster(&self) -> ClusterStatus {
        self.inner.voter.cluster().await
    }

    /// Admits a core that asks to join, as a learner; it gets its vote when it has the log and the number of votes stays
    /// odd. Says its node id. On the leader only.
    ///
    /// # Errors
    /// Nothing was done.
    pub async fn add_member(&self, name: &str) -> Result<u64, MemberError> {
        self.inner.voter.members.add(name).await
    }

    /// Removes members. On the leader only.
    ///
    /// # Errors
    /// Nothing was done, or it is not known because no majority answers.
    pub async fn remove_members(&self, names: &[String]) -> Result<(), MemberError> {
        self.inner.voter.members.remove(names).await
    }

    /// Gives the lead to the voter of this name. On the leader only.
    ///
    /// # Errors
    /// It did not take it in time.
    pub async fn transfer_lead(&self, to: &str, within: Duration) -> Result<(), MemberError> {
        self.inner.voter.members.transfer(to, within).await
    }

    /// What the state comes to at markers.
    #[must_use]
    pub fn checks(&self) -> RangeChecks {
        self.inner.voter.state.checks().clone()
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

    /// As [`Core::change`], for a change that is done once however often it is asked for. `build` also says what is noted
    /// for whoever asks again, and runs only if the change was not done yet. If it was, the outcome is that of the first
    /// time, with its note; if the key cannot be used, it is [`Outcome::Refused`](crate::Outcome::Refused). A change that
    /// ends otherwise leaves its key unused.
    ///
    /// # Errors
    /// As [`Core::change`]. The core is also busy while the same request is on its way.
    pub async fn change_once<T, E>(
        &self,
        asked: Idempotency,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, Note, T), E> + Send + 'static,
    ) -> Result<(Option<T>, Pending), ChangeError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.inner.voter.change_once(asked, build).await
    }

    /// What is kept here of a change that was asked for under this key. Nothing, if it was not done yet, is not applied here
    /// yet, or was done longer ago than records are kept.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn repeated(&self, scope: [u8; 16], key: RequestKey) -> Result<Option<RequestRecord>, CoreError> {
        Ok(self.inner.voter.state.request(&RequestId { key, scope })?)
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

    /// The present lead, for work of many batches that must not go on in another term.
    ///
    /// # Errors
    /// This core does not lead, or has stopped.
    pub fn hold_lead(&self) -> Result<HeldLead, ProposeError> {
        self.inner.voter.lead().map(|lead| HeldLead::of(&lead))
    }

    /// As [`Core::propose`], in the term of this lead only, and `once` if it is to be done once: where it was done before,
    /// the outcome is that of the first time.
    ///
    /// # Errors
    /// As [`Core::propose`], or the lead is over. Nothing was done then.
    pub async fn propose_in(
        &self,
        lead: &HeldLead,
        batch: &Batch,
        once: Option<Once>,
    ) -> Result<Pending, ProposeError> {
        match lead.get() {
            Some(lead) => self.inner.voter.propose_in(&lead, batch, once).await,
            // Another one that this core has by now will not do.
            None => Err(self.hold_lead().err().unwrap_or(ProposeError::NotLeader { leader: None })),
        }
    }

    /// Hands out ids that were never handed out before, and never will be again. The first is 1.
    ///
    /// # Errors
    /// This voter does not lead, has stopped, or there are no ids left.
    pub async fn allocate(&self, count: u64) -> Result<Range<u64>, CoreError> {
        self.inner.voter.allocate(count).await
    }

    /// Keeps from now on at most so many records of requests that are done once, and so many bytes of them; nothing is
    /// forgotten for it. [`Head::requests`] has the limits.
    ///
    /// # Errors
    /// This voter does not lead, has stopped, or lost its lead on the way.
    pub async fn limit_requests(&self, records: u64, bytes: u64) -> Result<(), CoreError> {
        self.inner.voter.limit_requests(records, bytes).await
    }

    /// Every restore of the store, the first one first.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn forks(&self) -> Result<Vec<Published>, CoreError> {
        Ok(self.inner.voter.state.forks()?)
    }

    /// The applied state as files, as it is now. They stay while reads and writes go on, as long as this is held. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// The disk failed or is full.
    pub fn state_files(&self) -> Result<SendState, CoreError> {
        Ok(self.inner.voter.state.snapshot_files()?)
    }

    /// Index of the last entry of the raft log that these files stand for.
    ///
    /// # Errors
    /// They say something else.
    pub fn entry_of(files: &SendState) -> Result<Option<u64>, CoreError> {
        Ok(files.applied().map(decode_log_id).transpose()?.map(|log_id| log_id.index))
    }

    /// Writes these entries of the raft log, as far as it still has them, in the form that [`Replay`](crate::Replay) reads.
    /// Changes go on meanwhile. Blocks on the disk.
    ///
    /// # Errors
    /// The log cannot be read, or `out` not be written to.
    pub fn save_log(&self, span: LogSpan, out: &mut dyn io::Write) -> io::Result<SavedLog> {
        save(&self.inner.voter.log, self.position().store, span, out)
    }

    /// Waits until nothing can be committed any more, by [`Core::shutdown`] or because raft or the proposer cannot go on (a
    /// failed disk, a command of a later release, a panic), and says why. Reads still work then.
    pub async fn stopped(&self) -> CoreError {
        tokio::select! {
            why = self.inner.voter.stopped() => why,
            removed = self.inner.removal.wait() => CoreError::Removed { by: removed.by, index: removed.index },
        }
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
        let within = voter.patience.end_within;
        tokio::time::timeout(within, released.wait()).await.map_err(|_| CoreError::Stuck(within))?;
        let (log, state) = (Arc::clone(&voter.log), voter.state.clone());
        let closed = tokio::task::spawn_blocking(move || {
            // Says no at once where the disk hangs.
            log.close()?;
            state.sync()
        });
        let closed = tokio::time::timeout(within, closed).await.map_err(|_| CoreError::Stuck(within))?;
        closed.map_err(|error| CoreError::System(error.to_string()))??;
        landed
    }
}

/// Serves raft's streams as long as the core is there.
struct Service(Weak<Inner>);

impl CoreService for Service {
    fn serve(&self, peer: &Peer, kind: u8, stream: CoreStream) -> BoxFuture<'static, ()> {
        let (inner, name) = (self.0.upgrade(), peer.name.clone());
        async move {
            // The server alone: a stream must not keep the core.
            let Some(server) = inner.map(|inner| Arc::clone(&inner.voter.server)) else { return };
            let CoreStream { sender, receiver } = stream;
            server.serve(name, kind, Sender(sender), Receiver { receiver, line: None }).await;
        }
        .boxed()
    }
}

/// Notes that raft has written something under this node id, once it has.
async fn mark_begun(node: Node, log: Weak<zonecast_kv_store::RaftLog>, data_dir: PathBuf) {
    while let Some(log) = log.upgrade() {
        if has_log(&log) {
            let begun = Node { stage: Stage::Began, ..node };
            if let Err(error) = tokio::task::block_in_place(|| begun.write(&data_dir)) {
                tracing::warn!(%error, "it is not noted that this node has begun");
            }
            return;
        }
        drop(log);
        tokio::time::sleep(MARK_EVERY).await;
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Core at {}", self.position())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use bytes::Bytes;
    use zonecast_kv_proto::{FEATURE_LEVEL, Key, KeyspaceId, Op, Section, SectionId, Value, ViewError};
    use zonecast_kv_store::StoreError;

    use super::*;
    use crate::entry::decode_log_id;
    use crate::join::{JoinAnswer, JoinRequest};
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
            cluster: None,
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

    /// The last entry of the log that is applied.
    fn entries(core: &Core) -> u64 {
        decode_log_id(core.inner.voter.state.applied().unwrap()).unwrap().index
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_changes_at_a_time_take_few_entries_and_one_alone_takes_one() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start(config(folder.path(), usize::MAX)).await.unwrap();
        let before = entries(&core);
        for number in 0..10 {
            assert!(matches!(write(&core, number).await, Some(Outcome::Committed { .. })));
        }
        let alone = entries(&core);
        assert_eq!(alone - before, 10);
        write_together(&core, 1000, 1).await;
        let together = entries(&core) - alone;
        assert!(together < 300, "{together} entries");
        assert_eq!(core.position().version.get(), 1010);
        core.shutdown().await.unwrap();
    }

    /// Writers at a time, and writes of each.
    async fn write_together(core: &Core, writers: u64, each: u64) {
        let writing: Vec<_> = (0..writers)
            .map(|writer| {
                let core = core.clone();
                tokio::spawn(async move {
                    for number in 0..each {
                        let outcome = write(&core, writer * each + number).await;
                        assert!(matches!(outcome, Some(Outcome::Committed { .. })), "{outcome:?}");
                    }
                })
            })
            .collect();
        for writer in writing {
            writer.await.unwrap();
        }
    }

    fn put_in_place(folder: &Path, from: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).unwrap();
        for entry in from.read_dir().unwrap() {
            let entry = entry.unwrap();
            let to = folder.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => put_in_place(&to, &entry.path()),
                false => drop(std::fs::copy(entry.path(), to).unwrap()),
            }
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
        // A learner of one voter applies what that one has committed, before its own disk has it.
        let own = Node::read(&data).unwrap().unwrap();
        Node { id: own.id + 6, stage: Stage::Began }.write(&data).unwrap();
        let options = StateOptions { raft_log_bytes: 20_000, ..StateOptions::default() };
        let metrics = StoreMetrics::register(&Registry::new()).unwrap();
        drop(open(data.clone(), options, metrics).await.unwrap());
        own.write(&data).unwrap();
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
    async fn who_was_killed_between_installing_a_state_and_giving_up_its_log_starts() {
        let folder = tempfile::tempdir().unwrap();
        let [leader, learner] = ["leader", "learner"].map(|name| folder.path().join(name));
        let head = write_and_stop(&leader, usize::MAX, 10).await;
        // The state of a cluster with one voter, at another node that has no log.
        put_in_place(&learner.join(STATE), &leader.join(STATE));
        Node { id: 7, stage: Stage::Admitted }.write(&learner).unwrap();
        let core = Core::start(config(&learner, usize::MAX)).await.unwrap();
        assert_eq!(core.head(), head);
        core.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_release_more_than_one_feature_level_apart_is_not_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::start(config(folder.path(), usize::MAX)).await.unwrap();
        assert_eq!(core.head().level, FEATURE_LEVEL, "nobody else has to be asked");
        let join = |level| {
            let request = JoinRequest { level, address: "192.0.2.9:8054".into() };
            core.inner.voter.members.join("core-9", &request)
        };
        for level in [0, FEATURE_LEVEL - 1, FEATURE_LEVEL + 2, u32::MAX] {
            let answer = join(level);
            let why = format!("has feature level {level}, and the cluster has agreed on {FEATURE_LEVEL}");
            assert!(matches!(&answer, JoinAnswer::Refused(said) if said.contains(&why)), "{answer:?}");
            assert!(core.inner.voter.members.candidates().is_empty());
        }
        for level in [FEATURE_LEVEL, FEATURE_LEVEL + 1] {
            assert_eq!(join(level), JoinAnswer::Wait);
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
