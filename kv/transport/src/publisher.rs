//! Serves the versions of a store to every downstream that connects, and books who has what.
//!
//! # Threads
//! One task accepts, one task per connection runs its [`Downstream`](zonecast_kv_proto::Downstream). They share the
//! newest versions, encoded once. [`Publisher::publish`] appends to them and returns: it never waits for a downstream.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use zonecast_kv_proto::{
    AckBook, BatchSource, EdgeReport, Epoch, Frame, Peer, Position, Receipt, SubscribeRefusal, Tail, Version, WaitFor,
};

use crate::door::{Door, HANDSHAKE_WITHIN, Knock, Place};
use crate::links::{Link, Links, Replaced, Twins};
use crate::refusal_log::RefusalLog;
use crate::session::Session;
use crate::waiters::Waiters;
use crate::{Clock, Connection, Endpoint, Refusal, TransportMetrics};

/// How long downstreams have to take a goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

/// Epochs that a downstream is believed to be ahead: more than restores that anybody accepts and loses again. The next one
/// accepted begins above, and epochs must not come to an end because one node is out of its mind.
const MAX_EPOCHS_AHEAD: u64 = 1 << 16;

/// Limits of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherOptions {
    /// Newest versions kept in memory for all downstreams together: who is less behind needs no disk.
    pub tail_bytes: usize,
    /// Connections of nodes at a time. Each may hold about 4 MiB when it is slow: what is being written to it, and what
    /// QUIC keeps until it is acknowledged. Handshakes have places of their own.
    pub max_connections: usize,
    /// Snapshots being read at a time; the others wait. Each holds on to a state of the store.
    pub max_snapshots: usize,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self { tail_bytes: 64 * 1024 * 1024, max_connections: 4096, max_snapshots: 4 }
    }
}

/// What a publisher knows of one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeStatus {
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

/// A wait whose deadline passed; the change itself is committed and still under way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("only {} of {} edges have version {}", .0.applied(), .0.edges.len(), .0.version)]
pub struct WaitError(pub Receipt);

/// Serves one store. Dropped, it stops at once; [`Publisher::shutdown`] says goodbye first.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    pub(crate) endpoint: Endpoint,
    accepting: JoinHandle<()>,
    ended: watch::Sender<bool>,
}

/// Tells when what holds it ends, by a panic too.
struct Accepts(watch::Sender<bool>);

impl Drop for Accepts {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) source: Arc<dyn BatchSource>,
    pub(crate) clock: Clock,
    pub(crate) metrics: TransportMetrics,
    refusals: RefusalLog,
    /// Of those for whom there is no place.
    crowded: RefusalLog<()>,
    pub(crate) snapshots: Semaphore,
    /// Changes when there is something new in the tail.
    pub(crate) head: watch::Sender<Version>,
    pub(crate) stopping: watch::Sender<bool>,
    tail: Mutex<Tail>,
    acks: Mutex<AckBook>,
    /// Locked while the book is, never the other way round.
    waiters: Mutex<Waiters>,
    /// Changes when an edge has caught up for the first time.
    caught_up: watch::Sender<u64>,
    links: Mutex<Links<Connection>>,
    sessions: AtomicU64,
    /// The latest epoch of this store that anybody has subscribed with.
    highest_epoch: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each of these is whole between two calls, also when one of them panicked.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    /// Serves what `source` holds to everyone who connects to `endpoint`. Call within a tokio runtime.
    #[must_use]
    pub fn start(
        endpoint: Endpoint,
        source: Arc<dyn BatchSource>,
        options: PublisherOptions,
        metrics: TransportMetrics,
    ) -> Self {
        let head = source.position();
        let shared = Arc::new(Shared {
            source,
            clock: Clock::start(),
            metrics,
            refusals: RefusalLog::default(),
            crowded: RefusalLog::default(),
            snapshots: Semaphore::new(options.max_snapshots),
            head: watch::Sender::new(head.version),
            stopping: watch::Sender::new(false),
            tail: Mutex::new(Tail::new(head, options.tail_bytes)),
            acks: Mutex::new(AckBook::new(head.epoch)),
            waiters: Mutex::default(),
            caught_up: watch::Sender::new(0),
            links: Mutex::default(),
            sessions: AtomicU64::new(1),
            highest_epoch: AtomicU64::new(head.epoch.get()),
        });
        let counted = Arc::downgrade(&shared);
        shared.metrics.edge_lag.read_from(move || counted.upgrade().map(|shared| shared.lags()).unwrap_or_default());
        let accepting = accept(endpoint.clone(), Arc::clone(&shared), options.max_connections);
        let ended = watch::Sender::new(false);
        let accepts = Accepts(ended.clone());
        let accepting = tokio::spawn(async move {
            let _accepts = accepts;
            accepting.await;
        });
        Self { shared, endpoint, accepting, ended }
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
        {
            let mut acks = lock(&self.shared.acks);
            acks.raise_epoch(position.epoch);
            acks.committed(self.shared.clock.now(), position.version);
        }
        lock(&self.shared.tail).push(self.shared.clock.now(), position, frames);
        self.shared.head.send_replace(position.version);
        self.shared.metrics.published_version.set(i64::try_from(position.version.get()).unwrap_or(i64::MAX));
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
        lock(&self.shared.acks).receipt(version)
    }

    /// Waits until enough edges have a version.
    ///
    /// # Errors
    /// It took longer than `patience`; the receipt says who is missing.
    pub async fn wait(&self, version: Version, condition: WaitFor, patience: Duration) -> Result<Receipt, WaitError> {
        let waiting = {
            let acks = lock(&self.shared.acks);
            if acks.holds(version, condition) {
                return Ok(acks.receipt(version));
            }
            let (key, told) = lock(&self.shared.waiters).add(version, condition);
            Waiting { shared: &self.shared, key, told }
        };
        let told = tokio::time::timeout(patience, waiting.told()).await;
        told.map_err(|_| WaitError(self.receipt(version)))
    }

    /// Every edge that is expected or has connected since the start, by role and name.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeStatus> {
        let reports = lock(&self.shared.acks).edges();
        // After what they have applied, so that none seems to be beyond it.
        let (now, head) = (self.shared.clock.now(), lock(&self.shared.tail).head().version);
        let links = lock(&self.shared.links);
        let status = |report: EdgeReport| EdgeStatus {
            lag: head.get().saturating_sub(report.applied.unwrap_or_default().get()),
            silent_for: report.last_ack.map(|last| now.saturating_sub(last)),
            away_for: report.link.away_since().map(|since| now.saturating_sub(since)),
            address: links.get(&report.peer).map(|link| link.address),
            certificate: links.get(&report.peer).map(|link| link.certificate.clone()),
            twins: links.twins(now, &report.peer),
            report,
        };
        reports.into_iter().map(status).collect()
    }

    /// The time that [`EdgeReport`] and [`Receipt`] speak of: since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.clock.now()
    }

    /// Those that are waited for, by role and name.
    #[must_use]
    pub fn expected(&self) -> Vec<Peer> {
        lock(&self.shared.acks).expected().cloned().collect()
    }

    /// Changes when one more is expected because it has caught up for the first time. What it has counts once this is
    /// [`recorded`](Publisher::recorded).
    #[must_use]
    pub fn caught_up(&self) -> watch::Receiver<u64> {
        self.shared.caught_up.subscribe()
    }

    /// It is on record now that these are expected: what they have counts from now on.
    pub fn recorded<'a>(&self, peers: impl IntoIterator<Item = &'a Peer>) {
        let mut acks = lock(&self.shared.acks);
        peers.into_iter().for_each(|peer| acks.recorded(peer));
        self.shared.looked(lock(&self.shared.waiters).changed(&acks));
    }

    /// Names an edge that should be there, as is on record, so that it counts as missing until it connects, and as away
    /// since then. Says no when no more can be known.
    pub fn expect(&self, peer: &Peer, since: Duration) -> bool {
        let mut acks = lock(&self.shared.acks);
        let is_known = acks.expect(since, peer);
        self.shared.looked(lock(&self.shared.waiters).changed(&acks));
        if !is_known {
            tracing::warn!(%peer, "no more edges can be known; forget some");
        }
        is_known
    }

    /// Takes an edge out for good, so that it no longer counts as missing. It counts again when it connects anew and
    /// catches up. Says whether it was expected.
    pub fn forget(&self, peer: &Peer) -> bool {
        let mut acks = lock(&self.shared.acks);
        let was_expected = acks.forget(peer);
        self.shared.looked(lock(&self.shared.waiters).changed(&acks));
        was_expected
    }

    /// The latest epoch that this store or any downstream of it has been in, as far as is known here. Later than the
    /// store's where a restore was accepted, and the store then restored to a state from before that.
    #[must_use]
    pub fn highest_epoch(&self) -> Epoch {
        Epoch::new(self.shared.highest_epoch.load(Ordering::Relaxed))
    }

    /// Says goodbye to every downstream, then closes.
    pub async fn shutdown(mut self) {
        self.shared.stopping.send_replace(true);
        let _ = tokio::time::timeout(GOODBYE_WITHIN, &mut self.accepting).await;
        self.endpoint.close().await;
    }
}

/// Somebody who waits. Taken out of the book when it is dropped.
struct Waiting<'a> {
    shared: &'a Shared,
    key: (Version, u64),
    told: oneshot::Receiver<Receipt>,
}

impl Waiting<'_> {
    async fn told(mut self) -> Receipt {
        (&mut self.told).await.expect("who is taken out without being told has dropped this")
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.shared.waiters).remove(self.key);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // Aborting it drops its set of connections, which aborts those.
        self.accepting.abort();
    }
}

/// Runs until the endpoint is closed or the publisher stops; then waits for the connections to say goodbye.
async fn accept(endpoint: Endpoint, shared: Arc<Shared>, max_connections: usize) {
    let mut stopping = shared.stopping.subscribe();
    let mut connections = JoinSet::new();
    let door = Arc::new(Door::new(max_connections));
    loop {
        tokio::select! {
            incoming = endpoint.incoming() => {
                let Some(incoming) = incoming else { break };
                let address = incoming.remote_address().ip();
                match door.knock(address, incoming.remote_address_validated()) {
                    Knock::Enter(place) => {
                        let endpoint = endpoint.clone();
                        connections.spawn(serve(endpoint, incoming, place, Arc::clone(&door), Arc::clone(&shared)));
                    }
                    // Whose address is not proven may be asked for it, so this does not fail.
                    Knock::Prove => drop(incoming.retry()),
                    Knock::Ignore => {
                        shared.metrics.refused.with_label_values(&["too_many"]).inc();
                        incoming.ignore();
                    }
                }
            }
            Some(_) = connections.join_next() => {}
            _ = stopping.changed() => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(
    endpoint: Endpoint,
    incoming: quinn::Incoming,
    handshake: Place<IpAddr>,
    door: Arc<Door>,
    shared: Arc<Shared>,
) {
    let from = incoming.remote_address();
    let connection = match tokio::time::timeout(HANDSHAKE_WITHIN, endpoint.accept(incoming)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            let refused = error.refused().map_or(Refusal::Other, |refused| refused.refusal);
            shared.metrics.refused.with_label_values(&[refused.label()]).inc();
            if let Some(quiet) = shared.refusals.due(refused) {
                tracing::warn!(%from, quiet, "refused: {error}; {}", refused.advice());
            }
            return;
        }
        Err(_) => {
            shared.metrics.refused.with_label_values(&["tls"]).inc();
            tracing::debug!(%from, "refused: its handshake took too long");
            return;
        }
    };
    drop(handshake);
    if !connection.peer().role.may_subscribe() {
        shared.metrics.refused.with_label_values(&[Refusal::Role.label()]).inc();
        if let Some(quiet) = shared.refusals.due(Refusal::Role) {
            let peer = connection.peer();
            tracing::warn!(%from, %peer, quiet, "refused: its certificate may not subscribe; {}", Refusal::Role.advice());
        }
        connection.close("role");
        return;
    }
    let Some(_place) = door.enter(&connection.peer().name) else {
        shared.metrics.refused.with_label_values(&["too_many"]).inc();
        if let Some(quiet) = shared.crowded.due(()) {
            let peer = connection.peer();
            tracing::warn!(%from, %peer, quiet, "refused: too many connections, of this node or of all");
        }
        connection.close("too many connections");
        return;
    };
    let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
    shared.metrics.connections.inc();
    Session::new(session, connection.clone(), Arc::clone(&shared)).run().await;
    shared.metrics.connections.dec();
    shared.disconnected(session, connection.peer());
}

impl Shared {
    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    /// An edge stands there.
    pub(crate) fn seen(&self, position: Option<Position>) {
        let head = self.source.position();
        let epoch = position.filter(|position| position.store == head.store).map(|position| position.epoch.get());
        let epoch = epoch.filter(|epoch| epoch.saturating_sub(head.epoch.get()) <= MAX_EPOCHS_AHEAD);
        self.highest_epoch.fetch_max(epoch.unwrap_or_default(), Ordering::Relaxed);
    }

    /// An edge is served from here on. An older connection of the same edge ends; says no when no more edges can be known.
    pub(crate) fn accepted(&self, session: u64, connection: &Connection, incarnation: u64, goal: Version) -> bool {
        let is_known = lock(&self.acks).accept(connection.peer(), session, incarnation, goal);
        if is_known {
            self.replace(session, connection, incarnation);
        }
        is_known
    }

    /// An edge gets nothing. It counts as it is now, so an older connection of it ends.
    pub(crate) fn refused(&self, session: u64, connection: &Connection, incarnation: u64, why: SubscribeRefusal) {
        lock(&self.acks).refuse(self.clock.now(), connection.peer(), session, why);
        self.replace(session, connection, incarnation);
    }

    fn replace(&self, session: u64, connection: &Connection, incarnation: u64) {
        let (peer, address) = (connection.peer(), connection.remote_addr());
        let certificate = Bytes::copy_from_slice(&connection.verified.certificate);
        let link = Link { session, incarnation, address, certificate, connection: Some(connection.clone()) };
        let replaced = {
            let mut links = lock(&self.links);
            let replaced = links.replace(self.clock.now(), peer, link);
            replaced.ok_or_else(|| links.get(peer).map_or(address, |newer| newer.address))
        };
        let Replaced { older, twins, is_to_be_logged } = match replaced {
            Ok(replaced) => replaced,
            // It connected first and subscribed last: it would be served and never counted.
            Err(newer) => return connection.replaced_by(newer),
        };
        if let Some(older) = older {
            older.replaced_by(address);
        }
        if let Some(Twins { addresses: [one, other], .. }) = twins {
            self.metrics.twins.inc();
            if is_to_be_logged {
                tracing::error!(
                    %peer, %one, %other,
                    "two processes use this identity and take turns; stop one of them, or issue it a certificate with a \
                     name of its own"
                );
            }
        }
    }

    pub(crate) fn acked(&self, session: u64, peer: &Peer, ack: &zonecast_kv_proto::Ack) {
        self.metrics.acks.inc();
        let booked = {
            let mut acks = lock(&self.acks);
            let booked = acks.ack(self.clock.now(), peer, session, ack);
            // Before those who wait go on, so that they find it counted.
            booked.took.iter().for_each(|took| self.metrics.commit_to_ack.observe(took.as_secs_f64()));
            if let Some(gained) = booked.gained {
                self.looked(lock(&self.waiters).gained(&acks, gained));
            }
            booked
        };
        if booked.is_new {
            tracing::debug!(%peer, "it has caught up for the first time");
            self.caught_up.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn looked(&self, waits: u64) {
        self.metrics.wait_looks.inc_by(waits);
    }

    /// Versions that each edge lacks; all of them if it never said anything.
    fn lags(&self) -> Vec<(String, u64)> {
        let reports = lock(&self.acks).edges();
        let head = self.tail().head().version.get();
        let lag = |report: EdgeReport| {
            let applied = report.applied.unwrap_or_default().get();
            (report.peer.label(), head.saturating_sub(applied))
        };
        reports.into_iter().map(lag).collect()
    }

    fn disconnected(&self, session: u64, peer: &Peer) {
        lock(&self.acks).disconnect(self.clock.now(), peer, session);
        lock(&self.links).end(peer, session);
    }
}
