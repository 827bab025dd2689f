//! The tree: what happens in one step, and what goes wrong.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::disk::{Done, Logged};
use super::history::History;
use super::hub::Hub;
use super::invariants;
use super::node::Node;
use super::wire::Wire;
use crate::random::Random;
use crate::{
    AcceptedLink, Batch, DownstreamAction, DownstreamInput, EdgeTold, Epoch, Filter, FollowerAction, FollowerInput,
    Frame, Key, KeyspaceId, Op, Path, Peer, Position, Published, ReceivedVersion, RestoreId, Role, Section, SectionId,
    StoreId, Value, Version, encode_entries,
};

/// Where keys change.
const KEYSPACES: [KeyspaceId; 3] = [KeyspaceId::DNS, KeyspaceId::new(0x0100), KeyspaceId::new(0x0101)];

const STEP: Duration = Duration::from_millis(7);

/// The longest that a node hangs.
pub(super) const MOST_HUNG: Duration = Duration::from_secs(3);

/// Edges in one message of a relay: few, so that news come in parts.
const REPORTS: usize = 2;

pub(super) struct Tree {
    pub(super) random: Random,
    pub(super) now: Duration,
    /// The core is the first.
    pub(super) nodes: Vec<Node>,
    pub(super) history: History,
    backup: super::disk::State,
    began: Version,
    /// When a majority of the cores last confirmed the core.
    pub(super) confirmed: Duration,
    is_confirmed: bool,
    commits: u64,
    pub(super) snapshots: u32,
    pub(super) forks: u32,
    /// How often edges were told of together.
    pub(super) steps: u64,
}

impl Tree {
    /// Relays in two layers, the second of which may follow the first or the core, and edges that may follow any of them.
    pub(super) fn new(seed: u64, relays: usize, edges: usize) -> Self {
        let mut random = Random(seed);
        let mut nodes = vec![Node::new(Peer { role: Role::Core, name: "core".into() }, vec![], 0)];
        for number in 1..=relays {
            // Relays may name each other, in a circle, too.
            let mut upstreams: Vec<usize> = (0..=relays).filter(|place| *place != number).collect();
            let first = usize::try_from(random.below(upstreams.len() as u64)).unwrap();
            upstreams.rotate_left(first);
            // Some tell of all edges together, some of none.
            let folds_from = [0, 2, 9][usize::try_from(random.below(3)).unwrap()];
            nodes.push(Node::new(Peer { role: Role::Relay, name: format!("relay-{number}") }, upstreams, folds_from));
        }
        for number in 1..=edges {
            let mut upstreams: Vec<usize> = (0..=relays).collect();
            upstreams.rotate_left(number % (relays + 1));
            nodes.push(Node::new(Peer::edge(&format!("edge-{number}")), upstreams, 0));
        }
        let head = Position::origin(StoreId::new(5));
        let (now, history) = (Duration::ZERO, History::default());
        let mut tree = Self {
            random,
            now,
            nodes,
            history,
            backup: super::disk::State::default(),
            began: Version::ZERO,
            confirmed: now,
            is_confirmed: true,
            commits: 0,
            snapshots: 0,
            forks: 0,
            steps: 0,
        };
        tree.nodes[0].disk.state.position = Some(head);
        tree.history.add(&head, &tree.nodes[0].disk.state.data);
        tree.backup = tree.nodes[0].disk.state.clone();
        tree.start_core();
        tree
    }

    fn start_core(&mut self) {
        let core = &mut self.nodes[0];
        let head = core.disk.state.position.unwrap();
        core.hub = Some(Hub::new(head, Path::of_core(core.peer.clone()), 0));
    }

    /// Two keys always hold the same, so that half of a version shows.
    pub(super) fn commit(&mut self) {
        self.commits += 1;
        let first = usize::try_from(self.random.below(KEYSPACES.len() as u64)).unwrap();
        let count = 1 + usize::try_from(self.random.below(2)).unwrap();
        let keyspaces = KEYSPACES.iter().cycle().skip(first).take(count);
        let sections = keyspaces.map(|keyspace| self.pair_of(*keyspace)).collect();
        let batch = Batch { preconditions: vec![], sections };
        let head = self.head();
        let published = Published::after(&head, 0, batch.encode().unwrap().sections).unwrap();
        self.nodes[0].disk.state.data.apply(&batch);
        self.publish(published);
    }

    fn pair_of(&mut self, keyspace: KeyspaceId) -> Section {
        let pair = u8::try_from(self.random.below(10)).unwrap();
        let value = Value::new(format!("{} {}", self.commits, self.random.below(99))).unwrap();
        let key = |half| Key::new([&keyspace.get().to_be_bytes()[..], &[pair, half]].concat()).unwrap();
        let ops = match self.random.below(6) {
            0 => vec![Op::DeleteRange { start: key(0), end: key(9) }],
            _ => [0, 1].map(|half| Op::Put { key: key(half), value: value.clone() }).to_vec(),
        };
        Section { id: SectionId { keyspace, partition: 1 }, ops }
    }

    /// Everything, or some of the keyspaces.
    fn some_filter(&mut self) -> Option<Filter> {
        let some: Vec<KeyspaceId> = KEYSPACES.into_iter().filter(|_| self.random.one_in(2)).collect();
        (!self.random.one_in(3)).then(|| Filter::new(some).unwrap())
    }

    fn publish(&mut self, published: Published) {
        let core = &mut self.nodes[0];
        let position = published.follow(&core.disk.state.position.unwrap()).unwrap();
        let version = ReceivedVersion::from(published);
        core.disk.state.position = Some(position);
        let (number, chain) = (position.version, position.chain);
        core.disk.state.log.push_back(Logged { version: number, chain, bytes: version.bytes.clone() });
        self.history.add(&position, &core.disk.state.data);
        core.hub.as_mut().unwrap().publish(self.now, position, &version);
    }

    pub(super) fn head(&self) -> Position {
        self.nodes[0].disk.state.position.unwrap()
    }

    /// The core comes back as a backup has it, and goes on from there in an epoch of its own.
    fn restore(&mut self) {
        (1..self.nodes.len())
            .filter(|place| self.follows(*place, 0))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|place| self.cut(place));
        self.nodes[0].disk.state = self.backup.clone();
        self.start_core();
        let restore = RestoreId::new(u128::from(self.random.below(u64::MAX)) + 1);
        let later = Epoch::new(self.forks.into());
        let fork = Published::fork(&self.head(), later, 0, restore).unwrap();
        self.began = fork.version;
        self.publish(fork);
        self.backup = self.nodes[0].disk.state.clone();
        self.forks += 1;
    }

    fn follows(&self, place: usize, upstream: usize) -> bool {
        self.nodes[place].wire.as_ref().is_some_and(|wire| wire.upstream == upstream)
    }

    /// The connection of a node to its upstream is gone: both sides notice.
    pub(super) fn cut(&mut self, place: usize) {
        let Some(wire) = self.nodes[place].wire.take() else { return };
        let (peer, now) = (self.nodes[place].peer.clone(), self.now);
        if let Some(hub) = &mut self.nodes[wire.upstream].hub {
            hub.left(now, &peer, wire.session);
        }
        self.nodes[place].follower.handle(now, FollowerInput::Disconnected);
        self.nodes[place].follow_upstream();
    }

    fn end_process(&mut self, place: usize) {
        self.cut(place);
        for below in 1..self.nodes.len() {
            if self.follows(below, place) {
                self.cut(below);
            }
        }
    }

    pub(super) fn fault(&mut self) {
        let place = 1 + usize::try_from(self.random.below(self.nodes.len() as u64 - 1)).unwrap();
        match self.random.below(120) {
            0 | 1 => self.cut(place),
            2 => {
                self.end_process(place);
                self.nodes[place].disk.crash();
                self.nodes[place].start(self.now);
            }
            3 => {
                self.end_process(place);
                self.nodes[place].disk.lose_power();
                self.nodes[place].start(self.now);
            }
            4 => {
                self.nodes[place].hangs_until =
                    self.now + MOST_HUNG / 100 * u32::try_from(self.random.below(100)).unwrap()
            }
            5 => {
                let keep = usize::try_from(self.random.below(6)).unwrap();
                let log = &mut self.nodes[usize::try_from(self.random.below(3)).unwrap()].disk.state.log;
                log.drain(..log.len().saturating_sub(keep));
            }
            6 if self.random.one_in(4) => self.restore(),
            7 => self.backup = self.nodes[0].disk.state.clone(),
            8 if self.random.one_in(4) => self.is_confirmed = !self.is_confirmed,
            // A relay that holds less than those below it is no upstream of theirs, so few do.
            10 if !self.nodes[place].is_relay() || self.random.one_in(3) => {
                let filter = self.some_filter();
                self.nodes[place].hold(self.now, filter);
            }
            9 if self.random.one_in(3) => {
                // Longer than anything is on its way.
                (1..self.nodes.len()).for_each(|place| self.cut(place));
                self.now += Duration::from_secs(self.random.below(8));
            }
            11..50 => self.commit(),
            _ => {}
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        self.is_confirmed = true;
        self.nodes.iter_mut().for_each(|node| node.hangs_until = Duration::ZERO);
    }

    /// Each part moves or not, so that they pass each other in every order.
    pub(super) fn step(&mut self) {
        self.now += STEP;
        if self.is_confirmed {
            self.confirmed = self.now;
            let now = self.now;
            self.nodes[0].hub.as_mut().unwrap().tail.confirm(now);
        }
        for place in 1..self.nodes.len() {
            if self.now < self.nodes[place].hangs_until {
                continue;
            }
            if !self.random.one_in(3) {
                self.follow(place);
            }
            if !self.random.one_in(3) {
                self.serve(place);
            }
            if !self.random.one_in(3) {
                self.carry(place);
            }
            if !self.random.one_in(3) {
                self.work(place);
            }
            self.pass_on(place);
        }
        invariants::check(self);
    }

    fn follow(&mut self, place: usize) {
        while let Some(action) = self.nodes[place].follower.poll_action(self.now) {
            match action {
                FollowerAction::Connect(number) => self.connect(place, number),
                FollowerAction::Send(frame) => {
                    let wire = self.nodes[place].wire.as_mut().expect("it sends only while connected");
                    wire.up.extend(frame.to_bytes());
                }
                FollowerAction::Disconnect(end) => {
                    assert!(!end.is_alarming(), "{}: {end}", self.nodes[place].peer);
                    self.cut(place);
                }
                action => {
                    self.snapshots += u32::from(matches!(action, FollowerAction::SnapshotEnd(..)));
                    self.nodes[place].disk.hand_on(action);
                }
            }
        }
    }

    /// Where nobody serves yet, there is no connection.
    fn connect(&mut self, place: usize, number: usize) {
        let upstream = self.nodes[place].upstreams[number];
        let (peer, now) = (self.nodes[place].peer.clone(), self.now);
        let is_up = now >= self.nodes[upstream].hangs_until;
        let input = match self.nodes[upstream].hub.as_mut().filter(|_| is_up) {
            None => FollowerInput::Disconnected,
            Some(hub) => {
                let session = hub.next_session();
                self.nodes[place].wire = Some(Wire::new(now, upstream, session, &peer));
                FollowerInput::Connected
            }
        };
        self.nodes[place].follower.handle(now, input);
    }

    /// The upstream does what the connection of this node asks of it.
    fn serve(&mut self, place: usize) {
        let now = self.now;
        let Some(mut wire) = self.nodes[place].wire.take() else { return };
        let (peer, began) = (self.nodes[place].peer.clone(), self.began);
        let is_core = wire.upstream == 0;
        let upstream = &mut self.nodes[wire.upstream];
        if now < upstream.hangs_until {
            self.nodes[place].wire = Some(wire);
            return;
        }
        let (state, hub) = (&upstream.disk.state, upstream.hub.as_mut().expect("who serves has one"));
        if let Some(answer) = wire.answer.take() {
            wire.downstream.handle(now, answer);
        }
        while let Some(action) = wire.downstream.poll_action(now, &hub.tail) {
            match action {
                DownstreamAction::Subscribed(subscribe) => {
                    (wire.incarnation, wire.connection) = (subscribe.incarnation, subscribe.connection);
                }
                DownstreamAction::Accepted(goal) => {
                    let Wire { session, incarnation, connection, .. } = wire;
                    hub.accepted(
                        now,
                        &peer,
                        AcceptedLink { session, incarnation, connection, goal, via: None, is_below: true },
                    );
                }
                DownstreamAction::Refused(why) => hub.book.refuse(now, &peer, wire.session, why),
                DownstreamAction::Reported(reports) => hub.reports(now, &peer, wire.session, &reports),
                DownstreamAction::Acked(ack) => hub.acked(now, &peer, wire.session, ack),
                DownstreamAction::LookUp(version) => {
                    let head = state.position.unwrap();
                    let began = if is_core { began } else { Version::ZERO };
                    let (chain, holds) = (state.chain_at(version), state.filter.clone());
                    wire.answer = Some(DownstreamInput::Found { head, began, chain, holds });
                }
                DownstreamAction::ReadAfter { after, .. } => {
                    let most = usize::try_from(1 + self.random.below(5)).unwrap();
                    wire.answer = Some(DownstreamInput::Versions(state.read_after(after, most)));
                }
                DownstreamAction::QueueTables { .. }
                | DownstreamAction::LookUpElsewhere(_)
                | DownstreamAction::ReadTable { .. }
                | DownstreamAction::CloseTables => unreachable!("nobody here takes table files"),
                DownstreamAction::ReadRanges(_) => unreachable!("no copy differs here"),
                DownstreamAction::QueueSnapshot => wire.downstream.handle(now, DownstreamInput::SnapshotTurn),
                // It was narrowed since this downstream was let in.
                DownstreamAction::OpenSnapshot(filter) if !Filter::serves(state.filter.as_ref(), filter.as_ref()) => {
                    wire.is_closing = true;
                }
                DownstreamAction::OpenSnapshot(filter) => {
                    wire.snapshot = Some(state.entries(filter.as_ref()));
                    wire.answer = Some(DownstreamInput::SnapshotOpened(state.position.unwrap()));
                }
                DownstreamAction::ReadSnapshot { .. } => {
                    let rest: &mut VecDeque<(Bytes, Bytes)> = wire.snapshot.as_mut().unwrap();
                    let count = usize::try_from(1 + self.random.below(3)).unwrap().min(rest.len());
                    let entries: Vec<(Bytes, Bytes)> = rest.drain(..count).collect();
                    wire.answer = Some(DownstreamInput::SnapshotRead(encode_entries(&entries)));
                }
                DownstreamAction::Send(frames) => {
                    frames.iter().for_each(|frame| wire.down.extend(frame));
                    wire.answer = Some(DownstreamInput::Sent);
                }
                DownstreamAction::Close(_) => wire.is_closing = true,
            }
        }
        self.nodes[place].wire = Some(wire);
    }

    /// Moves some bytes, then gives the frames that are whole.
    fn carry(&mut self, place: usize) {
        let (now, count) = (self.now, usize::try_from(self.random.below(4_000)).unwrap());
        let node = &mut self.nodes[place];
        let Some(wire) = &mut node.wire else { return };
        let piece: Vec<u8> = wire.up.drain(..count.min(wire.up.len())).collect();
        wire.up_decoder.push(&piece);
        while let Some(frame) = wire.up_decoder.poll().unwrap() {
            wire.downstream.handle(now, DownstreamInput::Frame(frame));
        }
        if node.follower.is_full() {
            return;
        }
        let piece: Vec<u8> = wire.down.drain(..count.min(wire.down.len())).collect();
        wire.down_decoder.push(&piece);
        while let Some(frame) = wire.down_decoder.poll().unwrap() {
            node.follower.handle(now, FollowerInput::Frame(frame));
        }
        if wire.is_closing && wire.down.is_empty() {
            self.cut(place);
        }
    }

    fn work(&mut self, place: usize) {
        let now = self.now;
        let before = self.nodes[place].disk.state.position;
        let Some(done) = self.nodes[place].disk.work() else { return };
        let node = &mut self.nodes[place];
        let position = node.disk.state.position;
        let input = match done {
            Done::Part(input) => input,
            Done::Applied(version, input) => {
                invariants::applied(&node.peer, before, position, &version);
                if let Some((hub, position)) = node.hub.as_mut().zip(position) {
                    hub.publish(now, position, &version);
                }
                Some(input)
            }
            Done::Loaded(input) => {
                invariants::loaded(&node.peer, before, position);
                match (&mut node.hub, position) {
                    (Some(hub), Some(position)) => hub.jump(position),
                    (hub, Some(position)) if node.peer.role == Role::Relay => {
                        *hub = Some(Hub::new(position, Path::default(), node.folds_from));
                    }
                    _ => {}
                }
                Some(input)
            }
        };
        if let Some(input) = input {
            node.follower.handle(now, input);
        }
        if self.random.one_in(4)
            && let Some(position) = self.nodes[place].disk.sync()
        {
            self.nodes[place].follower.handle(now, FollowerInput::Durable(position));
        }
        self.nodes[place].stands();
    }

    /// A relay tells below what it hears from above, and above what it hears from below.
    fn pass_on(&mut self, place: usize) {
        let now = self.now;
        let node = &mut self.nodes[place];
        node.follow_upstream();
        if !node.is_relay() {
            return;
        }
        let (confirmed, path) = (node.follower.confirmed(), node.follower.path().to(node.peer.clone()));
        let tells = node.tells;
        let Some(hub) = &mut node.hub else { return };
        if let Some(confirmed) = confirmed {
            hub.tail.confirm(confirmed.min(now));
        }
        hub.tail.set_path(path.unwrap_or_default());
        let is_due = tells && hub.book.look(now).is_some_and(|due| due <= now);
        if let Some(wire) = node.wire.as_mut().filter(|_| is_due) {
            let news = hub.book.take_news(now, REPORTS);
            self.steps += u64::from(news.iter().any(|told| matches!(told, EdgeTold::Step(_))));
            wire.up.extend(Frame::Reports(news.iter().map(EdgeTold::to_bytes).collect()).to_bytes());
        }
    }

    /// Where everybody stands, and what the core believes.
    pub(super) fn describe(&self) -> String {
        let mut lines = vec![format!("core at {}", self.head())];
        for node in &self.nodes {
            let position = node.disk.state.position.map(|position| position.to_string());
            let upstream = node.wire.as_ref().map(|wire| self.nodes[wire.upstream].peer.label());
            lines.push(format!("{} at {position:?}, follows {upstream:?}, {:?}", node.peer, node.follower.state()));
        }
        for edge in self.nodes[0].hub.as_ref().unwrap().book.edges() {
            lines.push(format!("{}: {:?} via {:?}, {:?}", edge.peer, edge.link, edge.via, edge.applied));
        }
        lines.join("\n")
    }

    /// Everybody stands where the core stands, and the core knows.
    pub(super) fn is_whole(&self) -> bool {
        let head = self.head();
        let book = &self.nodes[0].hub.as_ref().unwrap().book;
        let known = book.edges().iter().filter(|edge| edge.applied == Some(head.version)).count();
        let is_whole = |node: &Node| node.disk.state.position == Some(head) && node.disk.state.filter == node.filter;
        self.nodes.iter().all(is_whole) && known == self.nodes.len() - 1
    }
}
