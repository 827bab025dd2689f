//! What only a leader has, for one term: the proposer with its pipeline, and the count of what is on its way.
//!
//! ```text
//! raft leads ─▶ everything of earlier terms is applied ─▶ Lead ─▶ lost, or no majority for long ─▶ nothing
//! ```
//! # Invariants
//! - A lead begins when all that earlier leaders committed is applied here, so what it builds on is complete.
//! - What it proposes is taken in its own term only, however late it comes.
//! - Nothing of it waits for ever: when it is over, queued changes are refused, and what is on its way and does not land
//!   soon is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use openraft::async_runtime::Select2;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::{AsyncRuntime, Instant as _, RaftMetrics, ServerState};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock_watch::Clock;
use crate::environment::Environment;
use crate::flight::Flight;
use crate::metrics::CoreMetrics;
use crate::outcome::GivenUp;
use crate::proposer::{Job, MAX_JOBS, Proposer, Tools};
use crate::state_machine::Raft;
use crate::types::TypeConfig;

/// How long what was on its way when the lead was lost may still land: the next leader is elected and has committed by
/// then, if there is a majority.
const LAND_WITHIN: Duration = Duration::from_secs(5);
/// A leader that no majority has answered for so long has nothing to give: whoever waits is told, and another may lead.
/// Longer than an election takes, and than a machine that is short of processors keeps a process waiting.
const QUORUM_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether a majority answers.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A term that this voter leads. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct LeadTerm {
    leader_id: LeaderId<u64, u64>,
    is_over: Arc<AtomicBool>,
    given_up: GivenUp,
}

impl LeadTerm {
    fn new(leader_id: LeaderId<u64, u64>) -> (oneshot::Sender<()>, Self) {
        let (give_up, given_up) = oneshot::channel();
        (give_up, Self { leader_id, is_over: Arc::default(), given_up: given_up.shared() })
    }

    pub(crate) fn leader_id(&self) -> LeaderId<u64, u64> {
        self.leader_id
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub(crate) fn given_up(&self) -> GivenUp {
        self.given_up.clone()
    }
}

/// See the module.
pub(crate) struct Lead<E: Environment> {
    pub(crate) term: LeadTerm,
    pub(crate) jobs: mpsc::Sender<Job<E>>,
    pub(crate) flight: Arc<Flight<E>>,
}

/// The present lead, if this voter has one.
pub(crate) type PresentLead<E> = Option<Arc<Lead<E>>>;

/// What leads are made of.
pub(crate) struct LeadTools<E: Environment> {
    pub(crate) environment: E,
    pub(crate) clock: Clock<E>,
    pub(crate) raft: Raft<E>,
    pub(crate) state: E::State,
    pub(crate) metrics: CoreMetrics,
    /// Told when the thread of a proposer has panicked.
    pub(crate) panicked: watch::Sender<bool>,
    /// Whether everything that this voter may have acknowledged is applied here: while it leads, and after raft has
    /// stopped under a lead.
    pub(crate) is_complete: Arc<AtomicBool>,
}

/// A lead that has begun, from the side of whoever ends it.
struct Begun<E: Environment> {
    lead: Arc<Lead<E>>,
    give_up: oneshot::Sender<()>,
}

/// Begins and ends leads as raft does, until raft stops. Those who ask find the present one in `present`.
pub(crate) async fn keep_lead<E: Environment>(tools: LeadTools<E>, present: watch::Sender<PresentLead<E>>) {
    let mut metrics = tools.raft.metrics();
    let mut begun: Option<Begun<E>> = None;
    let mut has_stopped = false;
    loop {
        let leads = {
            let seen = metrics.borrow_watched();
            has_stopped |= seen.running_state.is_err();
            leads(&seen)
        };
        if begun.as_ref().map(|begun| begun.lead.term.leader_id) != leads || has_stopped {
            if let Some(ended) = begun.take() {
                present.send_replace(None);
                tools.is_complete.store(has_stopped, Ordering::Release);
                end::<E>(ended);
            }
            if let Some(leader_id) = leads.filter(|_| !has_stopped) {
                begun = begin(&tools, leader_id);
                tools.is_complete.store(begun.is_some(), Ordering::Release);
                present.send_replace(begun.as_ref().map(|begun| Arc::clone(&begun.lead)));
            }
        }
        if has_stopped || present.is_closed() {
            return;
        }
        // The metrics change with every commit; a look a second, and at each change of the lead, is enough.
        let raft_changes =
            async { if begun.is_some() { change_of_lead(&tools.raft).await } else { metrics.changed().await.is_ok() } };
        has_stopped = match E::Runtime::select2(raft_changes, present.closed()).await {
            Select2::First(is_there) => !is_there,
            Select2::Second(()) => true,
        };
    }
}

/// Waits for a change of who leads, but not for long. Says whether raft is still there.
async fn change_of_lead<E: Environment>(raft: &Raft<E>) -> bool {
    let mut server = raft.server_metrics();
    let was = { server.borrow_watched().clone() };
    let changed = async {
        while server.changed().await.is_ok() {
            let now = server.borrow_watched();
            if (now.state, now.vote) != (was.state, was.vote) {
                return true;
            }
        }
        false
    };
    E::Runtime::timeout(LOOK_EVERY, changed).await.unwrap_or(true)
}

/// The lead that this voter has: its own first entry is applied, and with it everything before; a majority answers.
fn leads<E: Environment>(metrics: &RaftMetrics<TypeConfig<E>>) -> Option<LeaderId<u64, u64>> {
    let leader_id = LeaderId { term: metrics.current_term, node_id: metrics.id };
    let is_leader = metrics.state == ServerState::Leader && metrics.vote.leader_id == leader_id;
    let is_complete = metrics.last_applied.is_some_and(|applied| applied.leader_id == leader_id);
    let is_alone = metrics.membership_config.voter_ids().nth(1).is_none();
    let has_quorum = is_alone || metrics.last_quorum_acked.as_ref().is_none_or(|acked| acked.elapsed() < QUORUM_WITHIN);
    (is_leader && is_complete && has_quorum).then_some(leader_id)
}

fn begin<E: Environment>(tools: &LeadTools<E>, leader_id: LeaderId<u64, u64>) -> Option<Begun<E>> {
    let (give_up, term) = LeadTerm::new(leader_id);
    let flight = Arc::new(Flight::new(tools.metrics.clone()));
    let (jobs, queue) = mpsc::channel(MAX_JOBS);
    let proposer = Proposer::new(
        Tools {
            clock: tools.clock.clone(),
            raft: tools.raft.clone(),
            state: tools.state.clone(),
            term: term.clone(),
            flight: Arc::clone(&flight),
            metrics: tools.metrics.clone(),
        },
        jobs.downgrade(),
    );
    let ended = match tools.environment.apart("proposer", proposer.run(queue)) {
        Ok(ended) => ended,
        Err(error) => {
            tracing::error!(%error, "this voter leads and cannot take changes: there is no thread for them");
            return None;
        }
    };
    let panicked = tools.panicked.clone();
    drop(E::Runtime::spawn(async move {
        if !ended.await {
            panicked.send_replace(true);
        }
    }));
    tracing::info!(term = leader_id.term, "this core leads");
    Some(Begun { lead: Arc::new(Lead { term, jobs, flight }), give_up })
}

fn end<E: Environment>(Begun { lead, give_up }: Begun<E>) {
    lead.term.is_over.store(true, Ordering::Release);
    tracing::info!(term = lead.term.leader_id.term, "this core does not lead any more");
    drop(E::Runtime::spawn(async move {
        E::Runtime::sleep(LAND_WITHIN).await;
        // Whoever waits still is told.
        let _ = give_up.send(());
    }));
}
