//! The one thread on which the changes of a lead are built and proposed: what gives them their order.
//!
//! ```text
//! change ─▶ jobs ─▶ build over (applied state + pipeline) ─▶ stage ─▶ group ─▶ openraft ─▶ answer ─▶ Flight ─▶ Pending
//! bulk ───▶ jobs ─▶ waiting, a few at a time ──────────────▶ stage ────────────┘
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
use zonecast_kv_proto::{
    Batch, Commit, Edition, EncodedBatch, Idempotency, Note, Once, SectionId, SeenRequest, Verdict, View, ViewError,
};

use crate::clock_watch::Clock;
use crate::environment::{Environment, State as _};
use crate::flight::{Flight, Flown, OVERHEAD, Room};
use crate::lead::LeadTerm;
use crate::metrics::CoreMetrics;
use crate::open_group::OpenGroup;
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
    pub(crate) once: Option<Once>,
    pub(crate) room: Room<E>,
    pub(crate) arrived: Instant,
    pub(crate) tell: oneshot::Sender<Outcome>,
}

/// A proposal that is staged.
pub(crate) struct Staged<E: Environment> {
    commit: Commit,
    who: Waiting<E>,
}

/// Who waits for a staged proposal, and what is let go when it has its answer.
struct Waiting<E: Environment> {
    flown: Flown<E>,
    is_bulk: bool,
    arrived: Instant,
    tell: oneshot::Sender<Outcome>,
}

/// Builds and proposes, one thing after another.
pub(crate) struct Proposer<E: Environment> {
    clock: Clock<E>,
    raft: Raft<E>,
    state: E::State,
    term: LeadTerm,
    flight: Arc<Flight<E>>,
    metrics: CoreMetrics,
    /// To be woken by a landing chunk. Weak: the proposer ends when nobody else can ask it anything.
    jobs: mpsc::WeakSender<Job<E>>,
    turns: Turns<Change<E>, Bulk<E>>,
    open: OpenGroup<Waiting<E>>,
    /// The applied state under the pipeline: has all that the pipeline has forgotten.
    applied: Option<<E::State as crate::environment::State>::View>,
}

/// What a proposer is made of.
pub(crate) struct Tools<E: Environment> {
    pub(crate) clock: Clock<E>,
    pub(crate) raft: Raft<E>,
    pub(crate) state: E::State,
    pub(crate) term: LeadTerm,
    pub(crate) flight: Arc<Flight<E>>,
    pub(crate) metrics: CoreMetrics,
}

impl<E: Environment> Proposer<E> {
    pub(crate) fn new(tools: Tools<E>, jobs: mpsc::WeakSender<Job<E>>) -> Self {
        let Tools { clock, raft, state, term, flight, metrics } = tools;
        let (turns, open) = (Turns::default(), OpenGroup::default());
        Self { clock, raft, state, term, flight, metrics, jobs, turns, open, applied: None }
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
                Action::Build(change) => match change(Ok(&mut self)) {
                    Some(staged) => Some(Input::Opened(self.open(*staged).await)),
                    None => None,
                },
                Action::Send => {
                    let group = std::mem::take(&mut self.open);
                    self.send(group).await;
                    None
                }
                Action::Refuse(change, why) => {
                    change(Err(self.refused(why)));
                    None
                }
                Action::Stage(bulk) => {
                    if let Some(Staged { commit, who }) = self.stage(bulk) {
                        self.send(OpenGroup::of(commit, who)).await;
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
        let (batch, extra) = built.map_err(ChangeError::Build)?;
        Ok(self.take_in(batch, None, applied, arrived)?.with(extra))
    }

    /// The same for a change that is to be done once. If it was done, or must not be, it is not built.
    pub(crate) fn change_once<T, F>(
        &mut self,
        arrived: Instant,
        asked: Idempotency,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, Note, T), F>,
    ) -> Result<Built<E, Option<T>>, ChangeError<F>> {
        match self.see(&asked)? {
            SeenRequest::Done(record) => return Ok(self.known(Outcome::repeated(record))),
            SeenRequest::Refused(refusal) => return Ok(self.known(Outcome::Refused(refusal))),
            // Its answer is not known yet.
            SeenRequest::New if self.turns.pipeline.has_request(&asked.id()) => return Err(self.busy().into()),
            SeenRequest::New => {}
        }
        let (built, applied) = self.look(build)?;
        let (batch, note, extra) = built.map_err(ChangeError::Build)?;
        let once = Once { idempotency: asked, note };
        Ok(self.take_in(batch, Some(once), applied, arrived)?.with(Some(extra)))
    }

    /// What a request is now. What is in flight is new.
    fn see(&self, asked: &Idempotency) -> Result<SeenRequest, ProposeError> {
        // In this order: the head is not older than the record.
        let record = self.state.request(&asked.id()).map_err(ViewError::from)?;
        let now_us = self.stamp()?;
        let head = self.state.head();
        Ok(head.requests.see(asked, now_us.max(head.time_us), head.position.epoch, record))
    }

    fn known<T>(&self, outcome: Outcome) -> Built<E, Option<T>> {
        self.metrics.proposals.with_label_values(&[label(&outcome)]).inc();
        let pending = Pending::known(outcome, self.term.given_up());
        Built { extra: None, pending, to_send: None }
    }

    fn take_in(
        &mut self,
        batch: Batch,
        once: Option<Once>,
        applied: ViewOf<E>,
        arrived: Instant,
    ) -> Result<Built<E, ()>, ProposeError> {
        let staged = self.stage_change(batch, once, &applied, arrived);
        self.applied = Some(applied);
        let (staged, pending) = staged?;
        Ok(Built { extra: (), pending, to_send: Some(Box::new(staged)) })
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
        mut batch: Batch,
        once: Option<Once>,
        applied: &ViewOf<E>,
        arrived: Instant,
    ) -> Result<(Staged<E>, Pending), ProposeError> {
        let time_us = self.stamp()?;
        if self.turns.pipeline.closed(&batch).is_some() {
            return Err(self.busy());
        }
        let mut encoded = batch.encode()?;
        let bytes = encoded.len() + once.as_ref().map_or(0, |once| once.note.len()) + OVERHEAD;
        let Some(room) = self.flight.take(bytes) else {
            return Err(self.busy());
        };
        let ticket = self.turns.pipeline.stage(&mut batch, |id| E::State::edition(applied, id))?;
        if let Some(once) = &once {
            self.turns.pipeline.stage_request(once.idempotency.id());
        }
        encoded.preconditions = batch.preconditions;
        let (tell, pending) = Pending::new(self.term.given_up());
        let who = Waiting { flown: room.start(ticket, false), is_bulk: false, arrived, tell };
        Ok((Staged { commit: Commit { time_us, batch: encoded, once }, who }, pending))
    }

    fn refused(&self, why: NotProposed) -> ProposeError {
        match why {
            NotProposed::Busy => self.busy(),
            NotProposed::Ended => ProposeError::NotLeader { leader: None },
        }
    }

    /// The time of a change. A core whose clock may be wrong has none: it gives up the lead.
    fn stamp(&self) -> Result<u64, ProposeError> {
        self.clock.stamp().ok_or(ProposeError::NotLeader { leader: None })
    }

    fn busy(&self) -> ProposeError {
        self.metrics.proposals.with_label_values(&["busy"]).inc();
        ProposeError::Busy
    }

    /// Takes a chunk of bulk in.
    fn stage(&mut self, bulk: Bulk<E>) -> Option<Staged<E>> {
        let Ok(time_us) = self.stamp() else {
            // Nobody may be waiting for it.
            let _ = bulk.tell.send(Outcome::NotLeader { leader: None });
            return None;
        };
        let applied = self.applied();
        let staged = self.turns.pipeline.stage_bulk(&bulk.batch, |id| E::State::edition(&applied, id));
        self.applied = Some(applied);
        let Bulk { batch, once, room, arrived, tell } = bulk;
        match staged {
            Ok(Ok(ticket)) => {
                if let Some(once) = &once {
                    self.turns.pipeline.stage_request(once.idempotency.id());
                }
                let who = Waiting { flown: room.start(ticket, true), is_bulk: true, arrived, tell };
                return Some(Staged { commit: Commit { time_us, batch, once }, who });
            }
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

    /// Puts a staged change into the open group, and says how many are in it. A group that is full goes first.
    async fn open(&mut self, Staged { commit, who }: Staged<E>) -> usize {
        if let Some(full) = self.open.add(commit, who) {
            self.send(full).await;
        }
        self.open.len()
    }

    /// Hands staged batches to raft as one entry, for this term only. They land whatever happens to it.
    async fn send(&mut self, OpenGroup { group, waiting }: OpenGroup<Waiting<E>>) {
        let proposal = Proposal(group.to_bytes());
        let (flight, metrics, jobs) = (Arc::clone(&self.flight), self.metrics.clone(), self.jobs.clone());
        let responder = Responder::new(move |result: Option<ClientWriteResult<TypeConfig<E>>>| {
            let has_bulk = waiting.iter().any(|who| who.is_bulk);
            for (who, outcome) in waiting.into_iter().zip(outcomes(result)) {
                who.answer(outcome, &metrics);
            }
            let counts = flight.counts();
            let has_drained = counts.has_failed && counts.staged == 0;
            if (has_bulk || has_drained)
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

impl<E: Environment> Waiting<E> {
    fn answer(self, outcome: Outcome, metrics: &CoreMetrics) {
        // What repeats something has not done what later changes were built on.
        let is_committed = matches!(outcome, Outcome::Committed { repeats: None, .. });
        self.flown.land(is_committed);
        metrics.proposals.with_label_values(&[label(&outcome)]).inc();
        if is_committed {
            metrics.commit_seconds.observe(self.arrived.elapsed().as_secs_f64());
        }
        // Nobody may be waiting for it.
        let _ = self.tell.send(outcome);
    }
}

/// A change that is built and staged.
pub(crate) struct Built<E: Environment, T> {
    /// What its builder wants to say of it.
    pub(crate) extra: T,
    pub(crate) pending: Pending,
    pub(crate) to_send: ToSend<E>,
}

impl<E: Environment> Built<E, ()> {
    fn with<T>(self, extra: T) -> Built<E, T> {
        let Self { extra: (), pending, to_send } = self;
        Built { extra, pending, to_send }
    }
}

type ViewOf<E> = <<E as Environment>::State as crate::environment::State>::View;

/// What became of each batch of an entry, in order; of all those that follow, too, if it is the same.
fn outcomes<E: Environment>(result: Option<ClientWriteResult<TypeConfig<E>>>) -> impl Iterator<Item = Outcome> {
    let (verdicts, others) = match result {
        Some(Ok(response)) => (response.data, Outcome::Unknown),
        Some(Err(ClientWriteError::ForwardToLeader(forward))) => {
            (Vec::new(), Outcome::NotLeader { leader: forward.leader_node })
        }
        Some(Err(_)) | None => (Vec::new(), Outcome::Unknown),
    };
    verdicts.into_iter().map(outcome).chain(std::iter::repeat(others))
}

fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Committed { revision, version, time_us } => {
            Outcome::Committed { revision, version, time_us, repeats: None }
        }
        Verdict::Repeated(record) => Outcome::repeated(record),
        Verdict::Refused(refusal) => Outcome::Refused(refusal),
        Verdict::Done | Verdict::Allocated(_) => Outcome::Unknown,
    }
}

fn label(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Committed { repeats: None, .. } => "committed",
        Outcome::Committed { repeats: Some(_), .. } => "repeated",
        Outcome::Refused(_) => "refused",
        Outcome::NotLeader { .. } | Outcome::Unknown => "unknown",
    }
}
