//! One edge of this process: follows its core over QUIC, answers DNS. The same in a process of its own and beside a
//! core in `zonecast dev`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use zonecast_dns::{Bound, Limits, Server};
use zonecast_edge::EdgeStates;
use zonecast_kv_edge::{Edge, EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, EdgeStatus, Upstream};
use zonecast_kv_transport::{Identity, Role};

use crate::answerer::EdgeAnswerer;
use crate::exit::{Failure, Outcome};
use crate::fault::Fault;
use crate::service::LocalEdge;

/// What an edge is started with.
#[derive(Debug)]
pub(crate) struct EdgeSetup {
    /// Its name.
    pub name: String,
    /// Folder of its copy.
    pub folder: PathBuf,
    /// Who it is to its core.
    pub identity: Identity,
    /// Cores, tried one after the other.
    pub upstreams: Vec<SocketAddr>,
    /// Where it answers.
    pub bound: Vec<Bound>,
    /// Of its front end; the hot cache is for all of its threads together.
    pub limits: Limits,
    /// Of all edges of the process.
    pub metrics: EdgeMetrics,
}

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
    limits: Limits,
    dns: Vec<Dns>,
}

#[derive(Debug)]
enum Dns {
    Bound(Bound),
    /// With what watches it.
    Running(Server, JoinHandle<()>),
}

impl RunningEdge {
    /// Opens its copy and begins to follow.
    ///
    /// # Errors
    /// The copy cannot be opened.
    pub(crate) fn start(setup: EdgeSetup) -> Outcome<Self> {
        let EdgeSetup { name, folder, identity, upstreams, bound, limits, metrics } = setup;
        let upstreams = upstreams.into_iter().map(|address| Upstream { address, role: Role::Core }).collect();
        let states = EdgeStates::default();
        let config = EdgeConfig { folder, upstreams, identity, store: EdgeOptions::default() };
        let edge = Edge::start(config, states.projection(), metrics)?;
        let threads = bound.iter().map(Bound::workers).sum::<usize>().max(1);
        let limits = Limits { hot_cache: limits.hot_cache / threads, ..limits };
        let dns = bound.into_iter().map(Dns::Bound).collect();
        Ok(Self { name, front: Front { states, limits, dns }, edge })
    }

    /// How it stands, at every change.
    pub(crate) fn status(&self) -> watch::Receiver<EdgeStatus> {
        self.edge.watch()
    }

    /// Begins to answer if it holds any zone.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn answer_what_it_holds(&mut self, metrics: &zonecast_dns::Metrics, fault: &Fault) -> Outcome {
        let holds_zones = self.front.states.load().is_some_and(|state| !state.zones.is_empty());
        if holds_zones { self.front.answer(metrics, fault) } else { Ok(()) }
    }

    /// For the service.
    pub(crate) fn describe(&self) -> LocalEdge {
        let address = |dns: &Dns| match dns {
            Dns::Bound(bound) => bound.local_addr(),
            Dns::Running(server, _) => server.local_addr(),
        };
        let dns = self.front.dns.iter().map(address).collect();
        LocalEdge { name: self.name.clone(), dns, states: self.front.states.clone() }
    }

    /// Watches it from now on.
    pub(crate) fn watch(self, fault: Fault) -> WatchedEdge {
        let (stop, mut stopped) = oneshot::channel();
        let Self { name, front, mut edge } = self;
        let task = tokio::spawn(async move {
            tokio::select! {
                error = edge.failed() => {
                    tracing::error!(edge = name, %error, "the edge applies no more; it answers what it has");
                    fault.set(|| Failure::from(error));
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
    pub(crate) fn answer(&mut self, metrics: &zonecast_dns::Metrics, fault: &Fault) -> Outcome {
        self.front.answer(metrics, fault)
    }

    /// Answers what is asked already, applies what is here, closes the copy.
    pub(crate) async fn stop(self) {
        for dns in self.front.dns {
            if let Dns::Running(server, watch) = dns {
                watch.abort();
                server.shutdown().await;
            }
        }
        let _ = self.stop.send(());
        if let Ok(Err(error)) = self.task.await {
            tracing::error!(%error, "an edge could not close its copy; it fetches again what it lost");
        }
    }
}

impl Front {
    fn answer(&mut self, metrics: &zonecast_dns::Metrics, fault: &Fault) -> Outcome {
        for dns in std::mem::take(&mut self.dns) {
            self.dns.push(match dns {
                Dns::Bound(bound) => {
                    let server =
                        bound.start(Arc::new(EdgeAnswerer(self.states.clone())), self.limits.clone(), metrics.clone());
                    let server = server.map_err(Failure::failed)?;
                    let (died, fault, address) = (server.died(), fault.clone(), server.local_addr());
                    let watch = tokio::spawn(async move {
                        died.await;
                        fault.set(|| {
                            let what = "a thread that answers has died, and part of the queries go unanswered";
                            Failure::failed(format_args!("DNS on {address}: {what}; restart, and please report this"))
                        });
                    });
                    Dns::Running(server, watch)
                }
                running => running,
            });
        }
        Ok(())
    }
}
