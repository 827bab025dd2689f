//! Drives one [`Downstream`]: carries its actions out, one task per connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zonecast_kv_proto::{
    AcceptedLink, BatchSource, Downstream, DownstreamAction, DownstreamEnd, DownstreamInput, Filter, Frame, LEAST_RATE,
    LogPin, MAX_WRITE, Pace, RangesWant, Role, SNAPSHOT_CHUNK, SUBSCRIBE_WITHIN, SnapshotSource, SourceError, Version,
};

use crate::admission::Admission;
use crate::book::Book;
use crate::edge_news::{EdgeReports, Reporter};
use crate::feed::Feed;
use crate::open_tables::OpenTables;
use crate::snapshot_place::SnapshotPlace;
use crate::{Clock, Connection, CoreService, FrameReceiver, FrameSender, Identity, StreamError, TransportMetrics};

/// How long the last frames have to arrive before the connection is closed under them.
const LINGER: Duration = Duration::from_secs(1);

/// What the sessions of a publisher share.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) book: Arc<Book>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) clock: Clock,
    pub(crate) metrics: TransportMetrics,
    /// Signs manifests of snapshots.
    pub(crate) identity: Identity,
    /// Serves other cores, if this one is of a cluster.
    pub(crate) cores: Option<Arc<dyn CoreService>>,
    /// Whether to say goodbye. Sessions hold it too: one whose publisher is dropped ends without.
    pub(crate) stopping: watch::Sender<bool>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// One connection of a downstream.
pub(crate) struct Session {
    number: u64,
    /// Of the process at the other end, once it has subscribed.
    incarnation: u64,
    /// How many connections that process had made before this one.
    connections: u64,
    connection: Connection,
    parts: Parts,
    downstream: Downstream,
    /// Here, or in the operation that uses it.
    sender: Option<FrameSender>,
    snapshot: Option<Box<dyn SnapshotSource>>,
    /// While it waits for a place to read a snapshot.
    turn: Option<PlaceWait>,
    /// Its place, until a snapshot is opened in it.
    place: Option<SnapshotPlace>,
    /// While it waits for table files.
    tables_turn: Option<TablesWait>,
    /// Those that it sends.
    tables: Option<OpenTables>,
    /// Keeps the versions that come after those that it has elsewhere, while it fetches them.
    elsewhere: Option<Box<dyn LogPin>>,
    /// Keeps the versions that come after its snapshot, until it has caught up.
    pin: Option<Box<dyn LogPin>>,
    /// The edges below it, if it is a relay that has spoken of any.
    reported: Option<EdgeReports>,
    operation: Option<Operation>,
}

type Operation = Pin<Box<dyn Future<Output = OperationEnd> + Send>>;
type PlaceWait = Pin<Box<dyn Future<Output = SnapshotPlace> + Send>>;
type TablesWait = Pin<Box<dyn Future<Output = Option<OpenTables>> + Send>>;

/// An operation is over: what it borrowed, and the answer.
enum OperationEnd {
    Sent(FrameSender, Result<(), StreamError>),
    Stalled,
    Answer(Result<DownstreamInput, SourceError>),
    Snapshot(Box<dyn SnapshotSource>, Result<DownstreamInput, SourceError>),
}

/// Why a session is over, where its state machine did not say so.
enum SessionEnd {
    Gone,
    Stopping,
    Stalled,
    Stream(StreamError),
    Source(SourceError),
    End(DownstreamEnd),
}

impl Session {
    pub(crate) fn new(number: u64, connection: Connection, parts: Parts) -> Self {
        let downstream = Downstream::new(parts.clock.now(), connection.peer().name.clone());
        Self::with(downstream, number, connection, parts)
    }

    fn with(downstream: Downstream, number: u64, connection: Connection, parts: Parts) -> Self {
        Self {
            number,
            incarnation: 0,
            connections: 0,
            connection,
            parts,
            downstream,
            sender: None,
            snapshot: None,
            turn: None,
            place: None,
            tables_turn: None,
            tables: None,
            elsewhere: None,
            pin: None,
            reported: None,
            operation: None,
        }
    }

    /// Runs until either side ends it.
    pub(crate) async fn run(mut self) {
        let opened = tokio::time::timeout(SUBSCRIBE_WITHIN, self.connection.accept()).await;
        let Ok(Ok((sender, mut receiver))) = opened else {
            self.connection.close("no subscription");
            return;
        };
        self.sender = Some(sender);
        let is_relay = self.connection.peer().role == Role::Relay;
        let _asides = is_relay.then(|| Asides::start(self.number, &self.connection, &self.parts));
        let over = self.serve(&mut receiver).await;
        self.report(&over);
        if matches!(over, SessionEnd::End(_) | SessionEnd::Stopping) {
            let _ = tokio::time::timeout(LINGER, self.linger(&over)).await;
        }
        self.connection.close("over");
    }

    async fn serve(&mut self, receiver: &mut FrameReceiver) -> SessionEnd {
        let mut head = self.parts.feed.changes();
        let mut stopping = self.parts.stopping.subscribe();
        loop {
            if let Err(over) = self.act() {
                return over;
            }
            let timeout = self.downstream.poll_timeout().map(|time| self.parts.clock.instant(time).into());
            let waits = self.operation.is_some();
            tokio::select! {
                frame = receiver.next() => match frame {
                    Ok(Some(frame)) => self.downstream.handle(self.parts.clock.now(), DownstreamInput::Frame(frame)),
                    Ok(None) => return SessionEnd::Gone,
                    Err(error) => return SessionEnd::Stream(error),
                },
                place = turn(&mut self.turn) => {
                    self.turn = None;
                    self.place = Some(place);
                    self.downstream.handle(self.parts.clock.now(), DownstreamInput::SnapshotTurn);
                }
                tables = turn(&mut self.tables_turn) => self.take_tables(tables),
                done = finish(&mut self.operation), if waits => {
                    if let Err(over) = self.done(done) {
                        return over;
                    }
                }
                _ = head.changed(), if !waits && !self.downstream.rests() => {}
                () = sleep_until(timeout) => {}
                () = stopped(&mut stopping) => return SessionEnd::Stopping,
            }
        }
    }

    /// Carries out what the state machine wants, until it waits for something.
    fn act(&mut self) -> Result<(), SessionEnd> {
        self.downstream.set_followers(self.parts.feed.followers());
        loop {
            let now = self.parts.clock.now();
            let action = self.downstream.poll_action(now, &self.parts.feed.tail());
            let Some(action) = action else {
                if self.operation.is_none() {
                    // It wants nothing from the log: it has caught up.
                    self.pin = None;
                }
                return Ok(());
            };
            self.start(action)?;
        }
    }

    fn start(&mut self, action: DownstreamAction) -> Result<(), SessionEnd> {
        let operation: Operation = match action {
            DownstreamAction::Subscribed(subscribe) => {
                let from = subscribe.position.map(|position| position.to_string());
                tracing::info!(peer = %self.connection.peer(), address = %self.connection.remote_addr(), ?from, "subscribed");
                (self.incarnation, self.connections) = (subscribe.incarnation, subscribe.connection);
                return Ok(());
            }
            DownstreamAction::Refused(why) => {
                self.parts.book.refuse(self.connection.peer(), self.number, why);
                // It counts as it is now, so an older connection of it ends.
                self.parts.admission.counts(self.number, &self.connection, self.incarnation);
                return Ok(());
            }
            DownstreamAction::Accepted(goal) => return self.accepted(goal),
            DownstreamAction::Acked(ack) => {
                self.parts.book.acked(self.number, self.connection.peer(), ack);
                return Ok(());
            }
            DownstreamAction::Reported(reports) => return self.reported(&reports),
            DownstreamAction::Close(end) => return Err(SessionEnd::End(end)),
            DownstreamAction::LookUpElsewhere(version) => {
                let source = Arc::clone(&self.parts.feed.source);
                // Before it is looked at, so that nothing is trimmed in between.
                self.elsewhere = Some(source.pin(version));
                look_up(source, version)
            }
            DownstreamAction::LookUp(version) => look_up(Arc::clone(&self.parts.feed.source), version),
            DownstreamAction::ReadAfter { after, max_bytes } => {
                self.parts.metrics.log_reads.inc();
                let source = Arc::clone(&self.parts.feed.source);
                blocking(move || Ok(DownstreamInput::Versions(source.read_after(after, max_bytes)?)))
            }
            DownstreamAction::QueueSnapshot => {
                (self.snapshot, self.elsewhere) = (None, None);
                self.turn = Some(Box::pin(SnapshotPlace::take(Arc::clone(&self.parts.feed))));
                return Ok(());
            }
            DownstreamAction::OpenSnapshot(filter) => self.open_snapshot(filter),
            DownstreamAction::ReadSnapshot { max_bytes } => {
                let source = self.snapshot.take().expect("opened, and no other read is under way");
                read_snapshot(source, Arc::clone(&self.parts.feed), self.parts.clock, max_bytes)
            }
            DownstreamAction::QueueTables { from } => {
                (self.tables, self.elsewhere) = (None, None);
                let (feed, identity) = (Arc::clone(&self.parts.feed), self.parts.identity.clone());
                self.tables_turn = Some(Box::pin(OpenTables::take(feed, identity, from)));
                return Ok(());
            }
            DownstreamAction::ReadTable { place, max_bytes } => {
                let tables = self.tables.as_ref().expect("they were offered, and are not closed");
                let read = tables.read(self.parts.clock, place, max_bytes);
                let sent = self.parts.metrics.table_bytes.clone();
                let count = move |bytes: Bytes| {
                    sent.inc_by(bytes.len() as u64);
                    DownstreamInput::TableRead(bytes)
                };
                Box::pin(async move { OperationEnd::Answer(read.await.map(count)) })
            }
            DownstreamAction::ReadRanges(want) => read_ranges(Arc::clone(&self.parts.feed), self.parts.clock, want),
            DownstreamAction::CloseTables => {
                self.parts.metrics.store_snapshots.inc_by(self.elsewhere.is_some().into());
                self.pin = self.tables.take().map(OpenTables::into_pin).or(self.elsewhere.take());
                return Ok(());
            }
            DownstreamAction::Send(frames) => self.send(frames),
        };
        self.operation = Some(operation);
        Ok(())
    }

    /// It is served from here on, and has caught up when it has applied `goal`.
    fn accepted(&mut self, goal: Version) -> Result<(), SessionEnd> {
        let (session, incarnation, connection) = (self.number, self.incarnation, self.connections);
        let link = AcceptedLink { session, incarnation, connection, goal, via: None, is_below: true };
        if !self.parts.book.accept(self.connection.peer(), link) {
            return Err(SessionEnd::End(DownstreamEnd::Malformed("too many edges have connected; forget some")));
        }
        self.parts.admission.counts(self.number, &self.connection, self.incarnation);
        Ok(())
    }

    /// Books what a relay knows of the edges below it.
    fn reported(&mut self, reports: &[Bytes]) -> Result<(), SessionEnd> {
        if self.connection.peer().role != Role::Relay {
            return Err(SessionEnd::End(DownstreamEnd::Malformed("only a relay speaks of edges below it")));
        }
        let Parts { book, admission, .. } = &self.parts;
        let edges = self.reported.get_or_insert_with(|| {
            let relay = Reporter::Relay(self.connection.peer().name.clone());
            EdgeReports::new(Arc::clone(book), Arc::clone(admission), relay)
        });
        let given = (self.parts.feed.tail().head().epoch, self.downstream.sent());
        for report in reports {
            if let Err(error) = edges.take_up_to(report, given) {
                tracing::warn!(peer = %self.connection.peer(), %error, "a relay tells of its edges what makes no sense");
                return Err(SessionEnd::End(DownstreamEnd::Malformed("news of edges that makes no sense")));
            }
        }
        Ok(())
    }

    /// Table files can be had, or none.
    fn take_tables(&mut self, tables: Option<OpenTables>) {
        self.tables_turn = None;
        self.tables = tables;
        let offer = self.tables.as_ref().map(OpenTables::offer);
        self.parts.metrics.snapshots.inc_by(offer.is_some().into());
        self.parts.metrics.table_snapshots.inc_by(offer.is_some().into());
        self.downstream.handle(self.parts.clock.now(), DownstreamInput::Tables(offer));
    }

    fn open_snapshot(&mut self, filter: Option<Filter>) -> Operation {
        let place = self.place.take().expect("a snapshot is opened when its turn has come");
        // Before it is opened, so that nothing is trimmed in between.
        self.pin = Some(self.parts.feed.source.pin(self.parts.feed.source.position().version));
        let begun = self.parts.metrics.snapshots.clone();
        Box::pin(async move {
            let opened =
                tokio::task::spawn_blocking(move || place.open(filter.as_ref())).await.expect("opening does not panic");
            match opened {
                Ok(source) => {
                    begun.inc();
                    let position = source.position();
                    OperationEnd::Snapshot(source, Ok(DownstreamInput::SnapshotOpened(position)))
                }
                Err(error) => OperationEnd::Answer(Err(error)),
            }
        })
    }

    fn send(&mut self, mut frames: Vec<Bytes>) -> Operation {
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        self.parts.metrics.sent_bytes.inc_by(bytes as u64);
        debug_assert!(frames.len() < MAX_WRITE, "every frame has bytes");
        let mut sender = self.sender.take().expect("one write at a time");
        let clock = self.parts.clock;
        Box::pin(async move {
            // Who does not read must not keep a snapshot of the store open, nor one of the few places to read one.
            let mut pace = Pace::begin(clock.now());
            loop {
                let some =
                    tokio::time::timeout_at(clock.instant(pace.deadline()).into(), sender.send_some(&mut frames));
                match some.await {
                    Ok(Ok(0)) => return OperationEnd::Sent(sender, Ok(())),
                    Ok(Ok(bytes)) => pace.moved(clock.now(), bytes),
                    Ok(Err(error)) => return OperationEnd::Sent(sender, Err(error)),
                    Err(_) => pace.moved(clock.now(), 0),
                }
                if pace.is_trickling(clock.now()) {
                    return OperationEnd::Stalled;
                }
            }
        })
    }

    fn done(&mut self, done: OperationEnd) -> Result<(), SessionEnd> {
        self.operation = None;
        let input = match done {
            OperationEnd::Sent(sender, result) => {
                self.sender = Some(sender);
                result.map(|()| DownstreamInput::Sent).map_err(SessionEnd::Stream)?
            }
            OperationEnd::Stalled => return Err(SessionEnd::Stalled),
            OperationEnd::Answer(answer) => answer.map_err(SessionEnd::Source)?,
            OperationEnd::Snapshot(source, answer) => {
                let answer = answer.map_err(SessionEnd::Source)?;
                // At its end it is let go at once: it holds on to a state of the store.
                let ended = matches!(&answer, DownstreamInput::SnapshotRead(message) if message.is_empty());
                self.snapshot = (!ended).then_some(source);
                answer
            }
        };
        self.downstream.handle(self.parts.clock.now(), input);
        Ok(())
    }

    /// Lets what was sent arrive, then ends the stream.
    async fn linger(&mut self, over: &SessionEnd) {
        if let Some(operation) = self.operation.take()
            && let OperationEnd::Sent(sender, Ok(())) = operation.await
        {
            self.sender = Some(sender);
        }
        let Some(mut sender) = self.sender.take() else { return };
        if matches!(over, SessionEnd::Stopping) && sender.send(&Frame::Goodbye).await.is_err() {
            return;
        }
        sender.finish().await;
    }

    fn report(&self, over: &SessionEnd) {
        let (peer, address) = (self.connection.peer(), self.connection.remote_addr());
        let reason = match over {
            SessionEnd::Gone | SessionEnd::Stopping => return tracing::info!(%peer, %address, "disconnected"),
            SessionEnd::Stream(error) if !error.is_malformed() => {
                return tracing::info!(%peer, %address, %error, "disconnected");
            }
            SessionEnd::Stream(error) => {
                tracing::warn!(%peer, %address, %error, "closed: the peer sent malformed frames");
                "malformed"
            }
            SessionEnd::Stalled => {
                tracing::warn!(%peer, %address, "closed: the peer reads less than {} KiB a second of the data sent to it; check its disk and its link", LEAST_RATE / 1024);
                "stalled"
            }
            SessionEnd::Source(error) => {
                tracing::error!(%peer, %address, %error, "closed: the history cannot be read; check the disk");
                "source"
            }
            SessionEnd::End(DownstreamEnd::Refused(why)) => {
                tracing::warn!(%peer, %address, "refused: {why}");
                "refused"
            }
            SessionEnd::End(end @ (DownstreamEnd::NoTables | DownstreamEnd::Given)) => {
                return tracing::info!(%peer, %address, "asked for table files: {end}");
            }
            SessionEnd::End(end) => {
                tracing::warn!(%peer, %address, "closed: {end}");
                "closed"
            }
        };
        self.parts.metrics.refused.with_label_values(&[reason]).inc();
    }
}

/// Serves the further streams of a relay, one after the other, until it is dropped.
struct Asides(JoinHandle<()>);

impl Asides {
    fn start(number: u64, connection: &Connection, parts: &Parts) -> Self {
        let (connection, parts) = (connection.clone(), parts.clone());
        Self(tokio::spawn(async move {
            while let Ok((sender, mut receiver)) = connection.accept_aside().await {
                let downstream = Downstream::aside(parts.clock.now());
                let mut session = Session::with(downstream, number, connection.clone(), parts.clone());
                session.sender = Some(sender);
                let over = session.serve(&mut receiver).await;
                // That the stream of a relay is gone says nothing of the relay.
                if !matches!(over, SessionEnd::Gone) {
                    session.report(&over);
                }
                let _ = tokio::time::timeout(LINGER, session.linger(&over)).await;
            }
        }))
    }
}

impl Drop for Asides {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn finish(operation: &mut Option<Operation>) -> OperationEnd {
    match operation {
        Some(operation) => operation.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn look_up(source: Arc<dyn BatchSource>, version: Version) -> Operation {
    blocking(move || {
        let chain = source.chain_at(version)?;
        let (head, began) = (source.position(), source.began());
        Ok(DownstreamInput::Found { head, began, chain, holds: source.holds()? })
    })
}

fn blocking<F>(read: F) -> Operation
where
    F: FnOnce() -> Result<DownstreamInput, SourceError> + Send + 'static,
{
    Box::pin(
        async move { OperationEnd::Answer(tokio::task::spawn_blocking(read).await.expect("sources do not panic")) },
    )
}

fn read_snapshot(mut source: Box<dyn SnapshotSource>, feed: Arc<Feed>, clock: Clock, max_bytes: usize) -> Operation {
    let max_bytes = feed.rate.most(max_bytes);
    let read = move || {
        let message = source.next_message(max_bytes);
        (source, message)
    };
    Box::pin(async move {
        feed.rate.take(clock, max_bytes).await;
        let (source, message) = tokio::task::spawn_blocking(read).await.expect("sources do not panic");
        OperationEnd::Snapshot(source, message.map(DownstreamInput::SnapshotRead))
    })
}

/// Answers a question about a marker: at the rate of snapshots, if it is for entries.
fn read_ranges(feed: Arc<Feed>, clock: Clock, want: RangesWant) -> Operation {
    Box::pin(async move {
        if want.entries.is_some() {
            feed.rate.take(clock, feed.rate.most(SNAPSHOT_CHUNK)).await;
        }
        let source = Arc::clone(&feed.source);
        let read = move || source.ranges(&want);
        let given = tokio::task::spawn_blocking(read).await.expect("sources do not panic");
        OperationEnd::Answer(given.map(|given| DownstreamInput::RangesRead(given.to_bytes())))
    })
}

async fn turn<T>(turn: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match turn {
        Some(turn) => turn.await,
        None => std::future::pending().await,
    }
}
