//! Which upstream a follower tries next, and when: several of them, each with a backoff of its own.
//!
//! ```text
//!  waiting ── its turn ─▶ tried ── serves ─▶ followed ── lost, or left ─▶ waiting until its backoff is over
//!                           └── lost: it was tried in vain ─────────────▶
//! ```
//! # Invariants
//! - No upstream is tried before its backoff is over.
//! - Of those whose backoff is over, the one that was tried least recently has its turn, so every one gets it. At the
//!   beginning, and after one has served for [`MAX_BACKOFF`], the others come in the order of the configuration.
//! - An upstream that serves is not left because another one could serve, too.

use std::time::Duration;

/// First wait before an upstream is tried again; doubles each time.
pub const MIN_BACKOFF: Duration = Duration::from_millis(50);

/// Longest wait before an upstream is tried again.
pub const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// An upstream that no majority of cores has confirmed for so long is left, if there is another one: it may be cut off from
/// what is committed elsewhere.
pub const UNCONFIRMED_AFTER: Duration = Duration::from_secs(5);

/// So long whoever is followed next is followed, confirmed or not: perhaps no core is, and changing from one to the next
/// would not help.
pub const BEARS_UNCONFIRMED: Duration = Duration::from_mins(1);

/// The upstreams of one follower, by their places in its configuration.
#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Upstream>,
    /// Another number at every node.
    seed: u64,
    /// Attempts so far.
    turns: u64,
    /// The place of the one that was tried last, and is followed if any is.
    current: usize,
    serving_since: Option<Duration>,
    stale: Option<Stale>,
}

/// What is known of one upstream.
#[derive(Clone, Debug, Default)]
struct Upstream {
    /// Attempts since it last served for longer than it had to wait.
    attempts: u32,
    /// End of its backoff.
    ready_at: Duration,
    /// Number of its last attempt; 0 when the order of the configuration counts again.
    turn: u64,
    /// It was tried since anyone has served, and did not serve.
    in_vain: bool,
}

/// One that was left because it was not confirmed.
#[derive(Clone, Copy, Debug)]
struct Stale {
    place: usize,
    /// Until then the others are preferred to it, and borne as they are.
    until: Duration,
}

/// What has ended the time with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// There was no connection, or it is gone, or it was given up for what passes by itself.
    Lost,
    /// No majority of the cores has confirmed it.
    Unconfirmed,
    /// It cannot be followed: it is put aside for the longest wait.
    Unfit,
    /// Another process with this identity follows it. Each of the two would end the other's connection, wherever it goes
    /// and as fast as it comes back, so no upstream is tried before the longest wait is over.
    Replaced,
}

impl Upstreams {
    /// So many, none of them tried yet.
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let all = vec![Upstream::default(); count];
        Self { all, seed, turns: 0, current: 0, serving_since: None, stale: None }
    }

    /// When the next one can be tried.
    pub(crate) fn next_at(&self) -> Duration {
        self.ready_times().map(|(_, at, _)| at).min().unwrap_or(Duration::MAX)
    }

    /// The place of the one to try now.
    pub(crate) fn take(&mut self, now: Duration) -> Option<usize> {
        let ready = self.ready_times().filter(|(_, at, _)| *at <= now);
        let (place, ..) = ready.min_by_key(|(place, _, upstream)| (upstream.turn, *place))?;
        self.current = place;
        self.turns += 1;
        let turn = self.turns;
        self.current_mut()?.turn = turn;
        Some(place)
    }

    /// The present one gives what it was asked for.
    pub(crate) fn serves(&mut self, now: Duration) {
        if self.serving_since.is_none() {
            self.serving_since = Some(now);
            self.all.iter_mut().for_each(|upstream| upstream.in_vain = false);
        }
    }

    /// Whether to stay with the present one though no majority has confirmed it for so long.
    pub(crate) fn bears(&self, now: Duration, unconfirmed: Duration) -> bool {
        let is_borne = self.stale.is_some_and(|stale| now < stale.until);
        self.all.len() < 2 || unconfirmed < UNCONFIRMED_AFTER || is_borne
    }

    /// Whether there is another one that has not been tried in vain since anyone has served.
    pub(crate) fn another_may_serve(&self) -> bool {
        !self.are_others_in_vain(self.current)
    }

    /// The time with the present one is over.
    pub(crate) fn lost(&mut self, now: Duration, setback: Setback) {
        let served = self.serving_since.take().map(|since| now.saturating_sub(since));
        if served >= Some(MAX_BACKOFF) {
            self.begin_round();
        }
        let (seed, place) = (self.seed, self.current);
        if setback == Setback::Unconfirmed {
            self.stale = Some(Stale { place, until: now + BEARS_UNCONFIRMED });
        }
        let Some(upstream) = self.current_mut() else { return };
        if served.is_some_and(|served| served >= full_backoff(upstream.attempts)) {
            upstream.attempts = 0;
        }
        let wait = match setback {
            Setback::Lost | Setback::Unconfirmed => upstream.backoff(seed, place),
            Setback::Unfit | Setback::Replaced => MAX_BACKOFF,
        };
        upstream.ready_at = now + wait;
        upstream.attempts = upstream.attempts.saturating_add(1);
        upstream.in_vain = served.is_none();
        if setback == Setback::Replaced {
            self.all.iter_mut().for_each(|upstream| upstream.ready_at = now + wait);
        }
    }

    /// From now on the others come in the order of the configuration.
    fn begin_round(&mut self) {
        let current = self.current;
        let others = self.all.iter_mut().enumerate().filter(|(place, _)| *place != current);
        others.for_each(|(_, upstream)| upstream.turn = 0);
    }

    /// Place of each, when it can be tried, and what is known of it.
    fn ready_times(&self) -> impl Iterator<Item = (usize, Duration, &Upstream)> {
        self.all.iter().enumerate().map(|(place, upstream)| (place, self.ready_at(place, upstream), upstream))
    }

    /// One that was left because it is not confirmed waits until the others were tried in vain.
    fn ready_at(&self, place: usize, upstream: &Upstream) -> Duration {
        let stale = self.stale.filter(|stale| stale.place == place && !self.are_others_in_vain(place));
        stale.map_or(upstream.ready_at, |stale| upstream.ready_at.max(stale.until))
    }

    fn are_others_in_vain(&self, place: usize) -> bool {
        self.all.iter().enumerate().all(|(other, upstream)| other == place || upstream.in_vain)
    }

    fn current_mut(&mut self) -> Option<&mut Upstream> {
        self.all.get_mut(self.current)
    }
}

impl Upstream {
    /// Doubles with every attempt, less up to a half that differs from node to node, so that a thousand edges do not
    /// come back in step.
    fn backoff(&self, seed: u64, place: usize) -> Duration {
        let full = full_backoff(self.attempts);
        let mixed = seed.wrapping_add(u64::from(self.attempts)).wrapping_add((place as u64) << 32);
        let spread = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        full - full * u32::try_from(spread).unwrap_or(0) / 512
    }
}

/// The longest that the wait after so many attempts can be.
fn full_backoff(attempts: u32) -> Duration {
    MIN_BACKOFF.saturating_mul(1 << attempts.min(16)).min(MAX_BACKOFF)
}
