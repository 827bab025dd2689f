//! A running core: voter, fan-out, API. The same in a process of its own and beside edges in `zonecast dev`.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use zonecast_kv_core::{Core, CoreConfig};
use zonecast_kv_store::StateOptions;
use zonecast_kv_transport::{Endpoint, Identity, Peer, Publisher, PublisherOptions, TransportMetrics};

use super::http::HttpServer;
use super::part::run_part;
use super::sink::PublisherSink;
use crate::api::{ApiState, Gate, ZONE_BODIES, router};
use crate::exit::{Failure, Outcome};
use crate::fault::Fault;
use crate::import::sweep_orphans;
use crate::metrics::{Metrics, MetricsRegistry};
use crate::service::{LocalEdge, Service, ServiceParts};
use crate::shares::Shares;
use crate::vitals::VitalSigns;

/// How often it looks for generations that were kept long enough.
const RETIRED_EVERY: Duration = Duration::from_mins(1);

/// What a core is started with.
pub(crate) struct CoreSetup {
    /// Folder of its stores.
    pub store: PathBuf,
    /// Folder of the whole process.
    pub data: PathBuf,
    /// Where that was before, if it was moved or copied.
    pub moved_from: Option<String>,
    /// Who it is.
    pub identity: Identity,
    /// Where edges connect.
    pub endpoint: Endpoint,
    /// Where the API listens.
    pub http: TcpListener,
    /// Who may ask it for what; without it, everybody for everything.
    pub tokens: Option<PathBuf>,
    /// With which certificate it speaks TLS, if it does.
    pub tls: Option<rustls::ServerConfig>,
    /// Edges of the same process.
    pub edges: Vec<LocalEdge>,
    /// Edges that are waited for before they have ever connected.
    pub expected: Vec<Peer>,
    /// An edge that is away for longer is said to be away for long.
    pub edge_away: Duration,
    /// How long what a zone was before it was replaced is kept.
    pub keep_replaced: Duration,
    /// Of the raft log, what is applied before it is given up.
    pub raft_log_bytes: usize,
    /// What ends writing, also for edges of the same process.
    pub fault: Fault,
    /// Where metrics are registered.
    pub metrics: Arc<MetricsRegistry>,
    /// Start of the process.
    pub started: Instant,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RunningCore {
    http: HttpServer,
    quic: SocketAddr,
    service: Arc<Service>,
    publisher: Arc<Publisher>,
    core: Core,
    gate: Gate,
    tasks: [JoinHandle<()>; 6],
}

impl RunningCore {
    /// Starts it; it leads when this returns, and is not ready before [`Service::set_ready`].
    ///
    /// # Errors
    /// A store cannot be opened, or a listener not be used.
    pub(crate) async fn start(setup: CoreSetup) -> Outcome<Self> {
        let CoreSetup { store, data, identity, endpoint, http, tokens, tls, edges, expected, .. } = setup;
        let (fault, metrics, started) = (setup.fault, setup.metrics, setup.started);
        let quic = endpoint.local_addr().map_err(|error| Failure::failed(format_args!("QUIC: {error}")))?;
        let registry = metrics.registry();
        let gate = Gate::open(tokens.as_deref(), registry, fault.clone())?;
        let sink = Arc::new(PublisherSink::default());
        let core = Core::start(CoreConfig {
            data_dir: store,
            state: StateOptions { raft_log_bytes: setup.raft_log_bytes, ..StateOptions::default() },
            registry: registry.clone(),
            sink: Arc::clone(&sink) as Arc<_>,
        })
        .await?;
        let (options, transport) = (PublisherOptions::default(), TransportMetrics::register(registry)?);
        let publisher = Arc::new(Publisher::start(endpoint, core.source(), options, transport));
        sink.connect(&publisher);
        let service = Service::new(ServiceParts {
            core: core.clone(),
            publisher: Arc::clone(&publisher),
            edges,
            metrics: Metrics::register(registry)?,
            moved_from: setup.moved_from,
            identity: identity.clone(),
            configured: expected,
            away_after: setup.edge_away,
            vitals: VitalSigns::register(registry, &data, identity, started)?,
            started,
            data,
            keep_replaced: setup.keep_replaced,
            fault: fault.clone(),
        });
        // Before anybody can ask who is waited for.
        service.load_edges().await?;
        let zone_bodies = Shares::new(ZONE_BODIES);
        let state = ApiState { service: Arc::clone(&service), zone_bodies, metrics };
        let http = HttpServer::start(http, (router(state, gate.clone()), gate.clone()), tls)?;
        let tasks = parts(&core, &service, &publisher, &fault);
        Ok(Self { http, quic, service, publisher, core, gate, tasks })
    }

    /// Zones and records.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Who has what.
    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The voter.
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Who may pass to its API.
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where the API listens.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where edges connect.
    pub(crate) fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// Takes no more requests, answers those it has and ends what writes they left. What follows is [`StoppedApi::close`].
    pub(crate) async fn stop_api(self) -> StoppedApi {
        let Self { http, quic: _, service, publisher, core, gate: _, tasks } = self;
        for task in tasks {
            task.abort();
            // Aborted, or done; the core it had is dropped.
            let _ = task.await;
        }
        // Who waits for edges is answered now: what is committed stays so.
        service.end_waits();
        http.stop().await;
        service.writes_ended().await;
        service.note_edges_at_stop().await;
        drop(service);
        StoppedApi { publisher, core }
    }
}

/// A core that nobody can ask any more; edges may still get what was committed.
#[derive(Debug)]
pub(crate) struct StoppedApi {
    publisher: Arc<Publisher>,
    core: Core,
}

impl StoppedApi {
    /// Says goodbye to edges and closes the stores.
    pub(crate) async fn close(self) {
        if let Some(publisher) = Arc::into_inner(self.publisher) {
            publisher.shutdown().await;
        }
        if let Err(error) = self.core.shutdown().await {
            tracing::error!(%error, "the core could not close its store; what was acknowledged is kept");
        }
    }
}

/// What runs beside the API for as long as it lives.
fn parts(core: &Core, service: &Arc<Service>, publisher: &Arc<Publisher>, fault: &Fault) -> [JoinHandle<()>; 6] {
    let (aliases, edges) = (Arc::clone(service), Arc::clone(service));
    let aliases = async move { aliases.keep_aliases_current().await };
    let edges = async move { edges.keep_edges().await };
    let (accepting, ended) = (fault.clone(), publisher.ended());
    let accepting = async move {
        ended.await;
        accepting.part_died("edges cannot connect any more");
    };
    [
        run_part(fault, "what an interrupted import left is not deleted", sweep(core.clone(), core.head().next_id)),
        run_part(fault, "nobody notices when the core can write no more", watch(core.clone(), fault.clone())),
        run_part(fault, "what zones were before stays for ever", delete_retired(Arc::clone(service))),
        run_part(fault, "aliases at apexes follow their targets no more", aliases),
        run_part(fault, "which edges are waited for is not written down any more", edges),
        tokio::spawn(accepting),
    ]
}

/// Says when the core has stopped by itself: nobody may ask it for anything for a long time.
async fn watch(core: Core, fault: Fault) {
    let reason = core.stopped().await;
    fault.set(|| reason.into());
}

/// Deletes what zones were before they were replaced or deleted, once it is old enough.
async fn delete_retired(service: Arc<Service>) {
    let mut ticks = tokio::time::interval(RETIRED_EVERY);
    loop {
        ticks.tick().await;
        match service.delete_retired().await {
            Ok(0) => {}
            Ok(generations) => {
                tracing::info!(generations, "deleted what zones were before they were replaced or deleted")
            }
            Err(error) => {
                tracing::warn!(%error, "what zones were before they were replaced or deleted stays a while longer")
            }
        }
    }
}

/// Deletes what an earlier process left half done, beside everything else.
async fn sweep(core: Core, before: u64) {
    match sweep_orphans(&core, before).await {
        Ok(0) => {}
        Ok(generations) => tracing::info!(generations, "deleted what an interrupted import had left"),
        Err(error) => tracing::warn!(%error, "an interrupted import's keys stay for now; the next start tries again"),
    }
}
