//! The publisher's side of one connection: decides what a downstream gets, and in what order.
//!
//! ```text
//!  New ─ Subscribe ─▶ Checking ─┬─ known position ─▶ Streaming ◀───────────────┐
//!                               ├─ new or too old ─▶ Opening ─▶ Snapshot ─ end ┤
//!                               ├─ the same, and it takes tables ─▶ Tables ─ end ┘
//!                               └─ anything else ──▶ Refused ─▶ Closed
//! ```
//! While streaming it takes what is pending from the shared [`Tail`], as much as fits in one write; falls back to the
//! log when the tail no longer has it, and to a snapshot when the log does not either.
//!
//! # Load
//! A version goes out at once. When the node gets to it late, though, because of everybody else that it serves, and finds
//! more than one waiting, it rests after that write, longer each time and shorter again when it is in time: so what a
//! busy node spends on packets goes down as the number of versions in each goes up, and nobody waits longer than
//! [`MAX_REST`]. How far away the downstream is does not matter: it is not waited for.
//!
//! # Filters
//! A downstream with a [`Filter`] gets every version without the sections that its filter does not hold, and those that
//! change nothing that it holds as [runs](crate::SkippedRun). It gets snapshots as entries, not as table files, which are
//! the same for all.
//!
//! # Acks
//! An ack is passed on once the stream is accepted, and only if it is of what this publisher has: not before the check of
//! its position, not of an older epoch, and below a snapshot not at all, because what was there before was not checked.
//!
//! # Invariants
//! - At most one action that needs an answer is under way, so a slow downstream holds at most one write in memory and
//!   nothing that it does delays anyone else.
//! - No ack that is passed on is of a version that this stream was not given.
//! - However fast acks come, one is passed on per [`BOOK_EVERY`]: the last.
//!
//! # Time
//! `now` never goes back and counts from the Unix epoch, as well as the shell knows it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::filtered_frames::{filtered_frames, versions_of};
use crate::table_sender::{TableSender, TableStep};
use crate::{
    ACK_EVERY, Ack, Chain, EntryError, Epoch, Filter, Frame, Heartbeat, PROTOCOL, Position, RangesWant, SnapshotCheck,
    SnapshotEnd, Subscribe, SubscribeRefusal, TableOffer, TablePlace, Tail, TailRead, Version,
};

/// Most bytes of versions in one write: enough to make its cost per version vanish, little enough to hold per slow
/// downstream.
pub const MAX_WRITE: usize = 1024 * 1024;

/// Longest rest between two writes of a busy node.
pub const MAX_REST: Duration = Duration::from_millis(100);

/// The first rest; shorter ones are none.
const LEAST_REST: Duration = Duration::from_millis(4);

/// A node that gets to a version later than this is busy.
const LATE: Duration = Duration::from_millis(2);

/// Bytes of snapshot entries per message.
pub const SNAPSHOT_CHUNK: usize = 256 * 1024;

/// Silence after which a heartbeat is sent.
pub const HEARTBEAT_AFTER: Duration = Duration::from_secs(1);

/// Acks of all followers together that a core takes in a second, beside its other work.
const ACKS_A_SECOND: u32 = 10_000;

/// Least time between two acks of one downstream that are passed on: what a flood of them can cost.
pub const BOOK_EVERY: Duration = Duration::from_millis(1);

/// A connection without a subscription is closed after this.
pub const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(10);

/// An input: an event that the caller reports.
#[derive(Debug)]
pub enum DownstreamInput {
    /// The downstream sent this frame.
    Frame(Frame),
    /// Answer to [`DownstreamAction::LookUp`] and [`DownstreamAction::LookUpElsewhere`].
    Found {
        /// The position of the store.
        head: Position,
        /// The first version of its epoch.
        began: Version,
        /// The chain at the version, if it is known.
        chain: Option<Chain>,
        /// What the store holds, if not all.
        holds: Option<Filter>,
    },
    /// Answer to [`DownstreamAction::ReadAfter`]: encoded versions, or none when the log does not reach back.
    Versions(Option<Vec<Bytes>>),
    /// After [`DownstreamAction::QueueSnapshot`]: a place is free and kept for it.
    SnapshotTurn,
    /// Answer to [`DownstreamAction::OpenSnapshot`].
    SnapshotOpened(Position),
    /// Answer to [`DownstreamAction::ReadSnapshot`]: empty at the end.
    SnapshotRead(Bytes),
    /// After [`DownstreamAction::QueueTables`]: these can be had, and a place is kept for reading them; or none can.
    Tables(Option<TableOffer>),
    /// Answer to [`DownstreamAction::ReadTable`]: some of the bytes, at least one.
    TableRead(Bytes),
    /// Answer to [`DownstreamAction::ReadRanges`]: an encoded [`RangesGiven`](crate::RangesGiven).
    RangesRead(Bytes),
    /// Answer to [`DownstreamAction::Send`].
    Sent,
}

/// An output: an action that the caller must do. At most one action that needs an answer is pending at a time.
#[derive(Debug, PartialEq, Eq)]
pub enum DownstreamAction {
    /// It asks to be served. No answer.
    Subscribed(Subscribe),
    /// It is served from here on, and has caught up when it has applied this version. No answer.
    Accepted(Version),
    /// It gets nothing, because of this, and is told so. No answer.
    Refused(SubscribeRefusal),
    /// It said how far it is. No answer.
    Acked(Ack),
    /// It said how far the edges are that it serves: encoded [`EdgeNews`](crate::EdgeNews). No answer.
    Reported(Vec<Bytes>),
    /// Find the head and the chain at this version.
    LookUp(Version),
    /// Keep what follows this version in the log for it, and find the head and the chain there.
    LookUpElsewhere(Version),
    /// Read versions from the log.
    ReadAfter {
        /// The version before the first one to read.
        after: Version,
        /// About how many bytes to read.
        max_bytes: usize,
    },
    /// Wait for a place among those that read a snapshot, closing any before. No answer; [`DownstreamInput::SnapshotTurn`]
    /// follows in its time.
    QueueSnapshot,
    /// Open a snapshot of what this holds, or of everything.
    OpenSnapshot(Option<Filter>),
    /// Read the next entries of the open snapshot.
    ReadSnapshot {
        /// About how many bytes to read.
        max_bytes: usize,
    },
    /// Wait for table files and a place to read them, closing any before. No answer; [`DownstreamInput::Tables`] follows in
    /// its time.
    QueueTables {
        /// The earliest epoch and version at which they may stand.
        from: (Epoch, Version),
    },
    /// Read from the table files.
    ReadTable {
        /// Where.
        place: TablePlace,
        /// The most to read, which the file has.
        max_bytes: usize,
    },
    /// The table files are needed no more, here or elsewhere. No answer.
    CloseTables,
    /// Answer a question about what was here at a marker.
    ReadRanges(RangesWant),
    /// Write these, in one go.
    Send(Vec<Bytes>),
    /// Let what was sent arrive, then close. Nothing comes after this.
    Close(DownstreamEnd),
}

/// Why a connection ends from this side.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DownstreamEnd {
    /// The downstream does not keep to the protocol.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Part of the protocol; it has been told.
    #[error("refused: {0}")]
    Refused(SubscribeRefusal),
    /// The downstream did not subscribe in time.
    #[error("the downstream did not subscribe in time")]
    Silent,
    /// The store went on in another history.
    #[error("the store went on in another epoch")]
    NewHistory,
    /// The source gave what cannot be sent.
    #[error("the source of the snapshot is damaged: {0}")]
    Snapshot(EntryError),
    /// The log lacks versions that it should have.
    #[error("the log ends before the head")]
    LogEnds,
    /// There are no table files for a relay that has asked for some.
    #[error("there are no table files")]
    NoTables,
    /// A relay has got the table files that it asked for.
    #[error("the table files are sent")]
    Given,
    /// The downstream did not say in time what it lacks of the table files.
    #[error("the downstream did not say in time what it lacks of the snapshot")]
    NoWant,
    /// A version in the log is damaged, so that nothing can be left out of it.
    #[error("the log is damaged: a version in it cannot be read")]
    Version,
    /// A table file is not as long as was announced.
    #[error("the source of the snapshot is damaged: a table file has not the length that it had")]
    TableLength,
}

/// One downstream, seen from its publisher.
#[derive(Debug)]
pub struct Downstream {
    /// Who it is, by its certificate.
    name: String,
    /// A stream beside the one that it follows, for table files alone.
    is_aside: bool,
    state: State,
    incarnation: u64,
    tables_from: Option<(Epoch, Version)>,
    /// What it holds, if not all.
    filter: Option<Filter>,
    /// Where table files stand that it can have elsewhere, until it was tried.
    elsewhere: Option<Position>,
    /// The head when it subscribed; its store and epoch are those of everything that follows.
    base: Option<Position>,
    /// The last version in any write.
    sent: Version,
    /// An ack that came before the check of its position was back.
    early: Option<Ack>,
    /// It is served.
    is_accepted: bool,
    /// Acks count from this version on.
    books_from: Option<Version>,
    /// To be passed on, not before the time.
    acked: Option<Ack>,
    books_at: Duration,
    /// It asks this about a marker.
    ranges_want: Option<RangesWant>,
    /// An action without its answer.
    busy: bool,
    followers: usize,
    /// When it was last told that, with a heartbeat.
    told_at: Duration,
    /// The number of the path that it was told last.
    told_path: u64,
    ready: VecDeque<DownstreamAction>,
    timeout: Duration,
    /// How long it rests after a write at present.
    rest: Duration,
    /// The end of the rest that it has.
    rests_until: Option<Duration>,
    /// Since when nothing has kept it from writing.
    free_since: Duration,
}

#[derive(Debug)]
enum State {
    New,
    Checking(Option<Position>),
    /// It waits for a place; whether it has one.
    Queued(bool),
    Opening,
    Snapshot(Position, SnapshotCheck),
    /// Whether what follows the files that it has elsewhere is here is being looked up.
    CheckingElsewhere(Position),
    /// It waits for table files; those that it can have.
    AwaitsTables(Option<TableOffer>),
    Tables(TableSender),
    Streaming,
    Refused(SubscribeRefusal),
    /// The table files that were asked for are on their way.
    Given,
    Closed,
}

impl Downstream {
    /// A connection from the node with this name in its certificate.
    #[must_use]
    pub fn new(now: Duration, name: String) -> Self {
        Self {
            name,
            is_aside: false,
            state: State::New,
            incarnation: 0,
            tables_from: None,
            filter: None,
            elsewhere: None,
            base: None,
            sent: Version::ZERO,
            early: None,
            is_accepted: false,
            books_from: None,
            acked: None,
            books_at: Duration::ZERO,
            ranges_want: None,
            busy: false,
            followers: 0,
            // Due with the first write.
            told_at: now.saturating_sub(HEARTBEAT_AFTER),
            told_path: 0,
            ready: VecDeque::new(),
            timeout: now + SUBSCRIBE_WITHIN,
            rest: Duration::ZERO,
            rests_until: None,
            free_since: now,
        }
    }

    /// A further stream of a relay, which asks for table files.
    #[must_use]
    pub fn aside(now: Duration) -> Self {
        Self { is_aside: true, ..Self::new(now, String::new()) }
    }

    /// The publisher has so many followers. The fewer they are, the more often each may acknowledge, so that whoever waits
    /// for a few edges hears of each change at once.
    pub fn set_followers(&mut self, followers: usize) {
        self.followers = followers;
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Duration, input: DownstreamInput) {
        let state = std::mem::replace(&mut self.state, State::Closed);
        if matches!(state, State::Closed) {
            return;
        }
        // Three that answer nothing that is under way.
        if let DownstreamInput::Frame(frame) = input {
            self.state = state;
            return self.frame(frame);
        }
        if matches!(input, DownstreamInput::SnapshotTurn) {
            self.state = if matches!(state, State::Queued(_)) { State::Queued(true) } else { state };
            return;
        }
        if let DownstreamInput::Tables(offer) = input {
            self.state = match (state, offer) {
                (State::AwaitsTables(_), None) if self.is_aside => self.end(DownstreamEnd::NoTables),
                (State::AwaitsTables(_), None) => self.queue_snapshot(),
                (State::AwaitsTables(_), offer) => State::AwaitsTables(offer),
                (state, _) => state,
            };
            return;
        }
        self.busy = false;
        self.timeout = now + HEARTBEAT_AFTER;
        self.state = match (state, input) {
            (State::Checking(_), DownstreamInput::Found { holds, .. })
                if !Filter::serves(holds.as_ref(), self.filter.as_ref()) =>
            {
                self.refuse(SubscribeRefusal::Filter)
            }
            (State::Checking(position), DownstreamInput::Found { head, began, chain, .. }) => {
                self.decide(position, head, began, chain)
            }
            (State::CheckingElsewhere(position), DownstreamInput::Found { head, chain, .. }) => {
                self.decide_elsewhere(now, position, head, chain)
            }
            (State::Streaming, DownstreamInput::Versions(versions)) => self.send_from_log(versions),
            (State::Opening, DownstreamInput::SnapshotOpened(position)) => self.begin_snapshot(position),
            (State::Snapshot(position, check), DownstreamInput::SnapshotRead(message)) => {
                self.send_entries(position, check, message)
            }
            (state, DownstreamInput::RangesRead(given)) => {
                self.send(vec![Frame::Ranges(given).to_bytes()]);
                state
            }
            (State::Tables(tables), DownstreamInput::TableRead(bytes)) => self.send_table(tables, bytes),
            (State::Refused(why), DownstreamInput::Sent) => self.end(DownstreamEnd::Refused(why)),
            (State::Given, DownstreamInput::Sent) => self.end(DownstreamEnd::Given),
            (state, DownstreamInput::Sent) => {
                self.free_since = now + self.rest;
                self.rests_until = (self.rest > Duration::ZERO).then_some(self.free_since);
                state
            }
            (_, input) => unreachable!("{input:?} answers nothing that was asked"),
        };
        if let Some(early) = self.early.take() {
            self.frame(Frame::Ack(early));
        }
    }

    /// The next thing to do, if any. Ask again after every input, when the tail grew, and at the timeout.
    pub fn poll_action(&mut self, now: Duration, tail: &Tail) -> Option<DownstreamAction> {
        if self.ready.is_empty() && !self.busy {
            self.advance(now, tail);
        }
        let Some(action) = self.ready.pop_front() else {
            let ack = self.acked.take_if(|_| now >= self.books_at)?;
            self.books_at = now + BOOK_EVERY;
            return Some(DownstreamAction::Acked(ack));
        };
        self.busy |= !matches!(
            action,
            DownstreamAction::Subscribed(_)
                | DownstreamAction::Accepted(_)
                | DownstreamAction::Refused(_)
                | DownstreamAction::Reported(_)
                | DownstreamAction::QueueSnapshot
                | DownstreamAction::QueueTables { .. }
                | DownstreamAction::CloseTables
        );
        Some(action)
    }

    /// When to ask again though nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let own = match self.state {
            State::New | State::Queued(_) | State::AwaitsTables(_) | State::Tables(_) | State::Streaming
                if !self.busy =>
            {
                Some(self.rests_until.unwrap_or(self.timeout))
            }
            _ => None,
        };
        let books_at = self.acked.as_ref().map(|_| self.books_at);
        own.into_iter().chain(books_at).min()
    }

    /// Whether it need not be asked before its timeout, though the tail grew.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.rests_until.is_some()
    }

    /// The last version that was given to it.
    #[must_use]
    pub fn sent(&self) -> Version {
        self.sent
    }

    fn frame(&mut self, frame: Frame) {
        match (&mut self.state, frame) {
            (State::New, Frame::TablesAsk(epoch, version)) if self.is_aside => {
                self.ready.push_back(DownstreamAction::QueueTables { from: (epoch, version) });
                self.state = State::AwaitsTables(None);
            }
            (State::New, Frame::Subscribe(subscribe)) if !self.is_aside => self.subscribe(subscribe),
            (State::New, _) => self.close(DownstreamEnd::Malformed("something before its subscription")),
            (State::Refused(_), _) | (_, Frame::Goodbye) => {}
            (_, Frame::Ack(ack)) if !self.is_aside => self.ack(ack),
            (_, Frame::Reports(reports)) if !self.is_aside => self.reports(reports),
            // One at a time: who asks anew has given up what it asked before.
            (_, Frame::RangesWant(want)) if !self.is_aside => self.ranges_want = Some(want),
            (State::Tables(tables), Frame::TablesWant(want)) => {
                if !tables.want(want) {
                    self.close(DownstreamEnd::Malformed("it lacks what was not offered"));
                }
            }
            _ => self.close(DownstreamEnd::Malformed("a frame that is not for publishers")),
        }
    }

    fn subscribe(&mut self, subscribe: Subscribe) {
        self.incarnation = subscribe.incarnation;
        (self.tables_from, self.elsewhere) = (subscribe.tables_from, subscribe.elsewhere.as_deref().copied());
        if subscribe.protocol != PROTOCOL {
            self.state = self.refuse(SubscribeRefusal::Protocol(PROTOCOL));
            return;
        }
        if subscribe.name != self.name {
            self.state = self.refuse(SubscribeRefusal::NotAllowed);
            return;
        }
        if !subscribe.filter.is_empty() {
            let Ok(filter) = Filter::from_bytes(&subscribe.filter) else {
                self.state = self.refuse(SubscribeRefusal::Filter);
                return;
            };
            self.filter = Some(filter);
        }
        let position = subscribe.position;
        self.state = State::Checking(position);
        self.ready.push_back(DownstreamAction::Subscribed(subscribe));
        let version = position.map_or(Version::ZERO, |position| position.version);
        self.ready.push_back(DownstreamAction::LookUp(version));
    }

    fn ack(&mut self, ack: Ack) {
        if ack.incarnation != self.incarnation || ack.durable > ack.applied {
            return self.close(DownstreamEnd::Malformed("an ack that contradicts itself"));
        }
        if ack.check.as_ref().is_some_and(|check| !check.is_bounded()) {
            return self.close(DownstreamEnd::Malformed("a check of a copy with a key that is too long"));
        }
        let Some(base) = self.base else {
            self.early = Some(ack.with_check_of(self.early.take()));
            return;
        };
        if (ack.epoch, ack.applied) > (base.epoch, self.sent) {
            return self.close(DownstreamEnd::Malformed("an ack of what it was never given"));
        }
        if ack.epoch == base.epoch && self.books_from.is_some_and(|from| ack.applied >= from) {
            self.acked = Some(ack.with_check_of(self.acked.take()));
        }
    }

    /// What a relay says before it is accepted counts no more than its acks do; it says all of it again then.
    fn reports(&mut self, reports: Vec<Bytes>) {
        if self.is_accepted {
            self.ready.push_back(DownstreamAction::Reported(reports));
        }
    }

    /// A chain says which epoch it is of, so an equal one is of one history, up to there. A copy of an earlier epoch that
    /// is not on the way here was left behind when a restore was accepted, and takes a snapshot.
    fn decide(&mut self, position: Option<Position>, head: Position, began: Version, chain: Option<Chain>) -> State {
        self.base = Some(head);
        let Some(position) = position else { return self.open_snapshot() };
        self.sent = position.version;
        let refusal = if position.store != head.store {
            SubscribeRefusal::OtherStore(head.store)
        } else if position.order() > head.order() {
            SubscribeRefusal::Ahead(head)
        } else if chain == Some(position.chain) {
            self.books_from = Some(Version::ZERO);
            self.accept(head.version);
            self.send(vec![Frame::Stream(head).to_bytes()]);
            return State::Streaming;
        } else if position.epoch < head.epoch {
            return self.open_snapshot();
        } else if position.version < began {
            SubscribeRefusal::ForkedAt { epoch: head.epoch, version: began }
        } else {
            match chain {
                None => return self.open_snapshot(),
                Some(chain) => SubscribeRefusal::ChainDiffers { version: position.version, chain },
            }
        };
        self.refuse(refusal)
    }

    fn accept(&mut self, goal: Version) {
        self.is_accepted = true;
        self.ready.push_back(DownstreamAction::Accepted(goal));
    }

    fn open_snapshot(&mut self) -> State {
        self.books_from = None;
        if let Some(mut from) = self.tables_from.filter(|_| self.filter.is_none()) {
            // It has come further since it said so, if it is followed by what it was sent.
            if let Some(base) = self.base.filter(|_| self.is_accepted) {
                from = from.max((base.epoch, self.sent));
            }
            if let Some(position) = self.elsewhere.take().filter(|position| position.order() >= from) {
                self.ready.push_back(DownstreamAction::LookUpElsewhere(position.version));
                return State::CheckingElsewhere(position);
            }
            self.ready.push_back(DownstreamAction::QueueTables { from });
            return State::AwaitsTables(None);
        }
        self.queue_snapshot()
    }

    /// It begins with what it has elsewhere, if what follows is here.
    fn decide_elsewhere(&mut self, now: Duration, position: Position, head: Position, chain: Option<Chain>) -> State {
        if (position.store, position.epoch) != (head.store, head.epoch) || chain != Some(position.chain) {
            return self.open_snapshot();
        }
        self.begin_tables(position, Frame::TablesElsewhere(position).to_bytes());
        State::Tables(TableSender::elsewhere(now, position))
    }

    fn queue_snapshot(&mut self) -> State {
        self.ready.push_back(DownstreamAction::QueueSnapshot);
        State::Queued(false)
    }

    fn begin_snapshot(&mut self, position: Position) -> State {
        self.base = Some(position);
        self.books_from = Some(position.version);
        self.accept(position.version);
        self.send(vec![Frame::SnapshotFollows(position).to_bytes()]);
        State::Snapshot(position, SnapshotCheck::new())
    }

    fn send_entries(&mut self, position: Position, mut check: SnapshotCheck, message: Bytes) -> State {
        if message.is_empty() {
            let digest = serde_bytes::ByteBuf::from(check.digest());
            let end = SnapshotEnd { position: Some(position), entries: check.entries(), digest };
            self.sent = position.version;
            self.send(vec![Frame::SnapshotEnd(end).to_bytes()]);
            return State::Streaming;
        }
        if let Err(error) = check.add(&message, self.filter.as_ref()) {
            self.ready.push_back(DownstreamAction::Close(DownstreamEnd::Snapshot(error)));
            return State::Closed;
        }
        self.send(vec![Frame::SnapshotEntries(message).to_bytes()]);
        State::Snapshot(position, check)
    }

    /// It is told of table files at this position, and goes on from there.
    fn begin_tables(&mut self, position: Position, frame: Bytes) {
        self.base = Some(position);
        self.books_from = Some(position.version);
        if !self.is_aside {
            self.accept(position.version);
        }
        self.send(vec![frame]);
    }

    fn offer_tables(&mut self, now: Duration, offer: TableOffer) {
        self.begin_tables(offer.position, offer.frame());
        self.state = State::Tables(TableSender::new(now, offer.position, offer.lens));
    }

    fn send_table(&mut self, mut tables: TableSender, bytes: Bytes) -> State {
        let Some(frames) = tables.read(bytes) else { return self.end(DownstreamEnd::TableLength) };
        self.send(frames);
        State::Tables(tables)
    }

    fn end_tables(&mut self, position: Position) {
        self.sent = position.version;
        self.ready.push_back(DownstreamAction::CloseTables);
        self.send(vec![Frame::TablesEnd(position).to_bytes()]);
        self.state = if self.is_aside { State::Given } else { State::Streaming };
    }

    fn send_from_log(&mut self, versions: Option<Vec<Bytes>>) -> State {
        let Some(versions) = versions else { return self.open_snapshot() };
        if versions.is_empty() {
            self.ready.push_back(DownstreamAction::Close(DownstreamEnd::LogEnds));
            return State::Closed;
        }
        self.sent = Version::new(self.sent.get() + versions.len() as u64);
        if let Some(filter) = &self.filter {
            let Ok(frames) = filtered_frames(filter, versions) else {
                self.ready.push_back(DownstreamAction::Close(DownstreamEnd::Version));
                return State::Closed;
            };
            self.send(frames);
            return State::Streaming;
        }
        let mut out = BytesMut::with_capacity(versions.iter().map(|version| version.len() + 16).sum());
        versions.into_iter().for_each(|version| Frame::Version(version).encode(&mut out));
        self.send(vec![out.freeze()]);
        State::Streaming
    }

    fn advance(&mut self, now: Duration, tail: &Tail) {
        match &mut self.state {
            State::New if now >= self.timeout => self.close(DownstreamEnd::Silent),
            State::Queued(true) => {
                self.ready.push_back(DownstreamAction::OpenSnapshot(self.filter.clone()));
                self.state = State::Opening;
            }
            // It keeps its turn: without a word it would take this publisher for dead.
            State::Queued(false) | State::AwaitsTables(None) if now >= self.timeout => self.heartbeat(now, None, tail),
            State::AwaitsTables(offer) => {
                if let Some(offer) = offer.take() {
                    self.offer_tables(now, offer);
                }
            }
            State::Tables(tables) => match tables.next(now) {
                TableStep::Read(place, max_bytes) => {
                    self.ready.push_back(DownstreamAction::ReadTable { place, max_bytes });
                }
                TableStep::End(position) => self.end_tables(position),
                TableStep::Overdue => self.close(DownstreamEnd::NoWant),
                TableStep::Wait if now >= self.timeout => self.heartbeat(now, None, tail),
                TableStep::Wait => {}
            },
            State::Snapshot(..) => self.ready.push_back(DownstreamAction::ReadSnapshot { max_bytes: SNAPSHOT_CHUNK }),
            State::Streaming => self.stream(now, tail),
            _ => {}
        }
    }

    fn stream(&mut self, now: Duration, tail: &Tail) {
        let head = *tail.head();
        if self.base.is_some_and(|base| (base.store, base.epoch) != (head.store, head.epoch)) {
            self.send(vec![Frame::Goodbye.to_bytes()]);
            return self.close(DownstreamEnd::NewHistory);
        }
        if let Some(want) = self.ranges_want.take() {
            return self.ready.push_back(DownstreamAction::ReadRanges(want));
        }
        if self.rests_until.is_some_and(|end| now < end) {
            return;
        }
        self.rests_until = None;
        match tail.after(self.sent, MAX_WRITE) {
            TailRead::Frames(mut frames, last, since) => {
                self.sent = last;
                self.adapt(now.saturating_sub(since.max(self.free_since)), frames.len());
                if let Some(filter) = &self.filter {
                    let Ok(filtered) = versions_of(&frames).and_then(|versions| filtered_frames(filter, versions))
                    else {
                        return self.close(DownstreamEnd::Version);
                    };
                    frames = filtered;
                }
                if now >= self.told_at + HEARTBEAT_AFTER {
                    // However busy it is: the follower learns from it how often to acknowledge.
                    frames.push(self.heartbeat_frame(now, Some(head), tail));
                }
                frames.extend(self.path_frame(tail));
                self.send(frames);
            }
            TailRead::Behind => {
                self.ready.push_back(DownstreamAction::ReadAfter { after: self.sent, max_bytes: MAX_WRITE });
            }
            TailRead::Nothing if now >= self.timeout || self.told_path != tail.path_number() => {
                self.heartbeat(now, Some(head), tail);
            }
            TailRead::Nothing => {}
        }
    }

    /// Rests longer when so many versions have waited, and not because of this downstream; else shorter.
    fn adapt(&mut self, late: Duration, waiting: usize) {
        if late >= LATE && waiting > 1 {
            self.rest = (self.rest * 2).clamp(LEAST_REST, MAX_REST);
        } else if late < LATE / 2 {
            self.rest = Some(self.rest * 3 / 4).filter(|rest| *rest >= LEAST_REST).unwrap_or_default();
        }
    }

    fn heartbeat(&mut self, now: Duration, head: Option<Position>, tail: &Tail) {
        let frame = self.heartbeat_frame(now, head, tail);
        let path = self.path_frame(tail);
        self.send([frame].into_iter().chain(path).collect());
    }

    /// The way that versions take to here, if it was not told yet.
    fn path_frame(&mut self, tail: &Tail) -> Option<Bytes> {
        if self.told_path == tail.path_number() {
            return None;
        }
        self.told_path = tail.path_number();
        Some(Frame::Path(tail.path().clone()).to_bytes())
    }

    fn heartbeat_frame(&mut self, now: Duration, head: Option<Position>, tail: &Tail) -> Bytes {
        self.told_at = now;
        let unconfirmed = tail.unconfirmed_for(now).unwrap_or(Duration::MAX);
        let [time_us, ack_every_us, unconfirmed_us] = [now, ack_every(self.followers), unconfirmed]
            .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        Frame::Heartbeat(Heartbeat { head, time_us, ack_every_us, unconfirmed_us }).to_bytes()
    }

    fn send(&mut self, frames: Vec<Bytes>) {
        self.ready.push_back(DownstreamAction::Send(frames));
    }

    fn refuse(&mut self, why: SubscribeRefusal) -> State {
        self.ready.push_back(DownstreamAction::Refused(why));
        self.send(vec![Frame::Refused(why).to_bytes()]);
        State::Refused(why)
    }

    fn close(&mut self, end: DownstreamEnd) {
        self.state = self.end(end);
    }

    fn end(&mut self, end: DownstreamEnd) -> State {
        self.ready.push_back(DownstreamAction::Close(end));
        State::Closed
    }
}

/// Time between two acks of each of so many followers; 0 followers are not known.
fn ack_every(followers: usize) -> Duration {
    let followers = u32::try_from(followers).unwrap_or(u32::MAX);
    (Duration::from_secs(1) / ACKS_A_SECOND).saturating_mul(followers).min(ACK_EVERY)
}
