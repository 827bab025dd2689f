//! The [`Service`] itself: what it stands on, and whether it is ready. What it does is in the files beside.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zonecast_kv_core::Core;
use zonecast_kv_transport::Publisher;

use super::aliases::Aliases;
use super::{LocalEdge, ServiceError, ZoneLocks};
use crate::exit::Failure;
use crate::fault::Fault;
use crate::import::IdSource;
use crate::metrics::Metrics;
use crate::vitals::VitalSigns;

/// The reason why a core cannot commit comes on another way than the error, a moment before or after it.
const REASON_WITHIN: Duration = Duration::from_secs(5);

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
    /// Process and machine.
    pub vitals: VitalSigns,
    /// Start of the process.
    pub started: Instant,
    /// Where it keeps everything.
    pub data: PathBuf,
    /// What ended writing.
    pub fault: Fault,
}

/// Zones and records over a core; one for the process.
#[derive(Debug)]
pub(crate) struct Service {
    pub(super) parts: ServiceParts,
    pub(super) locks: Arc<ZoneLocks>,
    pub(super) aliases: Aliases,
    ready: AtomicBool,
}

impl Service {
    /// Over a running core.
    #[must_use]
    pub(crate) fn new(parts: ServiceParts) -> Arc<Self> {
        Arc::new(Self { parts, locks: ZoneLocks::new(), aliases: Aliases::default(), ready: AtomicBool::new(false) })
    }

    /// The voter.
    #[must_use]
    pub(crate) fn core(&self) -> &Core {
        &self.parts.core
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

    /// What ended writing for good, if anything did.
    #[must_use]
    pub(crate) fn fault(&self) -> Option<Failure> {
        self.parts.fault.get()
    }

    /// The failure that an error means: what ended writing, if that is why the core cannot commit.
    pub(crate) async fn failure(&self, error: ServiceError) -> Failure {
        if !matches!(error, ServiceError::Unavailable(_)) {
            return error.into();
        }
        let reason = tokio::time::timeout(REASON_WITHIN, self.parts.fault.wait()).await;
        reason.unwrap_or_else(|_| error.into())
    }

    /// Ids to import so many zones with.
    ///
    /// # Errors
    /// The core cannot commit.
    pub(crate) async fn allocate(&self, zones: usize) -> Result<IdSource, ServiceError> {
        let ids = self.core().allocate(IdSource::needed(zones)).await;
        Ok(IdSource::new(ids.map_err(|error| ServiceError::Unavailable(error.to_string()))?))
    }
}
