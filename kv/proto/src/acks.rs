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

use crate::book_edge::{Counts, Edge, Groups, Place, Resumed};
use crate::fold::Fold;
use crate::receipt::Folded;
use crate::tally::Tally;
use crate::{
    Ack, CopyCheck, EdgeReceipt, Epoch, FOLD_FROM, Peer, Receipt, Role, SubscribeRefusal, Took, Version, WaitFor,
};

/// Most arrivals that are remembered of one edge. Older versions are known to be applied, but not when.
pub(crate) const MAX_ARRIVALS: usize = 1024;

/// Most arrivals that are remembered of all edges, 40 bytes each; but some of each edge.
const ALL_ARRIVALS: usize = 4_194_304;
const LEAST_ARRIVALS: usize = 16;

/// Remembered commit times, 48 bytes each.
pub(crate) const MAX_COMMITS: usize = 65_536;

/// Most edges in the book, beyond any fleet. One that is told of together with others takes about 1 KiB, with
/// what is kept of its connection.
pub const MAX_EDGES: usize = 131_072;

/// Most edges that a receipt names: more than anybody reads.
pub const MAX_LISTED: usize = 1000;

/// All downstreams of one publisher.
#[derive(Debug)]
pub struct AckBook {
    pub(crate) epoch: Epoch,
    pub(crate) edges: BTreeMap<Peer, Edge>,
    /// Those who speak for many edges at once.
    pub(crate) groups: Groups,
    /// How many expected edges have applied this and no more, so that a wait costs the same with ten edges and with
    /// ten thousand.
    pub(crate) levels: Tally<Option<Version>>,
    /// Those who make room for others.
    over: BTreeSet<Peer>,
    /// Edges that are served here or below.
    pub(crate) served: usize,
    /// Ascending by version.
    commits: VecDeque<Commit>,
    /// What whoever is above is told; nothing where nobody listens.
    pub(crate) fold: Option<Fold>,
    /// Fewest edges that are told of together.
    pub(crate) folds_from: usize,
}

/// When a version was committed here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    version: Version,
    pub(crate) at: Duration,
    /// From the leader's stamp on, if that is known.
    took: Option<Duration>,
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
    pub(crate) fn order(&self) -> (bool, u64, u64, u64) {
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
        Self {
            epoch,
            edges: BTreeMap::new(),
            groups: Groups::new(),
            levels: Tally::default(),
            over: BTreeSet::new(),
            served: 0,
            commits: VecDeque::new(),
            fold: None,
            folds_from: FOLD_FROM,
        }
    }

    /// So many edges are told of together to whoever is above, and fewer one by one.
    #[must_use]
    pub fn folding_from(self, folds_from: usize) -> Self {
        Self { folds_from, ..self }
    }

    /// Versions are those of `epoch` from now on: every edge has to prove itself anew, and those that were refused are
    /// away until they ask again, as what they were refused for may hold no longer.
    pub fn raise_epoch(&mut self, epoch: Epoch) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.commits.clear();
            for edge in self.edges.values_mut() {
                edge.retract_all();
                edge.is_member = false;
                if let EdgeLink::Refused(since, _) | EdgeLink::LastKnown(since) = edge.link {
                    edge.link = EdgeLink::Away(since);
                }
            }
            self.groups.values_mut().for_each(crate::fold_group::FoldGroup::lose_level);
            self.fold.iter_mut().for_each(Fold::begin_anew);
            self.recount();
            self.note_all();
        }
    }

    /// Notes when a version was committed here, and how long after the leader's stamp, if that is known.
    pub fn committed(&mut self, now: Duration, version: Version, took: Option<Duration>) {
        if self.commits.back().is_none_or(|last| last.version < version) {
            self.commits.push_back(Commit { version, at: now, took });
            self.fold.iter_mut().for_each(|fold| fold.committed(version));
        }
        if self.commits.len() > MAX_COMMITS {
            self.commits.pop_front();
        }
    }

    /// An edge is served from here on. Says no when the book is full.
    pub fn accept(&mut self, peer: &Peer, link: AcceptedLink) -> bool {
        let is_known = self.know(Duration::ZERO, peer);
        self.update(peer, |edge, groups| edge.open(link, groups));
        self.note(peer);
        is_known
    }

    /// An edge was told that it gets nothing. What it had does not count: it is not what this publisher has, or nobody
    /// can tell.
    pub fn refuse(&mut self, now: Duration, peer: &Peer, session: u64, why: SubscribeRefusal) {
        self.know(now, peer);
        self.update(peer, |edge, groups| {
            edge.close(session);
            if session >= edge.current.session {
                edge.leave_group(groups);
                edge.is_member = false;
                edge.retract_all();
                edge.current.session = session;
                edge.link = EdgeLink::Refused(edge.link.away_since().unwrap_or(now), why);
            }
        });
        self.note(peer);
    }

    /// An edge that should be there, as is on record: until it connects it counts as missing, and as away since that time.
    /// Says no when the book is full.
    pub fn expect(&mut self, since: Duration, peer: &Peer) -> bool {
        let is_known = self.know(since, peer);
        self.update(peer, |edge, _| (edge.is_expected, edge.is_on_record) = (true, true));
        is_known
    }

    /// It is on record now that an edge is expected, if it still is.
    pub fn recorded(&mut self, peer: &Peer) {
        self.update(peer, |edge, _| edge.is_on_record = edge.is_expected);
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
        let next = self.update(peer, |edge, groups| {
            edge.close(session);
            if edge.current.session != session || edge.link != EdgeLink::Connected {
                return None;
            }
            edge.leave_group(groups);
            edge.is_member = false;
            edge.link = link;
            if matches!(link, EdgeLink::LastKnown(_)) {
                edge.retract_to_durable();
            }
            edge.choose(groups)
        });
        self.note(peer);
        next.flatten().map(|next| self.resume(now, peer, next)).unwrap_or_default()
    }

    /// What came over a connection that counts now.
    fn resume(&mut self, now: Duration, peer: &Peer, resumed: Resumed) -> Booked {
        let Resumed { session, ack, group } = resumed;
        let said = ack.map(|ack| self.ack(now, peer, session, &ack)).unwrap_or_default();
        match group.map(|group| self.in_step(now, peer, session, group)) {
            Some(Booked { gained: Some(gained), .. }) => {
                let before = said.gained.map_or(gained.before, |said| said.before);
                Booked { gained: Some(Gained { before, ..gained }), ..said }
            }
            _ => said,
        }
    }

    /// Removes an edge: it no longer counts as missing. A connected edge counts again when it reconnects.
    pub fn forget(&mut self, peer: &Peer) -> bool {
        let was_expected = self.update(peer, |edge, _| std::mem::take(&mut edge.is_expected));
        if let Some(edge) = self.edges.remove(peer) {
            self.count(peer, edge.place(&self.groups), false);
        }
        was_expected.unwrap_or(false)
    }

    /// An edge that is served says how far it is.
    pub fn ack(&mut self, now: Duration, peer: &Peer, session: u64, ack: &Ack) -> Booked {
        let counts = |edge: &Edge| {
            let current = &edge.current;
            let is_served = edge.link == EdgeLink::Connected;
            current.session == session && is_served && current.incarnation == ack.incarnation
        };
        let Some(edge) = self.edges.get_mut(peer) else { return Booked::default() };
        edge.said(session, Some(ack), None);
        if !counts(edge) || ack.epoch != self.epoch {
            return Booked::default();
        }
        let most_arrivals = (ALL_ARRIVALS / self.edges.len()).clamp(LEAST_ARRIVALS, MAX_ARRIVALS);
        let news = self.update(peer, |edge, groups| {
            let before = edge.applied(groups);
            edge.leave_group(groups);
            edge.take(now, ack, most_arrivals);
            let is_new = !edge.is_expected && ack.applied >= edge.current.goal;
            edge.is_expected |= is_new;
            (before, edge.is_on_record, is_new)
        });
        let Some((before, counts, is_new)) = news else { return Booked::default() };
        self.join_or_leave(now, peer);
        self.note(peer);
        let gained = counts && before.is_none_or(|before| before < ack.applied);
        let gained = gained.then_some(Gained { before, applied: ack.applied });
        Booked { took: self.took_until(now, peer, before, ack), gained, is_new }
    }

    /// How long each version took that an edge has not acknowledged before. The first ack of an incarnation says what it had
    /// all along, not what has just arrived.
    fn took_until(&mut self, now: Duration, peer: &Peer, before: Option<Version>, ack: &Ack) -> Vec<Duration> {
        let Some(before) = before else { return vec![] };
        let from = self.commits.partition_point(|commit| commit.version <= before);
        let new = self.commits.range(from..).take_while(|commit| commit.version <= ack.applied);
        let is_member = self.edges.get(peer).is_some_and(|edge| edge.is_member);
        let mut fold = self.fold.as_mut().filter(|_| is_member);
        let apply = Duration::from_micros(ack.apply_us);
        let took = |commit: &Commit| {
            let took = now.saturating_sub(commit.at);
            fold.iter_mut().for_each(|fold| fold.took(commit.version, peer, took, apply));
            took
        };
        new.map(took).collect()
    }

    /// Where a version is. Names the edges that are expected, but no more than [`MAX_LISTED`], and those that lack it first.
    #[must_use]
    pub fn receipt(&self, version: Version) -> Receipt {
        let commit = self.commit_of(version);
        let mut receipt = Receipt { commit: commit.and_then(|commit| commit.took), ..Receipt::empty(version) };
        let has = |edge: &Edge| edge.counted(&self.groups).is_some_and(|applied| applied >= version);
        let mut took = Vec::new();
        for (peer, edge) in self.edges.iter().filter(|(_, edge)| edge.is_expected) {
            receipt.of += 1;
            receipt.applied += usize::from(has(edge));
            receipt.durable += usize::from(self.is_durable(edge, version));
            took.extend(commit.and_then(|commit| self.took(edge, commit)).map(|took| (peer, took)));
        }
        let folded = commit.map(|commit| self.folded(commit)).unwrap_or_default();
        receipt.took = crate::receipt::summary(&took, &folded);
        let slowest = |peer: &Peer| folded.iter().find_map(|folded| folded.slowest_is(peer));
        let mut missing = (receipt.of - receipt.applied).min(MAX_LISTED);
        let mut others = receipt.applied.min(MAX_LISTED - missing);
        for (peer, edge) in self.edges.iter().filter(|(_, edge)| edge.is_expected) {
            if missing + others == 0 {
                break;
            }
            let applied = has(edge);
            let room = if applied { &mut others } else { &mut missing };
            if *room == 0 {
                continue;
            }
            *room -= 1;
            receipt.edges.push(EdgeReceipt {
                peer: peer.clone(),
                via: edge.current.via.clone(),
                away_since: edge.link.away_since(),
                is_last_known: matches!(edge.link, EdgeLink::LastKnown(_)),
                applied,
                durable: self.is_durable(edge, version),
                took: commit.and_then(|commit| self.took(edge, commit)).or_else(|| slowest(peer).filter(|_| applied)),
            });
        }
        receipt
    }

    fn is_durable(&self, edge: &Edge, version: Version) -> bool {
        edge.is_on_record && edge.durable(&self.groups).is_some_and(|durable| durable >= version)
    }

    /// The times of those of whom others speak.
    fn folded(&self, commit: Commit) -> Vec<Folded<'_>> {
        let groups = self.groups.values().filter(|group| group.followers > 0);
        let covering = groups.filter_map(|group| group.covering(commit.version, commit.at));
        covering.map(|covering| Folded { relay: covering.relay, times: covering.times }).collect()
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
        self.levels.from(Some(version)) >= condition.needed(self.levels.total())
    }

    /// Those that count as missing when they are not there.
    pub fn expected(&self) -> impl Iterator<Item = &Peer> {
        self.edges.iter().filter(|(_, edge)| edge.is_expected).map(|(peer, _)| peer)
    }

    /// Every edge that is expected or has connected since the start, by role and name.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeReport> {
        self.edges.iter().map(|(peer, edge)| edge.report(peer, &self.groups)).collect()
    }

    /// Puts it into the book if there is room; says whether it is there. Who is not on record and not here makes room: at a
    /// relay nobody is on record, and nobody forgets the edges that have gone for good.
    fn know(&mut self, since: Duration, peer: &Peer) -> bool {
        if self.edges.contains_key(peer) {
            return true;
        }
        if self.edges.len() >= MAX_EDGES {
            let is_told = |peer: &&Peer| self.fold.as_ref().is_none_or(|fold| !fold.untold.contains(*peer));
            let over = self.over.iter().find(is_told).cloned();
            over.iter().for_each(|peer| _ = self.forget(peer));
        }
        let has_room = self.edges.len() < MAX_EDGES;
        if has_room {
            let edge = Edge::new(since);
            self.count(peer, edge.place(&self.groups), true);
            self.edges.insert(peer.clone(), edge);
        }
        has_room
    }

    /// The only way to change what an edge has or how it counts: keeps the counts in step.
    pub(crate) fn update<T>(&mut self, peer: &Peer, change: impl FnOnce(&mut Edge, &Groups) -> T) -> Option<T> {
        let edge = self.edges.get_mut(peer)?;
        let before = edge.place(&self.groups);
        let result = change(edge, &self.groups);
        let after = edge.place(&self.groups);
        if before != after {
            self.count(peer, before, false);
            self.count(peer, after, true);
        }
        Some(result)
    }

    /// An edge stands there now, or does no more.
    fn count(&mut self, peer: &Peer, place: Place, comes: bool) {
        let by = |count: &mut usize| *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        let mut member = place.member;
        if let Some(group) = place.follows.and_then(|id| self.groups.get_mut(&id)) {
            by(&mut group.followers);
            member = group.level().filter(|_| group.is_in_fold());
        }
        if let Some((fold, member)) = self.fold.as_mut().zip(member) {
            if comes { fold.add(member, 1) } else { fold.remove(member, 1) }
        }
        let level = match place.counts {
            Counts::Not => None,
            Counts::Alone(level) => Some(level),
            Counts::Ahead(id, version) => {
                if let Some(group) = self.groups.get_mut(&id) {
                    let at = (version, peer.clone());
                    if comes {
                        group.ahead.insert(at)
                    } else {
                        group.ahead.remove(&at)
                    };
                }
                Some(Some(version))
            }
            Counts::InGroup(id) => {
                let group = self.groups.get_mut(&id);
                group.map(|group| {
                    by(&mut group.counted);
                    group.applied()
                })
            }
        };
        if let Some(level) = level {
            if comes { self.levels.add(level, 1) } else { self.levels.remove(level, 1) }
        }
        if place.is_served {
            by(&mut self.served);
        }
        if place.is_over {
            if comes {
                self.over.insert(peer.clone())
            } else {
                self.over.remove(peer)
            };
        }
    }

    /// Counts all of them anew, where many have changed at once.
    pub(crate) fn recount(&mut self) {
        (self.levels, self.served) = (Tally::default(), 0);
        self.over.clear();
        self.fold.iter_mut().for_each(Fold::clear_members);
        for group in self.groups.values_mut() {
            (group.followers, group.counted) = (0, 0);
            group.ahead.clear();
        }
        let places: Vec<(Peer, Place)> =
            self.edges.iter().map(|(peer, edge)| (peer.clone(), edge.place(&self.groups))).collect();
        places.iter().for_each(|(peer, place)| self.count(peer, *place, true));
    }

    pub(crate) fn commit_of(&self, version: Version) -> Option<Commit> {
        let at = self.commits.binary_search_by_key(&version, |commit| commit.version).ok()?;
        self.commits.get(at).copied()
    }

    #[cfg(test)]
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.commits.len(), self.edges.values().map(|edge| edge.arrivals.len()).max().unwrap_or_default())
    }
}
