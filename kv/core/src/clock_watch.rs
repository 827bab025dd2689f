//! Watches the clock of this machine. A leader stamps changes with it, and what a stamp decides (how long a request is
//! remembered, when something was changed) must not follow a clock that is wrong.
//!
//! ```text
//! stamp ◀── Clock: has it jumped? ──▶ suspect ──▶ watch: asks the other voters ──▶ right, or wrong and the lead is handed over
//! ```
//! A clock is wrong if a majority of the voters agree with each other and not with it. It stamps nothing then. A clock
//! that has jumped since it was last compared is suspect: it stamps nothing either, until it is compared again. A voter
//! that is alone has nobody to compare with, and believes its clock.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime, Instant as _, ServerState};
use tokio::sync::Notify;

use crate::environment::Environment;
use crate::members::Members;
use crate::message::{Answer, Call};
use crate::metrics::CoreMetrics;
use crate::network::Network;
use crate::state_machine::Raft;
use crate::types::{MetricsReceiver, Moment};

/// Clocks that differ by more are not those of machines that keep time: NTP steps a clock that is off by 128 ms.
const FAR: Duration = Duration::from_secs(10);
/// Between two comparisons.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same while the clock is suspect or wrong.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long another voter has to say what time it is.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// How long another voter has to take the lead.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(2);

/// The clock of this machine, as far as it is believed. Clones share it.
pub(crate) struct Clock<E: Environment> {
    environment: E,
    shared: Arc<Shared<E>>,
}

struct Shared<E: Environment> {
    belief: Mutex<Belief<E>>,
    /// Told when the clock has become suspect.
    suspect: Notify,
}

/// When the clock was last found right, and whether it is believed still.
struct Belief<E: Environment> {
    wall_us: u64,
    at: Moment<E>,
    is_believed: bool,
    /// Says whether there are other voters to compare it with.
    seen: MetricsReceiver<E>,
}

impl<E: Environment> Belief<E> {
    fn has_others(&self) -> bool {
        self.seen.borrow_watched().membership_config.voter_ids().nth(1).is_some()
    }
}

impl<E: Environment> Clone for Clock<E> {
    fn clone(&self) -> Self {
        Self { environment: self.environment.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<E: Environment> Clock<E> {
    /// Believed until it is compared.
    pub(crate) fn new(environment: E, seen: MetricsReceiver<E>) -> Self {
        let (wall_us, at) = (environment.now_us(), Moment::<E>::now());
        let belief = Mutex::new(Belief { wall_us, at, is_believed: true, seen });
        Self { environment, shared: Arc::new(Shared { belief, suspect: Notify::new() }) }
    }

    /// Microseconds of Unix time; nothing if the clock may be wrong.
    pub(crate) fn stamp(&self) -> Option<u64> {
        let now_us = self.environment.now_us();
        let mut belief = self.shared.belief.lock().unwrap_or_else(PoisonError::into_inner);
        if !belief.is_believed {
            return None;
        }
        let expected_us = belief.wall_us.saturating_add(micros(belief.at.elapsed()));
        if now_us.abs_diff(expected_us) > micros(FAR) && belief.has_others() {
            belief.is_believed = false;
            self.shared.suspect.notify_one();
            return None;
        }
        Some(now_us)
    }

    /// It was compared.
    fn believe(&self, is_believed: bool) {
        let now_us = self.environment.now_us();
        let mut belief = self.shared.belief.lock().unwrap_or_else(PoisonError::into_inner);
        (belief.wall_us, belief.at, belief.is_believed) = (now_us, Moment::<E>::now(), is_believed);
    }

    fn is_believed(&self) -> bool {
        self.stamp().is_some()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    /// So many microseconds are to be added to it.
    Wrong(i64),
    /// Too few voters have answered, or they do not agree with each other.
    Undecided,
}

/// `offsets`: microseconds that the clocks of those who have answered are ahead of this one.
fn judge(voters: usize, offsets: &[i64]) -> Verdict {
    let others = voters.saturating_sub(1);
    let majority = voters / 2 + 1;
    let far = i64::try_from(micros(FAR)).unwrap_or(i64::MAX);
    if others == 0 || offsets.iter().filter(|offset| offset.abs() <= far).count() + 1 >= majority {
        return Verdict::Right;
    }
    let mut sorted = offsets.to_vec();
    sorted.sort_unstable();
    let agreeing = sorted.windows(majority).find(|window| match window {
        [first, .., last] => last.saturating_sub(*first) <= far,
        _ => true,
    });
    match agreeing.and_then(|window| window.get(window.len() / 2)) {
        Some(middle) if middle.abs() > far => Verdict::Wrong(*middle),
        _ => Verdict::Undecided,
    }
}

/// What it takes to watch.
pub(crate) struct ClockWatch<E: Environment> {
    pub(crate) clock: Clock<E>,
    pub(crate) raft: Raft<E>,
    pub(crate) network: Network<E>,
    pub(crate) members: Arc<Members<E>>,
    pub(crate) metrics: CoreMetrics,
}

/// Another voter, and how far its clock is ahead of this one, in microseconds.
#[derive(Clone, Copy)]
struct Offset {
    voter: u64,
    ahead_us: i64,
}

impl<E: Environment> ClockWatch<E> {
    pub(crate) fn watch(self) -> BoxFuture<'static, ()> {
        async move {
            loop {
                let verdict = self.compare().await;
                let wait = match verdict {
                    Verdict::Right => LOOK_EVERY,
                    Verdict::Wrong(_) | Verdict::Undecided => LOOK_AGAIN_AFTER,
                };
                let suspect = Box::pin(self.clock.shared.suspect.notified());
                // Whichever is first.
                let _ = E::Runtime::select2(Box::pin(E::Runtime::sleep(wait)), suspect).await;
            }
        }
        .boxed()
    }

    /// Compares the clock with those of the others, and acts on it.
    async fn compare(&self) -> Verdict {
        let (voters, offsets) = self.ask().await;
        let ahead: Vec<i64> = offsets.iter().map(|offset| offset.ahead_us).collect();
        let (was_believed, verdict) = (self.clock.is_believed(), judge(voters, &ahead));
        match verdict {
            Verdict::Right => {
                self.clock.believe(true);
                if !was_believed {
                    tracing::info!("the clock of this machine agrees with those of the other cores");
                }
            }
            Verdict::Wrong(by_us) => {
                self.clock.believe(false);
                if was_believed {
                    let seconds = by_us / 1_000_000;
                    tracing::error!(
                        seconds,
                        "the clock of this machine is wrong by so many seconds, as a majority of the cores says: this core \
                         does not lead until it is set"
                    );
                }
                let near = |offset: &&Offset| offset.ahead_us.abs_diff(by_us) <= micros(FAR);
                self.hand_over(offsets.iter().filter(near)).await;
            }
            Verdict::Undecided => {}
        }
        self.metrics.clock_wrong.set(i64::from(!self.clock.is_believed()));
        verdict
    }

    /// How many voters there are, and the clocks of the others that answer.
    async fn ask(&self) -> (usize, Vec<Offset>) {
        let (id, voters) = {
            let metrics = self.raft.metrics();
            let seen = metrics.borrow_watched();
            let membership = seen.membership_config.membership();
            let voters = membership.voter_ids().filter_map(|id| Some((id, membership.get_node(&id)?.clone())));
            (seen.id, voters.collect::<Vec<_>>())
        };
        let others = voters.iter().filter(|(voter, _)| *voter != id).map(|(voter, member)| async move {
            let (began_us, began) = (self.clock.environment.now_us(), Moment::<E>::now());
            let way = self.network.to(*voter, member.clone());
            let Ok(Answer::Status(status)) = way.call(&Call::Status, ANSWERED_WITHIN).await else { return None };
            // One that is stopping says nothing.
            if status.now_us == 0 {
                return None;
            }
            let here_us = began_us.saturating_add(micros(began.elapsed() / 2));
            let ahead_us = i64::try_from(i128::from(status.now_us) - i128::from(here_us)).ok()?;
            Some(Offset { voter: *voter, ahead_us })
        });
        let offsets = join_all(others).await.into_iter().flatten().collect();
        (voters.len(), offsets)
    }

    /// Gives the lead, if this voter has it, to one of these.
    async fn hand_over(&self, to: impl Iterator<Item = &Offset>) {
        let leads = { self.raft.metrics().borrow_watched().state == ServerState::Leader };
        if !leads {
            return;
        }
        for offset in to {
            match self.members.hand_over(offset.voter, HANDED_OVER_WITHIN).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "the clock is wrong, and the lead was not handed over: it is tried again")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_if_a_majority_agrees_against_it() {
        const S: i64 = 1_000_000;
        assert_eq!(judge(1, &[]), Verdict::Right, "nobody to compare with");
        assert_eq!(judge(3, &[S, -S]), Verdict::Right);
        assert_eq!(judge(3, &[0, 900 * S]), Verdict::Right, "the other one is wrong");
        assert_eq!(judge(3, &[900 * S, 901 * S]), Verdict::Wrong(901 * S));
        assert_eq!(judge(3, &[-900 * S, -901 * S]), Verdict::Wrong(-900 * S));
        assert_eq!(judge(3, &[900 * S, -900 * S]), Verdict::Undecided, "no two agree");
        assert_eq!(judge(3, &[900 * S]), Verdict::Undecided, "one against one");
        assert_eq!(judge(3, &[]), Verdict::Undecided, "nobody answers");
        assert_eq!(judge(5, &[900 * S, 900 * S, 0, 0]), Verdict::Right);
        assert_eq!(judge(5, &[900 * S, 900 * S, 900 * S, 0]), Verdict::Wrong(900 * S));
        assert_eq!(judge(5, &[900 * S, 900 * S, 0]), Verdict::Undecided);
    }
}
