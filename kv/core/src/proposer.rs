//! The one thread on which changes are built and proposed: what gives them their order.
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
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use zonecast_kv_proto::{Batch, Command, Edition, EncodedBatch, SectionId, Verdict, View, ViewError};
use zonecast_kv_store::{StateStore, StateView};

use crate::flight::{Flight, OVERHEAD, Room};
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
pub(crate) type Job = crate::turns::Job<Change, Bulk>;

/// Builds and proposes a change, or takes the reason why it is not.
pub(crate) type Change = Box<dyn FnOnce(Result<&mut Proposer, ProposeError>) + Send>;

/// A chunk of bulk that waits for its turn.
pub(crate) struct Bulk {
    pub(crate) batch: EncodedBatch,
    pub(crate) room: Room,
    pub(crate) arrived: Instant,
    pub(crate) tell: oneshot::Sender<Outcome>,
}

/// A proposal that is staged.
struct Staged {
    ticket: u64,
    room: Room,
    is_bulk: bool,
    arrived: Instant,
    tell: oneshot::Sender<Outcome>,
}

/// See the module.
pub(crate) struct Proposer {
    raft: Raft,
    runtime: Handle,
    state: StateStore,
    flight: Arc<Flight>,
    metrics: CoreMetrics,
    /// To be woken by a landing chunk. Weak: the proposer ends when nobody else can ask it anything.
    jobs: mpsc::WeakSender<Job>,
    turns: Turns<Change, Bulk>,
    /// The applied state under the pipeline: has all that the pipeline has forgotten.
    applied: Option<StateView>,
}

impl Proposer {
    pub(crate) fn new(
        raft: Raft,
        state: StateStore,
        flight: Arc<Flight>,
        metrics: CoreMetrics,
        jobs: mpsc::WeakSender<Job>,
    ) -> Self {
        let runtime = Handle::current();
        Self { raft, runtime, state, flight, metrics, jobs, turns: Turns::default(), applied: None }
    }

    /// Works until nobody can ask for anything any more.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let (raft, flight) = (&self.raft, &self.flight);
            let seen = || Seen { counts: flight.counts(), has_stopped: has_stopped(raft) };
            let came = match self.turns.poll_action(seen) {
                Action::Wait => match jobs.blocking_recv() {
                    Some(job) => Some(Input::Job(job)),
                    None => return,
                },
                Action::Take => Some(jobs.try_recv().map_or(Input::NoJob, Input::Job)),
                Action::Drain => Some(Input::Drained(self.flight.drain(DRAIN_WITHIN))),
                Action::Renew => {
                    self.applied = None;
                    None
                }
                Action::Build(change) => {
                    change(Ok(&mut self));
                    None
                }
                Action::Refuse(change, why) => {
                    change(Err(self.refused(why)));
                    None
                }
                Action::Stage(bulk) => {
                    self.stage(bulk);
                    None
                }
            };
            if let Some(came) = came {
                self.turns.handle(came);
            }
        }
    }

    /// Builds a change over everything in flight and proposes it.
    pub(crate) fn change<T, E>(
        &mut self,
        arrived: Instant,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, T), E>,
    ) -> Result<(T, Pending), ChangeError<E>> {
        let (built, applied) = self.look(build)?;
        let (mut batch, extra) = built.map_err(ChangeError::Build)?;
        let proposed = self.propose(&mut batch, &applied, arrived);
        self.applied = Some(applied);
        Ok((extra, proposed?))
    }

    /// Shows the state with everything in flight laid over it, but for what bulk writes.
    pub(crate) fn ahead<T, E>(&mut self, read: impl FnOnce(&dyn View) -> Result<T, E>) -> Result<T, ChangeError<E>> {
        let (read, applied) = self.look(|view, _| read(view))?;
        self.applied = Some(applied);
        read.map_err(ChangeError::Build)
    }

    fn look<R>(&mut self, look: impl FnOnce(&dyn View, &Editions<'_>) -> R) -> Result<(R, StateView), ProposeError> {
        let applied = self.applied();
        let over = self.turns.pipeline.over(&applied);
        let editions = |section| self.turns.pipeline.edition(section, |id| Ok(applied.edition(id)?));
        let Ok(seen) = catch_unwind(AssertUnwindSafe(|| look(&over, &editions))) else {
            tracing::error!("a change was dropped because building it panicked: this is a bug");
            return Err(ProposeError::Stopped);
        };
        Ok((seen, applied))
    }

    fn propose(&mut self, batch: &mut Batch, applied: &StateView, arrived: Instant) -> Result<Pending, ProposeError> {
        if self.turns.pipeline.closed(batch).is_some() {
            return Err(self.busy());
        }
        let mut encoded = batch.encode()?;
        let bytes = encoded.len() + OVERHEAD;
        let Some(room) = self.flight.take(bytes) else {
            return Err(self.busy());
        };
        let base = |id| applied.edition(id).map_err(ViewError::from);
        let ticket = self.turns.pipeline.stage(batch, base)?;
        encoded.preconditions.clone_from(&batch.preconditions);
        let (tell, pending) = Pending::new();
        self.send(encoded, Staged { ticket, room, is_bulk: false, arrived, tell });
        Ok(pending)
    }

    fn refused(&self, why: NotProposed) -> ProposeError {
        match why {
            NotProposed::Busy => self.busy(),
            NotProposed::Stopped => ProposeError::Stopped,
        }
    }

    fn busy(&self) -> ProposeError {
        self.metrics.proposals.with_label_values(&["busy"]).inc();
        ProposeError::Busy
    }

    /// Proposes a chunk of bulk.
    fn stage(&mut self, bulk: Bulk) {
        let applied = self.applied();
        let staged = self.turns.pipeline.stage_bulk(&bulk.batch, |id| applied.edition(id));
        self.applied = Some(applied);
        let Bulk { batch, room, arrived, tell } = bulk;
        match staged {
            Ok(Ok(ticket)) => self.send(batch, Staged { ticket, room, is_bulk: true, arrived, tell }),
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
    }

    fn applied(&mut self) -> StateView {
        self.applied.take().unwrap_or_else(|| self.state.view())
    }

    /// Hands a staged batch to raft. It lands whatever happens to it.
    fn send(&self, batch: EncodedBatch, staged: Staged) {
        let Staged { ticket, room, is_bulk, arrived, tell } = staged;
        let proposal = Proposal(Command::Batch { time_us: now_us(), batch }.to_bytes());
        let (flight, metrics, jobs) = (Arc::clone(&self.flight), self.metrics.clone(), self.jobs.clone());
        let flown = room.start(ticket, is_bulk);
        let responder = Responder::new(move |result: Option<ClientWriteResult<TypeConfig>>| {
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
            let has_drained = counts.failed.is_some() && counts.staged == 0;
            if (is_bulk || has_drained)
                && let Some(jobs) = jobs.upgrade()
            {
                // A full queue wakes the proposer too.
                let _ = jobs.try_send(Job::Landed);
            }
        });
        if let Err(error) = self.runtime.block_on(self.raft.client_write_ff(proposal, Some(responder))) {
            tracing::warn!(%error, "a proposal was not taken: raft has stopped");
        }
    }
}

fn has_stopped(raft: &Raft) -> bool {
    raft.metrics().borrow_watched().running_state.is_err()
}

/// The stamp of a command, microseconds of Unix time.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    u64::try_from(now).unwrap_or(u64::MAX)
}

fn outcome(result: Option<ClientWriteResult<TypeConfig>>) -> Outcome {
    match result {
        Some(Ok(response)) => match response.data {
            Verdict::Committed { revision, version, time_us } => Outcome::Committed { revision, version, time_us },
            Verdict::Refused(refusal) => Outcome::Refused(refusal),
            Verdict::Done | Verdict::Allocated(_) => Outcome::Unknown,
        },
        Some(Err(ClientWriteError::ForwardToLeader(forward))) => Outcome::NotLeader { leader: forward.leader_id },
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
