//! One voter over any surroundings: its raft, its lead, and what can be asked of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime, Config, ServerState, SnapshotPolicy};
use tokio::sync::{Notify, oneshot, watch};
use zonecast_kv_proto::{Batch, Command, FEATURE_LEVEL, Idempotency, Note, Once, StoreId, Verdict, View};

use crate::clock_watch::{Clock, ClockWatch};
use crate::core_error::CoreError;
use crate::disk_watch::{Applying, DiskWatch};
use crate::environment::{Environment, State as _};
use crate::flight::OVERHEAD;
use crate::join::anyone;
use crate::lead::{Lead, LeadTools, PresentLead, keep_lead};
use crate::level_watch::LevelWatch;
use crate::loan::Loan;
use crate::log_store::LogStore;
use crate::marks::Marks;
use crate::member::Member;
use crate::members::{Members, member};
use crate::message::{ANYBODY, Answer, Call};
use crate::metrics::CoreMetrics;
use crate::network::{Network, Running};
use crate::outcome::{ChangeError, Pending, ProposeError, ReadError};
use crate::patience::Patience;
use crate::proposer::{Built, Bulk, Editions, Job, Proposer};
use crate::reads::Reads;
use crate::removal::ask_whether_removed;
use crate::server::{Server, ServerParts};
use crate::snapshots::{Incoming, Outgoing};
use crate::state_machine::{AppliedSink, PurgeAfter, Raft, StateMachine};
use crate::types::{Proposal, StoredMembership};

/// Milliseconds between heartbeats. They do not touch a disk, so a slow one does not look like a dead leader.
const HEARTBEAT: u64 = 100;
/// Milliseconds. A voter that hears nothing waits for the longer one, the lease of the leader, and then for a time between
/// the two, before it asks for votes: a leader that is gone is followed within 1.3 s, and one whose machine
/// stands still for a second stays.
const ELECTION: Range<u64> = 350..650;
/// Milliseconds after which a leader that hears from no majority stops its heartbeats, so that those whom it still
/// reaches elect one that does. More than its lease and an election. Without it five voters of which a cut leaves the
/// leader with one, who reaches the others, never elect (openraft #2080).
const QUORUM_LOST_AFTER: u64 = 2000;
/// Milliseconds for a snapshot of the state to arrive: it ends when it makes no progress, not by this.
const SNAPSHOT_WITHIN: u64 = 24 * 60 * 60 * 1000;
/// Entries of the log in one message to a follower.
const ENTRIES_PER_MESSAGE: u64 = 1024;
/// Longest wait for the lead: many times the election timeout, but applying what a crash left behind counts in.
const LEAD_WITHIN: Duration = Duration::from_secs(120);
/// Between two tries to tell the leader a new address.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
/// How long a planned stop waits for another voter to take the lead.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(2);
/// Between two tries of a read for which there is no leader.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What a voter is made of.
pub(crate) struct VoterParts<E: Environment> {
    pub(crate) id: u64,
    pub(crate) environment: E,
    pub(crate) log: Arc<E::Log>,
    pub(crate) state: E::State,
    pub(crate) network: Network<E>,
    pub(crate) sink: Arc<dyn AppliedSink>,
    pub(crate) metrics: CoreMetrics,
    /// Bytes of the log that are applied before some of it is given up.
    pub(crate) raft_log_bytes: usize,
    /// Addresses of the cluster, for one that knows no member yet.
    pub(crate) join: Vec<String>,
    pub(crate) patience: Patience,
}

/// See the module.
pub(crate) struct Voter<E: Environment> {
    pub(crate) raft: Raft<E>,
    pub(crate) state: E::State,
    pub(crate) log: Arc<E::Log>,
    /// Ends at shutdown, because it says that the stores are in use.
    pub(crate) loan: Arc<Loan<E>>,
    pub(crate) network: Network<E>,
    pub(crate) members: Arc<Members<E>>,
    pub(crate) server: Arc<Server<E>>,
    reads: Reads,
    /// Addresses of the cluster, as an operator has given them.
    join: Vec<String>,
    pub(crate) patience: Patience,
    lead: watch::Receiver<PresentLead<E>>,
    /// Everything that this voter may have acknowledged is applied here.
    is_complete: Arc<AtomicBool>,
    pub(crate) metrics: CoreMetrics,
    /// The proposer's thread has.
    panicked: watch::Sender<bool>,
    /// The disk does.
    hangs: watch::Sender<bool>,
    /// Dropped, nothing is proposed any more.
    stopping: watch::Sender<bool>,
}

impl<E: Environment> Voter<E> {
    /// Starts raft on what the databases hold. It elects and follows by itself from here on.
    pub(crate) fn start(parts: VoterParts<E>) -> BoxFuture<'static, Result<Self, CoreError>> {
        async move {
            let VoterParts { id, environment, log, state, network, sink, metrics, raft_log_bytes, join, patience } =
                parts;
            let purge = Arc::new(Notify::new());
            let purge_after = PurgeAfter { bytes: raft_log_bytes, purge: Arc::clone(&purge) };
            let machine = StateMachine::new(environment.clone(), Arc::clone(&log), state.clone(), sink, purge_after);
            let applying = machine.applying();
            let store = LogStore::new(environment.clone(), Arc::clone(&log), state.clone());
            let raft = Raft::new(id, raft_config()?, network.clone(), store, machine).await.map_err(failed)?;
            let loan = Arc::new(Loan::new(environment.clone()));
            network.follow(Running { seen: raft.metrics(), loan: Arc::clone(&loan), metrics: metrics.clone() });
            let (panicked, is_complete) = (watch::Sender::new(false), Arc::new(AtomicBool::new(false)));
            let clock = Clock::new(environment.clone(), raft.metrics());
            let tools = LeadTools {
                environment: environment.clone(),
                clock: clock.clone(),
                raft: raft.clone(),
                state: state.clone(),
                metrics: metrics.clone(),
                panicked: panicked.clone(),
                is_complete: Arc::clone(&is_complete),
            };
            let lead = leads(tools);
            let stopping = watch::Sender::new(false);
            drop(E::Runtime::spawn(give_up_log(raft.clone(), network.outgoing().clone(), purge, stopping.subscribe())));
            let members = Arc::new(Members::new(raft.clone(), state.clone()));
            mind_membership(&members, ask_whether_removed(raft.clone(), network.clone(), join.clone()), &stopping);
            let hangs = watch::Sender::new(false);
            let watched = Watched { raft: &raft, log: &log, network: &network, members: &members, metrics: &metrics };
            watched.watch(applying, hangs.clone(), patience, clock, &stopping);
            let level = LevelWatch {
                raft: raft.clone(),
                state: state.clone(),
                network: network.clone(),
                members: Arc::clone(&members),
            };
            drop(E::Runtime::spawn(until_stopping::<E>(level.watch(), stopping.subscribe())));
            let reads = confirm_reads(&raft, &network, &stopping);
            let (its_loan, stops) = (Arc::clone(&loan), stopping.subscribe());
            let snapshots = Incoming::new(raft.clone(), state.clone(), its_loan, metrics.clone(), stops);
            let snapshots = forget_parts(snapshots, &stopping);
            let server = Arc::new(Server::new(ServerParts {
                reads: reads.clone(),
                raft: raft.clone(),
                state: state.clone(),
                network: network.clone(),
                members: Arc::clone(&members),
                loan: Arc::clone(&loan),
                snapshots,
            }));
            Ok(Self {
                raft,
                state,
                log,
                loan,
                network,
                members,
                server,
                reads,
                join,
                patience,
                lead,
                is_complete,
                metrics,
                panicked,
                hangs,
                stopping,
            })
        }
        .boxed()
    }

    /// Founds a cluster with this voter as its only one, at its first start; later elects itself at once, if it is
    /// alone. Returns when everything in the log is applied.
    pub(crate) fn lead_alone(&self, me: Member) -> BoxFuture<'_, Result<(), CoreError>> {
        async move {
            let id = *self.raft.node_id();
            if !self.raft.is_initialized().await.map_err(failed)? {
                self.raft.initialize(BTreeMap::from([(id, me)])).await.map_err(failed)?;
            } else if !self.raft.is_leader() {
                self.raft.trigger().elect(false).await.map_err(failed)?;
            }
            self.raft
                .wait(Some(LEAD_WITHIN))
                .state(ServerState::Leader, "the only voter leads")
                .await
                .map_err(failed)?;
            self.raft.write_blank().await.map_err(failed)?;
            self.found().await?;
            self.raise_level_alone().await?;
            let mut lead = self.lead.clone();
            let has_lead = async { lead.wait_for(Option::is_some).await.map(drop) };
            match E::Runtime::timeout(LEAD_WITHIN, has_lead).await {
                Ok(Ok(())) => Ok(()),
                _ => Err(CoreError::Raft("the only voter did not take the lead".into())),
            }
        }
        .boxed()
    }

    /// Whether this voter is the only one. Right after a start, before raft has said who is in the cluster, it is not
    /// known, and nobody may take it for so.
    pub(crate) fn is_alone(&self) -> bool {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        seen.membership_config.voter_ids().eq([seen.id])
    }

    /// What the log says of who is in the cluster, committed or not. The metrics of raft do not know it right after a
    /// start.
    pub(crate) async fn effective_membership(&self) -> Result<StoredMembership, CoreError> {
        let effective = self.raft.with_raft_state(|state| (**state.membership_state.effective()).clone()).await;
        effective.map_err(failed)
    }

    /// Tells the leader where this voter is reached, if that is not what the membership says. Ends when it is committed,
    /// or with raft. The leader may not reach this voter, nor be reached, so everybody is told, and tells the leader. Others
    /// may have moved, too; whoever is at the addresses of `join` is told as well.
    pub(crate) fn announce(&self, me: Member) -> impl Future<Output = ()> + Send + 'static + use<E> {
        let (raft, network) = (self.raft.clone(), self.network.clone());
        let (members, mut stopping) = (Arc::clone(&self.members), self.stopping.subscribe());
        let join = self.join.clone();
        async move {
            let stops = async { drop(stopping.wait_for(|stopping| *stopping).await) };
            let announces = async {
                loop {
                    E::Runtime::sleep(ANNOUNCE_EVERY).await;
                    let (own, known) = {
                        let metrics = raft.metrics();
                        let seen = metrics.borrow_watched();
                        let known = seen.committed_membership_config.membership().nodes();
                        (seen.id, known.map(|(id, member)| (*id, member.clone())).collect::<BTreeMap<_, _>>())
                    };
                    // One without the entry that has admitted it is told nothing by those who do not reach it.
                    match known.get(&own) {
                        Some(known) if *known == me => return,
                        _ => {
                            let asked = anyone(&join).into_iter().map(|member| (ANYBODY, member));
                            tell_all(&network, &members, known.into_iter().chain(asked), own, &me).await;
                        }
                    }
                }
            };
            E::Runtime::select2(announces, stops).await;
        }
    }

    /// Gives the store its identity, if it has none.
    async fn found(&self) -> Result<(), CoreError> {
        if self.state.head().is_founded() {
            return Ok(());
        }
        let store = StoreId::new(random()?);
        self.raft.client_write(Proposal(Command::Found { store }.to_bytes())).await.map_err(failed)?;
        Ok(())
    }

    /// Raises the feature level to that of this release: there is nobody else to ask.
    async fn raise_level_alone(&self) -> Result<(), CoreError> {
        if self.state.head().level < FEATURE_LEVEL {
            let raise = Command::RaiseLevel { level: FEATURE_LEVEL.into() };
            self.raft.client_write(Proposal(raise.to_bytes())).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Who leads, as far as is known here.
    pub(crate) fn leader(&self) -> Option<Member> {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        member(&seen, seen.current_leader?)
    }

    /// Whether raft has ended.
    pub(crate) fn has_stopped(&self) -> bool {
        self.raft.metrics().borrow_watched().running_state.is_err()
    }

    /// The same, if it is another voter.
    pub(crate) fn other_leader(&self) -> Option<Member> {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        let leader = seen.current_leader.filter(|leader| *leader != seen.id);
        member(&seen, leader?)
    }

    /// Whether this voter leads and takes changes.
    pub(crate) fn leads(&self) -> watch::Receiver<PresentLead<E>> {
        self.lead.clone()
    }

    /// Waits until everything is applied here that was committed anywhere when this was called: the leader asks a
    /// majority whether it still leads (ReadIndex, section 6.4 of the Raft dissertation).
    pub(crate) fn catch_up(&self, within: Duration) -> BoxFuture<'_, Result<(), ReadError>> {
        async move {
            // What nobody else can have committed is applied here before it is acknowledged. After a start it is not yet.
            if self.is_alone() && self.is_complete.load(Ordering::Acquire) {
                return Ok(());
            }
            let catching_up = async {
                loop {
                    match self.read_index(within).await {
                        Ok(index) => {
                            let applied = self.raft.wait(None).applied_index_at_least(Some(index), "a read").await;
                            return applied.map(drop).map_err(|error| ReadError::Unavailable(error.to_string()));
                        }
                        // An election is under way, perhaps.
                        Err(why) => {
                            tracing::debug!(%why, "a read is tried again");
                            E::Runtime::sleep(READ_AGAIN_AFTER).await;
                        }
                    }
                }
            };
            E::Runtime::timeout(within, catching_up).await.unwrap_or(Err(ReadError::Timeout(within)))
        }
        .boxed()
    }

    async fn read_index(&self, within: Duration) -> Result<u64, String> {
        let (own, leader) = {
            let metrics = self.raft.metrics();
            let seen = metrics.borrow_watched();
            let leader = seen.current_leader.and_then(|id| member(&seen, id).map(|member| (id, member)));
            (seen.id, leader)
        };
        match leader {
            None => Err("no leader is known".into()),
            Some((id, _)) if id == own => self.reads.index().await,
            Some((id, leader)) => match self.network.to(id, leader).call(&Call::ReadIndex, within).await {
                Ok(Answer::Index(index)) => Ok(index),
                Ok(_) => Err("the leader answered something else".into()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// See [`Core::change`](crate::Core::change).
    pub(crate) async fn change<T, F>(
        &self,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, T), F> + Send + 'static,
    ) -> Result<(T, Pending), ChangeError<F>>
    where
        T: Send + 'static,
        F: Send + 'static,
    {
        let arrived = Instant::now();
        self.build(move |proposer| proposer.change(arrived, build)).await
    }

    /// See [`Core::change_once`](crate::Core::change_once).
    pub(crate) async fn change_once<T, F>(
        &self,
        asked: Idempotency,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, Note, T), F> + Send + 'static,
    ) -> Result<(Option<T>, Pending), ChangeError<F>>
    where
        T: Send + 'static,
        F: Send + 'static,
    {
        let arrived = Instant::now();
        self.build(move |proposer| proposer.change_once(arrived, asked, build)).await
    }

    async fn build<T, F>(
        &self,
        build: impl FnOnce(&mut Proposer<E>) -> Result<Built<E, T>, ChangeError<F>> + Send + 'static,
    ) -> Result<(T, Pending), ChangeError<F>>
    where
        T: Send + 'static,
        F: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job = Job::<E>::Change(Box::new(move |proposer| {
            let built = proposer.map_err(ChangeError::from).and_then(build);
            let (answer, to_send) = match built {
                Ok(Built { extra, pending, to_send }) => (Ok((extra, pending)), to_send),
                Err(error) => (Err(error), None),
            };
            // The one who asked may have gone; the change is proposed all the same.
            let _ = tell.send(answer);
            to_send
        }));
        self.ask(job).await?;
        told.await.unwrap_or(Err(ProposeError::Lost.into()))
    }

    /// See [`Core::ahead`](crate::Core::ahead).
    pub(crate) async fn ahead<T, F>(
        &self,
        read: impl FnOnce(&dyn View) -> Result<T, F> + Send + 'static,
    ) -> Result<T, ChangeError<F>>
    where
        T: Send + 'static,
        F: Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job = Job::<E>::Change(Box::new(move |proposer| {
            // The one who asked may have gone.
            let _ = tell.send(proposer.map_err(ChangeError::from).and_then(|proposer| proposer.ahead(read)));
            None
        }));
        self.ask(job).await?;
        told.await.unwrap_or(Err(ProposeError::Stopped.into()))
    }

    /// See [`Core::propose`](crate::Core::propose).
    pub(crate) async fn propose(&self, batch: &Batch) -> Result<Pending, ProposeError> {
        let lead = self.lead()?;
        self.propose_in(&lead, batch, None).await
    }

    /// The same under this lead, and once, if it says so.
    pub(crate) async fn propose_in(
        &self,
        lead: &Lead<E>,
        batch: &Batch,
        once: Option<Once>,
    ) -> Result<Pending, ProposeError> {
        let arrived = Instant::now();
        let batch = batch.encode()?;
        let bytes = batch.len() + once.as_ref().map_or(0, |once| once.note.len()) + OVERHEAD;
        let Some(room) = lead.flight.take(bytes) else {
            self.metrics.proposals.with_label_values(&["busy"]).inc();
            return Err(ProposeError::Busy);
        };
        let (tell, pending) = Pending::new(lead.term.given_up());
        self.ask_lead(lead, Job::Bulk(Bulk { batch, once, room, arrived, tell })).await?;
        Ok(pending)
    }

    /// See [`Core::allocate`](crate::Core::allocate).
    pub(crate) async fn allocate(&self, count: u64) -> Result<Range<u64>, CoreError> {
        match self.command(&Command::Allocate { count }).await? {
            Verdict::Allocated(ids) => Ok(ids),
            Verdict::Refused(refusal) => Err(CoreError::Raft(refusal.to_string())),
            other => Err(CoreError::Raft(format!("an allocation was answered by {other:?}"))),
        }
    }

    /// See [`Core::limit_requests`](crate::Core::limit_requests).
    pub(crate) async fn limit_requests(&self, records: u64, bytes: u64) -> Result<(), CoreError> {
        match self.command(&Command::LimitRequests { records, bytes }).await? {
            Verdict::Done => Ok(()),
            other => Err(CoreError::Raft(format!("limits of requests were answered by {other:?}"))),
        }
    }

    async fn command(&self, command: &Command) -> Result<Verdict, CoreError> {
        self.lead()?;
        let verdicts = self.raft.client_write(Proposal(command.to_bytes())).await.map_err(failed)?.data;
        verdicts.into_iter().next().ok_or_else(|| failed("a command was answered by nothing"))
    }

    /// Waits until nothing can be committed here any more, and says why.
    pub(crate) fn stopped(&self) -> BoxFuture<'_, CoreError> {
        async move {
            let mut metrics = self.raft.metrics();
            let stopped = async {
                loop {
                    if let Err(fatal) = &metrics.borrow_watched().running_state {
                        return failed(fatal);
                    }
                    if metrics.changed().await.is_err() {
                        return CoreError::Raft("stopped".into());
                    }
                }
            };
            let ill = async {
                match E::Runtime::select2(is_told(&self.hangs).boxed(), is_told(&self.panicked).boxed()).await {
                    Select2::First(()) => CoreError::DiskHangs,
                    Select2::Second(()) => CoreError::Panicked,
                }
            };
            // Raft stops because the disk hangs, so that comes first.
            match E::Runtime::select2(ill.boxed(), stopped.boxed()).await {
                Select2::First(why) | Select2::Second(why) => why,
            }
        }
        .boxed()
    }

    /// Waits for the changes under way and stops raft. Says whether they all landed.
    pub(crate) fn shutdown(&self) -> BoxFuture<'_, Result<(), CoreError>> {
        async move {
            self.stopping.send_replace(true);
            let lead = self.lead.borrow().clone();
            let landed = match lead {
                Some(lead) => self.land(&lead).await,
                None => Ok(()),
            };
            if !self.is_alone() && self.leads().borrow().is_some() {
                // Otherwise the others elect one.
                if let Err(error) = self.members.hand_over_to_best(HAND_OVER_WITHIN).await {
                    tracing::info!(%error, "the lead was not handed over before this core stops; the others elect one");
                }
            }
            // It may wait for a disk that hangs.
            let within = self.patience.end_within;
            let stopped = E::Runtime::timeout(within, self.raft.shutdown()).await;
            stopped.map_err(|_| CoreError::Stuck(within))?.map_err(failed)?;
            self.loan.end();
            landed
        }
        .boxed()
    }

    /// Waits until what was asked of the lead so far is built, and has landed.
    async fn land(&self, lead: &Lead<E>) -> Result<(), CoreError> {
        let (tell, built) = oneshot::channel();
        let last = Job::<E>::Change(Box::new(move |_| {
            let _ = tell.send(());
            None
        }));
        let within = self.patience.end_within;
        let landing = async {
            if lead.jobs.send(last).await.is_err() || built.await.is_err() {
                return Err(CoreError::Panicked);
            }
            if lead.flight.drain(within).await { Ok(()) } else { Err(CoreError::Stuck(within)) }
        };
        E::Runtime::timeout(2 * within, landing).await.unwrap_or(Err(CoreError::Stuck(within)))
    }

    /// The present lead.
    pub(crate) fn lead(&self) -> Result<Arc<Lead<E>>, ProposeError> {
        if *self.stopping.borrow() || *self.hangs.borrow() {
            return Err(ProposeError::Stopped);
        }
        if let Some(lead) = &*self.lead.borrow() {
            return Ok(Arc::clone(lead));
        }
        if self.has_stopped() {
            return Err(ProposeError::Stopped);
        }
        Err(ProposeError::NotLeader { leader: self.other_leader() })
    }

    async fn ask(&self, job: Job<E>) -> Result<(), ProposeError> {
        let lead = self.lead()?;
        self.ask_lead(&lead, job).await
    }

    async fn ask_lead(&self, lead: &Lead<E>, job: Job<E>) -> Result<(), ProposeError> {
        lead.jobs.send(job).await.map_err(|_| ProposeError::Stopped)
    }
}

impl<E: Environment> Drop for Voter<E> {
    /// What is dropped without a shutdown leaves no task behind.
    fn drop(&mut self) {
        self.stopping.send_replace(true);
    }
}

impl<E: Environment> fmt::Debug for Voter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Voter at {}", self.state.head().position)
    }
}

fn raft_config() -> Result<Arc<Config>, CoreError> {
    let config = Config {
        cluster_name: "zonecast".into(),
        heartbeat_interval: HEARTBEAT,
        election_timeout_min: ELECTION.start,
        election_timeout_max: ELECTION.end,
        max_payload_entries: ENTRIES_PER_MESSAGE,
        install_snapshot_timeout: SNAPSHOT_WITHIN,
        quorum_loss_probe_interval: Some(QUORUM_LOST_AFTER),
        // A voter that was cut off asks first, so that it does not end a lead that works.
        enable_pre_vote: Some(true),
        // Its state may be behind what it acknowledged: it leads again when it is elected, not because it led.
        enable_leader_restore: Some(false),
        // Bytes decide what the log keeps, not entries; see `give_up_log`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        replication_lag_threshold: u64::MAX,
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(failed)
}

/// Random bits, not all of them 0.
pub(crate) fn random() -> Result<u128, CoreError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| CoreError::System(error.to_string()))?;
    Ok(u128::from_ne_bytes(bits).max(1))
}

/// Gives up what the log holds from before the last mark but one, so that a follower a moment behind needs no snapshot;
/// a leader keeps more for those who are further behind. The log store makes the state durable first.
async fn give_up_log<E: Environment>(
    raft: Raft<E>,
    outgoing: Outgoing,
    purge: Arc<Notify>,
    mut stopping: watch::Receiver<bool>,
) {
    let mut marks = Marks::new(applied(&raft));
    loop {
        let stops = async { drop(stopping.wait_for(|stopping| *stopping).await) };
        if matches!(E::Runtime::select2(purge.notified(), stops).await, Select2::Second(())) {
            return;
        }
        let upto = marks.pass(applied(&raft), slowest_follower(&raft), outgoing.any());
        // The state is its own snapshot: this only tells raft that what is applied is in it.
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
        if let Some(upto) = upto
            && raft.trigger().purge_log(upto).await.is_err()
        {
            return;
        }
    }
}

/// The index of the last applied entry.
fn applied<E: Environment>(raft: &Raft<E>) -> u64 {
    let metrics = raft.metrics();
    let applied = metrics.borrow_watched().last_applied;
    applied.map_or(0, |log_id| log_id.index)
}

/// Tells all members where this one is; the leader takes it.
async fn tell_all<E: Environment>(
    network: &Network<E>,
    members: &Members<E>,
    known: impl Iterator<Item = (u64, Member)> + Send,
    own: u64,
    me: &Member,
) {
    for (id, member) in known {
        if id == own {
            let _ = members.moved(own, me.clone()).await;
            continue;
        }
        let call = Call::Moved(own, me.clone());
        if let Err(error) = network.to(id, member.clone()).call(&call, ANNOUNCE_EVERY).await {
            tracing::debug!(core = %member, %error, "it was not told the address of this core");
        }
    }
}

/// Looks after the membership, and asks whether this voter is still in it, until it stops.
fn mind_membership<E: Environment>(
    members: &Arc<Members<E>>,
    asking: impl Future<Output = ()> + Send + 'static,
    stopping: &watch::Sender<bool>,
) {
    let members = Arc::clone(members);
    let looking_after = async move { members.look_after().await };
    drop(E::Runtime::spawn(until_stopping::<E>(looking_after, stopping.subscribe())));
    drop(E::Runtime::spawn(until_stopping::<E>(asking, stopping.subscribe())));
}

/// Begins and ends leads as raft does.
fn leads<E: Environment>(tools: LeadTools<E>) -> watch::Receiver<PresentLead<E>> {
    let present = watch::Sender::new(None);
    let lead = present.subscribe();
    drop(E::Runtime::spawn(keep_lead(tools, present)));
    lead
}

/// Confirms reads until the voter stops.
fn confirm_reads<E: Environment>(raft: &Raft<E>, network: &Network<E>, stopping: &watch::Sender<bool>) -> Reads {
    let (reads, confirming) = Reads::new(raft.clone(), network.clone());
    drop(E::Runtime::spawn(until_stopping::<E>(confirming, stopping.subscribe())));
    reads
}

/// Removes parts of snapshots that nobody needs, until the voter stops.
fn forget_parts<E: Environment>(snapshots: Incoming<E>, stopping: &watch::Sender<bool>) -> Arc<Incoming<E>> {
    let snapshots = Arc::new(snapshots);
    let forgetting = Arc::clone(&snapshots).forget_parts();
    drop(E::Runtime::spawn(until_stopping::<E>(forgetting, stopping.subscribe())));
    snapshots
}

/// Works until the voter stops.
async fn until_stopping<E: Environment>(work: impl Future<Output = ()> + Send, mut stopping: watch::Receiver<bool>) {
    let stops = async { drop(stopping.wait_for(|stopping| *stopping).await) };
    E::Runtime::select2(work, stops).await;
}

/// What the watches of a voter look at.
struct Watched<'v, E: Environment> {
    raft: &'v Raft<E>,
    log: &'v Arc<E::Log>,
    network: &'v Network<E>,
    members: &'v Arc<Members<E>>,
    metrics: &'v CoreMetrics,
}

impl<E: Environment> Watched<'_, E> {
    /// Watches the disk and the clock until the voter stops.
    fn watch(
        &self,
        applying: Applying<E>,
        hangs: watch::Sender<bool>,
        patience: Patience,
        clock: Clock<E>,
        stopping: &watch::Sender<bool>,
    ) {
        let Self { raft, log, network, members, metrics } = *self;
        let disk = DiskWatch {
            raft: raft.clone(),
            log: Arc::clone(log),
            applying,
            members: Arc::clone(members),
            metrics: metrics.clone(),
            patience,
            hangs,
        };
        let clock = ClockWatch {
            clock,
            raft: raft.clone(),
            network: network.clone(),
            members: Arc::clone(members),
            metrics: metrics.clone(),
        };
        drop(E::Runtime::spawn(until_stopping::<E>(disk.watch(), stopping.subscribe())));
        drop(E::Runtime::spawn(until_stopping::<E>(clock.watch(), stopping.subscribe())));
    }
}

/// Waits until somebody says yes.
async fn is_told(told: &watch::Sender<bool>) {
    let mut told = told.subscribe();
    if told.wait_for(|told| *told).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Up to where the follower that is furthest behind has the log, as far as this voter leads and knows.
fn slowest_follower<E: Environment>(raft: &Raft<E>) -> Option<u64> {
    let metrics = raft.metrics();
    let seen = metrics.borrow_watched();
    let replication = seen.replication.as_ref()?;
    let matched = replication.values().map(|matched| matched.as_ref().map_or(0, |log_id| log_id.index));
    matched.min()
}

pub(crate) fn failed(error: impl fmt::Display) -> CoreError {
    CoreError::Raft(error.to_string())
}
