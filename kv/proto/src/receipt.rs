//! The answer to "where is my change?".

use std::time::Duration;

use crate::{Peer, Times, Version};

/// The answer to "where is my change?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The version of the change.
    pub version: Version,
    /// From the leader's stamp to the commit here, by two clocks where another core stamped it; if it is remembered.
    pub commit: Option<Duration>,
    /// How many expected nodes have applied it.
    pub applied: usize,
    /// How many have it on their disk.
    pub durable: usize,
    /// How many are expected.
    pub of: usize,
    /// How long it took to those that have it, if that is remembered.
    pub took: Option<TookSummary>,
    /// Expected nodes, by role and name: all of them or [`MAX_LISTED`](crate::MAX_LISTED), those that lack it before others.
    pub edges: Vec<EdgeReceipt>,
}

/// One edge of a [`Receipt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReceipt {
    /// The node that the receipt is about.
    pub peer: Peer,
    /// The name of the relay that serves it, or did last.
    pub via: Option<String>,
    /// Since when it has no connection that is served; absent while it has one. Time as the book is given it.
    pub away_since: Option<Duration>,
    /// The relay that serves it is gone, so this is the last that is known.
    pub is_last_known: bool,
    /// Whether its readers see the version.
    pub applied: bool,
    /// Whether power loss cannot take it there.
    pub durable: bool,
    /// From commit to ack, if both are still remembered of this one.
    pub took: Option<Took>,
}

/// The way of a version to one edge, on the clock of the core that says so but for the last stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// From the commit to the ack of the edge.
    pub all: Duration,
    /// Of that, until the relay that serves the edge had it, and had said so; nothing without a relay.
    pub relay: Duration,
    /// On the way from there, and for the ack to come back.
    pub network: Duration,
    /// At the edge, from the arrival of the version to its application, as the edge says.
    pub apply: Duration,
}

/// How long a version took to edges, by the nearest rank. Of edges that a relay tells of together the time is known as
/// closely as [`Times`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TookSummary {
    /// Half of them had it within this.
    pub p50: Duration,
    /// 99 of 100 had it within this.
    pub p99: Duration,
    /// The slowest had it after this.
    pub max: Duration,
    /// The slowest.
    pub slowest: Peer,
}

/// Times of edges that a relay tells of together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded<'b> {
    /// Until the relay had the version, and had said so.
    pub(crate) relay: Duration,
    /// From then on.
    pub(crate) times: &'b Times,
}

impl Folded<'_> {
    /// The way to the slowest of them, if it is this one.
    pub(crate) fn slowest_is(&self, peer: &Peer) -> Option<Took> {
        let slowest = self.times.slowest().filter(|slowest| slowest.peer == *peer)?;
        let (all, network) = (self.relay + slowest.took, slowest.took.saturating_sub(slowest.apply));
        Some(Took { all, relay: self.relay, network, apply: slowest.apply })
    }
}

/// How long it took to these edges, and to those.
pub(crate) fn summary(single: &[(&Peer, Took)], folded: &[Folded<'_>]) -> Option<TookSummary> {
    let mut times: Vec<(Duration, u64)> = single.iter().map(|(_, took)| (took.all, 1)).collect();
    for Folded { relay, times: all } in folded {
        times.extend(all.spread().map(|(time, count)| (*relay + time, count)));
    }
    times.sort_unstable();
    let all: u64 = times.iter().map(|(_, count)| count).sum();
    let rank = |percent: u64| {
        let (rank, mut passed) = ((all * percent).div_ceil(100).max(1), 0);
        times.iter().find_map(|(time, count)| {
            passed += count;
            (passed >= rank).then_some(*time)
        })
    };
    let single = single.iter().map(|(peer, took)| (took.all, *peer));
    let of_folded = |folded: &Folded<'_>| folded.times.slowest().map(|slowest| slowest.took + folded.relay);
    let folded = folded.iter().filter_map(|folded| Some((of_folded(folded)?, &folded.times.slowest()?.peer)));
    let (max, slowest) = single.chain(folded).max()?;
    Some(TookSummary { p50: rank(50)?.min(max), p99: rank(99)?.min(max), max, slowest: slowest.clone() })
}

impl Receipt {
    /// Nobody is expected.
    pub(crate) fn empty(version: Version) -> Self {
        Self { version, commit: None, applied: 0, durable: 0, of: 0, took: None, edges: vec![] }
    }

    /// Those that do not have it, as far as they are listed.
    pub fn missing(&self) -> impl Iterator<Item = &Peer> {
        self.edges.iter().filter(|edge| !edge.applied).map(|edge| &edge.peer)
    }
}
