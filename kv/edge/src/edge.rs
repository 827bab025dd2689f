//! An edge of a process: its copy, its follower, its writer.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use zonecast_kv_proto::{Filter, Follower, Position, Role, TableMirror};
use zonecast_kv_store::{EdgeOptions, EdgeSnapshot, EdgeStore};
use zonecast_kv_transport::{Clock, Identity, RefusalLog};

use crate::copy_checks::CopyChecks;
use crate::dialler::Dialler;
use crate::driver::Driver;
use crate::edge_reports::EdgeReports;
use crate::elsewhere::Elsewhere;
use crate::relay::{DownstreamConfig, Downstreams, Relay};
use crate::repairs::Repairs;
use crate::since_marker::SinceMarker;
use crate::table_fetcher::UpstreamTables;
use crate::upstream_report::UpstreamReport;
use crate::writer::{Reports, Work, Writer};
use crate::{EdgeError, EdgeMetrics, EdgeStatus, ReaderIndex, Upstream};

/// Configuration of an edge.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Its copy's folder.
    pub folder: PathBuf,
    /// Cores and relays to follow; at least one of them an address, as an edge must not need a DNS that may be itself.
    /// At first they are tried in this order, and one that serves is followed until it fails.
    pub upstreams: Vec<Upstream>,
    /// Identity of the edge. If it watches its folder, renewed certificates are used while the edge runs.
    pub identity: Identity,
    /// Memory of its copy.
    pub store: EdgeOptions,
    /// What of the store it holds.
    pub holds: Holds,
    /// An object store that holds snapshots of the same cores, if there is one: read first when a snapshot is needed.
    pub mirror: Option<Arc<dyn TableMirror>>,
    /// Where others may follow it, if it is a relay: then its identity must be of role relay.
    pub downstream: Option<DownstreamConfig>,
}

/// What of a store an edge holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Holds {
    /// All that is published.
    #[default]
    Everything,
    /// What [`Holder::hold`] says; until then a new edge holds this, and another one what it held before.
    Chosen(Filter),
}

impl Holds {
    fn at_start(self, store: &EdgeStore) -> Option<Filter> {
        match self {
            Self::Everything => None,
            Self::Chosen(_) if store.position().is_some() => store.filter(),
            Self::Chosen(filter) => Some(filter),
        }
    }
}

/// Says what an edge is to hold, while it runs.
#[derive(Clone, Debug)]
pub struct Holder(watch::Sender<Option<Filter>>);

impl Holder {
    /// The edge is to hold what this filter holds, or everything. It serves what it has until a snapshot of that has come.
    pub fn hold(&self, filter: Option<Filter>) {
        self.0.send_if_modified(|before| {
            let is_news = *before != filter;
            *before = filter;
            is_news
        });
    }
}

impl EdgeConfig {
    fn check(&self) -> Result<(), EdgeError> {
        if self.upstreams.is_empty() {
            return Err(EdgeError::NoUpstream);
        }
        if self.upstreams.iter().all(|upstream| upstream.address().is_none()) {
            return Err(EdgeError::OnlyNames);
        }
        let own = self.identity.peer();
        if self.downstream.is_some() && own.role != Role::Relay {
            return Err(EdgeError::NoRelay(own.clone()));
        }
        Ok(())
    }

    /// Those of its copy: only a relay keeps a batch log.
    fn options(&self) -> EdgeOptions {
        if self.downstream.is_some() { self.store } else { EdgeOptions { batch_log_bytes: 0, ..self.store } }
    }
}

/// A running edge. [`Edge::shutdown`] ends it in good order. Dropped, it blocks until what it has is applied: RocksDB
/// aborts a process that ends while a thread still uses a database.
#[derive(Debug)]
pub struct Edge {
    store: Arc<EdgeStore>,
    status: watch::Receiver<EdgeStatus>,
    relay: Option<Relay>,
    holder: Holder,
    stop: Option<oneshot::Sender<()>>,
    driver: Option<tokio::task::JoinHandle<Option<EdgeError>>>,
    work: mpsc::Sender<Work>,
    writer: Option<thread::JoinHandle<()>>,
}

impl Edge {
    /// Opens the copy, shows it to readers, and begins to follow. Call within a tokio runtime. It blocks while the
    /// index reads the copy: when it returns, readers have what there is. A copy that is damaged is given up for a
    /// new one.
    ///
    /// # Errors
    /// The folder of the copy cannot be used, or it cannot be read for a reason that is not the copy's.
    pub fn start(config: EdgeConfig, index: Box<dyn ReaderIndex>, metrics: EdgeMetrics) -> Result<Self, EdgeError> {
        config.check()?;
        let own = config.identity.peer().clone();
        let store = Arc::new(EdgeStore::open(&config.folder, config.options())?);
        let (shown, status) = watch::channel(EdgeStatus::at_start(&store));
        let (followed, upstream) = watch::channel(None);
        let fetcher =
            UpstreamTables::new(&store, &config.identity, config.mirror.clone(), upstream, status.clone(), &metrics);
        let relay = config.downstream.map(|downstream| Relay::new(downstream, own.clone(), fetcher));
        let (work, queue) = mpsc::channel::<Work>();
        let reports = Arc::new(Reports::default());
        let mut writer = Writer {
            store: Arc::clone(&store),
            index,
            work: queue,
            reports: Arc::clone(&reports),
            metrics: metrics.clone(),
            identity: config.identity.clone(),
            relay: relay.clone(),
            since: SinceMarker::default(),
        };
        writer.begin()?;
        // It may have been given up meanwhile.
        shown.send_replace(EdgeStatus::at_start(&store));
        wake_driver(&store, &reports);
        let name = config.identity.peer().name.clone();
        let thread = thread::Builder::new().name(format!("apply-{name}")).spawn(|| writer.run());
        let (clock, wanted) = (Clock::start(), config.holds.at_start(&store));
        let now = clock.now();
        let (holder, filter) = watch::channel(wanted.clone());
        let driver = Driver {
            follower: Follower::new(now, name.clone(), incarnation(now), store.position())
                .with_upstreams(config.upstreams.len())
                .with_tables()
                .with_filter(wanted, store.filter().as_ref())
                .passing_on_as(relay.is_some().then_some(own)),
            name,
            dialler: Dialler::new(config.identity, config.upstreams),
            refusals: RefusalLog::default(),
            standing: UpstreamReport::default(),
            store: Arc::clone(&store),
            work: work.clone(),
            reports,
            status: shown,
            upstream: followed,
            metrics,
            clock,
            link: None,
            operation: None,
            sync: None,
            sync_at: None,
            repairs: if store.damage().is_some() { Repairs::at_start(now) } else { Repairs::default() },
            read_errors: 0,
            relay: relay.clone(),
            edge_reports: EdgeReports::default(),
            filter,
            checks: CopyChecks::default(),
            settled: 0,
            range_repair: None,
            elsewhere: Elsewhere::new(config.mirror),
        };
        let (stop, stopped) = oneshot::channel();
        Ok(Self {
            store,
            status,
            stop: Some(stop),
            driver: Some(tokio::spawn(run(driver, stopped))),
            relay,
            holder: Holder(holder),
            work,
            writer: Some(thread.map_err(EdgeError::Thread)?),
        })
    }

    /// The position that readers see; `None` while the edge is new.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.status.borrow().position
    }

    /// The present status of the edge.
    #[must_use]
    pub fn status(&self) -> EdgeStatus {
        self.status.borrow().clone()
    }

    /// A receiver that gets every change of the status.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<EdgeStatus> {
        self.status.clone()
    }

    /// The present state of the copy.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn snapshot(&self) -> Result<EdgeSnapshot, EdgeError> {
        Ok(self.store.snapshot()?)
    }

    /// To say what it is to hold.
    #[must_use]
    pub fn holder(&self) -> Holder {
        self.holder.clone()
    }

    /// The nodes that follow this one, if it is a relay.
    #[must_use]
    pub fn downstreams(&self) -> Option<Downstreams> {
        self.relay.clone().map(Downstreams)
    }

    /// Waits until applying has failed for good; says why. Answers can go on.
    pub async fn failed(&mut self) -> EdgeError {
        match &mut self.driver {
            Some(driver) => {
                let ended = driver.await;
                self.driver = None;
                ended.ok().flatten().unwrap_or(EdgeError::WriterGone)
            }
            None => std::future::pending().await,
        }
    }

    /// Stops following, applies the received versions and syncs them to disk.
    ///
    /// # Errors
    /// The copy could not be written.
    pub async fn shutdown(mut self) -> Result<(), EdgeError> {
        self.stop = None;
        let failed = match self.driver.take() {
            Some(driver) => driver.await.ok().flatten(),
            None => None,
        };
        let _ = self.work.send(Work::Stop);
        let (writer, store) = (self.writer.take(), Arc::clone(&self.store));
        let finish = move || {
            if let Some(writer) = writer {
                writer.join().map_err(|_| EdgeError::WriterGone)?;
            }
            store.sync()?;
            Ok(())
        };
        let finished = tokio::task::spawn_blocking(finish).await.unwrap_or(Err(EdgeError::WriterGone));
        // After the last version, so that downstreams get it.
        if let Some(relay) = &self.relay {
            relay.shutdown().await;
        }
        failed.map_or(finished, Err)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.work.send(Work::Stop);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// What happens to the copy wakes the driver.
fn wake_driver(store: &EdgeStore, reports: &Arc<Reports>) {
    let (on_trouble, on_check) = (Arc::clone(reports), Arc::clone(reports));
    store.on_trouble(move || on_trouble.changed.notify_one());
    store.checks().on_change(move || on_check.changed.notify_one());
}

/// Another number at every start, and a higher one as long as the clock does not go back.
fn incarnation(now: Duration) -> u64 {
    u64::try_from(now.as_nanos() & u128::from(u64::MAX)).unwrap_or(1)
}

/// Runs the driver until it fails or is told to stop. The writer ends when the driver is gone.
async fn run(mut driver: Driver, stopped: oneshot::Receiver<()>) -> Option<EdgeError> {
    let ended = tokio::select! {
        error = driver.run() => Some(error),
        _ = stopped => None,
    };
    driver.goodbye(Duration::from_millis(200)).await;
    ended
}
