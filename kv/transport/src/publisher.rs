//! Serves the versions of a store to every downstream that connects, and books who has what.
//!
//! # Threads
//! One task accepts, one task per connection runs its [`Downstream`](zonecast_kv_proto::Downstream). They share the
//! newest versions, encoded once. [`Publisher::publish`] appends to them and returns: it never waits for a downstream.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use zonecast_kv_proto::{AckBook, BatchSource, EdgeReport, Epoch, Frame, Position, Receipt, Tail, Version, WaitFor};

use crate::door::{Door, HANDSHAKE_WITHIN, Knock, Place};
use crate::refusal_log::RefusalLog;
use crate::session::Session;
use crate::{Clock, Connection, Endpoint, Refusal, TransportMetrics};

/// How long downstreams have to take a goodbye.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);

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
    /// Where it connected from last.
    pub address: Option<SocketAddr>,
}

/// A wait whose deadline passed; the change itself is committed and still under way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("only {} of {} edges have version {}", .0.applied(), .0.edges.len(), .0.version)]
pub struct WaitError(pub Receipt);

/// Serves one store. Dropped, it stops at once; [`Publisher::shutdown`] says goodbye first.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    accepting: JoinHandle<()>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) source: Arc<dyn BatchSource>,
    pub(crate) clock: Clock,
    pub(crate) metrics: TransportMetrics,
    refusals: RefusalLog,
    pub(crate) snapshots: Semaphore,
    /// Changes when there is something new in the tail.
    pub(crate) head: watch::Sender<Version>,
    pub(crate) stopping: watch::Sender<bool>,
    tail: Mutex<Tail>,
    acks: Mutex<AckBook>,
    /// Changes with every ack.
    acked: watch::Sender<u64>,
    links: Mutex<HashMap<String, Link>>,
    sessions: AtomicU64,
    /// The latest epoch of this store that anybody has subscribed with.
    highest_epoch: AtomicU64,
}

/// The last connection of an edge.
struct Link {
    session: u64,
    address: SocketAddr,
    connection: Option<Connection>,
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
            snapshots: Semaphore::new(options.max_snapshots),
            head: watch::Sender::new(head.version),
            stopping: watch::Sender::new(false),
            tail: Mutex::new(Tail::new(head, options.tail_bytes)),
            acks: Mutex::new(AckBook::new(head.epoch)),
            acked: watch::Sender::new(0),
            links: Mutex::new(HashMap::new()),
            sessions: AtomicU64::new(1),
            highest_epoch: AtomicU64::new(head.epoch.get()),
        });
        let counted = Arc::downgrade(&shared);
        shared.metrics.edge_lag.read_from(move || counted.upgrade().map(|shared| shared.lags()).unwrap_or_default());
        let accepting = tokio::spawn(accept(endpoint.clone(), Arc::clone(&shared), options.max_connections));
        Self { shared, endpoint, accepting }
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
        let mut acked = self.shared.acked.subscribe();
        let enough = async {
            while !lock(&self.shared.acks).holds(version, condition) {
                acked.changed().await.expect("the sender lives in the publisher");
            }
        };
        match tokio::time::timeout(patience, enough).await {
            Ok(()) => Ok(self.receipt(version)),
            Err(_) => Err(WaitError(self.receipt(version))),
        }
    }

    /// Every edge that has connected since the start, by name.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeStatus> {
        let (now, head) = (self.shared.clock.now(), lock(&self.shared.tail).head().version);
        let reports = lock(&self.shared.acks).edges();
        let links = lock(&self.shared.links);
        let status = |report: EdgeReport| EdgeStatus {
            lag: head.get().saturating_sub(report.applied.unwrap_or_default().get()),
            silent_for: report.last_ack.map(|last| now.saturating_sub(last)),
            address: links.get(&report.name).map(|link| link.address),
            report,
        };
        reports.into_iter().map(status).collect()
    }

    /// Names an edge that should be there, so that it counts as missing until it connects.
    pub fn expect(&self, name: &str) {
        if !lock(&self.shared.acks).expect(name) {
            tracing::warn!(name, "no more edges can be known; forget some");
        }
    }

    /// Takes an edge out for good, so that it no longer counts as missing. It counts again when it connects.
    pub fn forget(&self, name: &str) -> bool {
        let known = lock(&self.shared.acks).forget(name);
        self.shared.acked.send_modify(|count| *count += 1);
        known
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
        tracing::warn!(%from, peer = %connection.peer(), "refused: too many connections, of this node or of all");
        connection.close("too many connections");
        return;
    };
    let session = shared.sessions.fetch_add(1, Ordering::Relaxed);
    shared.metrics.connections.inc();
    Session::new(session, connection.clone(), Arc::clone(&shared)).run().await;
    shared.metrics.connections.dec();
    shared.disconnected(session, &connection.peer().name);
}

impl Shared {
    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        lock(&self.tail)
    }

    /// An edge stands there.
    pub(crate) fn seen(&self, position: Option<Position>) {
        let ours = position.filter(|position| position.store == self.source.position().store);
        self.highest_epoch.fetch_max(ours.map_or(0, |position| position.epoch.get()), Ordering::Relaxed);
    }

    /// An edge has subscribed. An older connection of the same edge ends; says no when no more edges can be known.
    pub(crate) fn subscribed(&self, session: u64, connection: &Connection, incarnation: u64) -> bool {
        let name = &connection.peer().name;
        if !lock(&self.acks).connect(name, session, incarnation) {
            return false;
        }
        let link = Link { session, address: connection.remote_addr(), connection: Some(connection.clone()) };
        let older = {
            let mut links = lock(&self.links);
            match links.get(name) {
                Some(newer) if newer.session > session => return true,
                _ => links.insert(name.clone(), link),
            }
        };
        if let Some(older) = older.and_then(|link| link.connection) {
            older.close("replaced by a newer connection of this edge");
        }
        true
    }

    pub(crate) fn acked(&self, session: u64, name: &str, ack: &zonecast_kv_proto::Ack) {
        let took = lock(&self.acks).ack(self.clock.now(), name, session, ack);
        took.iter().for_each(|took| self.metrics.commit_to_ack.observe(took.as_secs_f64()));
        self.acked.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Versions that each edge lacks; all of them if it never said anything.
    fn lags(&self) -> Vec<(String, u64)> {
        let head = self.tail().head().version.get();
        let reports = lock(&self.acks).edges();
        let lag = |report: EdgeReport| {
            let applied = report.applied.unwrap_or_default().get();
            (report.name, head.saturating_sub(applied))
        };
        reports.into_iter().map(lag).collect()
    }

    fn disconnected(&self, session: u64, name: &str) {
        lock(&self.acks).disconnect(name, session);
        if let Some(link) = lock(&self.links).get_mut(name).filter(|link| link.session == session) {
            link.connection = None;
        }
    }
}
