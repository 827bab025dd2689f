//! A publisher and a follower in one thread, with a wire between them that delays, cuts and loses, and a seed for it
//! all: the follower must always end where the publisher is, and never go back on the way.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::random::Random;
use crate::simulation_source::{Replica, Source, owned};
use crate::table_simulation::{Incoming, Made};
use crate::{
    Ack, Downstream, DownstreamAction, DownstreamInput, Epoch, Follower, FollowerAction, FollowerEnd, FollowerInput,
    Frame, FrameDecoder, Key, MemoryView, Op, PROTOCOL, Position, Published, ReceivedVersion, StoreId, Subscribe,
    SubscribeRefusal, Tail, Value, Version, decode_entries, decode_ops,
};

const NAME: &str = "edge-1";
const STEP: Duration = Duration::from_millis(7);

/// The store of the edge: data and position change together, so a crash leaves both.
#[derive(Default)]
pub(crate) struct Copy {
    data: MemoryView,
    pub(crate) position: Option<Position>,
    loading: Option<MemoryView>,
    /// What it holds is not what was written, and it stands where it stood all the same.
    damaged: bool,
    /// Handed on, not applied.
    queue: VecDeque<FollowerAction>,
    incoming: Incoming,
}

impl Copy {
    fn work(&mut self) -> Vec<FollowerInput> {
        let Some(action) = self.queue.pop_front() else { return vec![] };
        match action {
            FollowerAction::Apply(_, _, bytes) if self.incoming.has_failed => vec![FollowerInput::Taken(bytes)],
            FollowerAction::Apply(version, position, bytes) => {
                for op in version.published.sections.iter().flat_map(decode_ops) {
                    self.data.apply_op(&owned(op.unwrap()));
                }
                self.advance(position);
                vec![FollowerInput::Applied { position, bytes, two_clock_us: 0 }]
            }
            FollowerAction::SnapshotBegin(..) => {
                self.incoming.abort();
                self.loading = Some(MemoryView::new());
                vec![]
            }
            FollowerAction::SnapshotEntries(bytes, taken) => {
                let loading = self.loading.as_mut().unwrap();
                decode_entries(&bytes).map(Result::unwrap).for_each(|(key, value)| loading.insert(key, value));
                vec![FollowerInput::Taken(taken)]
            }
            FollowerAction::SnapshotEnd(position, bytes) => {
                self.replace_by(self.loading.clone().unwrap(), position);
                vec![FollowerInput::Applied { position, bytes, two_clock_us: 0 }]
            }
            FollowerAction::SnapshotAbort => {
                self.loading = None;
                self.incoming.abort();
                vec![]
            }
            FollowerAction::TablesBegin(load, offered, bytes) => {
                vec![FollowerInput::Taken(bytes), self.incoming.begin(load, offered.manifest)]
            }
            FollowerAction::TablePiece(piece, bytes) => {
                self.incoming.piece(&piece).into_iter().chain([FollowerInput::Taken(bytes)]).collect()
            }
            FollowerAction::TablesEnd(position, bytes) => match self.incoming.end(position) {
                None => vec![FollowerInput::Taken(bytes)],
                Some((load, data)) => {
                    self.replace_by(data, position);
                    let applied = FollowerInput::Applied { position, bytes, two_clock_us: 0 };
                    vec![applied, FollowerInput::TablesDone(load)]
                }
            },
            other => panic!("{other:?} is not for the store"),
        }
    }

    fn replace_by(&mut self, data: MemoryView, position: Position) {
        self.loading = None;
        self.data = data;
        self.damaged = false;
        self.advance(position);
    }

    fn advance(&mut self, position: Position) {
        let before = self.position.replace(position);
        assert!(before.is_none_or(|before| before.order() <= position.order()), "went back from {before:?}");
    }
}

/// One connection: bytes in flight both ways.
pub(crate) struct Wire {
    /// Its other end is the replica.
    pub(crate) to_replica: bool,
    downstream: Downstream,
    snapshot: Option<VecDeque<(Bytes, Bytes)>>,
    tables: Option<Made>,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    up_decoder: FrameDecoder,
    down_decoder: FrameDecoder,
    answer: Option<DownstreamInput>,
    closing: bool,
}

pub(crate) struct Simulation {
    random: Random,
    now: Duration,
    pub(crate) source: Source,
    backup: Source,
    tail: Tail,
    replica: Option<Replica>,
    pub(crate) copy: Copy,
    follower: Follower,
    incarnation: u64,
    pub(crate) wire: Option<Wire>,
    pub(crate) ends: Vec<FollowerEnd>,
    snapshots: u32,
    takes_tables: bool,
    /// The last table files, for whoever can still go on from them.
    made: Option<Made>,
}

impl Simulation {
    pub(crate) fn new(seed: u64, source: Source, copy: Copy) -> Self {
        let tail = Tail::new(source.head, 2000);
        let (follower, takes_tables) = (Follower::new(Duration::ZERO, NAME.into(), 1, copy.position), false);
        let (random, now) = (Random(seed), Duration::ZERO);
        let (ends, snapshots, backup) = (Vec::new(), 0, source.clone());
        let (incarnation, replica, wire, made) = (1, None, None, None);
        Self {
            random,
            now,
            source,
            backup,
            tail,
            replica,
            copy,
            follower,
            incarnation,
            wire,
            ends,
            snapshots,
            takes_tables,
            made,
        }
    }

    fn with_tables(self) -> Self {
        Self { follower: self.follower.with_tables(), takes_tables: true, ..self }
    }

    /// The same with a replica to choose from, too.
    pub(crate) fn with_replica(mut self) -> Self {
        self.replica = Some(Replica::of(&self.source));
        self.follower = self.follower.with_upstreams(2);
        self
    }

    pub(crate) fn fault(&mut self) {
        match self.random.below(60) {
            0 => self.cut(),
            1 => {
                // The edge is killed: what was handed on and not applied is gone.
                self.cut();
                self.incarnation += 1;
                self.copy.queue.clear();
                self.copy.loading = None;
                self.copy.incoming.restart(&mut self.random);
                self.follower = Follower::new(self.now, NAME.into(), self.incarnation, self.copy.position)
                    .with_upstreams(1 + usize::from(self.replica.is_some()));
                if self.takes_tables {
                    self.follower = std::mem::replace(&mut self.follower, unused()).with_tables();
                }
                if self.copy.damaged {
                    self.follower.handle(self.now, FollowerInput::Damaged);
                }
            }
            2 => {
                self.cut();
                self.tail = Tail::new(self.source.head, 2000);
            }
            3 => {
                let keep = usize::try_from(self.random.below(6)).unwrap();
                let go = self.source.log.len().saturating_sub(keep);
                self.source.log.drain(..go);
            }
            4 => self.now += Duration::from_secs(self.random.below(8)),
            5 if self.copy.position.is_some() => {
                self.copy.data = MemoryView::new();
                self.copy.damaged = true;
                self.follower.handle(self.now, FollowerInput::Damaged);
            }
            5..25 => {
                let bytes = self.source.commit(&mut self.random);
                self.tail.push(self.now, self.source.head, Frame::Version(bytes).to_bytes());
            }
            25 => {
                // The core comes back as the backup has it, and that is accepted.
                self.cut();
                self.source = self.backup.clone();
                let restore = u128::from(self.random.below(u64::MAX)) + 1;
                self.source.accept_restore(restore);
                self.tail = Tail::new(self.source.head, 2000);
                self.backup = self.source.clone();
            }
            26 => {
                let bytes = self.source.accept_restore(1);
                self.tail.push(self.now, self.source.head, Frame::Version(bytes).to_bytes());
                self.backup = self.source.clone();
            }
            27 => self.backup = self.source.clone(),
            _ => {}
        }
    }

    /// The replica comes to have what the source has.
    fn renew_replica(&mut self) {
        if self.replica.is_some() {
            if self.wire.as_ref().is_some_and(|wire| wire.to_replica) {
                self.cut();
            }
            self.replica = Some(Replica::of(&self.source));
        }
    }

    fn cut(&mut self) {
        if self.wire.take().is_some() {
            self.follower.handle(self.now, FollowerInput::Disconnected);
        }
    }

    /// Each part moves or not, so that they pass each other in every order.
    pub(crate) fn step(&mut self) {
        self.now += STEP;
        if self.random.one_in(100) {
            self.renew_replica();
        }
        if !self.random.one_in(3) {
            self.follow();
        }
        if !self.random.one_in(3) {
            self.serve();
        }
        if !self.random.one_in(3) {
            self.carry();
        }
        if !self.random.one_in(3) {
            for done in self.copy.work() {
                self.follower.handle(self.now, done);
            }
            if self.random.one_in(4)
                && let Some(position) = self.copy.position
            {
                self.follower.handle(self.now, FollowerInput::Durable(position));
            }
        }
    }

    fn follow(&mut self) {
        while let Some(action) = self.follower.poll_action(self.now) {
            match action {
                FollowerAction::Connect(upstream) => {
                    self.wire = Some(Wire {
                        to_replica: upstream > 0,
                        downstream: Downstream::new(self.now, NAME.into()),
                        snapshot: None,
                        tables: None,
                        up: VecDeque::new(),
                        down: VecDeque::new(),
                        up_decoder: FrameDecoder::new(),
                        down_decoder: FrameDecoder::new(),
                        answer: None,
                        closing: false,
                    });
                    self.follower.handle(self.now, FollowerInput::Connected);
                }
                FollowerAction::Send(frame) => {
                    let wire = self.wire.as_mut().expect("it sends only while connected");
                    wire.up.extend(frame.to_bytes());
                }
                FollowerAction::Disconnect(end) => {
                    self.ends.push(end);
                    self.wire = None;
                }
                action => {
                    self.snapshots +=
                        u32::from(matches!(action, FollowerAction::SnapshotEnd(..) | FollowerAction::TablesEnd(..)));
                    self.copy.queue.push_back(action);
                }
            }
        }
    }

    fn serve(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        let replica = self.replica.as_ref().filter(|_| wire.to_replica);
        let (source, tail) = replica.map_or((&self.source, &self.tail), |replica| (&replica.source, &replica.tail));
        if let Some(answer) = wire.answer.take() {
            wire.downstream.handle(self.now, answer);
        }
        while let Some(action) = wire.downstream.poll_action(self.now, tail) {
            assert!(wire.answer.is_none() || !needs_answer(&action), "{action:?} while another is under way");
            match action {
                DownstreamAction::Subscribed(subscribe) => assert_eq!(subscribe.name, NAME),
                DownstreamAction::Accepted(goal) => assert!(goal <= source.head.version),
                DownstreamAction::Refused(_) | DownstreamAction::Reported(_) => {}
                DownstreamAction::Acked(ack) => {
                    assert!(self.copy.position.is_some_and(|position| (ack.epoch, ack.applied) <= position.order()));
                }
                DownstreamAction::LookUp(version) | DownstreamAction::LookUpElsewhere(version) => {
                    let (head, began, chain) = (source.head, source.began, source.chain_at(version));
                    wire.answer = Some(DownstreamInput::Found { head, began, chain, holds: None });
                }
                DownstreamAction::ReadAfter { after, .. } => {
                    wire.answer = Some(DownstreamInput::Versions(source.read_after(after, &mut self.random)));
                }
                DownstreamAction::QueueSnapshot => wire.downstream.handle(self.now, DownstreamInput::SnapshotTurn),
                DownstreamAction::OpenSnapshot(_) => {
                    let entries = source.data.entries();
                    let own =
                        |(key, value): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                    wire.snapshot = Some(entries.map(own).collect());
                    wire.answer = Some(DownstreamInput::SnapshotOpened(source.head));
                }
                DownstreamAction::ReadSnapshot { .. } => {
                    let rest = wire.snapshot.as_mut().unwrap();
                    let count = usize::try_from(1 + self.random.below(3)).unwrap().min(rest.len());
                    let entries: Vec<(Bytes, Bytes)> = rest.drain(..count).collect();
                    wire.answer = Some(DownstreamInput::SnapshotRead(crate::encode_entries(&entries)));
                }
                DownstreamAction::QueueTables { from } => {
                    let made = Made::shared(&mut self.made, &self.source, from);
                    wire.downstream.handle(self.now, DownstreamInput::Tables(Some(made.offer())));
                    wire.tables = Some(made);
                }
                DownstreamAction::ReadTable { place, max_bytes } => {
                    let bytes = wire.tables.as_ref().unwrap().read(place, max_bytes, &mut self.random);
                    wire.answer = Some(DownstreamInput::TableRead(bytes));
                }
                DownstreamAction::CloseTables => wire.tables = None,
                DownstreamAction::ReadRanges(_) => unreachable!("no copy differs here"),
                DownstreamAction::Send(frames) => {
                    frames.iter().for_each(|frame| wire.down.extend(frame));
                    wire.answer = Some(DownstreamInput::Sent);
                }
                DownstreamAction::Close(_) => wire.closing = true,
            }
        }
    }

    /// Moves some bytes, then gives the frames that are whole.
    fn carry(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        let count = usize::try_from(self.random.below(400_000)).unwrap();
        let piece: Vec<u8> = wire.up.drain(..count.min(wire.up.len())).collect();
        wire.up_decoder.push(&piece);
        while let Some(frame) = wire.up_decoder.poll().unwrap() {
            wire.downstream.handle(self.now, DownstreamInput::Frame(frame));
        }
        if self.follower.is_full() {
            return;
        }
        let piece: Vec<u8> = wire.down.drain(..count.min(wire.down.len())).collect();
        wire.down_decoder.push(&piece);
        while let Some(frame) = wire.down_decoder.poll().unwrap() {
            self.follower.handle(self.now, FollowerInput::Frame(frame));
        }
        if wire.closing && wire.down.is_empty() {
            self.cut();
        }
    }

    /// Runs until the copy is at the head of the source, for so many steps at most.
    pub(crate) fn catches_up(&mut self, steps: u32) -> bool {
        for _ in 0..steps {
            if self.copy.position == Some(self.source.head) && self.copy.data == self.source.data {
                return true;
            }
            self.step();
        }
        false
    }
}

fn needs_answer(action: &DownstreamAction) -> bool {
    use DownstreamAction::{Accepted, Acked, Close, CloseTables, QueueSnapshot, QueueTables, Refused, Subscribed};
    let is_of_state = matches!(action, Subscribed(_) | Accepted(_) | Refused(_) | Acked(_) | Close(_));
    !is_of_state && !matches!(action, QueueSnapshot | QueueTables { .. } | CloseTables)
}

fn unused() -> Follower {
    Follower::new(Duration::ZERO, NAME.into(), 0, None)
}

#[test]
fn the_follower_always_ends_where_the_publisher_is() {
    always_ends_there(|run| run);
}

/// What it has kept of an earlier connection may be damaged, and it may notice only then.
#[test]
fn a_follower_that_takes_table_files_does_too() {
    always_ends_there(Simulation::with_tables);
}

fn always_ends_there(with: fn(Simulation) -> Simulation) {
    let mut snapshots = 0;
    for seed in 0..150 {
        let mut run = with(Simulation::new(seed, Source::new(5), Copy::default()));
        for _ in 0..800 {
            run.fault();
            run.step();
        }
        assert!(run.catches_up(20_000), "seed {seed}: edge at {:?}, core at {}", run.copy.position, run.source.head);
        let of_kept = |end: &&FollowerEnd| matches!(end, FollowerEnd::Tables(_));
        let alarming: Vec<_> = run.ends.iter().filter(|end| end.is_alarming() && !of_kept(end)).collect();
        assert!(alarming.is_empty(), "seed {seed}: {alarming:?}");
        snapshots += run.snapshots;
    }
    assert!(snapshots > 150, "only {snapshots} snapshots: the faults do not reach what they should");
}

/// Runs until the follower gives up on its publisher once.
fn first_end(source: Source, copy: Copy) -> (FollowerEnd, Simulation) {
    let mut run = Simulation::new(1, source, copy);
    for _ in 0..2_000 {
        run.step();
        if let Some(end) = run.ends.pop() {
            return (end, run);
        }
    }
    panic!("it never gave up");
}

fn at(source: &Source) -> Copy {
    Copy { data: source.data.clone(), position: Some(source.head), ..Copy::default() }
}

pub(crate) fn source(store: u128, seed: u64, versions: u64) -> Source {
    let mut source = Source::new(store);
    let mut random = Random(seed);
    (0..versions).for_each(|_| drop(source.commit(&mut random)));
    source
}

#[test]
fn a_copy_of_another_store_is_refused_and_kept() {
    let other = source(6, 1, 3);
    let (end, run) = first_end(source(5, 1, 3), at(&other));
    assert_eq!(end, FollowerEnd::Refused(SubscribeRefusal::OtherStore(StoreId::new(5))));
    assert!(end.is_alarming());
    assert_eq!(run.copy.data, other.data);
}

#[test]
fn a_copy_that_is_ahead_waits() {
    let (end, run) = first_end(source(5, 1, 3), at(&source(5, 1, 4)));
    assert_eq!(end, FollowerEnd::Refused(SubscribeRefusal::Ahead(run.source.head)));
    assert!(!end.is_alarming());
}

#[test]
fn a_copy_with_other_data_is_refused() {
    let here = source(5, 1, 4);
    let (version, chain) = (Version::new(3), source(5, 1, 3).head.chain);
    let (end, _) = first_end(here, at(&source(5, 2, 3)));
    assert_eq!(end, FollowerEnd::Refused(SubscribeRefusal::ChainDiffers { version, chain }));
}

/// A copy at the end of `copy`, and where the publisher of `source` led it without a complaint.
fn led(source: &Source, copy: &Source) -> (Position, u32) {
    let mut run = Simulation::new(1, source.clone(), at(copy));
    assert!(run.catches_up(2_000), "at {:?}, after {:?}", run.copy.position, run.ends);
    assert!(run.ends.is_empty(), "{:?}", run.ends);
    (source.head, run.snapshots)
}

#[test]
fn an_accepted_restore_is_followed_by_those_who_are_ahead_with_a_snapshot_and_by_others_without() {
    let restored = |restore| {
        let mut source = source(5, 1, 3);
        source.accept_restore(restore);
        source.commit(&mut Random(9));
        source
    };
    let (here, other) = (restored(1), restored(2));
    let (behind, level, ahead) = (source(5, 1, 2), source(5, 1, 3), source(5, 1, 9));
    assert_eq!(led(&here, &behind), (here.head, 0));
    assert_eq!(led(&here, &level), (here.head, 0));
    assert_eq!(led(&here, &ahead), (here.head, 1));
    // One that went on otherwise at versions that the publisher has, too.
    assert_eq!(led(&here, &source(5, 7, 3)), (here.head, 1));

    // Who follows another restore of the same backup is told, and keeps what it has.
    let differs = SubscribeRefusal::ChainDiffers { version: other.head.version, chain: other.head.chain };
    let (end, _) = first_end(other, at(&here));
    assert_eq!(end, FollowerEnd::Refused(differs));
    let (mut later, mut early) = (source(5, 1, 8), source(5, 1, 1));
    later.accept_restore(3);
    early.accept_restore(4);
    later.commit(&mut Random(9));
    later.log.drain(..8);
    let (end, _) = first_end(later, at(&early));
    let here = SubscribeRefusal::ForkedAt { epoch: Epoch::new(1), version: Version::new(9) };
    assert_eq!(end, FollowerEnd::Refused(here));
    assert!(end.is_alarming());
}

#[test]
fn a_gap_and_a_changed_version_stop_the_stream_and_nothing_is_applied() {
    let mut source = source(5, 1, 2);
    let position = source.head;
    let mut random = Random(9);
    let [first, second] = [source.commit(&mut random), source.commit(&mut random)];
    let mut changed = Published::from_bytes(&first).unwrap();
    changed.time_us += 1;
    for bad in [second, changed.to_bytes(), first.slice(..first.len() - 1)] {
        let why = Published::from_bytes(&bad).and_then(|version| version.follow(&position).map(drop)).unwrap_err();
        let mut follower = subscribed(Some(position));
        let actions = after(&mut follower, [Frame::Stream(source.head), Frame::Version(bad)]);
        assert_eq!(actions, [FollowerAction::Disconnect(FollowerEnd::Version(why))]);
        assert_eq!(after(&mut follower, [Frame::Goodbye]), [], "what is left of a connection says nothing");
        assert_eq!(follower.poll_timeout(), Some(crate::MAX_BACKOFF));
    }
}

/// Everything that is to be done now.
pub(crate) fn actions(follower: &mut Follower, now: Duration) -> Vec<FollowerAction> {
    std::iter::from_fn(|| follower.poll_action(now)).collect()
}

/// It asks for what comes after there, over its first connection.
pub(crate) fn asks(position: Option<Position>) -> FollowerAction {
    asks_over(0, position)
}

/// The same after so many connections.
pub(crate) fn asks_over(connection: u64, position: Option<Position>) -> FollowerAction {
    let (protocol, name) = (PROTOCOL, NAME.into());
    let subscribe = Subscribe { protocol, name, incarnation: 1, position, connection, ..Default::default() };
    FollowerAction::Send(Frame::Subscribe(subscribe))
}

/// It says that it stands there, on disk.
pub(crate) fn acks(position: Position) -> FollowerAction {
    let (epoch, applied) = (position.epoch, position.version);
    FollowerAction::Send(Frame::Ack(Ack {
        incarnation: 1,
        epoch,
        applied,
        durable: applied,
        two_clock_us: 0,
        apply_us: 0,
        check: None,
    }))
}

/// A follower at `position` that has just subscribed, at time zero.
pub(crate) fn subscribed(position: Option<Position>) -> Follower {
    subscribed_at_first_of(1, position)
}

/// The same of one with so many upstreams, at the first of them.
pub(crate) fn subscribed_at_first_of(count: usize, position: Option<Position>) -> Follower {
    let mut follower = Follower::new(Duration::ZERO, NAME.into(), 1, position).with_upstreams(count);
    assert_eq!(actions(&mut follower, Duration::ZERO), [FollowerAction::Connect(0)]);
    follower.handle(Duration::ZERO, FollowerInput::Connected);
    let said: Vec<_> = [asks(position)].into_iter().chain(position.map(acks)).collect();
    assert_eq!(actions(&mut follower, Duration::ZERO), said);
    follower
}

/// What it does about these frames.
pub(crate) fn after(follower: &mut Follower, frames: impl IntoIterator<Item = Frame>) -> Vec<FollowerAction> {
    frames.into_iter().for_each(|frame| follower.handle(Duration::ZERO, FollowerInput::Frame(frame)));
    actions(follower, Duration::ZERO)
}

#[test]
fn a_damaged_copy_leaves_comes_back_for_a_snapshot_and_acknowledges_nothing_meanwhile() {
    let position = source(5, 1, 3).head;
    let mut follower = subscribed(Some(position));
    assert_eq!(after(&mut follower, [Frame::Stream(position)]), []);
    follower.handle(Duration::ZERO, FollowerInput::Damaged);
    follower.handle(Duration::ZERO, FollowerInput::Damaged);
    assert_eq!(actions(&mut follower, Duration::ZERO), [FollowerAction::Disconnect(FollowerEnd::Damaged)]);
    let later = Duration::from_secs(60);
    assert_eq!(actions(&mut follower, later), [FollowerAction::Connect(0)]);
    follower.handle(later, FollowerInput::Connected);
    assert_eq!(actions(&mut follower, later), [asks_over(1, None)]);
}

#[test]
fn a_snapshot_that_is_not_what_its_end_says_is_dropped() {
    let position = source(5, 1, 3).head;
    let entries = crate::encode_entries(&[(Bytes::from_static(&[0, 1, 2]), Bytes::from_static(b"value"))]);
    let mut check = crate::SnapshotCheck::new();
    check.add(&entries, None).unwrap();
    let good =
        crate::SnapshotEnd { position: Some(position), entries: 1, digest: serde_bytes::ByteBuf::from(check.digest()) };
    let load = |end: &crate::SnapshotEnd| {
        let frames = [
            Frame::SnapshotFollows(position),
            Frame::SnapshotEntries(entries.clone()),
            Frame::SnapshotEnd(end.clone()),
        ];
        after(&mut subscribed(None), frames)
    };
    let counts = |bytes| bytes + crate::follower::PER_MESSAGE;
    let begun = |then, last: Option<FollowerAction>| {
        let read = FollowerAction::SnapshotEntries(entries.clone(), counts(entries.len()));
        [FollowerAction::SnapshotBegin(position, None), read, then].into_iter().chain(last).collect::<Vec<_>>()
    };
    assert_eq!(load(&good), begun(FollowerAction::SnapshotEnd(position, counts(0)), None));
    let bad = [
        crate::SnapshotEnd { entries: 2, ..good.clone() },
        crate::SnapshotEnd { digest: serde_bytes::ByteBuf::from([0; 32]), ..good.clone() },
        crate::SnapshotEnd { digest: serde_bytes::ByteBuf::new(), ..good.clone() },
        crate::SnapshotEnd { position: None, ..good },
    ];
    for end in bad {
        let why = FollowerAction::Disconnect(FollowerEnd::Snapshot);
        assert_eq!(load(&end), begun(FollowerAction::SnapshotAbort, Some(why)), "{end:?}");
    }
}

#[test]
fn a_flood_of_empty_messages_is_counted() {
    let position = source(5, 1, 3).head;
    let digest = serde_bytes::ByteBuf::from(crate::SnapshotCheck::new().digest());
    let end = crate::SnapshotEnd { position: Some(position), entries: 0, digest };
    let round = [Frame::SnapshotFollows(position), Frame::SnapshotEntries(Bytes::new()), Frame::SnapshotEnd(end)];
    let mut follower = subscribed(None);
    let mut waiting = Vec::new();
    for frame in round.iter().cycle().take(1_000_000) {
        if follower.is_full() {
            break;
        }
        follower.handle(Duration::ZERO, FollowerInput::Frame(frame.clone()));
        waiting.extend(std::iter::from_fn(|| follower.poll_action(Duration::ZERO)));
    }
    assert!(follower.is_full(), "{} actions wait and nothing stops the next", waiting.len());
    let held = waiting.len() * size_of::<FollowerAction>();
    assert!(held <= 2 * crate::MAX_OUTSTANDING, "{held} bytes wait");
    for action in waiting {
        if let FollowerAction::SnapshotEntries(_, bytes) | FollowerAction::SnapshotEnd(_, bytes) = action {
            follower.handle(Duration::ZERO, FollowerInput::Taken(bytes));
        }
    }
    assert!(!follower.is_full());
}

#[test]
fn a_snapshot_of_another_store_or_from_before_is_not_begun() {
    let (here, before, other) = (source(5, 1, 3).head, source(5, 1, 2).head, source(6, 1, 9).head);
    for (position, why) in [(before, FollowerEnd::Back(before)), (other, FollowerEnd::OtherStore(other))] {
        let actions = after(&mut subscribed(Some(here)), [Frame::SnapshotFollows(position)]);
        assert_eq!(actions, [FollowerAction::Disconnect(why)]);
    }
    // Ahead in version, but of a history that was left behind.
    let newer = Position { epoch: crate::Epoch::new(1), ..here };
    let later = source(5, 1, 9).head;
    let actions = after(&mut subscribed(Some(newer)), [Frame::SnapshotFollows(later)]);
    assert_eq!(actions, [FollowerAction::Disconnect(FollowerEnd::Back(later))]);
}

#[test]
fn reading_stops_while_too_much_waits_and_goes_on_after() {
    let mut source = source(5, 1, 1);
    let start = source.head;
    let mut follower = subscribed(Some(start));
    assert_eq!(after(&mut follower, [Frame::Stream(source.head)]), []);
    let mut handed = Vec::new();
    while !follower.is_full() {
        let version = source.commit(&mut Random(2));
        let received = ReceivedVersion::read(version.clone()).unwrap();
        let sections = received.published.sections.len();
        let bytes = 2 * version.len() + sections * crate::SECTION_OVERHEAD + crate::follower::PER_MESSAGE;
        let apply = [FollowerAction::Apply(received, source.head, bytes)];
        assert_eq!(after(&mut follower, [Frame::Version(version)]), apply);
        handed.push((source.head, bytes));
    }
    let total: usize = handed.iter().map(|(_, bytes)| bytes).sum();
    assert!(total < crate::MAX_OUTSTANDING + crate::MAX_MESSAGE_LEN);
    let later = crate::SILENT_AFTER * 2;
    assert_eq!(actions(&mut follower, later), [], "who is not read is not silent");
    for (position, bytes) in handed {
        follower.handle(later, FollowerInput::Applied { position, bytes, two_clock_us: 0 });
    }
    assert!(!follower.is_full());
    let (applied, durable) = (source.head.version, start.version);
    let apply_us = u64::try_from(later.as_micros()).unwrap();
    let ack = Ack { incarnation: 1, applied, durable, apply_us, ..Ack::default() };
    let said = [FollowerAction::Send(Frame::Ack(ack))];
    assert_eq!(actions(&mut follower, later), said, "one for all of it");
    let silent = actions(&mut follower, later + crate::SILENT_AFTER);
    assert_eq!(silent, [FollowerAction::Disconnect(FollowerEnd::Silent)]);
}

#[test]
fn a_few_acks_go_out_at_once_and_many_at_a_steady_rate() {
    let mut source = source(5, 1, 1);
    let mut follower = subscribed(Some(source.head));
    assert_eq!(after(&mut follower, [Frame::Stream(source.head)]), []);
    // One more version is applied; the ack of it.
    let mut applies = |follower: &mut Follower, now| {
        let version = source.commit(&mut Random(2));
        follower.handle(now, FollowerInput::Frame(Frame::Version(version)));
        let Some(FollowerAction::Apply(_, position, bytes)) = actions(follower, now).pop() else {
            panic!("nothing to apply")
        };
        follower.handle(now, FollowerInput::Applied { position, bytes, two_clock_us: 0 });
        let durable = Version::new(1);
        FollowerAction::Send(Frame::Ack(Ack { incarnation: 1, applied: position.version, durable, ..Ack::default() }))
    };
    let mut now = Duration::from_secs(1);
    for _ in 0..crate::ACK_BURST {
        let ack = applies(&mut follower, now);
        assert_eq!(actions(&mut follower, now), [ack]);
    }
    // The publisher says how often, within limits.
    let default = crate::ACK_EVERY;
    for (asked, every) in [
        (0, default),
        (1, crate::LEAST_ACK_EVERY),
        (2_000, Duration::from_millis(2)),
        (u64::MAX, default),
        (0, default),
    ] {
        let heartbeat = crate::Heartbeat { ack_every_us: asked, ..Default::default() };
        follower.handle(now, FollowerInput::Frame(Frame::Heartbeat(heartbeat)));
        // All that may go at once has gone.
        for _ in 0..=crate::ACK_BURST {
            applies(&mut follower, now);
            actions(&mut follower, now);
        }
        now = follower.poll_timeout().unwrap();
        actions(&mut follower, now);
        for _ in 0..10 {
            applies(&mut follower, now);
            assert_eq!(actions(&mut follower, now), []);
            let ack = applies(&mut follower, now);
            assert_eq!((actions(&mut follower, now), follower.poll_timeout()), (vec![], Some(now + every)), "{asked}");
            now += every;
            assert_eq!(actions(&mut follower, now), [ack], "one for both");
        }
    }
}

/// A follower that streams, and a version of nearly 4 MiB as it goes over the wire.
fn streaming_with_a_large_version() -> (Follower, Bytes) {
    let mut source = Source::new(1);
    let start = source.head;
    let mut follower = subscribed(Some(start));
    assert_eq!(after(&mut follower, [Frame::Stream(start)]), []);
    let put =
        |number| Op::Put { key: Key::new(vec![0, 1, number]).unwrap(), value: Value::new(vec![7; 300_000]).unwrap() };
    (follower, Frame::Version(source.commit_ops((0..13).map(put).collect())).to_bytes())
}

/// Hands the bytes of a message to a follower at this rate; where it then stands, or what else it did.
fn over_a_link(bytes_per_second: usize) -> Result<Version, Vec<FollowerAction>> {
    let (mut follower, wire) = streaming_with_a_large_version();
    let mut decoder = crate::FrameDecoder::new();
    for (second, piece) in wire.chunks(bytes_per_second).enumerate() {
        let now = Duration::from_secs(second as u64 + 1);
        decoder.push(piece);
        let input = decoder.poll().unwrap().map_or(FollowerInput::Heard(piece.len()), FollowerInput::Frame);
        let whole = matches!(input, FollowerInput::Frame(_));
        follower.handle(now, input);
        let mut actions = actions(&mut follower, now);
        match actions.pop() {
            None if !whole => {}
            Some(FollowerAction::Apply(_, position, _)) if whole && actions.is_empty() => return Ok(position.version),
            last => return Err(actions.into_iter().chain(last).collect()),
        }
    }
    Err(vec![])
}

#[test]
fn a_large_version_gets_through_a_slow_link_and_not_from_one_who_trickles() {
    // 1 Mbit/s: 4 MiB take over half a minute.
    assert_eq!(over_a_link(125_000), Ok(Version::new(1)));
    assert_eq!(over_a_link(crate::LEAST_RATE), Ok(Version::new(1)));
    assert_eq!(over_a_link(100), Err(vec![FollowerAction::Disconnect(FollowerEnd::Trickling)]));
}
