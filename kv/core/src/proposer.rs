//! The one thread on which the changes of a lead are built and proposed: what gives them their order.
//!
//! ```text
//! change ─▶ jobs ─▶ build over (applied state + pipeline) ─▶ stage ─▶ openraft ─▶ answer ─▶ Flight ─▶ Pending
//! bulk ───▶ jobs ─▶ waiting, a few at a time ──────────────▶ stage ─┘
//! ```
//! [`Turns`] says what is done when; this is the thread that does it. Building reads the disk and takes as long as it
//! takes, so it has a thread of its own instead of holding up async ones; being one thread it needs no lock over what is
//! in flight.
//!
//! # Failure
//! When a proposal fails (refused, or lost with the lead), what was built on it fails too. Nothing new is staged until
//! all of it has landed; then building begins anew on the applied state. If something does not land for long, changes are
//! told to come again, instead of waiting with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::sync::{mpsc, oneshot};
use zonecast_kv_proto::{Batch, Command, Edition, EncodedBatch, SectionId, Verdict, View, ViewError};

use crate::environment::{Environment, State as _};
use crate::flight::{Flight, OVERHEAD, Room};
use crate::lead::LeadTerm;
use crate::metrics::CoreMetrics;
use crate::outcome::{ChangeError, Outcome, Pending, ProposeError};
use crate::state_machine::Raft;
use crate::turns::{Action, Input, NotProposed, Seen, Turns};
use crate::types::{Proposal, Responder, TypeConfig};

/// Requests that may wait to be built; more wait where they come from.
pub(crate) const MAX_JOBS: usize = 4096;
/// How long changes wait for what is on its way to land once something has failed: much longer than a slow disk takes.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Reads the edition of a section as it will be when everything in flight is applied.
pub type Editions<'a> = dyn Fn(SectionId) -> Result<Edition, ViewError> + 'a;

/// What the proposer is asked to do.
pub(crate) type Job<E> = crate::turns::Job<Change<E>, Bulk<E>>;

/// What a change has made of it: a staged proposal that is to be sent, or nothing.
pub(crate) type ToSend<E> = Option<Box<Staged<E>>>;

/// Builds a change, or takes the reason why it is not.
pub(crate) type Change<E> = Box<dyn FnOnce(Result<&mut Proposer<E>, ProposeError>) -> ToSend<E> + Send>;

/// A chunk of bulk that waits for its turn.
pub(crate) struct Bulk<E: Environment> {
    pub(crate) batch: EncodedBatch,
    pub(crate) room: Room<E>,
    pub(crate) arrived: Instant,
    pub(crate) tell: oneshot::Sender<Outcome>,
}

/// A proposal that is staged.
pub(crate) struct Staged<E: Environment> {
    batch: EncodedBatch,
    ticket: u64,
    room: Room<E>,
    is_bulk: bool,
    arrived: Instant,
    tell: oneshot::Sender<Outcome>,
}

/// Builds and proposes, one thing after another.
pub(crate) struct Proposer<E: Environment> {
    environment: E,
    raft: Raft<E>,
    state: E::State,
    term: LeadTerm,
    flight: Arc<Flight<E>>,
    metrics: CoreMetrics,
    /// To be woken by a landing chunk. Weak: the proposer ends when nobody else can ask it anything.
    jobs: mpsc::WeakSender<Job<E>>,
    turns: Turns<Change<E>, Bulk<E>>,
    /// The applied state under the pipeline: has all that the pipeline has forgotten.
    applied: Option<<E::State as crate::environment::State>::View>,
}

/// What a proposer is made of.
pub(crate) struct Tools<E: Environment> {
    pub(crate) environment: E,
    pub(crate) raft: Raft<E>,
    pub(crate) state: E::State,
    pub(crate) term: LeadTerm,
    pub(crate) flight: Arc<Flight<E>>,
    pub(crate) metrics: CoreMetrics,
}

impl<E: Environment> Proposer<E> {
    pub(crate) fn new(tools: Tools<E>, jobs: mpsc::WeakSender<Job<E>>) -> Self {
        let Tools { environment, raft, state, term, flight, metrics } = tools;
        Self { environment, raft, state, term, flight, metrics, jobs, turns: Turns::default(), applied: None }
    }

    /// Works until nobody can ask for anything any more.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Job<E>>) {
        loop {
            let seen = || Seen { counts: self.flight.counts(), has_ended: self.term.is_over() };
            let action = self.turns.poll_action(seen);
            let came = match action {
                Action::Wait => match jobs.recv().await {
                    Some(job) => Some(Input::Job(job)),
                    None => return,
                },
                Action::Take => Some(jobs.try_recv().map_or(Input::NoJob, Input::Job)),
                Action::Drain => Some(Input::Drained(self.flight.drain(DRAIN_WITHIN).await)),
                Action::Renew => {
                    self.applied = None;
                    None
                }
                Action::Build(change) => {
                    if let Some(staged) = change(Ok(&mut self)) {
                        self.send(*staged).await;
                    }
                    None
                }
                Action::Refuse(change, why) => {
                    change(Err(self.refused(why)));
                    None
                }
                Action::Stage(bulk) => {
                    if let Some(staged) = self.stage(bulk) {
                        self.send(staged).await;
                    }
                    None
                }
            };
            if let Some(came) = came {
                self.turns.handle(came);
            }
        }
    }

    /// Builds a change over everything in flight and stages it.
    pub(crate) fn change<T, F>(
        &mut self,
        arrived: Instant,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, T), F>,
    ) -> Result<Built<E, T>, ChangeError<F>> {
        let (built, applied) = self.look(build)?;
        let (mut batch, extra) = built.map_err(ChangeError::Build)?;
        let staged = self.stage_change(&mut batch, &applied, arrived);
        self.applied = Some(applied);
        let (staged, pending) = staged?;
        Ok(Built { extra, pending, to_send: Some(Box::new(staged)) })
    }

    /// Shows the state with everything in flight laid over it, but for what bulk writes.
    pub(crate) fn ahead<T, F>(&mut self, read: impl FnOnce(&dyn View) -> Result<T, F>) -> Result<T, ChangeError<F>> {
        let (read, applied) = self.look(|view, _| read(view))?;
        self.applied = Some(applied);
        read.map_err(ChangeError::Build)
    }

    fn look<R>(&mut self, look: impl FnOnce(&dyn View, &Editions<'_>) -> R) -> Result<(R, ViewOf<E>), ProposeError> {
        let applied = self.applied();
        let over = self.turns.pipeline.over(&applied);
        let editions = |section| self.turns.pipeline.edition(section, |id| E::State::edition(&applied, id));
        let Ok(seen) = catch_unwind(AssertUnwindSafe(|| look(&over, &editions))) else {
            tracing::error!("a change was dropped because building it panicked: this is a bug");
            return Err(ProposeError::Stopped);
        };
        Ok((seen, applied))
    }

    fn stage_change(
        &mut self,
        batch: &mut Batch,
        applied: &ViewOf<E>,
        arrived: Instant,
    ) -> Result<(Staged<E>, Pending), ProposeError> {
        if self.turns.pipeline.closed(batch).is_some() {
            return Err(self.busy());
        }
        let mut encoded = batch.encode()?;
        let bytes = encoded.len() + OVERHEAD;
        let Some(room) = self.flight.take(bytes) else {
            return Err(self.busy());
        };
        let ticket = self.turns.pipeline.stage(batch, |id| E::State::edition(applied, id))?;
        encoded.preconditions.clone_from(&batch.preconditions);
        let (tell, pending) = Pending::new(self.term.given_up());
        Ok((Staged { batch: encoded, ticket, room, is_bulk: false, arrived, tell }, pending))
    }

    fn refused(&self, why: NotProposed) -> ProposeError {
        match why {
            NotProposed::Busy => self.busy(),
            NotProposed::Ended => ProposeError::NotLeader { leader: None },
        }
    }

    fn busy(&self) -> ProposeError {
        self.metrics.proposals.with_label_values(&["busy"]).inc();
        ProposeError::Busy
    }

    /// Takes a chunk of bulk in.
    fn stage(&mut self, bulk: Bulk<E>) -> Option<Staged<E>> {
        let applied = self.applied();
        let staged = self.turns.pipeline.stage_bulk(&bulk.batch, |id| E::State::edition(&applied, id));
        self.applied = Some(applied);
        let Bulk { batch, room, arrived, tell } = bulk;
        match staged {
            Ok(Ok(ticket)) => return Some(Staged { batch, ticket, room, is_bulk: true, arrived, tell }),
            Ok(Err(refusal)) => {
                drop(room);
                self.metrics.proposals.with_label_values(&["refused"]).inc();
                // Nobody may be waiting for it.
                let _ = tell.send(Outcome::Refused(refusal));
            }
            Err(error) => {
                tracing::error!(%error, "bulk was dropped because the state cannot be read");
            }
        }
        None
    }

    fn applied(&mut self) -> ViewOf<E> {
        self.applied.take().unwrap_or_else(|| self.state.view())
    }

    /// Hands a staged batch to raft, for this term only. It lands whatever happens to it.
    async fn send(&mut self, staged: Staged<E>) {
        let Staged { batch, ticket, room, is_bulk, arrived, tell } = staged;
        let proposal = Proposal(Command::Batch { time_us: self.environment.now_us(), batch }.to_bytes());
        let (flight, metrics, jobs) = (Arc::clone(&self.flight), self.metrics.clone(), self.jobs.clone());
        let flown = room.start(ticket, is_bulk);
        let responder = Responder::new(move |result: Option<ClientWriteResult<TypeConfig<E>>>| {
            let outcome = outcome(result);
            let is_committed = matches!(outcome, Outcome::Committed { .. });
            flown.land(is_committed);
            metrics.proposals.with_label_values(&[label(&outcome)]).inc();
            if is_committed {
                metrics.commit_seconds.observe(arrived.elapsed().as_secs_f64());
            }
            // Nobody may be waiting for it.
            let _ = tell.send(outcome);
            let counts = flight.counts();
            let has_drained = counts.has_failed && counts.staged == 0;
            if (is_bulk || has_drained)
                && let Some(jobs) = jobs.upgrade()
            {
                // A full queue wakes the proposer too.
                let _ = jobs.try_send(Job::<E>::Landed);
            }
        });
        let write = self.raft.write(proposal).responder(responder).with_leader(self.term.leader_id());
        if let Err(error) = write.await {
            tracing::warn!(%error, "a proposal was not taken: raft has stopped");
        }
    }
}

/// A change that is built and staged.
pub(crate) struct Built<E: Environment, T> {
    /// What its builder wants to say of it.
    pub(crate) extra: T,
    pub(crate) pending: Pending,
    pub(crate) to_send: ToSend<E>,
}

type ViewOf<E> = <<E as Environment>::State as crate::environment::State>::View;

fn outcome<E: Environment>(result: Option<ClientWriteResult<TypeConfig<E>>>) -> Outcome {
    match result {
        Some(Ok(response)) => match response.data {
            Verdict::Committed { revision, version, time_us } => Outcome::Committed { revision, version, time_us },
            Verdict::Refused(refusal) => Outcome::Refused(refusal),
            Verdict::Done | Verdict::Allocated(_) => Outcome::Unknown,
        },
        Some(Err(ClientWriteError::ForwardToLeader(forward))) => Outcome::NotLeader { leader: forward.leader_node },
        Some(Err(_)) | None => Outcome::Unknown,
    }
}

fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Committed { .. } => "committed",
        Outcome::Refused(_) => "refused",
        Outcome::NotLeader { .. } | Outcome::Unknown => "unknown",
    }
}
