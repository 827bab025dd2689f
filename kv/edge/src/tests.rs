//! A real publisher and real edges over loopback.

mod crash;
mod damage;
mod elsewhere;
mod filters;
mod relay_tables;
mod relays;
mod revoked;
mod source;
mod tables;
mod upstreams;
mod verify;
mod way;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zonecast_kv_proto::{FollowerState, MemoryView, Op, OpRef, Position, Version, View};
use zonecast_kv_store::StoreError;
use zonecast_kv_transport::{
    Ca, Endpoint, EndpointError, Identity, Publisher, PublisherOptions, Role, TransportMetrics,
};

use crate::{
    Edge, EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, EdgeSnapshot, EdgeStatus, Holds, ReaderIndex,
    ReaderIndexError, Upstream,
};
use source::{MemorySource, content, owned};

const PATIENCE: Duration = Duration::from_secs(20);
const SMALL: EdgeOptions = EdgeOptions { cache_bytes: 8 << 20, write_buffer_bytes: 4 << 20, batch_log_bytes: 0 };

/// A CA in a folder of its own, and what runs under it.
struct World {
    folder: tempfile::TempDir,
    ca: Ca,
    core: Identity,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::open_or_create(&folder.path().join("ca")).unwrap();
        let core = ca.issue(Role::Core, "core-1").unwrap();
        Self { folder, ca, core }
    }

    fn publisher(&self, source: &Arc<MemorySource>) -> (Publisher, TransportMetrics) {
        self.publisher_at("127.0.0.1:0", source, PublisherOptions::default())
    }

    fn publisher_at(
        &self,
        address: &str,
        source: &Arc<MemorySource>,
        options: PublisherOptions,
    ) -> (Publisher, TransportMetrics) {
        let metrics = TransportMetrics::register(&prometheus::Registry::new()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let endpoint = loop {
            // A publisher that was shut down gives its socket back a moment later.
            match Endpoint::server(address.parse().unwrap(), &self.core) {
                Err(EndpointError::Bind { .. }) if Instant::now() < deadline => std::thread::yield_now(),
                bound => break bound.unwrap(),
            }
        };
        (Publisher::start(endpoint, source.clone(), options, metrics.clone()), metrics)
    }

    fn config(&self, name: &str, publisher: &Publisher) -> EdgeConfig {
        self.config_of(name, vec![of(publisher)])
    }

    fn config_of(&self, name: &str, upstreams: Vec<Upstream>) -> EdgeConfig {
        EdgeConfig {
            folder: self.folder_of(name),
            upstreams,
            identity: self.ca.issue(Role::Edge, name).unwrap(),
            store: SMALL,
            holds: Holds::Everything,
            mirror: None,
            downstream: None,
        }
    }

    fn edge(&self, name: &str, publisher: &Publisher) -> Running {
        start(self.config(name, publisher))
    }

    fn folder_of(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Where a publisher is.
fn of(publisher: &Publisher) -> Upstream {
    publisher.local_addr().unwrap().into()
}

struct Running {
    edge: Edge,
    seen: Arc<Mutex<Seen>>,
    metrics: EdgeMetrics,
}

fn start(config: EdgeConfig) -> Running {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let metrics = EdgeMetrics::register(&prometheus::Registry::new()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let edge = loop {
        let index = Table { table: MemoryView::new(), seen: seen.clone() };
        match Edge::start(config.clone(), Box::new(index), metrics.clone()) {
            // A child that another test is just about to start has the lock of the folder until it runs.
            Err(EdgeError::Store(StoreError::Locked { .. })) if Instant::now() < deadline => std::thread::yield_now(),
            started => break started.unwrap(),
        }
    };
    Running { edge, seen, metrics }
}

impl Running {
    async fn until(&self, what: &str, condition: impl FnMut(&EdgeStatus) -> bool) {
        let mut watch = self.edge.watch();
        let reached = tokio::time::timeout(PATIENCE, watch.wait_for(condition)).await;
        assert!(reached.is_ok_and(|reached| reached.is_ok()), "never {what}: {:?}", self.edge.status());
    }

    async fn until_at(&self, position: Position) {
        self.until(&format!("at {position}"), |status| status.position == Some(position)).await;
    }

    async fn until_following(&self) {
        self.until("following", |status| status.state == FollowerState::Streaming).await;
    }

    fn content(&self) -> MemoryView {
        content(&self.edge.snapshot().unwrap())
    }
}

/// What readers were given.
#[derive(Default)]
struct Seen {
    positions: Vec<Position>,
    resets: u32,
    /// Publishes whose table and snapshot differed.
    torn: u32,
}

/// An index that keeps everything, and compares itself with the store whenever it is published.
struct Table {
    table: MemoryView,
    seen: Arc<Mutex<Seen>>,
}

impl ReaderIndex for Table {
    fn reset(&mut self, view: &dyn View) -> Result<(), ReaderIndexError> {
        self.table = MemoryView::new();
        view.scan(&[], &[0xff; 3], &mut |key, value| {
            self.table.insert(key, value);
            std::ops::ControlFlow::Continue(())
        })?;
        self.seen.lock().unwrap().resets += 1;
        Ok(())
    }

    fn apply(&mut self, op: OpRef<'_>, _: Version) -> Result<(), ReaderIndexError> {
        self.table.apply_op(&owned(op));
        Ok(())
    }

    fn publish(&mut self, snapshot: EdgeSnapshot, position: Position) {
        let mut seen = self.seen.lock().unwrap();
        seen.torn += u32::from(snapshot.position() != Some(position) || content(&snapshot) != self.table);
        seen.positions.push(position);
    }
}

fn put(key: &[u8], value: &[u8]) -> Op {
    source::put(key, value)
}

fn exists(path: &Path) -> bool {
    path.exists()
}
