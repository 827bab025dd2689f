//! Edges for whom another node speaks at once, as that node's upstream has them in its book: how far all of them are, and
//! how long versions took to them.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crate::{FoldLevel, FoldStep, Peer, Times, Version};

/// The number of a group, given by the node that hears of it.
pub(crate) type GroupId = u64;

/// Remembered steps of one group, and buckets of time in all of them: 256 KiB at most.
const MAX_STEPS: usize = 1024;
const MAX_BUCKETS: usize = 16_384;

/// Edges for whom another node speaks.
#[derive(Debug)]
pub(crate) struct FoldGroup {
    /// Whoever is above is told of them.
    is_below: bool,
    level: Option<FoldLevel>,
    said_at: Duration,
    /// Edges for whom it speaks now.
    pub(crate) followers: usize,
    /// Those of them that are expected and count at the level.
    pub(crate) counted: usize,
    /// Those that are expected and have said themselves that they are further.
    pub(crate) ahead: BTreeSet<(Version, Peer)>,
    /// Ascending, each from where the one before ended.
    steps: VecDeque<TimedStep>,
    buckets: usize,
    is_in_fold: bool,
    /// Not before then.
    joins_at: Duration,
    /// It has come further while it is not told of together with others.
    pub(crate) is_news: bool,
}

/// How long a version took to all edges of a group.
#[derive(Debug)]
pub(crate) struct TimedStep {
    /// The level before, if there was one.
    after: Option<Version>,
    applied: Version,
    /// When the version was committed here.
    committed: Duration,
    /// From then on until the node had it that speaks for them, and had said so.
    relay: Duration,
    times: Times,
}

/// A step of a group that covers a version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Covering<'b> {
    /// From the commit of the version here until the relay had what the step is of.
    pub(crate) relay: Duration,
    /// From then on until each edge had it.
    pub(crate) times: &'b Times,
}

impl FoldGroup {
    /// Nothing said yet.
    pub(crate) fn new(is_below: bool) -> Self {
        Self {
            is_below,
            level: None,
            said_at: Duration::ZERO,
            followers: 0,
            counted: 0,
            ahead: BTreeSet::new(),
            steps: VecDeque::new(),
            buckets: 0,
            is_in_fold: false,
            joins_at: Duration::ZERO,
            is_news: false,
        }
    }

    pub(crate) fn level(&self) -> Option<FoldLevel> {
        self.level
    }

    pub(crate) fn applied(&self) -> Option<Version> {
        Some(self.level?.applied)
    }

    pub(crate) fn said_at(&self) -> Duration {
        self.said_at
    }

    pub(crate) fn is_in_fold(&self) -> bool {
        self.is_in_fold
    }

    /// All of them have come to there. The times count from the commit of that version here, if it is remembered.
    pub(crate) fn step(&mut self, now: Duration, step: &FoldStep, committed: Option<Duration>) {
        let after = self.applied();
        self.level = Some(step.level);
        self.said_at = now;
        self.is_news |= !self.is_in_fold;
        let Some(committed) = committed.filter(|_| after < Some(step.level.applied)) else { return };
        let relay = now.saturating_sub(committed).saturating_sub(step.held);
        self.buckets += step.times.counts().len();
        let (applied, times) = (step.level.applied, step.times.clone());
        self.steps.push_back(TimedStep { after, applied, committed, relay, times });
        while self.steps.len() > MAX_STEPS || self.buckets > MAX_BUCKETS {
            let Some(oldest) = self.steps.pop_front() else { break };
            self.buckets -= oldest.times.counts().len();
        }
    }

    /// What was said is of another history.
    pub(crate) fn lose_level(&mut self) {
        *self = Self { joins_at: self.joins_at, said_at: self.said_at, ..Self::new(self.is_below) };
    }

    /// Those that were ahead of the level until now, and are no more, with what each said itself.
    pub(crate) fn take_reached(&mut self) -> Vec<(Version, Peer)> {
        let mut reached = Vec::new();
        while let Some((version, _)) = self.ahead.first()
            && Some(*version) <= self.applied()
        {
            reached.extend(self.ahead.pop_first());
        }
        reached
    }

    /// How a version, which was committed here then, came to them.
    pub(crate) fn covering(&self, version: Version, committed: Duration) -> Option<Covering<'_>> {
        let at = self.steps.partition_point(|step| step.applied < version);
        let step = self.steps.get(at)?;
        let is_covered = step.applied == version || step.after.is_some_and(|after| after < version);
        let relay = step.relay + step.committed.saturating_sub(committed);
        is_covered.then_some(Covering { relay, times: &step.times })
    }

    /// Whether whoever is above may be told of them together with others, who have come to `level`.
    pub(crate) fn may_join(&self, now: Duration, level: Option<FoldLevel>) -> bool {
        let is_there = self.level.is_some_and(|own| level.is_none_or(|level| level.is_within(&own)));
        self.is_below && !self.is_in_fold && now >= self.joins_at && is_there
    }

    pub(crate) fn join(&mut self) {
        (self.is_in_fold, self.is_news) = (true, false);
    }

    pub(crate) fn leave(&mut self, joins_at: Duration) {
        (self.is_in_fold, self.joins_at) = (false, joins_at);
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.steps.len(), self.buckets)
    }
}
