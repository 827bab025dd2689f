//! Admission of connections: places, certificates, and the newest connection of each node that subscribes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use zonecast_kv_proto::Peer;

use crate::door::{Door, HANDSHAKE_WITHIN, Knock, Place};
use crate::endpoint::Incoming;
use crate::links::{Link, Links, Replaced, Twins};
use crate::lock::lock;
use crate::protocol::Protocol;
use crate::refusal_log::RefusalLog;
use crate::{CertificateFault, Clock, Connection, Endpoint, TransportMetrics};

/// Lets connections in through the [`Door`], checks their certificates, and closes the connection that a newer one of
/// the same node replaces.
pub(crate) struct Admission {
    clock: Clock,
    metrics: TransportMetrics,
    door: Door,
    refusals: RefusalLog,
    /// Of those for whom there is no place.
    crowded: RefusalLog<()>,
    /// Of cores that come to one that is alone.
    strays: RefusalLog<()>,
    sessions: AtomicU64,
    links: Mutex<Links<Connection>>,
}

/// A node that was let in. Its place is free again when this is dropped.
pub(crate) struct Admitted {
    pub(crate) session: u64,
    pub(crate) connection: Connection,
    _place: Place<String>,
}

/// What is known of the last connection of a node.
pub(crate) struct Last {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) certificate: Option<Bytes>,
    pub(crate) twins: Option<Twins>,
}

impl Admission {
    pub(crate) fn new(max_connections: usize, clock: Clock, metrics: TransportMetrics) -> Self {
        Self {
            clock,
            metrics,
            door: Door::new(max_connections),
            refusals: RefusalLog::default(),
            crowded: RefusalLog::default(),
            strays: RefusalLog::default(),
            sessions: AtomicU64::new(1),
            links: Mutex::default(),
        }
    }

    /// A handshake is to begin. Nothing, if it may not now; whoever dials has its answer then.
    pub(crate) fn knock(&self, incoming: Incoming) -> Option<(Incoming, Place<IpAddr>)> {
        match self.door.knock(incoming.address().ip(), incoming.is_proven()) {
            Knock::Enter(place) => return Some((incoming, place)),
            Knock::Prove => incoming.prove(),
            Knock::Ignore => {
                self.refused("too_many");
                incoming.ignore();
            }
        }
        None
    }

    /// Finishes a handshake, and lets in who may subscribe.
    pub(crate) async fn admit(
        &self,
        endpoint: &Endpoint,
        incoming: Incoming,
        handshake: Place<IpAddr>,
    ) -> Option<Admitted> {
        let from = incoming.address();
        let connection = self.shake_hands(endpoint, incoming).await?;
        drop(handshake);
        let protocol = connection.protocol();
        if !protocol.may_be_dialled_by(connection.peer().role) {
            self.refused(CertificateFault::Role.label());
            self.tell_of_role(&connection);
            connection.close("role");
            return None;
        }
        let Some(place) = self.door.enter(protocol, &connection.peer().name) else {
            self.refused("too_many");
            if let Some(quiet) = self.crowded.due(()) {
                let peer = connection.peer();
                tracing::warn!(%from, %peer, quiet, "refused: too many connections, of this node or of all");
            }
            connection.close("too many connections");
            return None;
        };
        let session = self.next_session();
        Some(Admitted { session, connection, _place: place })
    }

    fn tell_of_role(&self, connection: &Connection) {
        let Some(quiet) = self.refusals.due(CertificateFault::Role) else { return };
        let (peer, from) = (connection.peer(), connection.remote_addr());
        match connection.protocol() {
            Protocol::FanOut => {
                let advice = CertificateFault::Role.advice();
                tracing::warn!(%from, %peer, quiet, "refused: its certificate may not subscribe; {advice}");
            }
            Protocol::Core => {
                tracing::warn!(%from, %peer, quiet, "refused: only cores connect as cores; if it is one, issue it a certificate of role core");
            }
        }
    }

    /// A number for a connection that is later than all before it.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    async fn shake_hands(&self, endpoint: &Endpoint, incoming: Incoming) -> Option<Connection> {
        let from = incoming.address();
        match tokio::time::timeout(HANDSHAKE_WITHIN, endpoint.accept(incoming)).await {
            Ok(Ok(connection)) => return Some(connection),
            Ok(Err(error)) => {
                let refused = error.refused().map_or(CertificateFault::Other, |refused| refused.refusal);
                self.refused(refused.label());
                if let Some(quiet) = self.refusals.due(refused) {
                    tracing::warn!(%from, quiet, "refused: {error}; {}", refused.advice());
                }
            }
            Err(_) => {
                self.refused("tls");
                tracing::debug!(%from, "refused: its handshake took too long");
            }
        }
        None
    }

    /// From now on this connection of its node counts, and an older one ends.
    pub(crate) fn counts(&self, session: u64, connection: &Connection, incarnation: u64) {
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

    /// The connection of this session is gone.
    pub(crate) fn left(&self, session: u64, peer: &Peer) {
        lock(&self.links).end(peer, session);
    }

    /// What is known of the last connection of each of these nodes.
    pub(crate) fn last<'a>(&self, peers: impl IntoIterator<Item = &'a Peer>) -> Vec<Last> {
        let (now, links) = (self.clock.now(), lock(&self.links));
        let last = |peer| {
            let link = links.get(peer);
            Last {
                address: link.map(|link| link.address),
                certificate: link.map(|link| link.certificate.clone()),
                twins: links.twins(now, peer),
            }
        };
        peers.into_iter().map(last).collect()
    }

    /// This core has no others beside it.
    pub(crate) fn refuse_core(&self, connection: &Connection) {
        self.refused("no_cluster");
        if let Some(quiet) = self.strays.due(()) {
            let (peer, from) = (connection.peer(), connection.remote_addr());
            tracing::warn!(%from, %peer, quiet, "refused: this core is not configured as a voter of a cluster, and another core connects as one");
        }
        connection.close("this core is not configured as a voter of a cluster");
    }

    fn refused(&self, reason: &str) {
        self.metrics.refused.with_label_values(&[reason]).inc();
    }
}
