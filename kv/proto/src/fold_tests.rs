//! What a relay tells of many edges at once, against a plain model: a map of edges and what each has.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::random::Random;
use crate::{
    AcceptedLink, Ack, AckBook, Booked, CopyCheck, CopyCheckState, EdgeLink, EdgeTold, Epoch, FOLD_FROM, Peer,
    RangeHash, Reported, ReportedEdges, Role, Version, WaitFor,
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(version: u64) -> Version {
    Version::new(version)
}

/// What one edge has, and ever had.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    incarnation: u64,
    connections: u64,
    /// The book that it is connected to, and its session there.
    home: Option<(usize, u64)>,
    applied: u64,
    durable: u64,
    ever_applied: u64,
    ever_durable: u64,
}

/// A core, a relay below it, and one below that, each a book; and edges at any of them.
struct World {
    random: Random,
    now: Duration,
    books: Vec<AckBook>,
    /// From each book but the core's to the one above.
    wires: Vec<VecDeque<Bytes>>,
    /// What each book but the last has heard from the one below.
    heard: Vec<ReportedEdges>,
    sessions: u64,
    head: u64,
    edges: BTreeMap<Peer, Truth>,
    steps: u64,
}

impl World {
    fn new(seed: u64, edges: usize) -> Self {
        let mut random = Random(seed);
        let folds_from = [0, 2, 4][usize::try_from(random.below(3)).unwrap()];
        let mut world = Self {
            random,
            now: ms(1000),
            books: (0..3).map(|_| AckBook::new(Epoch::ZERO).folding_from(folds_from)).collect(),
            wires: vec![VecDeque::new(); 2],
            heard: Vec::new(),
            sessions: 0,
            head: 1,
            edges: (0..edges).map(|number| (Peer::edge(&format!("edge-{number}")), Truth::default())).collect(),
            steps: 0,
        };
        for upper in 0..2 {
            let heard = world.new_reports(upper);
            world.heard.push(heard);
            world.books[upper + 1].tell_all();
        }
        world
    }

    fn new_reports(&mut self, upper: usize) -> ReportedEdges {
        self.sessions += 1;
        ReportedEdges::new(Some(format!("relay-{}", upper + 1)), self.sessions)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn event(&mut self) {
        let number = self.below(self.edges.len() as u64);
        let peer = Peer::edge(&format!("edge-{number}"));
        match self.below(100) {
            0..12 => self.commit(),
            12..60 => self.progress(&peer),
            60..62 => self.connect(&peer, false),
            62 => self.connect(&peer, true),
            63 => self.disconnect(&peer),
            64 if self.random.one_in(2) => {
                let upper = usize::try_from(self.below(2)).unwrap();
                self.lose(upper);
            }
            65 => self.now += ms(self.random.below(8000)),
            66..72 => self.now += ms(self.random.below(200)),
            72..86 => {
                let (lower, most) = (usize::try_from(1 + self.below(2)).unwrap(), self.below(4));
                self.tell(lower, usize::try_from(most).unwrap());
            }
            _ => {
                let (lower, most) = (usize::try_from(1 + self.below(2)).unwrap(), self.below(5));
                (0..most).for_each(|_| self.deliver(lower));
            }
        }
    }

    fn commit(&mut self) {
        self.head += 1;
        for book in &mut self.books {
            book.committed(self.now, at(self.head), None);
        }
    }

    /// An edge has more, and perhaps says so.
    fn progress(&mut self, peer: &Peer) {
        let (head, is_durable, is_far) = (self.head, self.random.one_in(3), !self.random.one_in(4));
        let step = if is_far { head } else { self.below(3) };
        let truth = self.edges.get_mut(peer).unwrap();
        truth.applied = (truth.applied + step).min(head);
        if is_durable {
            truth.durable = truth.applied;
        }
        truth.ever_applied = truth.ever_applied.max(truth.applied);
        truth.ever_durable = truth.ever_durable.max(truth.durable);
        self.ack(peer);
    }

    fn ack(&mut self, peer: &Peer) {
        let truth = self.edges[peer];
        let Some((home, session)) = truth.home else { return };
        let [applied, durable] = [truth.applied, truth.durable].map(at);
        let ack = Ack { incarnation: truth.incarnation, applied, durable, apply_us: 10, ..Ack::default() };
        let booked = self.books[home].ack(self.now, peer, session, &ack);
        self.booked(home, peer, &booked);
    }

    fn booked(&mut self, place: usize, peer: &Peer, booked: &Booked) {
        if booked.is_new {
            self.books[place].recorded(peer);
        }
    }

    /// An edge connects to one of the books; the one that it was at may notice that later. Restarted, it may have lost what
    /// it had not on its disk.
    fn connect(&mut self, peer: &Peer, is_restart: bool) {
        if self.random.one_in(2) {
            self.disconnect(peer);
        }
        let home = usize::try_from(self.below(3)).unwrap();
        self.sessions += 1;
        let (session, goal) = (self.sessions, at(self.head));
        let truth = self.edges.get_mut(peer).unwrap();
        if is_restart || truth.incarnation == 0 {
            truth.incarnation += 1;
            (truth.applied, truth.connections) = (truth.durable, 0);
        }
        // Who was told of it before notices in the end.
        let before = truth.home.replace((home, session));
        let (incarnation, connection) = (truth.incarnation, truth.connections);
        truth.connections += 1;
        let link = AcceptedLink { session, incarnation, connection, goal, via: None, is_below: true };
        assert!(self.books[home].accept(peer, link));
        if let Some((home, session)) = before {
            let booked = self.books[home].disconnect(self.now, peer, session);
            self.booked(home, peer, &booked);
        }
        self.ack(peer);
    }

    fn disconnect(&mut self, peer: &Peer) {
        if let Some((home, session)) = self.edges.get_mut(peer).unwrap().home.take() {
            let booked = self.books[home].disconnect(self.now, peer, session);
            self.booked(home, peer, &booked);
        }
    }

    /// The connection between two nodes is gone, with what was on it, and there is a new one.
    fn lose(&mut self, upper: usize) {
        self.wires[upper].clear();
        for (peer, told) in self.heard[upper].end() {
            self.told(upper, &peer, told);
        }
        self.books[upper].end_fold(self.heard[upper].fold());
        self.heard[upper] = self.new_reports(upper);
        self.books[upper + 1].tell_all();
    }

    fn tell(&mut self, lower: usize, most: usize) {
        let news = self.books[lower].take_news(self.now, most);
        self.wires[lower - 1].extend(news.iter().map(EdgeTold::to_bytes));
    }

    fn deliver(&mut self, lower: usize) {
        let Some(message) = self.wires[lower - 1].pop_front() else { return };
        let upper = lower - 1;
        match EdgeTold::from_bytes(&message).unwrap() {
            EdgeTold::Edge(news) => {
                let (peer, sessions) = (news.peer.clone(), &mut self.sessions);
                let told = self.heard[upper].take(news, || {
                    *sessions += 1;
                    *sessions
                });
                told.unwrap().into_iter().for_each(|told| self.told(upper, &peer, told));
            }
            EdgeTold::Step(step) => {
                self.steps += 1;
                let step = self.heard[upper].step(step).expect("it never goes back");
                self.books[upper].step(self.now, self.heard[upper].fold(), &step);
            }
        }
    }

    fn told(&mut self, place: usize, peer: &Peer, told: Reported) {
        let (now, book) = (self.now, &mut self.books[place]);
        let booked = match told {
            Reported::Accepted(link) => {
                assert!(book.accept(peer, link));
                Booked::default()
            }
            Reported::Acked(session, ack) => book.ack(now, peer, session, &ack),
            Reported::InStep(session, of) => book.in_step(now, peer, session, of.number),
            Reported::OutOfStep(session) => {
                book.out_of_step(peer, session);
                Booked::default()
            }
            Reported::Gone(session) => book.disconnect(now, peer, session),
            Reported::OutOfSight(session) => book.out_of_sight(now, peer, session),
        };
        self.booked(place, peer, &booked);
    }

    /// Nobody is said to have what it never had.
    fn check(&self, what: &str) {
        for (place, book) in self.books.iter().enumerate() {
            for said in book.edges() {
                let truth = self.edges[&said.peer];
                let number = |version: Option<Version>| version.map_or(0, Version::get);
                let is_unseen = matches!(said.link, EdgeLink::LastKnown(_));
                let most = if is_unseen { truth.ever_durable } else { truth.ever_applied };
                assert!(number(said.applied) <= most, "{what}: book {place} says {said:?}, {truth:?}");
                assert!(number(said.durable) <= truth.ever_durable, "{what}: book {place} says {said:?}, {truth:?}");
            }
            self.check_counts(place, what);
        }
        (1..3).for_each(|lower| self.check_told(lower, what));
    }

    /// What a wait is told is what receipts say, and receipts are what each edge has.
    fn check_counts(&self, place: usize, what: &str) {
        let book = &self.books[place];
        let edges = book.edges();
        for version in self.head.saturating_sub(3)..=self.head + 1 {
            let has = |applied: Option<Version>| applied.is_some_and(|applied| applied >= at(version));
            let applied = edges.iter().filter(|edge| edge.is_on_record && has(edge.applied)).count();
            let receipt = book.receipt(at(version));
            assert_eq!(receipt.applied, applied, "{what}: book {place}, version {version}");
            assert_eq!(receipt.edges.len(), receipt.of, "{what}");
            for condition in [WaitFor::All, WaitFor::Count(2)] {
                let enough = receipt.applied >= condition.needed(receipt.of);
                assert_eq!(book.holds(at(version), condition), enough, "{what}: book {place}, version {version}");
            }
        }
    }

    /// Where nothing is on its way, nobody above believes more than the relay does, but of those that it is about to tell of.
    fn check_told(&self, lower: usize, what: &str) {
        let (book, upper) = (&self.books[lower], &self.books[lower - 1]);
        let fold = book.fold.as_ref().unwrap();
        if !self.wires[lower - 1].is_empty() {
            return;
        }
        let here: BTreeMap<Peer, Option<Version>> =
            book.edges().into_iter().map(|edge| (edge.peer, edge.applied)).collect();
        for said in upper.edges().into_iter().filter(|said| said.via.is_some() && said.link == EdgeLink::Connected) {
            let is_untold = fold.leaving.contains(&said.peer) || fold.untold.contains(&said.peer);
            let has = here.get(&said.peer).copied().flatten();
            assert!(is_untold || said.applied <= has, "{what}: {said:?} has {has:?} at {lower}, and nobody tells so");
        }
    }

    /// Nothing happens any more, and everything is told.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut is_quiet = true;
            for lower in [2, 1] {
                while self.books[lower].look(self.now).is_some_and(|due| due <= self.now) {
                    self.tell(lower, 3);
                }
                is_quiet &= self.books[lower].look(self.now).is_none() && self.wires[lower - 1].is_empty();
                while !self.wires[lower - 1].is_empty() {
                    self.deliver(lower);
                }
            }
            if is_quiet {
                return;
            }
            self.now += ms(300);
        }
        panic!("it never ends");
    }

    /// The core knows exactly what each edge has.
    fn check_settled(&self, what: &str) {
        let known: BTreeMap<Peer, _> =
            self.books[0].edges().into_iter().map(|edge| (edge.peer.clone(), edge)).collect();
        for (peer, truth) in self.edges.iter().filter(|(_, truth)| truth.home.is_some()) {
            let edge = known.get(peer).unwrap_or_else(|| panic!("{what}: nobody knows {peer}"));
            assert_eq!(edge.link, EdgeLink::Connected, "{what}: {peer}");
            let has = (edge.applied, edge.durable.unwrap_or_default());
            assert_eq!(has, (Some(at(truth.applied)), at(truth.durable)), "{what}: {peer} via {:?}", edge.via);
        }
    }
}

/// `ZONECAST_SOAK` asks for this many seeds.
const SEEDS_OF_SOAK: u64 = 20_000;

#[test]
fn what_is_told_together_is_what_each_edge_has() {
    let seeds = if std::env::var_os("ZONECAST_SOAK").is_some() { SEEDS_OF_SOAK } else { 300 };
    let mut steps = 0;
    for seed in 0..seeds {
        let edges = usize::try_from(2 + seed % 7).unwrap();
        let mut world = World::new(seed, edges);
        for round in 0..3 {
            for event in 0..150 {
                world.event();
                world.check(&format!("seed {seed}, round {round}, event {event}"));
            }
            world.settle();
            world.check_settled(&format!("seed {seed}, round {round}"));
        }
        steps += world.steps;
    }
    println!("{seeds} seeds, {steps} steps");
    assert!(steps > 10 * seeds, "hardly anybody was told of together: {steps}");
}

/// A relay with so many edges, and the core above it.
struct Pair {
    now: Duration,
    core: AckBook,
    relay: AckBook,
    heard: ReportedEdges,
    peers: Vec<Peer>,
    /// Messages and bytes that the relay has sent.
    sent: (u64, u64),
}

impl Pair {
    fn new(edges: usize) -> Self {
        let mut pair = Self {
            now: ms(1000),
            core: AckBook::new(Epoch::ZERO),
            relay: AckBook::new(Epoch::ZERO),
            heard: ReportedEdges::new(Some("relay-1".into()), 1),
            peers: (0..edges).map(|number| Peer::edge(&format!("edge-{number}"))).collect(),
            sent: (0, 0),
        };
        pair.relay.tell_all();
        for (session, peer) in (1..).zip(pair.peers.clone()) {
            let link = AcceptedLink { session, incarnation: 7, is_below: true, ..AcceptedLink::default() };
            assert!(pair.relay.accept(&peer, link));
        }
        (0..edges).for_each(|number| pair.ack(number, 0));
        // Those that came before there were enough join with their next ack.
        (0..edges).for_each(|number| pair.ack(number, 0));
        pair.tell();
        pair
    }

    fn commit(&mut self, version: u64) {
        self.core.committed(self.now, at(version), None);
        self.relay.committed(self.now + ms(3), at(version), None);
    }

    fn ack(&mut self, number: usize, version: u64) {
        let ack = Ack { incarnation: 7, applied: at(version), durable: at(version), apply_us: 400, ..Ack::default() };
        let session = number as u64 + 1;
        self.relay.ack(self.now, &self.peers[number].clone(), session, &ack);
    }

    /// Everything that is due goes up, and takes 3 ms.
    fn tell(&mut self) {
        while self.relay.look(self.now).is_some_and(|due| due <= self.now) {
            for told in self.relay.take_news(self.now, 100) {
                let bytes = told.to_bytes();
                self.sent = (self.sent.0 + 1, self.sent.1 + bytes.len() as u64);
                self.hear(EdgeTold::from_bytes(&bytes).unwrap());
            }
        }
    }

    fn hear(&mut self, told: EdgeTold) {
        let now = self.now + ms(3);
        let news = match told {
            EdgeTold::Step(step) => {
                let step = self.heard.step(step).unwrap();
                return drop(self.core.step(now, self.heard.fold(), &step));
            }
            EdgeTold::Edge(news) => news,
        };
        let peer = news.peer.clone();
        let session = self.sent.0 + 10;
        for told in self.heard.take(news, || session).unwrap() {
            match told {
                Reported::Accepted(link) => assert!(self.core.accept(&peer, link)),
                Reported::Acked(session, ack) => {
                    if self.core.ack(now, &peer, session, &ack).is_new {
                        self.core.recorded(&peer);
                    }
                }
                Reported::InStep(session, of) => drop(self.core.in_step(now, &peer, session, of.number)),
                other => panic!("nothing of the kind happens here: {other:?}"),
            }
        }
    }

    /// So many versions, each acknowledged by all, one after the other.
    fn versions(&mut self, many: u64) {
        for version in 1..=many {
            self.commit(version);
            self.now += ms(10);
            (0..self.peers.len()).for_each(|number| self.ack(number, version));
            self.tell();
            self.now += ms(500);
        }
    }
}

#[test]
fn what_a_version_costs_upstream_does_not_grow_with_edges_in_step() {
    const VERSIONS: u64 = 50;
    let cost = |edges: usize| {
        let mut pair = Pair::new(edges);
        let before = pair.sent;
        pair.versions(VERSIONS);
        assert!(pair.core.holds(at(VERSIONS), WaitFor::Count(edges)), "the core knows");
        (pair.sent.0 - before.0, pair.sent.1 - before.1)
    };
    let [few, many] = [100, 1000].map(cost);
    println!("messages and bytes: {few:?} for 100 edges, {many:?} for 1,000");
    assert_eq!(few.0, VERSIONS, "one message for each version");
    assert_eq!(many.0, few.0);
    // A count of a thousand is longer than one of a hundred.
    assert!(many.1 <= few.1 + 4 * VERSIONS, "{few:?} {many:?}");
    assert!(few.1 <= 64 * VERSIONS);
}

#[test]
fn an_edge_that_is_behind_holds_nobody_up_and_is_told_of_alone() {
    let mut pair = Pair::new(100);
    pair.commit(1);
    pair.now += ms(10);
    (1..100).for_each(|number| pair.ack(number, 1));
    pair.tell();
    assert!(!pair.core.holds(at(1), WaitFor::Count(1)), "one of them has nothing, and may be on its way");
    let before = pair.sent;
    pair.now += ms(150);
    pair.tell();
    assert!(pair.core.holds(at(1), WaitFor::Count(99)));
    let missing: Vec<String> = pair.core.receipt(at(1)).missing().map(Peer::label).collect();
    assert_eq!(missing, ["edge-0"]);
    assert_eq!(pair.sent.0 - before.0, 2, "the one that left, and a step of the others");
    // It is told of alone until it keeps up again.
    pair.ack(0, 1);
    pair.tell();
    assert!(pair.core.holds(at(1), WaitFor::All));
    let before = pair.sent;
    pair.now += ms(6000);
    pair.commit(2);
    (0..100).for_each(|number| pair.ack(number, 2));
    pair.tell();
    assert_eq!(pair.sent.0 - before.0, 2, "a step, and that it is in step again");
    assert!(pair.core.holds(at(2), WaitFor::All));
}

#[test]
fn what_an_edge_in_step_says_of_its_copy_is_told_once_by_its_name() {
    let mut pair = Pair::new(100);
    pair.versions(1);
    let before = pair.sent;
    let check = CopyCheck::new(3, CopyCheckState::Hashed, RangeHash::of_entries(b"x"));
    let ack = Ack { incarnation: 7, applied: at(1), durable: at(1), check: Some(check.clone()), ..Ack::default() };
    let (peer, now) = (pair.peers[5].clone(), pair.now);
    for _ in 0..3 {
        pair.relay.ack(now, &peer, 6, &ack);
        pair.tell();
    }
    let told = pair.core.edges().into_iter().find(|edge| edge.peer == peer).unwrap();
    assert_eq!(told.check, Some(check));
    assert_eq!(pair.sent.0 - before.0, 1);
    pair.commit(2);
    (0..100).for_each(|number| pair.ack(number, 2));
    pair.tell();
    assert_eq!(pair.sent.0 - before.0, 2, "it is still in step");
    assert!(pair.core.holds(at(2), WaitFor::All));
}

#[test]
fn few_edges_are_told_of_one_by_one_with_their_times() {
    let mut pair = Pair::new(FOLD_FROM - 1);
    pair.commit(1);
    pair.now += ms(20);
    (0..FOLD_FROM - 1).for_each(|number| pair.ack(number, 1));
    pair.tell();
    let receipt = pair.core.receipt(at(1));
    assert!(receipt.edges.iter().all(|edge| edge.took.map(|took| took.all) == Some(ms(23))), "{receipt:?}");
}

#[test]
fn times_of_many_edges_are_those_that_each_took() {
    let mut pair = Pair::new(1000);
    let relay = Peer { role: Role::Relay, name: "relay-1".into() };
    assert!(pair.core.accept(&relay, AcceptedLink { session: 2, incarnation: 7, ..AcceptedLink::default() }));
    pair.commit(1);
    pair.now += ms(3);
    // The relay has it after 3 ms; edges say so each some 0.1 ms later than the one before.
    let begins = pair.now;
    for number in 0..1000 {
        pair.now = begins + Duration::from_micros(20_000 + 50 * number as u64);
        pair.ack(number, 1);
    }
    pair.tell();
    let receipt = pair.core.receipt(at(1));
    let took = receipt.took.clone().unwrap();
    // 3 ms to the relay and 3 ms back, and then the edge.
    let is_near = |time: Duration, ms: f64| (time.as_secs_f64() * 1000.0 / ms - 1.0).abs() < 0.033;
    assert!(is_near(took.p50, 6.0 + 45.0) && is_near(took.p99, 6.0 + 69.5), "{took:?}");
    assert_eq!((took.max, took.slowest), (Duration::from_micros(75_950), Peer::edge("edge-999")));
    let slowest = receipt.edges.iter().find(|edge| edge.peer.name == "edge-999").unwrap().took.unwrap();
    assert_eq!((slowest.relay, slowest.apply), (ms(6), Duration::from_micros(400)));
    assert_eq!(slowest.all, slowest.relay + slowest.network + slowest.apply);
    assert_eq!((receipt.applied, receipt.of, receipt.edges.len()), (1000, 1000, 1000));
}

#[test]
fn a_relay_that_names_no_end_of_times_fills_no_memory() {
    let mut pair = Pair::new(FOLD_FROM);
    let counts: Vec<(u16, u32)> = (0..300).map(|number| (number, 1)).collect();
    for version in 1..3000 {
        pair.core.committed(pair.now, at(version), None);
        let level = crate::FoldLevel { applied: at(version), durable: at(0) };
        let times = crate::Times::of(counts.clone(), None).unwrap();
        let step = crate::FoldStep { level, times, ..crate::FoldStep::default() };
        pair.core.step(pair.now, pair.heard.fold(), &step);
    }
    let (steps, buckets) = pair.core.groups.values().next().unwrap().sizes();
    assert!(steps <= 1024 && buckets <= 16_384, "{steps} {buckets}");
    assert!(pair.core.receipt(at(2999)).took.is_none(), "nobody is named as the slowest");
}
