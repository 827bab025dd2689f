//! The downstream's side of one connection after the other: subscribes where it stands, checks every version against
//! its chain, and hands on what is right.
//!
//! ```text
//!  Waiting ─ time ─▶ Connecting ─ up ─▶ Subscribed ─┬─ Stream ─────────▶ Streaming ◀─ end ─┐
//!     ▲                                             ├─ SnapshotFollows ─▶ Loading ─────────┤
//!     │                                             └─ TablesFollow ─▶ Tables ─────────────┘
//!     └──── lost, refused, malformed, a gap, another chain, silence ◀── any of them
//! ```
//! # Invariants
//! - What is handed on for application is dense, belongs to one store, and its chain and every operation of it have
//!   been checked. Positions never go back.
//! - At most [`MAX_OUTSTANDING`] bytes are handed on and not applied; beyond that, reading stops.
//!
//! # Failure
//! A lost connection comes back soon, to this publisher or another one ([`Upstreams`]). What must not happen (a gap,
//! another chain, another store) is reported, ends the stream, and puts this publisher aside for
//! [`MAX_BACKOFF`](crate::MAX_BACKOFF); what was applied before goes on being served.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::copy_check::DueCheck;
use crate::table_receiver::{TableReceiver, Unsure};
use crate::upstreams::{Setback, Upstreams};
use crate::{
    Ack, Filter, FollowerAction, FollowerEnd, FollowerInput, FollowerState, Frame, HEARTBEAT_AFTER, Heartbeat,
    OfferedTables, PROTOCOL, Pace, Path, Peer, Position, PublishedError, ReceivedVersion, SECTION_OVERHEAD, SkippedRun,
    SnapshotCheck, SnapshotEnd, Subscribe, SubscribeRefusal, TableLoad, TablesWant, Version, decode_ops,
};

/// An upstream that was silent for so long may not have the versions any more that this copy lacks.
const ELSEWHERE_AFTER: Duration = Duration::from_mins(1);

/// Most bytes handed on and not applied: four of the largest batches.
pub const MAX_OUTSTANDING: usize = 16 * 1024 * 1024;

/// A version is handed on twice: decoded, and as it came.
const COPIES: usize = 2;

/// Versions of which it is remembered when they came: more than are applied in one write, mostly.
const MAX_CAME: usize = 256;

/// Counted for everything handed on on top of its bytes, so that a flood of tiny or empty messages is bounded too.
pub(crate) const PER_MESSAGE: usize = 256;

/// Time between two acks while versions go on and on, unless the publisher asks for more of them: with it a thousand edges
/// cost their core no more than it can bear, whatever is committed.
pub const ACK_EVERY: Duration = Duration::from_millis(5);

/// Time between two acks that a publisher with few followers may ask for: it books no more of them.
pub const LEAST_ACK_EVERY: Duration = Duration::from_millis(1);

/// Acks that go out at once after a pause, so that whoever makes a few changes and waits for each does not wait for
/// [`ACK_EVERY`].
pub const ACK_BURST: u32 = 16;

/// Silence after which the publisher counts as dead: five heartbeats.
pub const SILENT_AFTER: Duration = Duration::from_secs(5);

/// A subscription of which nothing is heard for this long: the publisher may have much to look up first, and the transport
/// notices by itself when it is gone.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// One downstream, seen from itself.
#[derive(Debug)]
pub struct Follower {
    name: String,
    incarnation: u64,
    state: State,
    /// Where the last handed-on version leads.
    received: Option<Position>,
    applied: Option<Position>,
    durable: Option<Position>,
    two_clock_us: u64,
    /// When the newest versions came, ascending in both.
    came: VecDeque<(Version, Duration)>,
    apply_us: u64,
    /// The furthest the publisher is known to be.
    head: Option<Position>,
    /// When a majority of the cores last confirmed it, as far as is known.
    confirmed: Option<Duration>,
    /// The way of the versions to the publisher.
    path: Path,
    /// Who it is to its own downstreams, if it has any.
    passes_on_as: Option<Peer>,
    /// How often it has connected.
    connections: u64,
    heard: Option<Duration>,
    /// Of the message that is coming.
    pace: Pace,
    outstanding: usize,
    /// What the copy is to hold, if not everything.
    filter: Option<Filter>,
    /// The copy is damaged or holds something else, so that it goes on from nowhere until a snapshot has replaced it.
    damaged: bool,
    ack_due: bool,
    check: DueCheck,
    /// When all acks so far would have gone out at a steady rate.
    acks_paid_at: Duration,
    /// Time between two acks that go on and on, as the publisher asked last.
    ack_every: Duration,
    upstreams: Upstreams,
    /// The last snapshot of table files that was offered.
    load: TableLoad,
    unsure: Option<Unsure>,
    takes_tables: bool,
    /// Table files that it can have elsewhere, for the next subscription.
    elsewhere: Option<Box<OfferedTables>>,
    ready: VecDeque<FollowerAction>,
    /// When the present wait or patience ends.
    timeout: Duration,
}

#[derive(Debug)]
enum State {
    Waiting,
    Connecting,
    Subscribed,
    Loading(Position, SnapshotCheck),
    Tables(TableReceiver),
    Streaming,
}

impl Follower {
    /// A copy that stands at `position` and is all durable, or a new one.
    #[must_use]
    pub fn new(now: Duration, name: String, incarnation: u64, position: Option<Position>) -> Self {
        Self {
            name,
            incarnation,
            state: State::Waiting,
            received: position,
            applied: position,
            durable: position,
            two_clock_us: 0,
            came: VecDeque::new(),
            apply_us: 0,
            head: position,
            confirmed: None,
            path: Path::default(),
            passes_on_as: None,
            connections: 0,
            heard: None,
            pace: Pace::begin(now),
            outstanding: 0,
            filter: None,
            damaged: false,
            ack_due: false,
            check: DueCheck::default(),
            acks_paid_at: now,
            ack_every: ACK_EVERY,
            upstreams: Upstreams::new(1, incarnation),
            load: TableLoad::default(),
            unsure: None,
            takes_tables: false,
            elsewhere: None,
            ready: VecDeque::new(),
            timeout: now,
        }
    }

    /// There are so many publishers to choose from, at least one.
    #[must_use]
    pub fn with_upstreams(self, count: usize) -> Self {
        Self { upstreams: Upstreams::new(count.max(1), self.incarnation), ..self }
    }

    /// It is a relay, and its downstreams know it by this name.
    #[must_use]
    pub fn passing_on_as(self, relay: Option<Peer>) -> Self {
        Self { passes_on_as: relay, ..self }
    }

    /// It is to hold what this filter holds, or everything. The copy may be of something else.
    #[must_use]
    pub fn with_filter(self, filter: Option<Filter>, of_copy: Option<&Filter>) -> Self {
        let damaged = self.damaged || self.received.is_some() && filter.as_ref() != of_copy;
        Self { filter, damaged, ..self }
    }

    /// Its copy can be made of table files.
    #[must_use]
    pub fn with_tables(self) -> Self {
        Self { takes_tables: true, ..self }
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Duration, input: FollowerInput) {
        match input {
            FollowerInput::Connected => self.subscribe(now),
            FollowerInput::Disconnected => self.lost(now, Setback::Lost),
            FollowerInput::Replaced => self.lost(now, Setback::Replaced),
            FollowerInput::Itself => self.lost(now, Setback::Unfit),
            FollowerInput::Frame(frame) => {
                if !self.hears(now) {
                    return;
                }
                self.pace = Pace::begin(now);
                match self.frame(now, frame) {
                    Err(end) => self.leave(now, self.passed_over(end)),
                    Ok(()) if self.state() != FollowerState::Away => self.upstreams.serves(now),
                    Ok(()) => {}
                }
            }
            FollowerInput::Heard(bytes) => {
                if !self.hears(now) {
                    return;
                }
                self.pace.moved(now, bytes);
                if self.pace.is_trickling(now) {
                    self.leave(now, FollowerEnd::Trickling);
                }
            }
            FollowerInput::Applied { position, bytes, two_clock_us } => {
                self.taken(now, bytes);
                self.applied = Some(position);
                self.two_clock_us = two_clock_us;
                self.apply_us = self.took(now, position.version);
                self.ack_due = true;
            }
            FollowerInput::Taken(bytes) => self.taken(now, bytes),
            FollowerInput::Durable(position) => {
                self.durable = Some(position);
                self.ack_due = true;
            }
            FollowerInput::TablesBegun(load, want) => self.tables_begun(load, want),
            FollowerInput::TablesDone(load) => drop(self.unsure.take_if(|unsure| unsure.load == load)),
            FollowerInput::TablesFailed(load, why) => self.tables_failed(now, load, FollowerEnd::Tables(why)),
            FollowerInput::Elsewhere(offered) => self.elsewhere = offered,
            FollowerInput::ElsewhereFailed(load, why) => self.tables_failed(now, load, FollowerEnd::Elsewhere(why)),
            FollowerInput::Damaged => self.damaged(now),
            FollowerInput::Filter(filter) => self.hold(now, filter),
            FollowerInput::Checked(check) => self.check.say(check),
        }
    }

    /// The next thing to do, if any. Ask again after every input and at the timeout.
    pub fn poll_action(&mut self, now: Duration) -> Option<FollowerAction> {
        if let Some(action) = self.ready.pop_front() {
            return Some(action);
        }
        if now >= self.timeout && !self.is_full() {
            match self.state {
                State::Waiting => return self.connect(now),
                _ => self.leave(now, FollowerEnd::Silent),
            }
            return self.ready.pop_front();
        }
        self.poll_ack(now)
    }

    fn connect(&mut self, now: Duration) -> Option<FollowerAction> {
        let upstream = self.upstreams.take(now)?;
        self.state = State::Connecting;
        self.timeout = now + SILENT_AFTER;
        Some(FollowerAction::Connect(upstream))
    }

    /// When to ask again though nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let own = (!self.is_full()).then_some(self.timeout);
        own.into_iter().chain(self.due_ack().map(|_| self.next_ack_at())).min()
    }

    /// Whether so much is handed on that no frame should be read before some of it is applied.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.outstanding >= MAX_OUTSTANDING
    }

    /// Whether it is worth looking for table files elsewhere before the next connection: it may need a snapshot.
    #[must_use]
    pub fn may_need_snapshot(&self, now: Duration) -> bool {
        let is_long_ago = |heard: Duration| now.saturating_sub(heard) >= ELSEWHERE_AFTER;
        self.received.is_none() || self.damaged || self.heard.is_none_or(is_long_ago)
    }

    /// The furthest the publisher is known to be.
    #[must_use]
    pub fn head(&self) -> Option<Position> {
        self.head
    }

    /// When a majority of the cores last confirmed that the publisher had all of it, as far as is known; by its word, and
    /// without the time that its word was on the way.
    #[must_use]
    pub fn confirmed(&self) -> Option<Duration> {
        self.confirmed
    }

    /// The way that versions take to the publisher; empty if it does not say.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When the publisher said anything last.
    #[must_use]
    pub fn heard(&self) -> Option<Duration> {
        self.heard
    }

    /// State of the follower towards its publisher.
    #[must_use]
    pub fn state(&self) -> FollowerState {
        match self.state {
            State::Waiting | State::Connecting | State::Subscribed => FollowerState::Away,
            State::Loading(..) | State::Tables(_) => FollowerState::Loading,
            State::Streaming => FollowerState::Streaming,
        }
    }

    fn damaged(&mut self, now: Duration) {
        // A new copy begins with a snapshot anyway.
        if self.damaged || self.received.is_none() {
            return;
        }
        self.damaged = true;
        // One that is loading replaces what is damaged.
        if matches!(self.state, State::Subscribed | State::Streaming) {
            self.leave(now, FollowerEnd::Damaged);
        }
    }

    fn hold(&mut self, now: Duration, filter: Option<Filter>) {
        if self.filter == filter {
            return;
        }
        self.filter = filter;
        self.damaged |= self.received.is_some();
        // What is loading is of the filter before.
        if !matches!(self.state, State::Waiting | State::Connecting) {
            self.leave(now, FollowerEnd::Filter);
        }
    }

    /// Something came; whether it is of the present connection. What is left of one that was given up says nothing.
    fn hears(&mut self, now: Duration) -> bool {
        if matches!(self.state, State::Waiting | State::Connecting) {
            return false;
        }
        self.heard = Some(now);
        self.timeout = now + SILENT_AFTER;
        true
    }

    fn taken(&mut self, now: Duration, bytes: usize) {
        // While it was full nothing was read, so the publisher was not silent.
        if self.is_full() && !matches!(self.state, State::Waiting) {
            self.timeout = now + SILENT_AFTER;
            self.pace = Pace::begin(now);
        }
        self.outstanding = self.outstanding.saturating_sub(bytes);
    }

    fn subscribe(&mut self, now: Duration) {
        if !matches!(self.state, State::Connecting) {
            return;
        }
        self.state = State::Subscribed;
        self.timeout = now + ANSWER_WITHIN;
        // Until this publisher says otherwise: what the one before said does not hold for it.
        self.path = Path::default();
        self.ready.push_back(FollowerAction::Send(Frame::Subscribe(Subscribe {
            protocol: PROTOCOL,
            name: self.name.clone(),
            incarnation: self.incarnation,
            position: self.received.filter(|_| !self.damaged),
            filter: self.filter.as_ref().map(Filter::to_bytes).unwrap_or_default().into(),
            connection: self.connections,
            tables_from: self.takes_tables().then(|| self.received.map(|at| at.order()).unwrap_or_default()),
            elsewhere: self.elsewhere_for_all().map(|offered| Box::new(offered.manifest.position)),
        })));
        self.connections += 1;
        self.ack_due = true;
        self.check.begin_anew();
        self.acks_paid_at = now;
    }

    fn frame(&mut self, now: Duration, frame: Frame) -> Result<(), FollowerEnd> {
        match (&mut self.state, frame) {
            (State::Subscribed, Frame::Stream(head)) => self.stream(head),
            (State::Subscribed, Frame::Refused(why)) => Err(FollowerEnd::Refused(why)),
            (State::Subscribed | State::Streaming, Frame::SnapshotFollows(position)) => self.snapshot(position),
            (State::Loading(_, check), Frame::SnapshotEntries(entries)) => {
                check.add(&entries, self.filter.as_ref()).map_err(FollowerEnd::Entry)?;
                let bytes = self.hand_on(entries.len());
                self.ready.push_back(FollowerAction::SnapshotEntries(entries, bytes));
                Ok(())
            }
            (State::Loading(position, check), Frame::SnapshotEnd(end)) => {
                let (position, entries, digest) = (*position, check.entries(), check.digest());
                self.end_snapshot(position, entries, digest, &end)
            }
            (State::Subscribed | State::Streaming, Frame::TablesFollow(signed)) => self.tables_follow(&signed),
            (State::Subscribed, Frame::TablesElsewhere(position)) => self.tables_elsewhere(position),
            (State::Tables(tables), Frame::TablePiece(piece)) => {
                if !tables.takes(&piece) {
                    return Err(FollowerEnd::Malformed("a piece of a table file that is not the next one"));
                }
                let bytes = self.hand_on(piece.bytes.len());
                self.ready.push_back(FollowerAction::TablePiece(piece, bytes));
                Ok(())
            }
            (State::Tables(tables), Frame::TablesEnd(position)) => {
                let position = tables.end(position);
                self.end_tables(position.ok_or(FollowerEnd::Malformed("an end of table files that is none"))?);
                Ok(())
            }
            (State::Streaming, Frame::Version(bytes)) => self.version(now, ReceivedVersion::read(bytes)?),
            (State::Streaming, Frame::Skipped(run)) if self.filter.is_some() => self.skipped(now, &run),
            // Before the answer to a subscription it says that this copy waits for its turn to get a snapshot.
            (
                State::Subscribed | State::Streaming | State::Loading(..) | State::Tables(_),
                Frame::Heartbeat(heartbeat),
            ) => {
                self.see_head(heartbeat.head);
                self.ack_every = asked_ack_every(heartbeat.ack_every_us);
                self.confirmed_for(now, &heartbeat);
                self.bear(now, Duration::from_micros(heartbeat.unconfirmed_us))
            }
            (State::Subscribed | State::Streaming | State::Loading(..) | State::Tables(_), Frame::Path(path)) => {
                self.comes_by(path)
            }
            (_, Frame::Goodbye) => Err(FollowerEnd::Goodbye),
            _ => Err(FollowerEnd::Malformed("a frame that does not belong here")),
        }
    }

    fn stream(&mut self, head: Position) -> Result<(), FollowerEnd> {
        match self.received.filter(|_| !self.damaged) {
            None => return Err(FollowerEnd::Malformed("a stream for a copy that is new")),
            Some(received) if received.store != head.store => return Err(FollowerEnd::OtherStore(head)),
            Some(_) => {}
        }
        self.see_head(Some(head));
        self.state = State::Streaming;
        Ok(())
    }

    /// Files have everything, so who holds less has no use for them.
    fn elsewhere_for_all(&self) -> Option<&OfferedTables> {
        self.elsewhere.as_deref().filter(|_| self.filter.is_none())
    }

    fn takes_tables(&self) -> bool {
        self.takes_tables && self.filter.is_none()
    }

    /// Each version of a run becomes one that leaves out all of its sections, so that they are applied, and passed on by a
    /// relay, as any other.
    fn skipped(&mut self, now: Duration, run: &SkippedRun) -> Result<(), FollowerEnd> {
        let received = self.received.expect("a copy streams only from a position");
        let versions = run.versions_after(&received)?;
        versions.into_iter().try_for_each(|version| self.version(now, version.into()))
    }

    fn version(&mut self, now: Duration, version: ReceivedVersion) -> Result<(), FollowerEnd> {
        let received = self.received.expect("a copy streams only from a position");
        let position = version.published.follow(&received)?;
        version.published.check_filter(self.filter.as_ref())?;
        let sections = &version.published.sections;
        sections.iter().flat_map(decode_ops).try_for_each(|op| op.map(drop))?;
        self.received = Some(position);
        self.see_head(Some(position));
        if self.came.len() == MAX_CAME {
            self.came.pop_front();
        }
        self.came.push_back((position.version, now));
        let count = sections.len() + version.published.omitted.len();
        let bytes = self.hand_on(version.bytes.len() * COPIES + count * SECTION_OVERHEAD);
        self.ready.push_back(FollowerAction::Apply(version, position, bytes));
        Ok(())
    }

    fn snapshot(&mut self, position: Position) -> Result<(), FollowerEnd> {
        self.check_snapshot(position)?;
        self.state = State::Loading(position, SnapshotCheck::new());
        self.ready.push_back(FollowerAction::SnapshotBegin(position, self.filter.clone()));
        Ok(())
    }

    /// Whether a snapshot at this position may replace the copy.
    fn check_snapshot(&mut self, position: Position) -> Result<(), FollowerEnd> {
        if let Some(received) = self.received {
            if received.store != position.store {
                return Err(FollowerEnd::OtherStore(position));
            }
            if received.order() > position.order() {
                return Err(FollowerEnd::Back(position));
            }
        }
        self.see_head(Some(position));
        Ok(())
    }

    fn tables_follow(&mut self, signed: &Bytes) -> Result<(), FollowerEnd> {
        if !self.takes_tables() {
            return Err(FollowerEnd::Malformed("table files that were not asked for"));
        }
        let offered = OfferedTables::read(signed).map_err(FollowerEnd::Manifest)?;
        self.check_snapshot(offered.manifest.position)?;
        self.load = TableLoad(self.load.0.wrapping_add(1));
        self.state = State::Tables(TableReceiver::new(&offered.manifest));
        let bytes = self.hand_on(signed.len());
        self.ready.push_back(FollowerAction::TablesBegin(self.load, Box::new(offered), bytes));
        Ok(())
    }

    /// The publisher goes on from the files that can be had elsewhere, so that nothing but these is lacking.
    fn tables_elsewhere(&mut self, position: Position) -> Result<(), FollowerEnd> {
        let offered = self.elsewhere.take().filter(|offered| offered.manifest.position == position);
        let offered = offered.ok_or(FollowerEnd::Malformed("table files that were not spoken of"))?;
        self.check_snapshot(position)?;
        self.load = TableLoad(self.load.0.wrapping_add(1));
        self.state = State::Tables(TableReceiver::elsewhere(position));
        self.ready.push_back(FollowerAction::TablesElsewhere(self.load, offered));
        Ok(())
    }

    fn tables_begun(&mut self, load: TableLoad, want: TablesWant) {
        if let State::Tables(tables) = &mut self.state
            && load == self.load
            && tables.begun(want.clone())
        {
            self.ready.push_back(FollowerAction::Send(Frame::TablesWant(want)));
        }
    }

    /// What follows is handed on already, behind the files; the writer does not apply it if they turn out to be wrong.
    fn end_tables(&mut self, position: Position) {
        self.unsure = Some(Unsure { load: self.load, damaged: self.damaged });
        self.damaged = false;
        self.received = Some(position);
        self.state = State::Streaming;
        let bytes = self.hand_on(0);
        self.ready.push_back(FollowerAction::TablesEnd(position, bytes));
    }

    fn tables_failed(&mut self, now: Duration, load: TableLoad, end: FollowerEnd) {
        let is_last = load == self.load;
        let unsure = self.unsure.take_if(|unsure| unsure.load == load);
        if let Some(unsure) = unsure {
            self.damaged |= unsure.damaged;
            self.received = self.applied;
        }
        // A later one begins anew, here and at the writer.
        if !is_last || (unsure.is_none() && !matches!(self.state, State::Tables(_))) {
            return;
        }
        // Of one that is loading, leaving says so.
        if !matches!(self.state, State::Loading(..) | State::Tables(_)) {
            self.ready.push_back(FollowerAction::SnapshotAbort);
        }
        if !matches!(self.state, State::Waiting | State::Connecting) {
            self.leave(now, end);
        }
    }

    fn end_snapshot(
        &mut self,
        position: Position,
        entries: u64,
        digest: [u8; 32],
        end: &SnapshotEnd,
    ) -> Result<(), FollowerEnd> {
        if end.position != Some(position) || end.entries != entries || **end.digest != digest {
            return Err(FollowerEnd::Snapshot);
        }
        self.damaged = false;
        self.received = Some(position);
        self.state = State::Streaming;
        let bytes = self.hand_on(0);
        self.ready.push_back(FollowerAction::SnapshotEnd(position, bytes));
        Ok(())
    }

    /// Counts a message of so many bytes as handed on; says what it counts.
    fn hand_on(&mut self, bytes: usize) -> usize {
        let bytes = bytes + PER_MESSAGE;
        self.outstanding += bytes;
        bytes
    }

    /// Whether to stay with a publisher that has not been confirmed for so long.
    fn bear(&mut self, now: Duration, unconfirmed: Duration) -> Result<(), FollowerEnd> {
        // Each relay on the way may have waited for a heartbeat before it passed the news on.
        let relays = u32::try_from(self.path.nodes().len()).unwrap_or(u32::MAX).saturating_sub(1);
        let unconfirmed = unconfirmed.saturating_sub(HEARTBEAT_AFTER.saturating_mul(relays));
        if self.upstreams.bears(now, unconfirmed) { Ok(()) } else { Err(FollowerEnd::Unconfirmed) }
    }

    /// A publisher that is behind, or holds less, needs no hand while another one may serve.
    fn passed_over(&self, end: FollowerEnd) -> FollowerEnd {
        match end {
            FollowerEnd::Refused(SubscribeRefusal::Filter) if self.upstreams.another_may_serve() => {
                FollowerEnd::HoldsLess
            }
            // A relay whose own filter was narrowed meanwhile.
            FollowerEnd::Version(PublishedError::Lacks { .. }) => FollowerEnd::HoldsLess,
            FollowerEnd::Refused(SubscribeRefusal::Ahead(head)) | FollowerEnd::Back(head)
                if self.upstreams.another_may_serve() =>
            {
                FollowerEnd::Behind(head)
            }
            end => end,
        }
    }

    /// The publisher says how old its confirmation is, if it knows. One without a head waits with its answer, and confirms
    /// nothing.
    fn confirmed_for(&mut self, now: Duration, heartbeat: &Heartbeat) {
        if heartbeat.head.is_some() && heartbeat.unconfirmed_us != u64::MAX {
            let confirmed = now.saturating_sub(Duration::from_micros(heartbeat.unconfirmed_us));
            self.confirmed = self.confirmed.max(Some(confirmed));
        }
    }

    fn comes_by(&mut self, path: Path) -> Result<(), FollowerEnd> {
        if let Some(own) = &self.passes_on_as {
            if path.contains(own) {
                return Err(FollowerEnd::Circle(path));
            }
            if path.to(own.clone()).is_none() {
                return Err(FollowerEnd::Far(path));
            }
        }
        self.path = path;
        Ok(())
    }

    fn see_head(&mut self, head: Option<Position>) {
        let Some(head) = head else { return };
        if self.head.is_none_or(|known| known.store != head.store || known.order() < head.order()) {
            self.head = Some(head);
        }
    }

    /// The position to acknowledge, if any.
    fn due_ack(&self) -> Option<Position> {
        let may_ack =
            matches!(self.state, State::Subscribed | State::Streaming | State::Loading(..) | State::Tables(_));
        // What a damaged copy has applied is not there for certain.
        self.applied.filter(|_| may_ack && (self.ack_due || self.check.is_due()) && !self.damaged)
    }

    fn next_ack_at(&self) -> Duration {
        self.acks_paid_at.saturating_sub(self.ack_every * (ACK_BURST - 1))
    }

    fn poll_ack(&mut self, now: Duration) -> Option<FollowerAction> {
        let applied = self.due_ack().filter(|_| now >= self.next_ack_at())?;
        self.ack_due = false;
        self.acks_paid_at = self.acks_paid_at.max(now) + self.ack_every;
        let durable = self.durable.filter(|durable| durable.epoch == applied.epoch);
        Some(FollowerAction::Send(Frame::Ack(Ack {
            incarnation: self.incarnation,
            epoch: applied.epoch,
            applied: applied.version,
            durable: durable.map_or(Version::ZERO, |durable| durable.version).min(applied.version),
            two_clock_us: self.two_clock_us,
            apply_us: self.apply_us,
            check: self.check.take(),
        })))
    }

    /// Microseconds since a version came, if that is remembered; forgets when earlier ones did.
    fn took(&mut self, now: Duration, version: Version) -> u64 {
        while self.came.front().is_some_and(|(came, _)| *came < version) {
            self.came.pop_front();
        }
        let came = self.came.front().filter(|(came, _)| *came == version);
        came.map_or(0, |(_, at)| u64::try_from(now.saturating_sub(*at).as_micros()).unwrap_or(u64::MAX))
    }

    fn leave(&mut self, now: Duration, end: FollowerEnd) {
        let setback = match &end {
            FollowerEnd::Unconfirmed => Setback::Unconfirmed,
            FollowerEnd::Circle(_) | FollowerEnd::HoldsLess => Setback::Unfit,
            end if end.is_alarming() => Setback::Unfit,
            _ => Setback::Lost,
        };
        self.lost(now, setback);
        self.ready.push_back(FollowerAction::Disconnect(end));
    }

    fn lost(&mut self, now: Duration, setback: Setback) {
        if matches!(self.state, State::Waiting) {
            return;
        }
        // What was not sent would open the next connection.
        self.ready.retain(|action| !matches!(action, FollowerAction::Send(_)));
        if matches!(self.state, State::Loading(..) | State::Tables(_)) {
            self.ready.push_back(FollowerAction::SnapshotAbort);
        }
        self.state = State::Waiting;
        self.upstreams.lost(now, setback);
        self.timeout = self.upstreams.next_at();
    }
}

/// What a publisher asks for, within limits; 0 asks for nothing.
fn asked_ack_every(us: u64) -> Duration {
    match us {
        0 => ACK_EVERY,
        us => Duration::from_micros(us).clamp(LEAST_ACK_EVERY, ACK_EVERY),
    }
}
