//! Who has what: the acks of all downstreams, and the receipts made of them.
//!
//! An ack covers every version up to its own, so per edge a short list of (version, when) answers when a version
//! arrived there. Times are those of one local monotonic clock, given as the time since any fixed start.
//!
//! # Invariants
//! - Only the newest session of an edge counts; an older connection that is still closing changes nothing.
//! - An edge that comes back lower loses the receipts above: what counts is what it has, not what it once had.
//! - Edges that are away stay in the book, as missing, until they are forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::{Ack, Epoch, Version};

/// Remembered arrivals per edge. Older versions are known to be applied, but not when.
const MAX_ARRIVALS: usize = 1024;

/// Remembered commit times, 16 bytes each.
const MAX_COMMITS: usize = 65_536;

/// Most edges in the book: beyond any fleet, and 16 KiB each at most.
pub const MAX_EDGES: usize = 16_384;

/// All downstreams of one publisher.
#[derive(Debug, Default)]
pub struct AckBook {
    epoch: Epoch,
    edges: BTreeMap<String, Edge>,
    /// Ascending by version.
    commits: VecDeque<(Version, Duration)>,
}

#[derive(Debug, Default)]
struct Edge {
    session: u64,
    connected: bool,
    incarnation: u64,
    applied: Option<Version>,
    durable: Option<Version>,
    last_ack: Option<Duration>,
    /// Ascending in both: up to this version had arrived at that time.
    arrivals: VecDeque<(Version, Duration)>,
}

/// What is known of one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReport {
    /// Its name.
    pub name: String,
    /// Whether a connection is up.
    pub connected: bool,
    /// Of its process.
    pub incarnation: u64,
    /// What its readers see, if it ever said so.
    pub applied: Option<Version>,
    /// What power loss cannot take there.
    pub durable: Option<Version>,
    /// When it last said anything.
    pub last_ack: Option<Duration>,
}

/// The answer to "where is my change?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The change.
    pub version: Version,
    /// Every known edge, by name.
    pub edges: Vec<EdgeReceipt>,
}

/// One edge of a [`Receipt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReceipt {
    /// Its name.
    pub name: String,
    /// Whether its readers see the version.
    pub applied: bool,
    /// Whether power loss cannot take it there.
    pub durable: bool,
    /// From commit to ack, if both are still remembered.
    pub took: Option<Duration>,
}

impl Receipt {
    /// How many edges have it.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.edges.iter().filter(|edge| edge.applied).count()
    }

    /// Those that do not.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.edges.iter().filter(|edge| !edge.applied).map(|edge| edge.name.as_str())
    }
}

/// How many edges must have a version before a waiting client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// Every known one, and at least one.
    All,
    /// So many. `edge` is one.
    Count(usize),
    /// This share of the known ones, rounded up, and at least one.
    Percent(u8),
}

/// Text that is no wait condition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is none of: edge, all, a number, a number from 1 to 100 with %")]
pub struct WaitForError(String);

impl FromStr for WaitFor {
    type Err = WaitForError;

    fn from_str(text: &str) -> Result<Self, WaitForError> {
        let bad = || WaitForError(text.to_owned());
        match text {
            "edge" => Ok(Self::Count(1)),
            "all" => Ok(Self::All),
            _ => match text.strip_suffix('%') {
                Some(share) => match share.parse() {
                    Ok(share @ 1..=100) => Ok(Self::Percent(share)),
                    _ => Err(bad()),
                },
                None => text.parse().map(Self::Count).map_err(|_| bad()),
            },
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl WaitFor {
    /// How many of `total` known edges that is. More than `total` cannot be met yet.
    #[must_use]
    pub fn needed(&self, total: usize) -> usize {
        match self {
            Self::All => total.max(1),
            Self::Count(count) => *count,
            Self::Percent(share) => (total * usize::from(*share)).div_ceil(100).max(1),
        }
    }
}

impl AckBook {
    /// Nobody known yet; versions are those of `epoch`.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Versions are those of `epoch` from now on: every edge has to prove itself anew.
    pub fn raise_epoch(&mut self, epoch: Epoch) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.commits.clear();
            self.edges.values_mut().for_each(Edge::retract_all);
        }
    }

    /// Notes when a version was committed here.
    pub fn committed(&mut self, now: Duration, version: Version) {
        if self.commits.back().is_none_or(|(last, _)| *last < version) {
            self.commits.push_back((version, now));
        }
        if self.commits.len() > MAX_COMMITS {
            self.commits.pop_front();
        }
    }

    /// An edge has subscribed. `session` ascends with every connection of the process. Says no when the book is full.
    pub fn connect(&mut self, name: &str, session: u64, incarnation: u64) -> bool {
        if self.edges.len() >= MAX_EDGES && !self.edges.contains_key(name) {
            return false;
        }
        let edge = self.edges.entry(name.to_owned()).or_default();
        if session < edge.session {
            return true;
        }
        if edge.incarnation != incarnation {
            edge.retract_all();
        }
        edge.session = session;
        edge.incarnation = incarnation;
        edge.connected = true;
        true
    }

    /// An edge that should be there: until it connects it counts as missing. Says no when the book is full.
    pub fn expect(&mut self, name: &str) -> bool {
        let room = self.edges.len() < MAX_EDGES || self.edges.contains_key(name);
        if room {
            self.edges.entry(name.to_owned()).or_default();
        }
        room
    }

    /// Its connection is gone.
    pub fn disconnect(&mut self, name: &str, session: u64) {
        if let Some(edge) = self.edges.get_mut(name).filter(|edge| edge.session == session) {
            edge.connected = false;
        }
    }

    /// Takes an edge out for good: it no longer counts as missing.
    pub fn forget(&mut self, name: &str) -> bool {
        self.edges.remove(name).is_some()
    }

    /// An edge says how far it is. Returns how long each version took that it had not acknowledged before, where the
    /// commit is still remembered.
    pub fn ack(&mut self, now: Duration, name: &str, session: u64, ack: &Ack) -> Vec<Duration> {
        let Some(edge) = self.edges.get_mut(name) else { return Vec::new() };
        if edge.session != session || edge.incarnation != ack.incarnation {
            return Vec::new();
        }
        edge.last_ack = Some(now);
        if ack.epoch != self.epoch {
            edge.retract_all();
            return Vec::new();
        }
        let before = edge.applied;
        edge.applied = Some(ack.applied);
        edge.durable = Some(ack.durable);
        while edge.arrivals.back().is_some_and(|(version, _)| *version > ack.applied) {
            edge.arrivals.pop_back();
        }
        if edge.arrivals.back().is_none_or(|(version, _)| *version < ack.applied) {
            edge.arrivals.push_back((ack.applied, now));
        }
        if edge.arrivals.len() > MAX_ARRIVALS {
            edge.arrivals.pop_front();
        }
        // The first ack of an incarnation says what it had all along, not what has just arrived.
        let Some(before) = before else { return Vec::new() };
        let from = self.commits.partition_point(|(version, _)| *version <= before);
        let new = self.commits.range(from..).take_while(|(version, _)| *version <= ack.applied);
        new.map(|(_, committed)| now.saturating_sub(*committed)).collect()
    }

    /// Where a version is.
    #[must_use]
    pub fn receipt(&self, version: Version) -> Receipt {
        let committed = self.committed_at(version);
        let edges = self.edges.iter().map(|(name, edge)| EdgeReceipt {
            name: name.clone(),
            applied: edge.has(version),
            durable: edge.durable.is_some_and(|durable| durable >= version),
            took: committed.zip(edge.arrived(version)).map(|(from, to)| to.saturating_sub(from)),
        });
        Receipt { version, edges: edges.collect() }
    }

    /// Whether enough edges have a version.
    #[must_use]
    pub fn holds(&self, version: Version, condition: WaitFor) -> bool {
        let applied = self.edges.values().filter(|edge| edge.has(version)).count();
        applied >= condition.needed(self.edges.len())
    }

    /// Every known edge, by name.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeReport> {
        let report = |(name, edge): (&String, &Edge)| EdgeReport {
            name: name.clone(),
            connected: edge.connected,
            incarnation: edge.incarnation,
            applied: edge.applied,
            durable: edge.durable,
            last_ack: edge.last_ack,
        };
        self.edges.iter().map(report).collect()
    }

    fn committed_at(&self, version: Version) -> Option<Duration> {
        let at = self.commits.binary_search_by_key(&version, |(version, _)| *version).ok()?;
        self.commits.get(at).map(|(_, time)| *time)
    }
}

impl Edge {
    fn has(&self, version: Version) -> bool {
        self.applied.is_some_and(|applied| applied >= version)
    }

    /// When `version` arrived, unless it was before the first ack that is remembered.
    fn arrived(&self, version: Version) -> Option<Duration> {
        let at = self.arrivals.partition_point(|(arrived, _)| *arrived < version);
        let (covered, time) = self.arrivals.get(at)?;
        // The oldest arrival stands for everything before it too; only its own time is known.
        (at > 0 || *covered == version).then_some(*time)
    }

    fn retract_all(&mut self) {
        self.applied = None;
        self.durable = None;
        self.arrivals.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ack(incarnation: u64, applied: u64) -> Ack {
        let applied = Version::new(applied);
        Ack { incarnation, applied, durable: Version::ZERO, ..Ack::default() }
    }

    /// Two edges at version 0, ten versions committed at 10 ms each.
    fn book() -> AckBook {
        let mut book = AckBook::new(Epoch::ZERO);
        for (session, name) in [(1, "a"), (2, "b")] {
            assert!(book.connect(name, session, 7));
            assert_eq!(book.ack(ms(0), name, session, &ack(7, 0)), []);
        }
        (1..=10).for_each(|version| book.committed(ms(version * 10), Version::new(version)));
        book
    }

    #[test]
    fn a_receipt_says_who_has_it_who_lacks_it_and_how_long_it_took() {
        let mut book = book();
        assert_eq!(book.ack(ms(35), "a", 1, &ack(7, 3)), [ms(25), ms(15), ms(5)]);
        assert_eq!(book.ack(ms(47), "a", 1, &ack(7, 4)), [ms(7)]);
        let receipt = book.receipt(Version::new(2));
        assert_eq!(receipt.applied(), 1);
        assert_eq!(receipt.missing().collect::<Vec<_>>(), ["b"]);
        assert_eq!(receipt.edges[0].took, Some(ms(15)));
        assert_eq!(book.receipt(Version::new(4)).edges[0].took, Some(ms(7)));
        assert_eq!(book.receipt(Version::new(5)).applied(), 0);
    }

    #[test]
    fn an_edge_that_comes_back_lower_retracts_its_receipts() {
        let mut book = book();
        book.ack(ms(100), "a", 1, &ack(7, 9));
        assert!(book.holds(Version::new(9), WaitFor::Count(1)));
        // Another process of the same edge has lost the tail.
        assert!(book.connect("a", 3, 8));
        assert!(!book.holds(Version::new(1), WaitFor::Count(1)));
        book.ack(ms(110), "a", 3, &ack(8, 6));
        assert!(book.holds(Version::new(6), WaitFor::Count(1)));
        assert!(!book.holds(Version::new(9), WaitFor::Count(1)));
        assert_eq!(book.ack(ms(120), "a", 3, &ack(8, 9)), [ms(50), ms(40), ms(30)]);
        assert_eq!(book.receipt(Version::new(9)).edges[0].took, Some(ms(30)));
        // Within one incarnation as well.
        book.ack(ms(130), "a", 3, &ack(8, 2));
        assert!(!book.holds(Version::new(9), WaitFor::Count(1)));
        assert_eq!(book.receipt(Version::new(9)).edges[0].took, None);
        book.ack(ms(140), "a", 3, &ack(8, 9));
        assert_eq!(book.receipt(Version::new(9)).edges[0].took, Some(ms(50)), "it arrived again, later");
    }

    #[test]
    fn an_edge_that_is_expected_counts_before_it_connects() {
        let mut book = book();
        book.ack(ms(100), "a", 1, &ack(7, 10));
        book.ack(ms(100), "b", 2, &ack(7, 10));
        assert!(book.holds(Version::new(10), WaitFor::All));
        assert!(book.expect("c"));
        assert!(!book.holds(Version::new(10), WaitFor::All));
        assert!(book.expect("a"), "one that is there stays as it is");
        assert_eq!(book.receipt(Version::new(10)).missing().collect::<Vec<_>>(), ["c"]);
    }

    #[test]
    fn an_old_connection_changes_nothing() {
        let mut book = book();
        book.connect("a", 3, 7);
        assert_eq!(book.ack(ms(100), "a", 1, &ack(7, 10)), []);
        book.disconnect("a", 1);
        assert!(!book.holds(Version::new(10), WaitFor::Count(1)));
        assert!(book.edges()[0].connected);
        book.disconnect("a", 3);
        assert!(!book.edges()[0].connected);
    }

    #[test]
    fn another_epoch_proves_nothing() {
        let mut book = book();
        book.ack(ms(100), "a", 1, &ack(7, 10));
        book.ack(ms(101), "a", 1, &Ack { epoch: Epoch::new(1), ..ack(7, 10) });
        assert!(!book.holds(Version::new(1), WaitFor::Count(1)));
        book.ack(ms(102), "a", 1, &ack(7, 10));
        book.raise_epoch(Epoch::new(1));
        assert!(!book.holds(Version::new(1), WaitFor::Count(1)));
    }

    #[test]
    fn wait_conditions_count_known_edges() {
        let needed = |text: &str, total| text.parse::<WaitFor>().map(|condition| condition.needed(total));
        assert_eq!(needed("edge", 5), Ok(1));
        assert_eq!(needed("all", 5), Ok(5));
        assert_eq!(needed("all", 0), Ok(1));
        assert_eq!(needed("3", 5), Ok(3));
        assert_eq!(needed("50%", 5), Ok(3));
        assert_eq!(needed("1%", 5), Ok(1));
        assert_eq!(needed("100%", 5), Ok(5));
        for bad in ["", "most", "0%", "101%", "-1", "5 %"] {
            assert!(bad.parse::<WaitFor>().is_err(), "{bad}");
        }
        let mut book = book();
        book.ack(ms(35), "a", 1, &ack(7, 3));
        assert!(book.holds(Version::new(3), WaitFor::Percent(50)));
        assert!(!book.holds(Version::new(3), WaitFor::All));
        assert!(book.forget("b"));
        assert!(book.holds(Version::new(3), WaitFor::All));
    }

    #[test]
    fn memory_is_bounded() {
        let mut book = AckBook::new(Epoch::ZERO);
        book.connect("a", 1, 1);
        for version in 1..200_000 {
            book.committed(ms(version), Version::new(version));
            book.ack(ms(version), "a", 1, &ack(1, version));
        }
        assert_eq!(book.commits.len(), MAX_COMMITS);
        assert_eq!(book.edges["a"].arrivals.len(), MAX_ARRIVALS);
        assert_eq!(book.receipt(Version::new(5)).edges[0].took, None);
        assert_eq!(book.receipt(Version::new(199_999)).edges[0].took, Some(ms(0)));
    }
}
