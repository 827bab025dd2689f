//! What a relay tells its upstream of many edges at once, or a core the leader: how far all of them are that are in step.
//!
//! ```text
//!  edges by version      leaving, one by one    all that are in step     others, one by one
//!  17 17 17 17 16 . 9 ─▶ "9 is not in step" ──▶ "all have 16" ─────────▶ "that one has 9"
//! ```
//! An edge is told of by name once, when it joins those that are in step, and again when it leaves them: because it went
//! away, came back with less, or holds up the others. So the cost of a version grows with those that do not keep up.
//!
//! # Invariants
//! - All that are in step, as whoever is above was told, have at least the level that was told: a step comes after all who
//!   leave have been told of, and nobody joins who has less.
//! - The level never goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::tally::Tally;
use crate::{Epoch, FoldLevel, FoldStep, Peer, Times, Version};

/// Where fewer edges are served each is told of by name, with times of its own.
pub const FOLD_FROM: usize = 32;

/// Who lacks for so long what half of the others have is told of alone: a few times the way to an edge far off.
const HALF_GRACE: Duration = Duration::from_millis(100);

/// The same where any of the others has it: a large version comes to many edges one after the other.
const ANY_GRACE: Duration = Duration::from_secs(1);

/// The same for what is on disk, which each edge syncs once a second.
const DURABLE_GRACE: Duration = Duration::from_secs(5);

/// Who was too slow is told of alone for so long at least.
pub(crate) const REJOIN_AFTER: Duration = Duration::from_secs(5);

/// Least time between two steps that only say what is on disk.
const DURABLE_EVERY: Duration = Duration::from_millis(100);

/// Least time between two looks at edges whose relay is too slow.
pub(crate) const SLOW_EVERY: Duration = Duration::from_millis(100);

/// Versions whose times are gathered: more are on their way only when nobody looks at single ones.
const MAX_PENDING: usize = 256;

/// Which part of the level somebody holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Applied,
    Durable,
}

/// Finds those that hold the level up: they lack for so long what others have.
#[derive(Debug)]
struct Watch {
    part: Part,
    /// Whether half of the members must have it, or one.
    is_half: bool,
    grace: Duration,
    /// What the others had, and since when.
    mark: Option<(Version, Duration)>,
}

/// What whoever is above is told, and was.
#[derive(Debug)]
pub(crate) struct Fold {
    /// Fewest edges that are told of together.
    pub(crate) from: usize,
    /// As it was told last.
    level: Option<FoldLevel>,
    /// What each member has.
    applied: Tally<Version>,
    durable: Tally<Version>,
    watches: [Watch; 3],
    /// Edges that are in step as was told, and are not; before the next step.
    pub(crate) leaving: BTreeSet<Peer>,
    /// Other edges of whom there is news.
    pub(crate) untold: BTreeSet<Peer>,
    /// How long each version took that not all members have.
    pending: BTreeMap<Version, Times>,
    stepped_at: Option<Duration>,
    /// Not before then are edges looked at whose relay is too slow.
    pub(crate) slow_at: Duration,
}

impl Fold {
    /// Nobody was told anything. Fewer edges are each told of alone.
    pub(crate) fn new(from: usize) -> Self {
        let watch = |part, is_half, grace| Watch { part, is_half, grace, mark: None };
        Self {
            from,
            level: None,
            applied: Tally::default(),
            durable: Tally::default(),
            watches: [
                watch(Part::Applied, true, HALF_GRACE),
                watch(Part::Applied, false, ANY_GRACE),
                watch(Part::Durable, false, DURABLE_GRACE),
            ],
            leaving: BTreeSet::new(),
            untold: BTreeSet::new(),
            pending: BTreeMap::new(),
            stepped_at: None,
            slow_at: Duration::ZERO,
        }
    }

    /// As it was told last.
    pub(crate) fn level(&self) -> Option<FoldLevel> {
        self.level
    }

    /// Nobody is a member any more, and nothing was said of this history.
    pub(crate) fn begin_anew(&mut self) {
        let (leaving, untold) = (std::mem::take(&mut self.leaving), std::mem::take(&mut self.untold));
        *self = Self { leaving, untold, slow_at: self.slow_at, ..Self::new(self.from) };
    }

    /// Nobody is counted, until they are again.
    pub(crate) fn clear_members(&mut self) {
        (self.applied, self.durable) = Default::default();
    }

    pub(crate) fn add(&mut self, level: FoldLevel, count: usize) {
        self.applied.add(level.applied, count);
        self.durable.add(level.durable, count);
    }

    pub(crate) fn remove(&mut self, level: FoldLevel, count: usize) {
        self.applied.remove(level.applied, count);
        self.durable.remove(level.durable, count);
    }

    /// A version has come that members will have.
    pub(crate) fn committed(&mut self, version: Version) {
        self.pending.insert(version, Times::default());
        if self.pending.len() > MAX_PENDING {
            self.pending.pop_first();
        }
    }

    /// A member has a version, this long after the commit here.
    pub(crate) fn took(&mut self, version: Version, peer: &Peer, took: Duration, apply: Duration) {
        if let Some(times) = self.pending.get_mut(&version) {
            times.add(peer, took, apply);
        }
    }

    /// Whoever speaks for some of the members has said how long versions from there on to `last` took to them. `later` says
    /// how much longer that is from the commit of one of them here.
    pub(crate) fn took_below(
        &mut self,
        after: Option<Version>,
        last: Version,
        times: &Times,
        later: impl Fn(Version) -> Duration,
    ) {
        let first = after.and_then(Version::next).unwrap_or(last);
        if first <= last {
            for (version, all) in self.pending.range_mut(first..=last) {
                all.merge(times, later(*version));
            }
        }
    }

    /// Whether something has changed that [`Fold::due`] depends on.
    pub(crate) fn is_worth_a_look(&self) -> bool {
        let is_uneven = self.applied.first() != self.applied.last() || self.durable.first() != self.durable.last();
        let is_unwatched = || self.watches.iter().all(|watch| watch.mark.is_none());
        self.has_names() || self.step_at().is_some() || (is_uneven && is_unwatched())
    }

    fn has_names(&self) -> bool {
        !self.leaving.is_empty() || !self.untold.is_empty()
    }

    /// When there is something to tell or to look at, if there is anything; at any time before now: at once.
    pub(crate) fn due(&self) -> Option<Duration> {
        let names = self.has_names().then_some(Duration::ZERO);
        let watches = self.watches.iter().filter_map(|watch| Some(watch.mark?.1 + watch.grace));
        names.into_iter().chain(self.step_at()).chain(watches).min()
    }

    /// When a step is to be told, if one is.
    fn step_at(&self) -> Option<Duration> {
        let now = self.members_level()?;
        let Some(level) = self.level else { return Some(Duration::ZERO) };
        if now.applied > level.applied {
            return Some(Duration::ZERO);
        }
        let is_further = now.durable > level.durable;
        is_further.then(|| self.stepped_at.map_or(Duration::ZERO, |at| at + DURABLE_EVERY))
    }

    /// What all members have.
    fn members_level(&self) -> Option<FoldLevel> {
        Some(FoldLevel { applied: self.applied.first()?, durable: self.durable.first()? })
    }

    /// Looks for members that hold up the others: whoever has less than this leaves.
    pub(crate) fn find_slow(&mut self, now: Duration) -> Option<FoldLevel> {
        let mut least = FoldLevel::default();
        for watch in &mut self.watches {
            let (tally, least) = match watch.part {
                Part::Applied => (&self.applied, &mut least.applied),
                Part::Durable => (&self.durable, &mut least.durable),
            };
            *least = (*least).max(watch.look(now, tally).unwrap_or_default());
        }
        (least != FoldLevel::default()).then_some(least)
    }

    /// The step that is to be told now, if one is. `held` says for how long a version has been here.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        epoch: Epoch,
        held: impl Fn(Version) -> Option<Duration>,
    ) -> Option<FoldStep> {
        if !self.leaving.is_empty() || self.step_at().is_none_or(|at| at > now) {
            return None;
        }
        let level = self.members_level()?;
        debug_assert!(self.level.is_none_or(|before| before.is_within(&level)), "it goes back: {self:?}");
        let mut later = self.pending.split_off(&level.applied);
        // Those that are reached together have no times of their own.
        let times = later.remove(&level.applied).unwrap_or_default();
        self.pending = later;
        (self.level, self.stepped_at) = (Some(level), Some(now));
        Some(FoldStep { epoch, level, held: held(level.applied).unwrap_or_default(), times })
    }
}

impl Watch {
    /// Which version those lack that have lacked it for too long.
    fn look(&mut self, now: Duration, tally: &Tally<Version>) -> Option<Version> {
        let many = if self.is_half { tally.total().div_ceil(2) } else { 1 };
        let Some((others, last)) = tally.reached_by(many).zip(tally.first()) else {
            self.mark = None;
            return None;
        };
        let (marked, at) = self.mark.unwrap_or((others, now));
        let is_over = last < marked && now >= at + self.grace;
        self.mark = match () {
            () if last >= others => None,
            () if last >= marked || is_over => Some((others, now)),
            () => Some((marked, at)),
        };
        is_over.then_some(marked)
    }
}
