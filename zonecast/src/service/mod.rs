//! Zones and records over the core: what the API and the roles do, without HTTP.
//!
//! Reads come from the applied state; record changes are built by the core over everything in flight; whole zones come
//! in through [`crate::import`].

mod error;
mod fault;
mod inspect;
mod lookup;
mod origin;
mod records;
mod status;
mod stored_zone;
pub(crate) mod zone_file;
mod zone_locks;
mod zones;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

pub(crate) use error::ServiceError;
pub(crate) use origin::Origin;
pub(crate) use stored_zone::StoredZone;
pub(crate) use zone_locks::{ZoneGuard, ZoneLocks};
use zonecast_kv_core::Core;
use zonecast_kv_transport::Publisher;

use crate::edge_state::EdgeStates;
use crate::exit::Failure;
use crate::import::IdSource;
use crate::metrics::Metrics;

/// An edge that runs in this process.
#[derive(Clone, Debug)]
pub(crate) struct LocalEdge {
    /// Its name.
    pub name: String,
    /// Where it answers DNS.
    pub dns: std::net::SocketAddr,
    /// What it answers from.
    pub states: EdgeStates,
}

/// Everything a [`Service`] works with.
#[derive(Debug)]
pub(crate) struct ServiceParts {
    /// The voter.
    pub core: Core,
    /// Who has what.
    pub publisher: Arc<Publisher>,
    /// Those of this process.
    pub edges: Vec<LocalEdge>,
    /// Of this crate.
    pub metrics: Metrics,
    /// Start of the process.
    pub started: Instant,
    /// Where it keeps everything.
    pub data: PathBuf,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Service {
    parts: ServiceParts,
    locks: Arc<ZoneLocks>,
    ready: AtomicBool,
    fault: OnceLock<Failure>,
}

impl Service {
    /// Over a running core.
    #[must_use]
    pub(crate) fn new(parts: ServiceParts) -> Arc<Self> {
        let (locks, ready, fault) = (ZoneLocks::new(), AtomicBool::new(false), OnceLock::new());
        Arc::new(Self { parts, locks, ready, fault })
    }

    /// The voter.
    #[must_use]
    pub(crate) fn core(&self) -> &Core {
        &self.parts.core
    }

    /// Edges of this process.
    #[must_use]
    pub(crate) fn edges(&self) -> &[LocalEdge] {
        &self.parts.edges
    }

    /// Who works on which zone.
    #[must_use]
    pub(crate) fn locks(&self) -> &Arc<ZoneLocks> {
        &self.locks
    }

    /// Metrics of this crate.
    #[must_use]
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// Whether all zones it was started with are served.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// They are.
    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Ids to import so many zones with.
    ///
    /// # Errors
    /// The core cannot commit.
    pub(crate) async fn allocate(&self, zones: usize) -> Result<IdSource, ServiceError> {
        let ids = self.core().allocate(IdSource::needed(zones)).await;
        let ids = self.noted(ids.map_err(|error| ServiceError::Unavailable(error.to_string())))?;
        Ok(IdSource::new(ids))
    }
}

/// Runs what reads the disk or builds, away from the threads that serve connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(ServiceError::internal(error)))
}
