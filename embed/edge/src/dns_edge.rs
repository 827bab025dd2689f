//! The edge that an embedder runs: its copy, its follower, and what answers from it.

use std::net::SocketAddr;
use std::path::PathBuf;

use prometheus::Registry;
use thiserror::Error;
use tokio::sync::watch;
use zonecast_kv_edge::{Edge, EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, EdgeStatus, Upstream};
use zonecast_kv_proto::Position;
use zonecast_kv_transport::{CertificateMetrics, Identity, IdentityError, Role};

use crate::{EdgeStates, Reading};

/// What an edge is opened with.
#[derive(Clone, Debug)]
pub struct DnsEdgeConfig {
    /// Folder of its certificate and key, as `zonecast ca issue` makes it. What is put there later is taken over.
    pub identity: PathBuf,
    /// Cores, tried one after the other; at least one.
    pub upstreams: Vec<SocketAddr>,
    /// Folder of its copy, made if it is not there. One edge at a time uses it.
    pub data: PathBuf,
    /// Memory of its copy.
    pub store: EdgeOptions,
}

/// Why an edge cannot be opened.
#[derive(Debug, Error)]
pub enum DnsEdgeError {
    /// The identity folder cannot be used.
    #[error("identity: {0}")]
    Identity(#[from] IdentityError),
    /// The certificate is for something else.
    #[error("identity: {0} is of role {1}, not of role edge; issue one for an edge")]
    Role(String, Role),
    /// The registry has metrics of these names already, of another edge perhaps: see [`DnsEdge::start`].
    #[error("metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The copy cannot be opened, or there is nobody to follow.
    #[error(transparent)]
    Edge(#[from] EdgeError),
}

/// An edge in this process. [`DnsEdge::shutdown`] ends it in good order; dropped, it blocks until what it has is
/// applied.
#[derive(Debug)]
pub struct DnsEdge {
    states: EdgeStates,
    edge: Edge,
}

impl DnsEdge {
    /// Opens the copy and begins to follow. Call within a tokio runtime. It blocks while the copy is opened and its
    /// zones are read; when it returns, it answers from what was there. It needs no upstream for that, and no valid
    /// certificate.
    ///
    /// # Errors
    /// A folder cannot be used, or metrics of another edge are in the registry.
    pub fn open(config: DnsEdgeConfig, registry: &Registry) -> Result<Self, DnsEdgeError> {
        let DnsEdgeConfig { identity, upstreams, data, store } = config;
        let identity = Identity::watch(&identity, &CertificateMetrics::register(registry)?)?;
        let peer = identity.peer();
        if peer.role != Role::Edge {
            return Err(DnsEdgeError::Role(peer.name.clone(), peer.role));
        }
        let upstreams = upstreams.into_iter().map(|address| Upstream { address, role: Role::Core }).collect();
        let config = EdgeConfig { folder: data, upstreams, identity, store };
        Ok(Self::start(config, EdgeMetrics::register(registry)?)?)
    }

    /// The same for a server that answers others meanwhile: the copy is opened on a thread for blocking work.
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

    /// The same from parts: for several edges in one process, which share their metrics, or an identity that is in no
    /// folder.
    ///
    /// # Errors
    /// The copy cannot be opened, or there is nobody to follow.
    pub fn start(config: EdgeConfig, metrics: EdgeMetrics) -> Result<Self, EdgeError> {
        let states = EdgeStates::default();
        let edge = Edge::start(config, states.projection(), metrics)?;
        Ok(Self { states, edge })
    }

    /// The present state, for one burst of queries.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.states.read()
    }

    /// The same for threads that answer: each clones it. It goes on answering after [`DnsEdge::shutdown`], and the
    /// copy stays open until the last clone is gone.
    #[must_use]
    pub fn states(&self) -> &EdgeStates {
        &self.states
    }

    /// What readers see; `None` while it is new.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.states.load().map(|state| state.position)
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> EdgeStatus {
        self.edge.status()
    }

    /// How it stands, at every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<EdgeStatus> {
        self.edge.watch()
    }

    /// Waits until it has what its upstream has, however long that takes: for a new edge, which has nothing to answer
    /// from. One that has a copy may answer at once.
    ///
    /// # Errors
    /// It can apply no more; [`DnsEdge::failed`] says why.
    pub async fn caught_up(&self) -> Result<(), EdgeError> {
        match self.edge.watch().wait_for(EdgeStatus::has_caught_up).await {
            Ok(_) => Ok(()),
            Err(_) => Err(EdgeError::WriterGone),
        }
    }

    /// Waits until applying has failed for good, as on a full disk; says why. Answers can go on.
    pub async fn failed(&mut self) -> EdgeError {
        self.edge.failed().await
    }

    /// Says goodbye to its upstream, applies what is here, makes it durable.
    ///
    /// # Errors
    /// The copy could not be written; what is missing is fetched at the next start.
    pub async fn shutdown(self) -> Result<(), EdgeError> {
        self.edge.shutdown().await
    }
}
