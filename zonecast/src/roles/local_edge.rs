//! One edge of this process: follows the core over QUIC, answers DNS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zonecast_dns::{Bound, Limits, Server};
use zonecast_kv_edge::{Edge, EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, Upstream};
use zonecast_kv_transport::{Identity, Role};

use crate::edge_state::EdgeStates;
use crate::exit::{Failure, Outcome};
use crate::service::{LocalEdge, Service};

/// A running edge.
#[derive(Debug)]
pub(crate) struct RunningEdge {
    name: String,
    front: Front,
    edge: Edge,
}

/// An edge that is watched: when it can apply no more, the service is told.
#[derive(Debug)]
pub(crate) struct WatchedEdge {
    front: Front,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), EdgeError>>,
}

/// The side that clients see.
#[derive(Debug)]
struct Front {
    states: EdgeStates,
    /// Always there but while it turns from bound to running.
    dns: Option<Dns>,
}

#[derive(Debug)]
enum Dns {
    Bound(Bound),
    Running(Server),
}

impl RunningEdge {
    /// Opens its copy and begins to follow the core at `core`.
    ///
    /// # Errors
    /// The copy cannot be opened.
    pub(crate) fn start(
        name: String,
        folder: PathBuf,
        identity: Identity,
        core: SocketAddr,
        bound: Bound,
        metrics: EdgeMetrics,
    ) -> Outcome<Self> {
        let upstreams = vec![Upstream { address: core, role: Role::Core }];
        let states = EdgeStates::default();
        let config = EdgeConfig { folder, upstreams, identity, store: EdgeOptions::default() };
        let edge = Edge::start(config, states.projection(), metrics)?;
        Ok(Self { name, front: Front { states, dns: Some(Dns::Bound(bound)) }, edge })
    }

    /// Begins to answer if it holds any zone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn answer_what_it_holds(&mut self, metrics: &zonecast_dns::Metrics) -> Outcome {
        let holds_zones = self.front.states.load().is_some_and(|state| !state.zones.is_empty());
        if holds_zones { self.front.answer(metrics) } else { Ok(()) }
    }

    /// For the service.
    pub(crate) fn describe(&self) -> LocalEdge {
        let dns = match &self.front.dns {
            Some(Dns::Bound(bound)) => bound.local_addr(),
            Some(Dns::Running(server)) => server.local_addr(),
            None => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        LocalEdge { name: self.name.clone(), dns, states: self.front.states.clone() }
    }

    /// Watches it from now on.
    pub(crate) fn watch(self, service: Arc<Service>) -> WatchedEdge {
        let (stop, mut stopped) = oneshot::channel();
        let Self { name, front, mut edge } = self;
        let task = tokio::spawn(async move {
            tokio::select! {
                error = edge.failed() => {
                    tracing::error!(edge = name, %error, "the edge applies no more; it answers what it has");
                    service.set_fault(Failure::from(error));
                    let _ = stopped.await;
                    Ok(())
                }
                _ = &mut stopped => edge.shutdown().await,
            }
        });
        WatchedEdge { front, stop, task }
    }
}

impl WatchedEdge {
    /// Begins to answer, if it has not yet.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn answer(&mut self, metrics: &zonecast_dns::Metrics) -> Outcome {
        self.front.answer(metrics)
    }

    /// Answers what is asked already, applies what is here, closes the copy.
    pub(crate) async fn stop(self) {
        if let Some(Dns::Running(server)) = self.front.dns {
            server.shutdown().await;
        }
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.task.await {
            tracing::error!(%error, "an edge could not close its copy; it fetches again what it lost");
        }
    }
}

impl Front {
    fn answer(&mut self, metrics: &zonecast_dns::Metrics) -> Outcome {
        self.dns = match self.dns.take() {
            Some(Dns::Bound(bound)) => {
                let server = bound.start(Arc::new(self.states.clone()), Limits::default(), metrics.clone());
                Some(Dns::Running(server.map_err(Failure::failed)?))
            }
            running => running,
        };
        Ok(())
    }
}
