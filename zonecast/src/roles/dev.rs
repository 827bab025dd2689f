//! `zonecast dev`: one core or a cluster of some, and some edges, in one process, joined by real QUIC on loopback.
//!
//! ```text
//! ports ─▶ data folder ─▶ edges ─▶ core ─▶ publisher ─▶ API ─▶ other cores ─▶ import ─▶ all edges have it ─▶ zones ─▶ ready
//!                           └─ DNS at once, and zones where an edge holds any already
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zonecast_dns::{Bound, Limits};
use zonecast_kv_edge::{DownstreamConfig, EdgeMetrics, EdgeOptions, Upstream};
use zonecast_kv_proto::{Version, WaitFor};
use zonecast_kv_store::RAFT_LOG_BYTES;
use zonecast_kv_transport::{Ca, Endpoint, Identity, Peer, PublisherOptions, Role, TransportMetrics};

use super::process::{self, Ended};
use super::running_core::{CoreSetup, RunningCore};
use super::running_edge::{EdgeSetup, RunningEdge, WatchedEdge};
use super::zone_folder::ZoneFolder;
use super::{DataFolder, STOP_WITHIN, Stop, ports, reload, voters};
use crate::auth::refuse_open_listener;
use crate::config::{DEFAULT_EDGE_AWAY_MINUTES, DEFAULT_HOT_CACHE_MIB, DEFAULT_KEEP_REPLACED_MINUTES, cookie_secrets};
use crate::metrics::MetricsRegistry;
use crate::output::Output;
use zonecast_api::Tolerance;
use zonecast_api::types::{Ready, ReadyCore};
use zonecast_service::ClusterSetup;
use zonecast_service::Fault;
use zonecast_service::Holdings;
use zonecast_service::LocalEdge;
use zonecast_service::ServiceSetup;
use zonecast_service::VerifyOptions;
use zonecast_service::exit::{Code, Failure, Outcome};
use zonecast_service::{ImportChoices, ImportReport};

/// Between two looks at whether we shall stop, while edges catch up.
const LOOK: Duration = Duration::from_millis(200);

/// What to run.
#[derive(Clone, Debug)]
pub struct DevConfig {
    /// Folder of zone files.
    pub zones: PathBuf,
    /// Which of them; without it, all.
    pub manifest: Option<PathBuf>,
    /// Where to keep everything; without it, in a temporary folder.
    pub data: Option<PathBuf>,
    /// DNS address of the first edge.
    pub dns: SocketAddr,
    /// Of the API.
    pub http: SocketAddr,
    /// How many.
    pub edges: usize,
    /// How many relays between them and the core.
    pub relays: usize,
    /// How many cores.
    pub voters: usize,
    /// It is meant where a file leaves little of its zone.
    pub allow_shrink: bool,
    /// What zone files may have although it breaks a rule.
    pub tolerance: Tolerance,
}

/// Everything that can be refused before anything runs.
#[derive(Debug)]
struct Prepared {
    zones: ZoneFolder,
    http: TcpListener,
    dns: Vec<Bound>,
    folder: DataFolder,
    /// Where each core is reached.
    quic: Vec<SocketAddr>,
}

/// A running system.
#[derive(Debug)]
pub struct Dev {
    ready: Option<Ready>,
    core: RunningCore,
    /// Of the same cluster.
    others: Vec<RunningCore>,
    /// And relays behind them.
    edges: Vec<WatchedEdge>,
    local: Vec<LocalEdge>,
    fault: Fault,
    // Last: it goes when everything in it is closed.
    folder: DataFolder,
}

/// Runs until a signal; prints the ready line.
///
/// # Errors
/// It cannot start, or writing had ended for good before the signal came.
pub fn run(config: DevConfig, output: Output) -> Outcome {
    let started = Instant::now();
    process::run(async |stop| {
        let _ends = reload::end_with_terminal(&stop);
        let dev = Dev::start(config, started, &stop).await?;
        if let Some(ready) = dev.ready() {
            output.show(ready, |ready, out| writeln!(out, "{}", ready.line()))?;
            stop.asked().await;
        }
        let fault = dev.fault.clone();
        dev.stop().await;
        fault.get().map_or(Ok(Ended::Stopped), Err)
    })
}

impl Dev {
    /// Starts everything and waits until all zones are served, or until `stop` is asked.
    ///
    /// # Errors
    /// A port is taken, a folder cannot be used, or the core cannot commit.
    pub async fn start(config: DevConfig, started: Instant, stop: &Stop) -> Outcome<Self> {
        // Another provider that is installed already does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Prepared { zones, http, dns, folder, quic } = prepare(&config)?;
        tracing::info!(data = %folder.path().display(), zones = zones.len(), "starting");
        let (metrics, fault) = (Arc::new(MetricsRegistry::new()), Fault::new(folder.path()));
        let ca = Ca::open_or_create(&folder.ca())?;
        let (quic, other_quics) = quic.split_first().ok_or_else(|| Failure::failed("no core"))?;
        let identity = ca.issue(Role::Core, &voters::name(1))?;
        let endpoint = Endpoint::server(*quic, &identity)?;
        let upstream = endpoint.local_addr().map_err(|error| Failure::bind("QUIC", "127.0.0.1", &error))?;
        // Before the core: answers need none.
        let mut nodes = Nodes::new(&folder, &ca, &metrics, dns.len())?;
        let relays = (1..=config.relays).map(|number| nodes.relay(number, upstream)).collect::<Outcome<Vec<_>>>()?;
        let edges = (1..).zip(dns).map(|(number, bound)| nodes.edge(number, bound, upstream));
        let edges = edges.collect::<Outcome<Vec<_>>>()?;
        // On a fresh store zones come one after the other; answers about one that is not there yet would be wrong.
        edges.iter().filter(|edge| edge.holds_zones()).for_each(RunningEdge::open);
        let local: Vec<LocalEdge> = edges.iter().map(RunningEdge::describe).collect();
        let names = (1..=config.relays).map(relay_name).map(|name| Peer { role: Role::Relay, name });
        let expected: Vec<Peer> = local.iter().map(|edge| Peer::edge(&edge.name)).chain(names).collect();
        let setup = |identity, endpoint| ServiceSetup {
            store: folder.core(),
            data: folder.path().to_owned(),
            moved_from: folder.moved_from().map(str::to_owned),
            identity,
            endpoint,
            cluster: ClusterSetup::default(),
            edges: vec![],
            expected: expected.clone(),
            edge_away: Duration::from_mins(DEFAULT_EDGE_AWAY_MINUTES),
            keep_replaced: Duration::from_mins(DEFAULT_KEEP_REPLACED_MINUTES),
            verify: VerifyOptions::default(),
            first_token: None,
            raft_log_bytes: RAFT_LOG_BYTES,
            edge_snapshot_rate: None,
            fault: fault.clone(),
            registry: metrics.registry().clone(),
            started,
        };
        let other = |(number, quic): (usize, &SocketAddr)| {
            let (name, metrics) = (voters::name(number), Arc::new(MetricsRegistry::new()));
            let identity = ca.issue(Role::Core, &name)?;
            let endpoint = Endpoint::server(*quic, &identity)?;
            let (store, registry) = (folder.other_core(&name), metrics.registry().clone());
            let cluster = ClusterSetup { address: None, join: vec![upstream.to_string()] };
            let service = ServiceSetup { store, cluster, registry, ..setup(identity, endpoint) };
            let http = ports::bind_http((Ipv4Addr::LOCALHOST, 0).into())?;
            Ok(CoreSetup { service, http, tls: None, metrics })
        };
        let setups = (2..).zip(other_quics).map(other).collect::<Outcome<Vec<_>>>()?;
        let service = ServiceSetup { edges: local.clone(), ..setup(identity, endpoint) };
        let core = RunningCore::start(CoreSetup { service, http, tls: None, metrics }).await?;
        // Relays last, as they are to end last.
        let edges = edges.into_iter().chain(relays).map(|edge| edge.watch(fault.clone())).collect();
        let mut dev = Self { ready: None, core, others: vec![], edges, local, fault, folder };
        if let Err(failure) = dev.gather(setups, zones, started, stop).await {
            dev.stop().await;
            return Err(failure);
        }
        Ok(dev)
    }

    /// What was said when all zones were served; `None` when it was asked to stop before.
    #[must_use]
    pub fn ready(&self) -> Option<&Ready> {
        self.ready.as_ref()
    }

    /// Takes no more requests, answers those it has, closes the stores.
    pub async fn stop(self) {
        let Self { ready: _, core, others, edges, local: _, fault: _, folder } = self;
        let closing = async {
            let core = core.stop_api().await;
            for edge in edges {
                edge.stop().await;
            }
            let others = others.into_iter().map(async |other| other.stop_api().await.close().await);
            tokio::join!(core.close(), futures_util::future::join_all(others));
        };
        if tokio::time::timeout(STOP_WITHIN, closing).await.is_err() {
            tracing::warn!("stopping took too long; ending without waiting further");
        }
        drop(folder);
    }

    /// Makes the cores one cluster, and waits for the zones.
    async fn gather(&mut self, others: Vec<CoreSetup>, zones: ZoneFolder, started: Instant, stop: &Stop) -> Outcome {
        if !others.is_empty() && !voters::gather(&self.core, others, &mut self.others, stop).await? {
            return Ok(());
        }
        // An earlier start may have had more edges; there are no others than these.
        self.core.service().forget_other_edges().await?;
        self.become_ready(zones, started, stop).await
    }

    async fn become_ready(&mut self, zones: ZoneFolder, started: Instant, stop: &Stop) -> Outcome {
        let report = match zones.import(self.core.service(), stop).await {
            Ok(Some(report)) => report,
            Ok(None) => return Ok(()),
            Err(error) => return Err(self.core.service().failure(error).await),
        };
        let version = self.core.core().position().version;
        if !self.edges_have(version, stop).await? {
            return Ok(());
        }
        self.edges.iter().for_each(WatchedEdge::open);
        let holdings = Holdings::read(&self.core.core().view()).map_err(Failure::failed)?;
        [&self.core].into_iter().chain(&self.others).for_each(|core| core.service().set_ready());
        self.ready = Some(self.describe(&report, holdings, version, started));
        Ok(())
    }

    /// Waits until every edge has applied a version; says no when asked to stop before.
    async fn edges_have(&self, version: Version, stop: &Stop) -> Outcome<bool> {
        if version == Version::ZERO {
            // Nothing was ever published, so there is nothing to have.
            return Ok(true);
        }
        while self.core.publisher().wait(version, WaitFor::All, LOOK).await.is_err() {
            if stop.is_asked() {
                return Ok(false);
            }
            if let Some(fault) = self.fault.get() {
                return Err(fault);
            }
        }
        Ok(true)
    }

    fn describe_cores(&self) -> Vec<ReadyCore> {
        if self.others.is_empty() {
            return vec![];
        }
        let mut cores: Vec<ReadyCore> = [&self.core].into_iter().chain(&self.others).map(describe_core).collect();
        cores.sort_by(|one, other| one.name.cmp(&other.name));
        cores
    }

    fn describe(&self, report: &ImportReport, holdings: Holdings, version: Version, started: Instant) -> Ready {
        Ready {
            event: "ready".into(),
            role: "dev".into(),
            dns: self.local.iter().flat_map(|edge| &edge.dns).map(ToString::to_string).collect(),
            http: self.core.http().to_string(),
            quic: Some(self.core.quic().to_string()),
            data: self.folder.path().display().to_string(),
            zones: holdings.zones,
            records: holdings.records,
            refused: report.refused,
            held: report.held,
            seconds: started.elapsed().as_secs_f64(),
            version: version.get(),
            cores: self.describe_cores(),
            ..Ready::default()
        }
    }
}

/// Name, and addresses of the API and of QUIC, of a core.
fn describe_core(core: &RunningCore) -> ReadyCore {
    ReadyCore { name: core.name().to_owned(), http: core.http().to_string(), quic: core.quic().to_string() }
}

fn prepare(config: &DevConfig) -> Outcome<Prepared> {
    let choices = ImportChoices { allow_shrink: config.allow_shrink, tolerance: config.tolerance };
    let zones = ZoneFolder::open(&config.zones, config.manifest.as_ref(), choices)?;
    refuse_open_listener(config.http, false, false)?;
    let http = ports::bind_http(config.http)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = NonZeroUsize::new(cores / config.edges.max(1)).unwrap_or(NonZeroUsize::MIN);
    let bind = |address| Bound::bind(address, workers).map_err(|error| Failure::new(Code::Port, error));
    let dns: Outcome<Vec<Bound>> = ports::dns_addresses(config.dns, config.edges)?.into_iter().map(bind).collect();
    let folder = match &config.data {
        Some(path) => DataFolder::open(path)?,
        None => DataFolder::temporary()?,
    };
    let quic = voters::addresses(folder.path(), config.voters)?;
    Ok(Prepared { zones, http, dns: dns?, folder, quic })
}

/// What starts relays and edges of this process.
struct Nodes<'a> {
    folder: &'a DataFolder,
    ca: &'a Ca,
    limits: Limits,
    edge_metrics: EdgeMetrics,
    dns_metrics: zonecast_dns::Metrics,
    /// Where the relays listen that were started.
    relays: Vec<SocketAddr>,
}

impl<'a> Nodes<'a> {
    fn new(folder: &'a DataFolder, ca: &'a Ca, metrics: &'a MetricsRegistry, edges: usize) -> Outcome<Self> {
        let hot_cache = (DEFAULT_HOT_CACHE_MIB as usize) << 20;
        let hot_cache = hot_cache / edges.max(1);
        Ok(Self {
            folder,
            ca,
            limits: Limits { hot_cache, cookies: Some(cookie_secrets(None)?), ..Limits::default() },
            edge_metrics: EdgeMetrics::register(metrics.registry())?,
            dns_metrics: zonecast_dns::Metrics::new(metrics.registry())?,
            relays: vec![],
        })
    }

    fn relay(&mut self, number: usize, core: SocketAddr) -> Outcome<RunningEdge> {
        let name = relay_name(number);
        let identity = self.ca.issue(Role::Relay, &name)?;
        let endpoint = Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), &identity)?;
        let address = endpoint.local_addr().map_err(|error| Failure::bind("QUIC", Ipv4Addr::LOCALHOST, &error))?;
        // The registry has the metrics of one publisher, that of the core.
        let metrics = TransportMetrics::register(&prometheus::Registry::new())?;
        let downstream = DownstreamConfig { endpoint, options: PublisherOptions::default(), metrics };
        self.relays.push(address);
        self.start(name, identity, vec![core.into()], vec![], Some(downstream))
    }

    /// An edge below one of the relays, if there are any; they take turns.
    fn edge(&self, number: usize, bound: Bound, core: SocketAddr) -> Outcome<RunningEdge> {
        let name = format!("edge-{number}");
        let identity = self.ca.issue(Role::Edge, &name)?;
        let upstreams = upstreams(&self.relays, number, vec![core]).into_iter().map(Upstream::from).collect();
        self.start(name, identity, upstreams, vec![bound], None)
    }

    fn start(
        &self,
        name: String,
        identity: Identity,
        upstreams: Vec<Upstream>,
        bound: Vec<Bound>,
        downstream: Option<DownstreamConfig>,
    ) -> Outcome<RunningEdge> {
        let store = EdgeOptions::default();
        RunningEdge::start(EdgeSetup {
            folder: self.folder.edge(&name),
            identity,
            name,
            upstreams,
            bound,
            store: if downstream.is_some() { store.of_relay() } else { store },
            keyspaces: None,
            mirror: None,
            downstream,
            limits: self.limits.clone(),
            metrics: self.edge_metrics.clone(),
            dns_metrics: self.dns_metrics.clone(),
        })
    }
}

/// The name of a relay.
pub(super) fn relay_name(number: usize) -> String {
    format!("relay-{number}")
}

/// Whom the edge of this number follows: the relays, another one first for each edge in turn; the cores where there are
/// none.
pub(super) fn upstreams<T: Clone>(relays: &[T], number: usize, cores: Vec<T>) -> Vec<T> {
    if relays.is_empty() {
        return cores;
    }
    let mut relays = relays.to_vec();
    let first = (number - 1) % relays.len();
    relays.rotate_left(first);
    relays
}
