//! One edge of this process: follows its core over QUIC, answers DNS. The same in a process of its own and beside a
//! core in `zonecast dev`.
//!
//! Whoever asks is answered from the start: until there is a copy, with an error that says so, at once, so that a
//! resolver goes elsewhere instead of waiting.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use zonecast_dns::{Bound, Limits, Metrics, Server};
use zonecast_edge::{EdgeStates, HeldKeyspaces, Selection};
use zonecast_kv_edge::{
    DownstreamConfig, Downstreams, Edge, EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, EdgeStatus, Upstream,
};
use zonecast_kv_proto::TableMirror;
use zonecast_kv_transport::Identity;

use crate::answerer::EdgeAnswerer;
use zonecast_service::Fault;
use zonecast_service::LocalEdge;
use zonecast_service::exit::{Failure, Outcome};

/// What an edge is started with.
#[derive(Debug)]
pub(crate) struct EdgeSetup {
    /// Its name.
    pub name: String,
    /// Folder of its copy.
    pub folder: PathBuf,
    /// Who it is to its core.
    pub identity: Identity,
    /// Cores and relays that it may follow.
    pub upstreams: Vec<Upstream>,
    /// Where it answers.
    pub bound: Vec<Bound>,
    /// What its copy may take.
    pub store: EdgeOptions,
    /// The published keyspaces that it holds, if not all.
    pub keyspaces: Option<Selection>,
    /// An object store to take snapshots from, if there is one.
    pub mirror: Option<Arc<dyn TableMirror>>,
    /// Where others follow it, if it is a relay.
    pub downstream: Option<DownstreamConfig>,
    /// Of its front end; the hot cache is for all of its threads together.
    pub limits: Limits,
    /// Of all edges of the process.
    pub metrics: EdgeMetrics,
    /// Of all front ends of the process.
    pub dns_metrics: Metrics,
}

/// A running edge.
#[derive(Debug)]
pub(crate) struct RunningEdge {
    name: String,
    front: Front,
    held: Arc<HeldKeyspaces>,
    edge: Edge,
}

/// An edge that is watched: when it can apply no more, the service is told.
#[derive(Debug)]
pub(crate) struct WatchedEdge {
    front: Front,
    /// One for each server: whether its threads live.
    watches: Vec<JoinHandle<()>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), EdgeError>>,
}

/// The side that clients see.
#[derive(Debug)]
struct Front {
    answerer: Arc<EdgeAnswerer>,
    servers: Vec<Server>,
}

impl RunningEdge {
    /// Begins to answer, opens its copy and begins to follow. Queries are answered from the copy once
    /// [`RunningEdge::open`] says so.
    ///
    /// # Errors
    /// The copy cannot be opened, or the system gives no thread.
    pub(crate) fn start(setup: EdgeSetup) -> Outcome<Self> {
        let EdgeSetup {
            name,
            folder,
            identity,
            upstreams,
            bound,
            store,
            keyspaces,
            mirror,
            downstream,
            limits,
            metrics,
            dns_metrics,
        } = setup;
        let threads = bound.iter().map(Bound::workers).sum::<usize>().max(1);
        let limits = Limits { hot_cache: limits.hot_cache / threads, ..limits };
        let answerer = Arc::new(EdgeAnswerer::new(EdgeStates::default()));
        // Before the copy is opened, which takes a while when it is large.
        let start = |bound: Bound| bound.start(Arc::clone(&answerer), limits.clone(), dns_metrics.clone());
        let servers: Result<Vec<Server>, _> = bound.into_iter().map(start).collect();
        let front = Front { servers: servers.map_err(Failure::failed)?, answerer };
        let holds = HeldKeyspaces::at_start(keyspaces.as_ref());
        let config = EdgeConfig { folder, upstreams, identity, store, holds, mirror, downstream };
        let edge = Edge::start(config, front.answerer.states().reader_index(), metrics)?;
        let held = Arc::new(HeldKeyspaces::keep(&edge, front.answerer.states(), keyspaces));
        Ok(Self { name, front, held, edge })
    }

    /// How it stands, at every change.
    pub(crate) fn status(&self) -> watch::Receiver<EdgeStatus> {
        self.edge.watch()
    }

    /// The nodes that follow it, if they may.
    pub(crate) fn downstreams(&self) -> Option<Downstreams> {
        self.edge.downstreams()
    }

    /// To say which keyspaces it is to hold.
    pub(crate) fn held(&self) -> Arc<HeldKeyspaces> {
        Arc::clone(&self.held)
    }

    /// Answers from its copy from now on, whenever there is one.
    pub(crate) fn open(&self) {
        self.front.answerer.open();
    }

    /// Whether its copy has any zone.
    pub(crate) fn holds_zones(&self) -> bool {
        self.front.answerer.states().load().is_some_and(|state| !state.zones.is_empty())
    }

    /// For the service.
    pub(crate) fn describe(&self) -> LocalEdge {
        let dns = self.front.servers.iter().map(Server::local_addr).collect();
        LocalEdge { name: self.name.clone(), dns, states: self.front.answerer.states().clone() }
    }

    /// Watches it from now on.
    pub(crate) fn watch(self, fault: Fault) -> WatchedEdge {
        let (stop, mut stopped) = oneshot::channel();
        let Self { name, front, held, mut edge } = self;
        let watches = front.servers.iter().map(|server| watch_threads(server, fault.clone())).collect();
        let task = tokio::spawn(async move {
            let ended = tokio::select! {
                error = edge.failed() => {
                    tracing::error!(edge = name, %error, "the edge cannot apply versions any more; it answers from its last version");
                    fault.set(|| Failure::from(error));
                    let _ = stopped.await;
                    Ok(())
                }
                _ = &mut stopped => edge.shutdown().await,
            };
            held.end().await;
            ended
        });
        WatchedEdge { front, watches, stop, task }
    }
}

impl WatchedEdge {
    /// As [`RunningEdge::open`].
    pub(crate) fn open(&self) {
        self.front.answerer.open();
    }

    /// Answers what is asked already, applies what is here, closes the copy.
    pub(crate) async fn stop(self) {
        self.watches.iter().for_each(JoinHandle::abort);
        for server in self.front.servers {
            server.shutdown().await;
        }
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.task.await {
            tracing::error!(%error, "an edge could not close its copy; it fetches again what it lost");
        }
    }
}

/// Tells when a thread of a server has died.
fn watch_threads(server: &Server, fault: Fault) -> JoinHandle<()> {
    let (died, address) = (server.died(), server.local_addr());
    tokio::spawn(async move {
        died.await;
        fault.part_died(format_args!("part of the queries to DNS on {address} go unanswered"));
    })
}
