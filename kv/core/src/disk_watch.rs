//! Watches for a disk that hangs. One that fails says so, and raft stops; one that hangs says nothing, and heartbeats do not
//! touch it, so its voter would lead for ever without committing what needs it.
//!
//! A leader of others gives up the lead first, and then the voter stops. One that is alone waits, because nobody else can
//! do its work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime, Instant as _, ServerState};
use tokio::sync::watch;

use crate::environment::{EntryLog as _, Environment};
use crate::members::Members;
use crate::metrics::CoreMetrics;
use crate::patience::Patience;
use crate::state_machine::Raft;
use crate::types::Moment;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long another voter has to take the lead, before it is offered again.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(2);

/// Since when a slice of the log is being applied. Clones share it.
pub(crate) struct Applying<E: Environment>(Arc<Mutex<Option<Moment<E>>>>);

impl<E: Environment> Applying<E> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Moment::<E>::now());
    }

    pub(crate) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn so_long(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }
}

impl<E: Environment> Clone for Applying<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What a voter is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Alone,
    Leads,
    Follows,
}

/// What is to be done about a write that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// Nothing can be done but to say it.
    Slow,
    HandOver,
    Stop,
}

fn judge(patience: &Patience, under_way: Duration, standing: Standing) -> Verdict {
    match standing {
        _ if under_way < patience.hand_over_after => Verdict::Fine,
        Standing::Alone => Verdict::Slow,
        _ if under_way >= patience.stop_after => Verdict::Stop,
        Standing::Leads => Verdict::HandOver,
        Standing::Follows => Verdict::Slow,
    }
}

/// What it takes to watch.
pub(crate) struct DiskWatch<E: Environment> {
    pub(crate) raft: Raft<E>,
    pub(crate) log: Arc<E::Log>,
    pub(crate) applying: Applying<E>,
    pub(crate) members: Arc<Members<E>>,
    pub(crate) metrics: CoreMetrics,
    pub(crate) patience: Patience,
    /// Told when the voter must stop.
    pub(crate) hangs: watch::Sender<bool>,
}

impl<E: Environment> DiskWatch<E> {
    /// Until the voter must stop because its disk hangs.
    pub(crate) async fn watch(self) {
        let mut is_slow = false;
        loop {
            E::Runtime::sleep(LOOK_EVERY).await;
            let under_way = self.log.writing_for().max(self.applying.so_long()).unwrap_or_default();
            self.metrics.disk_write_seconds.set(under_way.as_secs_f64());
            let verdict = judge(&self.patience, under_way, self.standing());
            let was_slow = std::mem::replace(&mut is_slow, verdict != Verdict::Fine);
            if is_slow && !was_slow {
                tracing::warn!(
                    seconds = under_way.as_secs(),
                    "the disk takes long for a write of the raft log or the state"
                );
            }
            match verdict {
                Verdict::Fine | Verdict::Slow => {}
                Verdict::HandOver => {
                    if let Err(error) = self.members.hand_over_to_best(HANDED_OVER_WITHIN).await {
                        tracing::warn!(%error, "the disk hangs, and the lead was not handed over: it is tried again");
                    }
                }
                Verdict::Stop => {
                    tracing::error!(seconds = under_way.as_secs(), "the disk hangs: this voter stops");
                    self.hangs.send_replace(true);
                    // It may wait for the disk, too; nobody waits for that.
                    let raft = self.raft.clone();
                    drop(E::Runtime::spawn(async move { drop(raft.shutdown().await) }));
                    return;
                }
            }
        }
    }

    fn standing(&self) -> Standing {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        if seen.membership_config.voter_ids().all(|id| id == seen.id) {
            Standing::Alone
        } else if seen.state == ServerState::Leader {
            Standing::Leads
        } else {
            Standing::Follows
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_hands_over_before_it_stops_and_who_is_alone_does_neither() {
        let after = |seconds, standing| judge(&Patience::default(), Duration::from_secs(seconds), standing);
        let verdicts = |standing| [4, 5, 29, 30, 9000].map(|seconds| after(seconds, standing));
        use Verdict::{Fine, HandOver, Slow, Stop};
        assert_eq!(verdicts(Standing::Leads), [Fine, HandOver, HandOver, Stop, Stop]);
        assert_eq!(verdicts(Standing::Follows), [Fine, Slow, Slow, Stop, Stop]);
        assert_eq!(verdicts(Standing::Alone), [Fine, Slow, Slow, Slow, Slow]);
    }
}
