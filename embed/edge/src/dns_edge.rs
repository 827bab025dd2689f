//! The edge that a DNS server embeds: the local copy, the follower that updates it, and the states that answers are
//! made from.

use std::path::PathBuf;

use prometheus::Registry;
use thiserror::Error;
use tokio::sync::watch;
use zonecast_kv_edge::{Edge, EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, EdgeStatus, Holds, Upstream};
use zonecast_kv_proto::Position;
use zonecast_kv_transport::{CertificateMetrics, Identity, IdentityError, Role};

use crate::{EdgeStates, HeldKeyspaces, KeyspaceError, KeyspaceMark, KeyspaceName, Reading, Selection};

/// Configuration of an embedded edge.
#[derive(Clone, Debug)]
pub struct DnsEdgeConfig {
    /// Folder of the certificate and key, as `zonecast ca issue` writes it. The edge takes over new files in it while
    /// it runs.
    pub identity: PathBuf,
    /// Cores and relays to follow: addresses, or host names that are resolved at each attempt. At least one must be an
    /// address, because resolving a name could depend on this edge. At first they are tried in this order, and one
    /// that serves is followed until it fails.
    pub upstreams: Vec<Upstream>,
    /// Folder of the local copy; it is created if it is missing. Only one edge at a time can use it.
    pub data: PathBuf,
    /// Memory limits of the local copy.
    pub store: EdgeOptions,
    /// The published keyspaces that the edge holds; `None` for all of them. An edge that does not hold DNS answers no
    /// queries of it.
    pub keyspaces: Option<Selection>,
}

/// Why an edge cannot be opened.
#[derive(Debug, Error)]
pub enum DnsEdgeError {
    /// The identity folder cannot be used.
    #[error("identity: {0}")]
    Identity(#[from] IdentityError),
    /// The certificate is for another role.
    #[error("identity: {0} is of role {1}, not of role edge; issue one for an edge")]
    Role(String, Role),
    /// The registry already has metrics of these names, perhaps of another edge: see [`DnsEdge::start`].
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The copy cannot be opened, or no upstream with an address is given.
    #[error(transparent)]
    Edge(#[from] EdgeError),
}

/// Why nobody can wait for the next change of a keyspace.
#[derive(Debug, Error)]
pub enum KeyspaceWaitError {
    /// The edge cannot apply versions any more.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The copy could not be read.
    #[error(transparent)]
    Keyspace(#[from] KeyspaceError),
}

/// An edge in this process. [`DnsEdge::shutdown`] ends it cleanly. Dropping it blocks until the received versions are
/// applied.
#[derive(Debug)]
pub struct DnsEdge {
    states: EdgeStates,
    held: HeldKeyspaces,
    edge: Edge,
}

impl DnsEdge {
    /// Opens the copy and begins to follow. Must be called within a tokio runtime. It blocks while it opens the copy
    /// and reads the zones. When it returns, the edge answers from the existing copy, even if no upstream is reachable
    /// or the certificate has expired.
    ///
    /// # Errors
    /// A folder cannot be used, or metrics of another edge are in the registry.
    pub fn open(config: DnsEdgeConfig, registry: &Registry) -> Result<Self, DnsEdgeError> {
        let DnsEdgeConfig { identity, upstreams, data, store, keyspaces } = config;
        let identity = Identity::watch(&identity, &CertificateMetrics::register(registry)?)?;
        let peer = identity.peer();
        if peer.role != Role::Edge {
            return Err(DnsEdgeError::Role(peer.name.clone(), peer.role));
        }
        let config = EdgeConfig {
            folder: data,
            upstreams,
            identity,
            store,
            holds: Holds::Everything,
            mirror: None,
            downstream: None,
        };
        Ok(Self::start(config, keyspaces, EdgeMetrics::register(registry)?)?)
    }

    /// Like [`DnsEdge::open`], for a server that answers others meanwhile: a thread for blocking work opens the copy.
    ///
    /// # Errors
    /// As [`DnsEdge::open`].
    pub async fn open_async(config: DnsEdgeConfig, registry: &Registry) -> Result<Self, DnsEdgeError> {
        let registry = registry.clone();
        match tokio::task::spawn_blocking(move || Self::open(config, &registry)).await {
            Ok(opened) => opened,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is shutting down, and this future with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Like [`DnsEdge::open`], but from parts: for several edges in one process, which share their metrics, or for an
    /// identity that is not in a folder. The edge holds these published keyspaces, or all.
    ///
    /// # Errors
    /// The copy cannot be opened, or no upstream with an address is given.
    pub fn start(config: EdgeConfig, keyspaces: Option<Selection>, metrics: EdgeMetrics) -> Result<Self, EdgeError> {
        let config = EdgeConfig { holds: HeldKeyspaces::at_start(keyspaces.as_ref()), ..config };
        let states = EdgeStates::default();
        let edge = Edge::start(config, states.reader_index(), metrics)?;
        let held = HeldKeyspaces::keep(&edge, &states, keyspaces);
        Ok(Self { states, held, edge })
    }

    /// The edge is to hold these published keyspaces from now on, or all. It answers from what it has until a snapshot of
    /// them has come.
    pub fn hold(&self, keyspaces: Option<Selection>) {
        self.held.choose(keyspaces);
    }

    /// The present state, for one burst of queries.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.states.read()
    }

    /// The states of this edge, for threads that answer: each thread clones them. They keep answering after
    /// [`DnsEdge::shutdown`], and the copy stays open until the last clone is dropped.
    #[must_use]
    pub fn states(&self) -> &EdgeStates {
        &self.states
    }

    /// The position that readers see; `None` while the edge has no copy yet.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.states.load().map(|state| state.position)
    }

    /// The present status of the edge.
    #[must_use]
    pub fn status(&self) -> EdgeStatus {
        self.edge.status()
    }

    /// A receiver that gets every change of the status.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<EdgeStatus> {
        self.edge.watch()
    }

    /// Waits, without a time limit, until the edge has reached the position of its upstream. A new edge needs this
    /// before it can answer; an edge with a copy may answer at once.
    ///
    /// # Errors
    /// The edge cannot apply versions any more; [`DnsEdge::failed`] gives the reason.
    pub async fn caught_up(&self) -> Result<(), EdgeError> {
        let mut status = self.edge.watch();
        loop {
            // Before the copy is read, so that what comes in between wakes us.
            let now = status.borrow_and_update().clone();
            if now.has_caught_up() && self.held.is_kept(now.holds.as_ref()) {
                return Ok(());
            }
            status.changed().await.map_err(|_| EdgeError::WriterGone)?;
        }
    }

    /// Waits until a keyspace is not as it was at `seen`, `None` for not there, and returns how it is now. A change that
    /// came meanwhile is not missed; changes that come together are seen together.
    ///
    /// # Errors
    /// The edge cannot apply versions any more, or the copy could not be read.
    pub async fn keyspace_changed(
        &self,
        name: &KeyspaceName,
        seen: Option<KeyspaceMark>,
    ) -> Result<Option<KeyspaceMark>, KeyspaceWaitError> {
        let mut status = self.edge.watch();
        loop {
            // Before it is read, so that what comes in between wakes us.
            status.borrow_and_update();
            let now = self.read().keyspace(name)?.map(|keyspace| keyspace.mark());
            if now != seen {
                return Ok(now);
            }
            status.changed().await.map_err(|_| EdgeError::WriterGone)?;
        }
    }

    /// Waits until the edge cannot apply versions any more, for example because the disk is full, and returns the
    /// reason. The edge can still answer.
    pub async fn failed(&mut self) -> EdgeError {
        self.edge.failed().await
    }

    /// Closes the connection to the upstream, applies the received versions and syncs them to disk.
    ///
    /// # Errors
    /// The copy could not be written; the edge fetches the missing versions at its next start.
    pub async fn shutdown(self) -> Result<(), EdgeError> {
        self.held.end().await;
        self.edge.shutdown().await
    }
}
