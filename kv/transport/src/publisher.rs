//! Serves the versions of a store to every downstream that connects, and books who has what.
//!
//! # Threads
//! One task accepts, one task per connection runs its [`Downstream`](zonecast_kv_proto::Downstream). They share the book
//! of who has what, the feed of what is published, and the admission of who may enter. [`Publisher::publish`] appends to
//! them and returns: it never waits for a downstream. A connection of another core has a task for each of its streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntGauge;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use zonecast_kv_proto::{
    BatchSource, EdgeReport, Frame, Path, Peer, Position, Published, Receipt, Role, SourceError, TableManifest,
    Version, WaitFor,
};

use crate::admission::{Admission, Admitted, Last};
use crate::book::{Book, WaitError};
use crate::core_session::CoreSession;
use crate::edge_news::{EdgeNewsFeed, EdgeReports, Reporter};
use crate::feed::Feed;
use crate::links::Twins;
use crate::open_tables::SignedTables;
use crate::protocol::Protocol;
use crate::publisher_options::PublisherOptions;
use crate::session::{Parts, Session};
use crate::table_fetcher::TableFetcher;
use crate::{Clock, CoreService, Endpoint, TransportMetrics};

/// How long downstreams have to take a goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// How often is looked whether table files are needed no more.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// What a publisher knows of one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownstreamStatus {
    /// Name, connection and versions. `last_ack` counts from the Unix epoch.
    pub report: EdgeReport,
    /// Versions it has not acknowledged; all of them if it never said anything.
    pub lag: u64,
    /// Since its last ack.
    pub silent_for: Option<Duration>,
    /// How long it has not been served; absent while it is.
    pub away_for: Option<Duration>,
    /// Where it connected from last.
    pub address: Option<SocketAddr>,
    /// The certificate that it showed last since the start, in DER.
    pub certificate: Option<Bytes>,
    /// Two processes use its identity.
    pub twins: Option<Twins>,
}

/// Serves one store. Dropped, it stops at once; [`Publisher::shutdown`] says goodbye first.
#[derive(Debug)]
pub struct Publisher {
    parts: Parts,
    pub(crate) endpoint: Endpoint,
    accepting: JoinHandle<()>,
    ended: watch::Sender<bool>,
}

/// Who serves what a publisher does not itself.
#[derive(Default)]
pub(crate) struct Others {
    cores: Option<Arc<dyn CoreService>>,
    fetcher: Option<Arc<dyn TableFetcher>>,
}

/// Tells when what holds it ends, by a panic too.
struct Accepts(watch::Sender<bool>);

impl Drop for Accepts {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

impl Publisher {
    /// Serves what `source` holds to everyone who connects to `endpoint`, and refuses other cores that connect as such.
    /// Call within a tokio runtime.
    #[must_use]
    pub fn start(
        endpoint: Endpoint,
        source: Arc<dyn BatchSource>,
        options: PublisherOptions,
        metrics: TransportMetrics,
    ) -> Self {
        Self::start_with(endpoint, source, options, metrics, Others::default(), Clock::start())
    }

    /// The same for a relay: `fetcher` has its source keep table files when a downstream needs some that it has not.
    #[must_use]
    pub fn start_as_relay(
        endpoint: Endpoint,
        source: Arc<dyn BatchSource>,
        options: PublisherOptions,
        metrics: TransportMetrics,
        fetcher: Arc<dyn TableFetcher>,
    ) -> Self {
        Self::start_with(
            endpoint,
            source,
            options,
            metrics,
            Others { fetcher: Some(fetcher), cores: None },
            Clock::start(),
        )
    }

    /// The same for a voter of a cluster: `cores` serves the streams of other cores that come in on the same port.
    #[must_use]
    pub fn start_in_cluster(
        endpoint: Endpoint,
        source: Arc<dyn BatchSource>,
        options: PublisherOptions,
        metrics: TransportMetrics,
        cores: Arc<dyn CoreService>,
    ) -> Self {
        Self::start_with(
            endpoint,
            source,
            options,
            metrics,
            Others { cores: Some(cores), fetcher: None },
            Clock::start(),
        )
    }

    pub(crate) fn start_with(
        endpoint: Endpoint,
        source: Arc<dyn BatchSource>,
        options: PublisherOptions,
        metrics: TransportMetrics,
        others: Others,
        clock: Clock,
    ) -> Self {
        let Others { cores, fetcher } = others;
        let head = source.position();
        let parts = Parts {
            book: Arc::new(Book::new(head.epoch, clock, metrics.clone())),
            feed: Arc::new(Feed::new(source, head, &options, endpoint.identity().clone(), fetcher)),
            admission: Arc::new(Admission::new(options.max_connections, clock, metrics.clone())),
            clock,
            metrics,
            identity: endpoint.identity().clone(),
            cores,
            stopping: watch::Sender::new(false),
        };
        if endpoint.own().role == Role::Core {
            parts.feed.set_path(Path::of_core(endpoint.own().clone()));
        }
        let (book, feed) = (Arc::downgrade(&parts.book), Arc::downgrade(&parts.feed));
        parts.metrics.edge_lag.read_from(move || {
            let parts = book.upgrade().zip(feed.upgrade());
            parts.map(|(book, feed)| lags(&book, &feed)).unwrap_or_default()
        });
        let accepting = accept(endpoint.clone(), parts.clone());
        let ended = watch::Sender::new(false);
        let accepts = Accepts(ended.clone());
        let accepting = tokio::spawn(async move {
            let _accepts = accepts;
            accepting.await;
        });
        Self { parts, endpoint, accepting, ended }
    }

    /// Table files that stand where this publisher does, or a little before, for whoever passes them on in another way;
    /// `None` if those that are `known` there are recent, or there are none.
    ///
    /// # Errors
    /// The source cannot be read, or the disk has no room for them.
    pub async fn newer_tables(&self, known: Option<TableManifest>) -> Result<Option<SignedTables>, SourceError> {
        SignedTables::newer_than(&self.parts.feed, &self.parts.identity, known).await
    }

    /// Waits until nobody can connect any more: the endpoint has failed, or the publisher stops.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.subscribe();
        async move {
            // A publisher that is dropped has ended as well.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Gives the next version, encoded, to every downstream; returns at once. `position` is where it leads, and the
    /// source holds it already.
    pub fn publish(&self, version: &Bytes, position: Position) {
        let frames = Frame::Version(version.clone()).to_bytes();
        self.parts.book.committed(position, Published::stamp(version).map(Duration::from_micros));
        self.parts.feed.push(self.parts.clock.now(), position, frames);
        self.parts.metrics.published_version.set(i64::try_from(position.version.get()).unwrap_or(i64::MAX));
    }

    /// The source has come to `position` without publishing the versions between: it got its state from elsewhere.
    /// Downstreams get them from its batch log, or a snapshot.
    pub fn jumped(&self, position: Position) {
        self.parts.book.committed(position, None);
        self.parts.feed.jump(position);
        self.parts.metrics.published_version.set(i64::try_from(position.version.get()).unwrap_or(i64::MAX));
    }

    /// A majority of the cores confirms that nothing is missing here. Once this was said, downstreams hear how long ago it
    /// was said last, and may go to another core when that is too long.
    pub fn confirmed(&self) {
        let position = self.parts.feed.source.position();
        // A store that has no version yet has learnt its id from the others without publishing anything.
        if self.parts.feed.tail().head().store != position.store {
            self.jumped(position);
        }
        self.parts.feed.confirm(self.parts.clock.now());
    }

    /// A relay hears from its upstream how long ago a majority of the cores confirmed that nothing was missing there, if that
    /// is known, and the way that versions take to it. Downstreams hear both, the former with the time that passes here added
    /// to it.
    pub fn heard_upstream(&self, unconfirmed_for: Option<Duration>, path: Path) {
        match unconfirmed_for {
            Some(unconfirmed) => self.parts.feed.confirm(self.parts.clock.now().saturating_sub(unconfirmed)),
            None => self.parts.feed.tail().confirm_nothing(),
        }
        self.parts.feed.set_path(path);
    }

    /// The address it serves on.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Where a version is.
    #[must_use]
    pub fn receipt(&self, version: Version) -> Receipt {
        self.parts.book.receipt(version)
    }

    /// Waits until enough edges have a version.
    ///
    /// # Errors
    /// It took longer than `patience`; the receipt says who is missing.
    pub async fn wait(&self, version: Version, condition: WaitFor, patience: Duration) -> Result<Receipt, WaitError> {
        self.parts.book.wait(version, condition, patience).await
    }

    /// Every edge that is expected or has connected since the start, by role and name.
    #[must_use]
    pub fn edges(&self) -> Vec<DownstreamStatus> {
        let Parts { book, feed, admission, .. } = &self.parts;
        let reports = book.edges();
        // After what they have applied, so that none seems to be beyond it.
        let (now, head) = (self.now(), feed.head());
        let last = admission.last(reports.iter().map(|report| &report.peer));
        let status = |(report, Last { address, certificate, twins }): (EdgeReport, Last)| DownstreamStatus {
            lag: head.get().saturating_sub(report.applied.unwrap_or_default().get()),
            silent_for: report.last_ack.map(|last| now.saturating_sub(last)),
            away_for: report.link.away_since().map(|since| now.saturating_sub(since)),
            address,
            certificate,
            twins,
            report,
        };
        reports.into_iter().zip(last).map(status).collect()
    }

    /// The time that [`EdgeReport`] and [`Receipt`] speak of: since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.parts.clock.now()
    }

    /// News of the edges that connect here, for the core that leads. Whoever asked before gets no more.
    #[must_use]
    pub fn edge_news(&self) -> EdgeNewsFeed {
        EdgeNewsFeed::new(Arc::clone(&self.parts.book))
    }

    /// Takes what another core says of the edges that connect there: they count here, as long as this is kept.
    #[must_use]
    pub fn edge_reports(&self) -> EdgeReports {
        EdgeReports::new(Arc::clone(&self.parts.book), Arc::clone(&self.parts.admission), Reporter::Core)
    }

    /// Those that are waited for, by role and name.
    #[must_use]
    pub fn expected(&self) -> Vec<Peer> {
        self.parts.book.expected()
    }

    /// Changes when one more is expected because it has caught up for the first time. What it has counts once this is
    /// [`recorded`](Publisher::recorded).
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<u64> {
        self.parts.book.caught_up()
    }

    /// It is on record now that these are expected: what they have counts from now on.
    pub fn recorded<'a>(&self, peers: impl IntoIterator<Item = &'a Peer>) {
        self.parts.book.recorded(peers);
    }

    /// Names an edge that should be there, as is on record, so that it counts as missing until it connects, and as away
    /// since then. Says no when no more can be known.
    pub fn expect(&self, peer: &Peer, since: Duration) -> bool {
        let is_known = self.parts.book.expect(peer, since);
        if !is_known {
            tracing::warn!(%peer, "the list of known edges is full; forget some with `zonecast edges forget`");
        }
        is_known
    }

    /// Takes an edge out for good, so that it no longer counts as missing. It counts again when it connects anew and
    /// catches up. Says whether it was expected.
    pub fn forget(&self, peer: &Peer) -> bool {
        self.parts.book.forget(peer)
    }

    /// Says goodbye to every downstream, ends the streams of other cores, then closes the endpoint and with it what was
    /// dialled from it.
    pub async fn shutdown(mut self) {
        self.parts.stopping.send_replace(true);
        let _ = tokio::time::timeout(GOODBYE_WITHIN, &mut self.accepting).await;
        self.endpoint.close().await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Aborting it drops its set of connections, which aborts those.
        self.accepting.abort();
    }
}

/// Runs until the endpoint is closed or the publisher stops; then waits for the connections to say goodbye.
async fn accept(endpoint: Endpoint, parts: Parts) {
    let mut stopping = parts.stopping.subscribe();
    let mut connections = JoinSet::new();
    let mut tidies = tokio::time::interval(TIDY_EVERY);
    loop {
        tokio::select! {
            incoming = endpoint.incoming() => {
                let Some(incoming) = incoming else { break };
                if let Some((incoming, handshake)) = parts.admission.knock(incoming) {
                    let (endpoint, parts) = (endpoint.clone(), parts.clone());
                    connections.spawn(async move {
                        if let Some(admitted) = parts.admission.admit(&endpoint, incoming, handshake).await {
                            serve(admitted, parts).await;
                        }
                    });
                }
            }
            Some(_) = connections.join_next() => {}
            _ = tidies.tick() => {
                parts.feed.tables.tidy(parts.clock.now());
                let source = Arc::clone(&parts.feed.source);
                tokio::task::spawn_blocking(move || source.tidy());
            }
            _ = stopping.changed() => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(admitted: Admitted, parts: Parts) {
    match admitted.connection.protocol() {
        Protocol::FanOut => serve_downstream(admitted, parts).await,
        Protocol::Core => serve_core(admitted, parts).await,
    }
}

async fn serve_core(admitted: Admitted, parts: Parts) {
    let connection = admitted.connection.clone();
    let Some(service) = parts.cores else { return parts.admission.refuse_core(&connection) };
    let _up = Up::count(&parts.metrics.core_connections);
    CoreSession::new(connection, service).run(parts.stopping.subscribe()).await;
}

/// One more that is up, until this is dropped.
struct Up(IntGauge);

impl Up {
    fn count(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn serve_downstream(admitted: Admitted, parts: Parts) {
    let (session, peer) = (admitted.session, admitted.connection.peer());
    parts.metrics.connections.inc();
    Session::new(session, admitted.connection.clone(), parts.clone()).run().await;
    parts.metrics.connections.dec();
    parts.book.disconnect(session, peer);
    parts.admission.left(session, peer);
}

/// Versions that each edge lacks; all of them if it never said anything.
fn lags(book: &Book, feed: &Feed) -> Vec<(String, u64)> {
    let reports = book.edges();
    let head = feed.head().get();
    let lag = |report: EdgeReport| {
        let applied = report.applied.unwrap_or_default().get();
        (report.peer.label(), head.saturating_sub(applied))
    };
    reports.into_iter().map(lag).collect()
}
