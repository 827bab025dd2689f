//! `zonecast dev`: one core voter and some edges in one process, joined by real QUIC on loopback.
//!
//! ```text
//! ports ─▶ data folder ─▶ edges ─▶ core ─▶ publisher ─▶ API ─▶ import ─▶ all edges have it ─▶ DNS ─▶ ready
//!                           └─ DNS at once, where an edge holds zones already
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use zonecast_dns::Bound;
use zonecast_ingest::{Manifest, ManifestEntry, ManifestError, ZoneRoot};
use zonecast_kv_core::{Core, CoreConfig};
use zonecast_kv_edge::EdgeMetrics;
use zonecast_kv_proto::{Version, WaitFor};
use zonecast_kv_store::StateOptions;
use zonecast_kv_transport::{Ca, Endpoint, Publisher, PublisherOptions, Role, TransportMetrics};

use super::holdings::{Holdings, warn_of_unlisted};
use super::http::HttpServer;
use super::local_edge::{RunningEdge, WatchedEdge};
use super::sink::PublisherSink;
use super::{DataFolder, Stop, ports};
use crate::api::types::Ready;
use crate::api::{ApiState, ZONE_BODIES};
use crate::exit::{Code, Failure, Outcome};
use crate::import::{ImportReport, import_folder, sweep_orphans};
use crate::metrics::{Metrics, MetricsRegistry};
use crate::output::Output;
use crate::service::zone_file::open_root;
use crate::service::{Service, ServiceParts};

/// Stopping takes no longer, whatever hangs: who asked us to stop kills us after 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(9);

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
}

/// Everything that can be refused before anything runs.
#[derive(Debug)]
struct Prepared {
    root: ZoneRoot,
    entries: Vec<ManifestEntry>,
    http: TcpListener,
    dns: Vec<Bound>,
    folder: DataFolder,
}

/// A running system.
#[derive(Debug)]
pub struct Dev {
    ready: Option<Ready>,
    http: HttpServer,
    edges: Vec<WatchedEdge>,
    service: Arc<Service>,
    publisher: Arc<Publisher>,
    core: Core,
    sweep: JoinHandle<()>,
    // Last: it goes when everything in it is closed.
    folder: DataFolder,
}

/// Runs until a signal; prints the ready line.
///
/// # Errors
/// It cannot start, or writing had ended for good before the signal came.
pub fn run(config: DevConfig, output: Output) -> Outcome {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format_args!("no threads: {error}")))?;
    let result = runtime.block_on(async {
        let stop = Stop::new();
        stop.listen()?;
        let dev = Dev::start(config, started, &stop).await?;
        if let Some(ready) = dev.ready() {
            output.show(ready, |ready, out| writeln!(out, "{}", ready_line(ready)))?;
            stop.asked().await;
        }
        let fault = dev.service.fault().cloned();
        dev.stop().await;
        fault.map_or(Ok(()), Err)
    });
    // Whatever still blocks has had its time.
    runtime.shutdown_background();
    result
}

impl Dev {
    /// Starts everything and waits until all zones are served, or until `stop` is asked.
    ///
    /// # Errors
    /// A port is taken, a folder cannot be used, or the core cannot commit.
    pub async fn start(config: DevConfig, started: Instant, stop: &Stop) -> Outcome<Self> {
        // Another provider that is installed already does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Prepared { root, entries, http, dns, folder } = prepare(&config)?;
        tracing::info!(data = %folder.path().display(), zones = entries.len(), "starting");
        let metrics = Arc::new(MetricsRegistry::new());
        let registry = metrics.registry();
        let ca = Ca::open_or_create(&folder.ca())?;
        let endpoint = Endpoint::server((Ipv4Addr::LOCALHOST, 0).into(), &ca.issue(Role::Core, "core-1")?)?;
        let upstream = endpoint.local_addr().map_err(|error| Failure::bind("QUIC", "127.0.0.1", &error))?;
        // Before the core: answers need none.
        let mut edges = start_edges(&folder, &ca, upstream, dns, &EdgeMetrics::register(registry)?)?;
        let dns_metrics = zonecast_dns::Metrics::new(registry)?;
        edges.iter_mut().try_for_each(|edge| edge.answer_what_it_holds(&dns_metrics))?;

        let sink = Arc::new(PublisherSink::default());
        let core = Core::start(CoreConfig {
            data_dir: folder.core(),
            state: StateOptions::default(),
            registry: registry.clone(),
            sink: Arc::clone(&sink) as Arc<_>,
        })
        .await?;
        let (options, transport) = (PublisherOptions::default(), TransportMetrics::register(registry)?);
        let publisher = Arc::new(Publisher::start(endpoint, core.source(), options, transport));
        sink.connect(&publisher);

        let parts = ServiceParts {
            core: core.clone(),
            publisher: Arc::clone(&publisher),
            edges: edges.iter().map(RunningEdge::describe).collect(),
            metrics: Metrics::register(registry)?,
            started,
            data: folder.path().to_owned(),
        };
        let service = Service::new(parts);
        let edges = edges.into_iter().map(|edge| edge.watch(Arc::clone(&service))).collect();
        let zone_bodies = Arc::new(Semaphore::new(ZONE_BODIES));
        let api = ApiState { service: Arc::clone(&service), zone_bodies, metrics };
        let http = HttpServer::start(http, api)?;
        let sweep = tokio::spawn(sweep(core.clone(), core.head().next_id));
        let mut dev = Self { ready: None, http, edges, service, publisher, core, sweep, folder };
        if let Err(failure) = dev.become_ready(root, entries, started, stop, &dns_metrics).await {
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
        let Self { ready: _, http, edges, service, publisher, core, sweep, folder } = self;
        sweep.abort();
        let closing = async {
            http.stop().await;
            for edge in edges {
                edge.stop().await;
            }
            drop(service);
            if let Some(publisher) = Arc::into_inner(publisher) {
                publisher.shutdown().await;
            }
            if let Err(error) = core.shutdown().await {
                tracing::error!(%error, "the core could not close its store; what was acknowledged is kept");
            }
        };
        if tokio::time::timeout(STOP_WITHIN, closing).await.is_err() {
            tracing::warn!("stopping took too long; ending without waiting further");
        }
        drop(folder);
    }

    async fn become_ready(
        &mut self,
        root: ZoneRoot,
        entries: Vec<ManifestEntry>,
        started: Instant,
        stop: &Stop,
        dns_metrics: &zonecast_dns::Metrics,
    ) -> Outcome {
        let listed: Vec<_> = entries.iter().map(|entry| entry.apex).collect();
        let importing = import_folder(&self.service, root, entries, stop.flag());
        let report = tokio::select! {
            report = importing => self.service.noted(report),
            // A zone that is being built is not waited for.
            () = stop.asked() => return Ok(()),
        };
        let report = report.map_err(|error| self.service.fault().cloned().unwrap_or_else(|| error.into()))?;
        let version = self.core.position().version;
        if stop.is_asked() || !self.edges_have(version, stop).await? {
            return Ok(());
        }
        for edge in &mut self.edges {
            edge.answer(dns_metrics)?;
        }
        let view = self.core.view();
        warn_of_unlisted(&view, listed.into_iter()).map_err(Failure::failed)?;
        let holdings = Holdings::read(&view).map_err(Failure::failed)?;
        self.service.set_ready();
        self.ready = Some(self.describe(&report, holdings, version, started));
        Ok(())
    }

    /// Waits until every edge has applied a version; says no when asked to stop before.
    async fn edges_have(&self, version: Version, stop: &Stop) -> Outcome<bool> {
        if version == Version::ZERO {
            // Nothing was ever published, so there is nothing to have.
            return Ok(true);
        }
        let everyone = WaitFor::Count(self.edges.len());
        while self.publisher.wait(version, everyone, LOOK).await.is_err() {
            if stop.is_asked() {
                return Ok(false);
            }
            if let Some(fault) = self.service.fault() {
                return Err(fault.clone());
            }
        }
        Ok(true)
    }

    fn describe(&self, report: &ImportReport, holdings: Holdings, version: Version, started: Instant) -> Ready {
        let ImportReport { changed, unchanged, refused, .. } = *report;
        tracing::info!(changed, unchanged, refused, %version, "imported");
        Ready {
            event: "ready".into(),
            dns: self.service.edges().iter().map(|edge| edge.dns.to_string()).collect(),
            http: self.http.address().to_string(),
            data: self.folder.path().display().to_string(),
            zones: holdings.zones,
            records: holdings.records,
            refused,
            seconds: started.elapsed().as_secs_f64(),
            version: version.get(),
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

fn prepare(config: &DevConfig) -> Outcome<Prepared> {
    let root = open_root(&config.zones)?;
    let entries = list(config, &root)?;
    let http = ports::bind_http(config.http)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = NonZeroUsize::new(cores / config.edges.max(1)).unwrap_or(NonZeroUsize::MIN);
    let bind = |address| Bound::bind(address, workers).map_err(|error| Failure::new(Code::Port, error));
    let dns: Outcome<Vec<Bound>> = ports::dns_addresses(config.dns, config.edges)?.into_iter().map(bind).collect();
    let folder = match &config.data {
        Some(path) => DataFolder::open(path)?,
        None => DataFolder::temporary()?,
    };
    Ok(Prepared { root, entries, http, dns: dns?, folder })
}

fn list(config: &DevConfig, root: &ZoneRoot) -> Outcome<Vec<ManifestEntry>> {
    let (what, manifest) = match &config.manifest {
        Some(path) => (path.display(), Manifest::read(path)),
        None => (config.zones.display(), Manifest::of_folder(root.folder())),
    };
    manifest.map(|manifest| manifest.entries).map_err(|errors| {
        let unreadable = errors.iter().any(|error| matches!(error, ManifestError::Io { .. }));
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let code = if unreadable { Code::Unreadable } else { Code::Failed };
        Failure::new(code, format_args!("{what}: {}", lines.join("; ")))
    })
}

fn start_edges(
    folder: &DataFolder,
    ca: &Ca,
    upstream: SocketAddr,
    dns: Vec<Bound>,
    metrics: &EdgeMetrics,
) -> Outcome<Vec<RunningEdge>> {
    let start = |(number, bound): (usize, Bound)| {
        let name = format!("edge-{}", number + 1);
        let identity = ca.issue(Role::Edge, &name)?;
        RunningEdge::start(name.clone(), folder.edge(&name), identity, upstream, bound, metrics.clone())
    };
    dns.into_iter().enumerate().map(start).collect()
}

fn ready_line(ready: &Ready) -> String {
    let Ready { dns, http, data, zones, records, refused, seconds, version, .. } = ready;
    let dns = dns.join(",");
    format!(
        "ready dns={dns} http={http} zones={zones} records={records} refused={refused} seconds={seconds:.2} \
         version={version} data={data}"
    )
}
