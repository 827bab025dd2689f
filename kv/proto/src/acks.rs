//! The book of acks: the version that each downstream has, and the receipts made from it.
//!
//! An ack covers every version up to its own, so per edge a short list of (version, when) answers when a version
//! arrived there. Times are those of one local monotonic clock, given as the time since any fixed start.
//!
//! # Invariants
//! - Acks count only of a stream that was accepted; whoever is refused loses what it had.
//! - Only one connection of an edge counts, in whatever order connections are heard of: one to this node, else the newest,
//!   and where it ends, the next of those that are left. Of one process the edge itself numbers its connections, and of two
//!   processes the one that began later is newer.
//! - An edge that comes back lower loses the receipts above: what counts is what it has, not what it once had.
//! - An edge is expected, and so counts as missing, from when it first caught up or was named until it is forgotten.
//! - What an edge has counts once it is on record that the edge is expected: a receipt never speaks of an edge that the next
//!   start of this publisher would not wait for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::{
    Ack, CopyCheck, EdgeNews, EdgeReceipt, Epoch, Peer, Receipt, Role, SubscribeRefusal, Took, Version, WaitFor,
};

/// Remembered arrivals per edge. Older versions are known to be applied, but not when.
pub(crate) const MAX_ARRIVALS: usize = 1024;

/// Remembered commit times, 16 bytes each.
pub(crate) const MAX_COMMITS: usize = 65_536;

/// Most edges in the book: beyond any fleet, and 24 KiB each at most.
pub const MAX_EDGES: usize = 16_384;

/// All downstreams of one publisher.
#[derive(Debug, Default)]
pub struct AckBook {
    epoch: Epoch,
    edges: BTreeMap<Peer, Edge>,
    /// How many expected edges have applied this and no more, so that a wait costs the same with ten edges and with
    /// ten thousand.
    levels: BTreeMap<Option<Version>, usize>,
    /// Ascending by version.
    commits: VecDeque<Commit>,
    /// Edges below, of whom there are news for whoever is above; nothing where nobody listens.
    untold: Option<BTreeSet<Peer>>,
}

/// When a version was committed here.
#[derive(Clone, Copy, Debug)]
struct Commit {
    version: Version,
    at: Duration,
    /// From the leader's stamp on, if that is known.
    took: Option<Duration>,
}

/// That an edge has a version, and all before it.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    version: Version,
    at: Duration,
    /// From its arrival at the edge to its application, as the edge says.
    apply: Duration,
}

#[derive(Debug)]
struct Edge {
    is_expected: bool,
    /// A restart does not change that it is expected.
    is_on_record: bool,
    link: EdgeLink,
    /// The connection that counts, or did last.
    current: AcceptedLink,
    /// All that are open, with what each said last.
    open: Vec<OpenLink>,
    applied: Option<Version>,
    durable: Option<Version>,
    last_ack: Option<Duration>,
    /// What its process has said last of its copy at a marker.
    check: Option<CopyCheck>,
    /// Ascending in version and time.
    arrivals: VecDeque<Arrival>,
}

/// Most open connections of an edge: far more than an edge that moves has by mistake.
const MAX_OPEN: usize = 16;

/// A connection that is open as far as is known, and what came over it last.
#[derive(Debug)]
struct OpenLink {
    link: AcceptedLink,
    ack: Option<Ack>,
}

/// A connection over which an edge is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceptedLink {
    /// Number of the connection here, ascending with every one of the process.
    pub session: u64,
    /// The number that the process of the edge drew at its start.
    pub incarnation: u64,
    /// How many connections that process has made before.
    pub connection: u64,
    /// The edge has caught up when it has applied this.
    pub goal: Version,
    /// The name of the relay that serves it, if one does.
    pub via: Option<String>,
    /// Whoever is above this node is to hear of it. Of what one core tells another, nobody else does.
    pub is_below: bool,
}

impl AcceptedLink {
    /// The one of two connections that counts is greater: one that is here before any that a relay speaks of, which may say
    /// what it likes of the edges below it and of no others; then the newer one.
    fn order(&self) -> (bool, u64, u64, u64) {
        (self.via.is_none(), self.incarnation, self.connection, self.session)
    }
}

/// How an edge stands towards this publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeLink {
    /// The edge is connected and is served.
    Connected,
    /// It has no connection since then.
    Away(Duration),
    /// It asked last for what it cannot have, and has not been served since the time.
    Refused(Duration, SubscribeRefusal),
    /// The relay that serves it has been away since then: perhaps the edge is there, and nobody says so.
    LastKnown(Duration),
}

/// The state of one edge as its publisher knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeReport {
    /// The node that the report is about.
    pub peer: Peer,
    /// Whether it counts as missing while it has not applied a version.
    pub is_expected: bool,
    /// Whether that is on record, so that what it has counts.
    pub is_on_record: bool,
    /// Connection of the edge to this publisher.
    pub link: EdgeLink,
    /// The name of the relay that serves it, or did last.
    pub via: Option<String>,
    /// The number that its process drew at its start.
    pub incarnation: u64,
    /// The version that its readers see, if it has sent an ack.
    pub applied: Option<Version>,
    /// The version that is synced to disk at the edge.
    pub durable: Option<Version>,
    /// When it last said anything.
    pub last_ack: Option<Duration>,
    /// What it has said last of its copy at a marker.
    pub check: Option<CopyCheck>,
}

/// Versions that an edge has now: above `before`, or all of them, and up to `applied`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gained {
    /// What it counted for until now, if for any.
    pub before: Option<Version>,
    /// The version that it has applied.
    pub applied: Version,
}

/// What an ack was news of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// How long each version took that the edge had not acknowledged before, where the commit is still remembered.
    pub took: Vec<Duration>,
    /// Versions that it counts for and did not before.
    pub gained: Option<Gained>,
    /// It has caught up and is expected from now on, which is to be put on record.
    pub is_new: bool,
}

impl EdgeLink {
    /// Since when it is not served.
    #[must_use]
    pub fn away_since(&self) -> Option<Duration> {
        match self {
            Self::Connected => None,
            Self::Away(since) | Self::Refused(since, _) | Self::LastKnown(since) => Some(*since),
        }
    }
}

impl AckBook {
    /// Nobody known yet; versions are those of `epoch`.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, ..Self::default() }
    }

    /// Versions are those of `epoch` from now on: every edge has to prove itself anew, and those that were refused are
    /// away until they ask again, as what they were refused for may hold no longer.
    pub fn raise_epoch(&mut self, epoch: Epoch) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.commits.clear();
            for edge in self.edges.values_mut() {
                edge.retract_all();
                if let EdgeLink::Refused(since, _) | EdgeLink::LastKnown(since) = edge.link {
                    edge.link = EdgeLink::Away(since);
                }
            }
            let expected = self.expected().count();
            self.levels = (expected > 0).then_some((None, expected)).into_iter().collect();
        }
    }

    /// Notes when a version was committed here, and how long after the leader's stamp, if that is known.
    pub fn committed(&mut self, now: Duration, version: Version, took: Option<Duration>) {
        if self.commits.back().is_none_or(|last| last.version < version) {
            self.commits.push_back(Commit { version, at: now, took });
        }
        if self.commits.len() > MAX_COMMITS {
            self.commits.pop_front();
        }
    }

    /// An edge is served from here on. Says no when the book is full.
    pub fn accept(&mut self, peer: &Peer, link: AcceptedLink) -> bool {
        let is_known = self.know(Duration::ZERO, peer);
        self.update(peer, |edge| edge.open(link));
        self.is_news(peer);
        is_known
    }

    /// An edge was told that it gets nothing. What it had does not count: it is not what this publisher has, or nobody
    /// can tell.
    pub fn refuse(&mut self, now: Duration, peer: &Peer, session: u64, why: SubscribeRefusal) {
        self.know(now, peer);
        self.update(peer, |edge| {
            edge.open.retain(|open| open.link.session != session);
            if session >= edge.current.session {
                edge.retract_all();
                edge.current.session = session;
                edge.link = EdgeLink::Refused(edge.link.away_since().unwrap_or(now), why);
            }
        });
        self.is_news(peer);
    }

    /// An edge that should be there, as is on record: until it connects it counts as missing, and as away since that time.
    /// Says no when the book is full.
    pub fn expect(&mut self, since: Duration, peer: &Peer) -> bool {
        let is_known = self.know(since, peer);
        self.update(peer, |edge| (edge.is_expected, edge.is_on_record) = (true, true));
        is_known
    }

    /// It is on record now that an edge is expected, if it still is.
    pub fn recorded(&mut self, peer: &Peer) {
        self.update(peer, |edge| edge.is_on_record = edge.is_expected);
    }

    /// A connection is gone. What came over another one that is open counts then.
    pub fn disconnect(&mut self, now: Duration, peer: &Peer, session: u64) -> Booked {
        self.lose(now, peer, session, EdgeLink::Away(now))
    }

    /// The same where the relay is gone that serves it: what it had durably counts on, and what only its memory had does
    /// not, because nobody would hear of its loss.
    pub fn out_of_sight(&mut self, now: Duration, peer: &Peer, session: u64) -> Booked {
        self.lose(now, peer, session, EdgeLink::LastKnown(now))
    }

    fn lose(&mut self, now: Duration, peer: &Peer, session: u64, link: EdgeLink) -> Booked {
        let mut next = None;
        self.update(peer, |edge| {
            edge.open.retain(|open| open.link.session != session);
            if edge.current.session != session || edge.link != EdgeLink::Connected {
                return;
            }
            edge.link = link;
            if matches!(link, EdgeLink::LastKnown(_)) {
                edge.retract_to_durable();
            }
            next = edge.choose();
        });
        self.is_news(peer);
        next.map(|(session, ack)| self.ack(now, peer, session, &ack)).unwrap_or_default()
    }

    /// Somebody above begins to listen, to whom every edge below is news.
    pub fn tell_all(&mut self) {
        let is_served = |edge: &Edge| edge.link == EdgeLink::Connected && edge.current.is_below;
        self.untold =
            Some(self.edges.iter().filter(|(_, edge)| is_served(edge)).map(|(peer, _)| peer.clone()).collect());
    }

    /// Whether there is something to tell whoever is above.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.untold.as_ref().is_some_and(|untold| !untold.is_empty())
    }

    /// The news of at most so many edges, which are told with it: how each stands now.
    pub fn take_news(&mut self, most: usize) -> Vec<EdgeNews> {
        let (mut news, Some(untold)) = (Vec::new(), &mut self.untold) else { return vec![] };
        while news.len() < most
            && let Some(peer) = untold.pop_first()
        {
            news.extend(self.edges.get(&peer).map(|edge| edge.news(&peer, self.epoch)));
        }
        news
    }

    fn is_news(&mut self, peer: &Peer) {
        if let Some(untold) = &mut self.untold
            && self.edges.get(peer).is_some_and(|edge| edge.current.is_below)
        {
            untold.insert(peer.clone());
        }
    }

    /// Removes an edge: it no longer counts as missing. A connected edge counts again when it reconnects.
    pub fn forget(&mut self, peer: &Peer) -> bool {
        let was_expected = self.update(peer, |edge| std::mem::take(&mut edge.is_expected));
        self.edges.remove(peer);
        was_expected.unwrap_or(false)
    }

    /// An edge that is served says how far it is.
    pub fn ack(&mut self, now: Duration, peer: &Peer, session: u64, ack: &Ack) -> Booked {
        let counts = |edge: &Edge| {
            let current = &edge.current;
            let is_served = edge.link == EdgeLink::Connected;
            current.session == session && is_served && current.incarnation == ack.incarnation
        };
        if let Some(edge) = self.edges.get_mut(peer)
            && let Some(open) = edge.open.iter_mut().find(|open| open.link.session == session)
        {
            open.ack = Some(ack.clone().with_check_of(open.ack.take()));
        }
        if !self.edges.get(peer).is_some_and(counts) || ack.epoch != self.epoch {
            return Booked::default();
        }
        let news = self.update(peer, |edge| {
            let before = edge.applied;
            edge.take(now, ack);
            let is_new = !edge.is_expected && ack.applied >= edge.current.goal;
            edge.is_expected |= is_new;
            (before, edge.is_on_record, is_new)
        });
        let Some((before, counts, is_new)) = news else { return Booked::default() };
        self.is_news(peer);
        let gained = counts && before.is_none_or(|before| before < ack.applied);
        let gained = gained.then_some(Gained { before, applied: ack.applied });
        // The first ack of an incarnation says what it had all along, not what has just arrived.
        let took = before.map(|before| {
            let from = self.commits.partition_point(|commit| commit.version <= before);
            let new = self.commits.range(from..).take_while(|commit| commit.version <= ack.applied);
            new.map(|commit| now.saturating_sub(commit.at)).collect()
        });
        Booked { took: took.unwrap_or_default(), gained, is_new }
    }

    /// Where a version is.
    #[must_use]
    pub fn receipt(&self, version: Version) -> Receipt {
        let commit = self.commit_of(version);
        let edges = self.edges.iter().filter(|(_, edge)| edge.is_expected).map(|(peer, edge)| EdgeReceipt {
            peer: peer.clone(),
            via: edge.current.via.clone(),
            away_since: edge.link.away_since(),
            is_last_known: matches!(edge.link, EdgeLink::LastKnown(_)),
            applied: edge.counted().is_some_and(|applied| applied >= version),
            durable: edge.is_on_record && edge.durable.is_some_and(|durable| durable >= version),
            took: commit.and_then(|commit| self.took(edge, commit)),
        });
        Receipt { version, commit: commit.and_then(|commit| commit.took), edges: edges.collect() }
    }

    /// The way of a version to an edge, in its stages.
    fn took(&self, edge: &Edge, commit: Commit) -> Option<Took> {
        let arrival = edge.arrived(commit.version)?;
        let all = arrival.at.saturating_sub(commit.at);
        let relay = edge.current.via.as_ref().map(|name| Peer { role: Role::Relay, name: name.clone() });
        let at_relay = relay.and_then(|relay| self.edges.get(&relay)?.arrived_at_all(commit.version));
        let relay = at_relay.map_or(Duration::ZERO, |at| at.saturating_sub(commit.at)).min(all);
        let apply = arrival.apply.min(all - relay);
        Some(Took { all, relay, network: all - relay - apply, apply })
    }

    /// Whether enough edges have a version. Costs as much as there are versions at which edges stand.
    #[must_use]
    pub fn holds(&self, version: Version, condition: WaitFor) -> bool {
        let applied: usize = self.levels.range(Some(version)..).map(|(_, count)| count).sum();
        applied >= condition.needed(self.levels.values().sum())
    }

    /// Those that count as missing when they are not there.
    pub fn expected(&self) -> impl Iterator<Item = &Peer> {
        self.edges.iter().filter(|(_, edge)| edge.is_expected).map(|(peer, _)| peer)
    }

    /// Every edge that is expected or has connected since the start, by role and name.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeReport> {
        let report = |(peer, edge): (&Peer, &Edge)| EdgeReport {
            peer: peer.clone(),
            is_expected: edge.is_expected,
            is_on_record: edge.is_on_record,
            link: edge.link,
            via: edge.current.via.clone(),
            incarnation: edge.current.incarnation,
            applied: edge.applied,
            durable: edge.durable,
            last_ack: edge.last_ack,
            check: edge.check.clone(),
        };
        self.edges.iter().map(report).collect()
    }

    /// Puts it into the book if there is room; says whether it is there. Who is not on record and not here makes room: at a
    /// relay nobody is on record, and nobody forgets the edges that have gone for good.
    fn know(&mut self, since: Duration, peer: &Peer) -> bool {
        if self.edges.len() >= MAX_EDGES && !self.edges.contains_key(peer) {
            let is_told = |peer: &Peer| self.untold.as_ref().is_none_or(|untold| !untold.contains(peer));
            let is_over = |edge: &Edge| !edge.is_on_record && edge.open.is_empty();
            let over = self.edges.iter().find(|(peer, edge)| is_over(edge) && is_told(peer));
            let over = over.map(|(peer, _)| peer.clone());
            over.iter().for_each(|peer| _ = self.forget(peer));
        }
        let has_room = self.edges.len() < MAX_EDGES || self.edges.contains_key(peer);
        if has_room {
            self.edges.entry(peer.clone()).or_insert_with(|| Edge::new(since));
        }
        has_room
    }

    /// The only way to change what an edge has or whether it counts: keeps the levels in step.
    fn update<T>(&mut self, peer: &Peer, change: impl FnOnce(&mut Edge) -> T) -> Option<T> {
        let edge = self.edges.get_mut(peer)?;
        let before = edge.level();
        let result = change(edge);
        let after = edge.level();
        if before != after {
            if let Some(level) = before
                && let Some(count) = self.levels.get_mut(&level)
            {
                *count -= 1;
                if *count == 0 {
                    self.levels.remove(&level);
                }
            }
            if let Some(level) = after {
                *self.levels.entry(level).or_default() += 1;
            }
        }
        Some(result)
    }

    fn commit_of(&self, version: Version) -> Option<Commit> {
        let at = self.commits.binary_search_by_key(&version, |commit| commit.version).ok()?;
        self.commits.get(at).copied()
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.commits.len(), self.edges.values().map(|edge| edge.arrivals.len()).max().unwrap_or_default())
    }
}

impl Edge {
    fn new(since: Duration) -> Self {
        Self {
            is_expected: false,
            is_on_record: false,
            link: EdgeLink::Away(since),
            current: AcceptedLink::default(),
            open: Vec::new(),
            applied: None,
            durable: None,
            last_ack: None,
            check: None,
            arrivals: VecDeque::new(),
        }
    }

    /// How it stands, for whoever is above.
    fn news(&self, peer: &Peer, epoch: Epoch) -> EdgeNews {
        let AcceptedLink { session, incarnation, connection, goal, via, .. } = self.current.clone();
        let (is_gone, is_unseen) = (self.link != EdgeLink::Connected, matches!(self.link, EdgeLink::LastKnown(_)));
        let durable = self.durable.unwrap_or_default();
        let apply = self.arrivals.back().map_or(Duration::ZERO, |arrival| arrival.apply);
        let apply_us = u64::try_from(apply.as_micros()).unwrap_or(u64::MAX);
        let check = self.check.clone();
        let ack =
            self.applied.map(|applied| Ack { incarnation, epoch, applied, durable, two_clock_us: 0, apply_us, check });
        EdgeNews { peer: peer.clone(), session, connection, incarnation, goal, is_gone, is_unseen, via, ack }
    }

    /// One more connection is open.
    fn open(&mut self, link: AcceptedLink) {
        self.open.retain(|open| open.link.session != link.session);
        if self.open.len() == MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push(OpenLink { link, ack: None });
        self.choose();
    }

    /// Lets the newest of the open connections count. If that is another one than before, its session, and what came over
    /// it last.
    fn choose(&mut self) -> Option<(u64, Ack)> {
        let newest = self.open.iter().max_by_key(|open| open.link.order())?;
        if self.link == EdgeLink::Connected && newest.link.session == self.current.session {
            return None;
        }
        let (link, ack) = (newest.link.clone(), newest.ack.clone());
        if self.current.incarnation != link.incarnation {
            self.retract_all();
        }
        self.link = EdgeLink::Connected;
        self.current = link;
        Some((self.current.session, ack?))
    }

    /// Where it is counted, if it is.
    fn level(&self) -> Option<Option<Version>> {
        self.is_expected.then_some(self.counted())
    }

    /// What it has, where that counts.
    fn counted(&self) -> Option<Version> {
        self.applied.filter(|_| self.is_on_record)
    }

    fn take(&mut self, now: Duration, ack: &Ack) {
        self.last_ack = Some(now);
        self.applied = Some(ack.applied);
        self.durable = Some(ack.durable);
        if ack.check.is_some() {
            self.check.clone_from(&ack.check);
        }
        while self.arrivals.back().is_some_and(|arrival| arrival.version > ack.applied) {
            self.arrivals.pop_back();
        }
        if self.arrivals.back().is_none_or(|arrival| arrival.version < ack.applied) {
            let apply = Duration::from_micros(ack.apply_us);
            self.arrivals.push_back(Arrival { version: ack.applied, at: now, apply });
        }
        if self.arrivals.len() > MAX_ARRIVALS {
            self.arrivals.pop_front();
        }
    }

    /// How `version` arrived, unless it was before the first ack that is remembered, and where that counts.
    fn arrived(&self, version: Version) -> Option<Arrival> {
        let at = self.arrivals.partition_point(|arrival| arrival.version < version);
        let arrival = self.arrivals.get(at).copied()?;
        // The oldest arrival stands for everything before it too; only its own time is known.
        (self.is_on_record && (at > 0 || arrival.version == version)).then_some(arrival)
    }

    /// When `version` arrived, whether or not that counts.
    fn arrived_at_all(&self, version: Version) -> Option<Duration> {
        let at = self.arrivals.partition_point(|arrival| arrival.version < version);
        self.arrivals.get(at).map(|arrival| arrival.at)
    }

    fn retract_to_durable(&mut self) {
        // 0 says that none of this epoch is.
        self.applied = self.durable.filter(|durable| *durable > Version::ZERO);
        while self.arrivals.back().is_some_and(|arrival| Some(arrival.version) > self.durable) {
            self.arrivals.pop_back();
        }
    }

    fn retract_all(&mut self) {
        self.applied = None;
        self.durable = None;
        self.check = None;
        self.arrivals.clear();
    }
}
