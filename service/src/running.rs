//! A running core without its API: voter, fan-out, zones and records. The binary puts HTTP before it.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use zonecast_kv_core::{ClusterConfig, Core, CoreConfig, Member};
use zonecast_kv_store::StateOptions;
use zonecast_kv_transport::{CoreService, Endpoint, Identity, Peer, Publisher, PublisherOptions, TransportMetrics};

use crate::core_streams::CoreStreams;
use crate::edge_news::tell_leader;
use crate::exit::{Failure, Outcome};
use crate::fault::Fault;
use crate::import::sweep_orphans;
use crate::leading::while_leading;
use crate::metrics::Metrics;
use crate::part::run_part;
use crate::service::{LocalEdge, Service, ServiceParts, take_revocations};
use crate::sink::PublisherSink;
use crate::verification::VerifyOptions;
use crate::vitals::VitalSigns;

/// How often it looks for generations that were kept long enough.
const RETIRED_EVERY: Duration = Duration::from_mins(1);

/// How often a majority of the cores confirms that this one is up to date.
const CONFIRMED_EVERY: Duration = Duration::from_secs(1);

/// A try of that ends.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

/// What a core is started with.
#[derive(Debug)]
pub struct ServiceSetup {
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
    /// How it and the others of its cluster reach each other.
    pub cluster: ClusterSetup,
    /// Edges of the same process.
    pub edges: Vec<LocalEdge>,
    /// Edges that are waited for before they have ever connected.
    pub expected: Vec<Peer>,
    /// An edge that is away for longer is said to be away for long.
    pub edge_away: Duration,
    /// How long what a zone was before it was replaced is kept.
    pub keep_replaced: Duration,
    /// Where the first token is left; nowhere, if the API asks for none.
    pub first_token: Option<PathBuf>,
    /// Of the raft log, what is applied before it is given up.
    pub raft_log_bytes: usize,
    /// Bytes of snapshots that edges get in a second, all together.
    pub edge_snapshot_rate: Option<NonZeroU64>,
    /// How copies are verified.
    pub verify: VerifyOptions,
    /// What ends writing, also for edges of the same process.
    pub fault: Fault,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Start of the process.
    pub started: Instant,
}

/// How a core and the others of its cluster reach each other.
#[derive(Clone, Debug, Default)]
pub struct ClusterSetup {
    /// Where the others reach it; without it, where its endpoint listens, if that is one address.
    pub address: Option<String>,
    /// Whom it asks to let it in, at its first start.
    pub join: Vec<String>,
}

/// A running core without its HTTP API.
#[derive(Debug)]
pub struct RunningService {
    quic: SocketAddr,
    service: Arc<Service>,
    publisher: Arc<Publisher>,
    core: Core,
    streams: Arc<CoreStreams>,
    tasks: Vec<JoinHandle<()>>,
}

/// A service whose parts have ended and whose waits are answered; requests that are under way may still write.
#[derive(Debug)]
pub struct EndingService {
    service: Arc<Service>,
    publisher: Arc<Publisher>,
    core: Core,
}

/// A core that nobody can ask any more; edges may still get what was committed.
#[derive(Debug)]
pub struct StoppedService {
    publisher: Arc<Publisher>,
    core: Core,
}

impl ClusterSetup {
    fn config(self, identity: &Identity, endpoint: Endpoint, quic: SocketAddr) -> ClusterConfig {
        let listens = (!quic.ip().is_unspecified()).then(|| quic.to_string());
        let member = Member {
            name: identity.peer().name.clone(),
            // A core that is alone needs none.
            address: self.address.or(listens).unwrap_or_default(),
        };
        ClusterConfig { member, endpoint, join: self.join }
    }
}

impl RunningService {
    /// Starts it. One that is alone leads when this returns; others follow or elect from here on. It is not ready before
    /// [`Service::set_ready`]. A core that is to join waits here until it is admitted.
    ///
    /// # Errors
    /// A store cannot be opened, a listener not be used, or the cluster refuses it.
    pub async fn start(setup: ServiceSetup) -> Outcome<Self> {
        let ServiceSetup { store, data, identity, endpoint, edges, expected, registry, .. } = setup;
        let (fault, started) = (setup.fault, setup.started);
        let quic = endpoint.local_addr().map_err(|error| Failure::failed(format_args!("QUIC: {error}")))?;
        let sink = Arc::new(PublisherSink::default());
        let core = Core::start(CoreConfig {
            data_dir: store,
            state: StateOptions { raft_log_bytes: setup.raft_log_bytes, ..StateOptions::default() },
            registry: registry.clone(),
            sink: Arc::clone(&sink) as Arc<_>,
            cluster: Some(setup.cluster.config(&identity, endpoint.clone(), quic)),
        })
        .await?;
        // Before it takes connections.
        take_revocations(&core, &identity)?;
        let snapshot_bytes_per_second = setup.edge_snapshot_rate;
        let options = PublisherOptions { snapshot_bytes_per_second, ..PublisherOptions::default() };
        let transport = TransportMetrics::register(&registry)?;
        let streams = Arc::new(CoreStreams::new(&core));
        let cores = Arc::clone(&streams) as Arc<dyn CoreService>;
        let publisher =
            sink.connect(|| Arc::new(Publisher::start_in_cluster(endpoint, core.source(), options, transport, cores)));
        streams.book_edges(&publisher);
        let service = Service::new(ServiceParts {
            core: core.clone(),
            publisher: Arc::clone(&publisher),
            edges,
            metrics: Metrics::register(&registry)?,
            moved_from: setup.moved_from,
            identity: identity.clone(),
            configured: expected,
            away_after: setup.edge_away,
            vitals: VitalSigns::register(&registry, &data, identity, started)?,
            started,
            data,
            keep_replaced: setup.keep_replaced,
            verify: setup.verify,
            first_token: setup.first_token,
            fault: fault.clone(),
            versions: sink.versions(),
        });
        streams.answer_imports(&service);
        // Before anybody can ask who is waited for.
        service.load_edges().await?;
        service.refresh_access().await?;
        let mut tasks = parts(&core, &service, &publisher, &fault);
        let access = Arc::clone(&service).follow_access(sink.writes());
        tasks.push(run_part(&fault, "tokens and revocations of others are not noticed any more", access));
        Ok(Self { quic, service, publisher, core, streams, tasks })
    }

    /// Zones and records.
    #[must_use]
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Who has what.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The voter.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Lets this one answer the requests that other cores hand on, for as long as it is there.
    pub fn answer_requests(&self, service: &Arc<dyn CoreService>) {
        self.streams.answer_requests(service);
    }

    /// Where edges connect.
    #[must_use]
    pub fn quic(&self) -> SocketAddr {
        self.quic
    }

    /// Ends what runs beside requests, and answers whoever waits for edges: what is committed stays so.
    pub async fn end(self) -> EndingService {
        let Self { quic: _, service, publisher, core, streams: _, tasks } = self;
        for task in tasks {
            task.abort();
            // Aborted, or done; the core it had is dropped.
            let _ = task.await;
        }
        service.end_waits();
        EndingService { service, publisher, core }
    }
}

impl EndingService {
    /// Once there are no more requests: ends the writes that they left.
    pub async fn stop(self) -> StoppedService {
        let Self { service, publisher, core } = self;
        service.writes_ended().await;
        service.note_edges_at_stop().await;
        drop(service);
        StoppedService { publisher, core }
    }
}

impl StoppedService {
    /// Says goodbye to edges and closes the stores.
    pub async fn close(self) {
        if let Some(publisher) = Arc::into_inner(self.publisher) {
            publisher.shutdown().await;
        }
        if let Err(error) = self.core.shutdown().await {
            tracing::error!(%error, "the core could not close its store; what was acknowledged is kept");
        }
    }
}

/// What runs beside the API for as long as it lives.
fn parts(core: &Core, service: &Arc<Service>, publisher: &Arc<Publisher>, fault: &Fault) -> Vec<JoinHandle<()>> {
    let by_leader = |part: fn(Arc<Service>) -> BoxFuture<'static, ()>| {
        let (core, service) = (core.clone(), Arc::clone(service));
        while_leading(core, move || part(Arc::clone(&service)))
    };
    let aliases = by_leader(|service| async move { service.keep_aliases_current().await }.boxed());
    let edges = by_leader(|service| async move { service.keep_edges().await }.boxed());
    let retired = by_leader(|service| delete_retired(service).boxed());
    let verified = by_leader(|service| async move { service.keep_verified().await }.boxed());
    let orphans = by_leader(|service| sweep(service).boxed());
    let first_token = by_leader(|service| first_token(service).boxed());
    let cluster = Arc::clone(service);
    let cluster = async move { cluster.watch_cluster().await };
    let (accepting, ended) = (fault.clone(), publisher.ended());
    let accepting = async move {
        ended.await;
        accepting.part_died("edges cannot connect any more");
    };
    vec![
        run_part(fault, "nobody makes the first token of role admin", first_token),
        run_part(fault, "what an interrupted import left is not deleted", orphans),
        run_part(fault, "nobody notices when the core can write no more", watch(core.clone(), fault.clone())),
        run_part(fault, "what zones were before stays for ever", retired),
        run_part(fault, "nobody compares copies any more", verified),
        run_part(fault, "aliases at apexes follow their targets no more", aliases),
        run_part(fault, "the list of expected edges cannot be stored any more", edges),
        run_part(fault, "the metrics of the cluster are not current any more", cluster),
        run_part(
            fault,
            "the leader does not hear of the edges that connect here any more",
            tell_leader(core.clone(), Arc::downgrade(publisher)),
        ),
        run_part(
            fault,
            "edges do not hear any more whether this core is up to date",
            confirm(core.clone(), Arc::downgrade(publisher)),
        ),
        tokio::spawn(accepting),
    ]
}

/// Says when the core has stopped by itself: nobody may ask it for anything for a long time.
async fn watch(core: Core, fault: Fault) {
    let reason = core.stopped().await;
    fault.set(|| reason.into());
}

/// Lets a majority of the cores confirm again and again that this one is up to date, for those who follow it.
async fn confirm(core: Core, publisher: Weak<Publisher>) {
    let mut ticks = tokio::time::interval(CONFIRMED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Downstreams count from here on, whether or not anybody ever confirms it.
    while let Some(publisher) = publisher.upgrade() {
        publisher.confirmed();
        drop(publisher);
        ticks.tick().await;
        while core.catch_up(CONFIRMED_WITHIN).await.is_err() {
            ticks.tick().await;
        }
    }
}

/// Deletes what zones were before they were replaced or deleted, once it is old enough.
async fn delete_retired(service: Arc<Service>) {
    let mut ticks = tokio::time::interval(RETIRED_EVERY);
    loop {
        ticks.tick().await;
        match service.delete_retired().await {
            Ok(0) => {}
            Ok(generations) => {
                tracing::info!(generations, "deleted the old generations of zones that were replaced or deleted")
            }
            Err(error) => {
                tracing::warn!(%error, "the old generations of zones that were replaced or deleted stay a while longer")
            }
        }
    }
}

/// Makes the first token, where it is missing.
async fn first_token(service: Arc<Service>) {
    if let Err(error) = service.ensure_admin_token().await {
        tracing::warn!(%error, "there may be no token of role admin; the next lead tries again");
    }
}

/// Deletes what earlier leads left half done, beside everything else.
async fn sweep(service: Arc<Service>) {
    let core = service.core();
    match sweep_orphans(core, core.head().next_id).await {
        Ok(0) => {}
        Ok(generations) => tracing::info!(generations, "deleted the keys of an interrupted import"),
        Err(error) => tracing::warn!(%error, "an interrupted import's keys stay for now; the next lead tries again"),
    }
}
