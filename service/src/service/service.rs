//! The [`Service`] itself: what it stands on, and whether it is ready. What it does is in the files beside.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use zonecast_kv_core::{Core, CoreError};
use zonecast_kv_proto::{Edition, LineLimit, Version};
use zonecast_kv_transport::{Identity, Peer, Publisher};

use super::LocalEdge;
use super::aliases::Aliases;
use super::zone_count::ZoneCount;
use crate::access::TokenTable;
use crate::error::ServiceError;
use crate::exit::Failure;
use crate::fault::Fault;
use crate::import::IdSource;
use crate::metrics::Metrics;
use crate::requests::Requests;
use crate::shares::Shares;
use crate::verification::VerifyOptions;
use crate::vitals::VitalSigns;
use crate::who::Who;
use crate::zone::{Author, ZoneLocks};

/// The reason why a core cannot commit comes on another way than the error, a moment before or after it.
const REASON_WITHIN: Duration = Duration::from_secs(5);

/// Writes under way, those included whose client is gone; no name takes all of their places. Who comes when they are taken
/// is told to come again.
pub const MAX_WRITES: usize = 512;

/// Zone files on their way out, and differences, at a time; four of one name. A file holds a thread, a state of the store and
/// some MiB, a difference all that has changed since.
pub(super) const LARGE_READS: usize = 8;

/// Those who watch a keyspace at a time; no name takes all of their places. Each reads what is published once more.
const WATCHES: usize = 64;

/// How long writes under way may take once the API has stopped.
const DRAIN: Duration = Duration::from_secs(3);

/// Everything a [`Service`] works with.
#[derive(Debug)]
pub struct ServiceParts {
    /// The voter.
    pub core: Core,
    /// Who has what.
    pub publisher: Arc<Publisher>,
    /// Those of this process.
    pub edges: Vec<LocalEdge>,
    /// Of this crate.
    pub metrics: Metrics,
    /// Where its folder was before, if it was moved or copied.
    pub moved_from: Option<String>,
    /// Who this node is, and whom it believes.
    pub identity: Identity,
    /// Edges that the configuration names.
    pub configured: Vec<Peer>,
    /// An edge that is away for longer is reported as such.
    pub away_after: Duration,
    /// Process and machine.
    pub vitals: VitalSigns,
    /// Start of the process.
    pub started: Instant,
    /// Where it keeps everything.
    pub data: PathBuf,
    /// How long what was replaced or deleted is kept.
    pub keep_replaced: Duration,
    /// How copies are verified.
    pub verify: VerifyOptions,
    /// Where the first token is left, if the API asks for tokens.
    pub first_token: Option<PathBuf>,
    /// What ended writing.
    pub fault: Fault,
    /// The last version that is applied here, each time that there is one.
    pub versions: watch::Receiver<Version>,
}

/// Zones and records over a core; one for the process.
#[derive(Debug)]
pub struct Service {
    pub(super) parts: ServiceParts,
    pub(super) locks: Arc<ZoneLocks>,
    pub(super) aliases: Aliases,
    /// Those under way that are to be done once.
    pub(super) requests: Arc<Requests>,
    /// Places of writes, each taken until its write has ended.
    writes: Shares,
    /// Held by who writes which edges are waited for.
    pub(super) edges: tokio::sync::Mutex<()>,
    /// Those of the applied state.
    pub(super) tokens: Arc<TokenTable>,
    /// The edition of the list of revoked certificates that is in force here.
    pub(super) revocations_seen: Mutex<Edition>,
    /// The core whose zone files are imported, if those of this one are not.
    pub(super) imported_elsewhere: OnceLock<String>,
    /// Held by who makes the first token.
    pub(super) access: tokio::sync::Mutex<()>,
    ready: AtomicBool,
    pub(super) zone_count: ZoneCount,
    /// Places of reads that hold much, or hold it for long.
    pub(super) large_reads: Shares,
    /// Places of those who watch a keyspace.
    pub(super) watches: Shares,
    pub(super) broken_exports: LineLimit<Instant>,
    ending: watch::Sender<bool>,
}

impl Service {
    /// Over a running core.
    #[must_use]
    pub fn new(parts: ServiceParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            locks: ZoneLocks::new(),
            aliases: Aliases::default(),
            requests: Arc::default(),
            edges: tokio::sync::Mutex::default(),
            tokens: Arc::default(),
            revocations_seen: Mutex::default(),
            imported_elsewhere: OnceLock::new(),
            access: tokio::sync::Mutex::default(),
            writes: Shares::new(MAX_WRITES),
            ready: AtomicBool::new(false),
            zone_count: ZoneCount::default(),
            large_reads: Shares::new(LARGE_READS),
            watches: Shares::new(WATCHES),
            broken_exports: LineLimit::default(),
            ending: watch::Sender::new(false),
        })
    }

    /// Does a write to its end on a task of its own: a client that goes away must not leave a zone unlocked, or the
    /// aliases that lead through it unseen, while its change is under way. Until then it keeps its place.
    ///
    /// # Errors
    /// Too many writes are under way, or too many of `who`, or what the write says.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        who: &Who,
        write: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let place = self.writes.try_take(who).ok_or(ServiceError::Overloaded)?;
        let task = tokio::spawn(async move {
            let _place = place;
            write.await
        });
        // One that panicked may have committed something before.
        task.await.unwrap_or_else(|error| Err(ServiceError::Unknown(format!("a fault of zonecast: {error}"))))
    }

    /// Writes under way.
    #[must_use]
    pub fn writes_under_way(&self) -> usize {
        self.writes.taken()
    }

    /// Waits for the writes under way, for some time.
    pub async fn writes_ended(&self) {
        if tokio::time::timeout(DRAIN, self.writes.all_back()).await.is_err() {
            tracing::warn!("a write took too long; whether it was done shows in the log of its zone");
        }
    }

    /// The voter.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.parts.core
    }

    /// Who works on which zone.
    #[must_use]
    pub fn locks(&self) -> &Arc<ZoneLocks> {
        &self.locks
    }

    /// Metrics of this crate.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// Somebody who asks for changes.
    #[must_use]
    pub fn author(&self, by: impl Into<String>) -> Author {
        Author::new(by.into(), self.parts.keep_replaced)
    }

    /// Whether all zones it was started with are served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// They are.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// The process ends: nobody waits for edges any longer.
    pub fn end_waits(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until the process ends.
    pub async fn ends(&self) {
        // The sender lives as long as we do.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }

    /// What is broken for good, if anything is.
    #[must_use]
    pub fn fault(&self) -> Option<Failure> {
        self.parts.fault.get()
    }

    /// The same for people.
    #[must_use]
    pub fn fault_message(&self) -> Option<String> {
        self.parts.fault.message()
    }

    /// The failure that an error means: what ended writing, if that is why the core cannot commit.
    pub async fn failure(&self, error: ServiceError) -> Failure {
        if !matches!(error, ServiceError::Unavailable(_) | ServiceError::Unknown(_)) {
            return error.into();
        }
        let reason = tokio::time::timeout(REASON_WITHIN, self.parts.fault.wait()).await;
        reason.unwrap_or_else(|_| error.into())
    }

    /// Whether an error of an import means that it has ended with the lead of this core. What it had committed stays.
    #[must_use]
    pub fn has_lost_lead(&self, error: &ServiceError) -> bool {
        matches!(error, ServiceError::NotLeader { .. } | ServiceError::Unknown(_)) && !self.core().has_stopped()
    }

    /// Ids to import so many zones with.
    ///
    /// # Errors
    /// The core cannot commit.
    pub async fn allocate(&self, zones: usize) -> Result<IdSource, ServiceError> {
        let ids = self.core().allocate(IdSource::needed(zones)).await;
        Ok(IdSource::new(ids.map_err(|error| match error {
            CoreError::Propose(error) => error.into(),
            _ if !self.core().leads() && !self.core().has_stopped() => {
                ServiceError::NotLeader { leader: self.core().other_leader().map(|leader| leader.to_string()) }
            }
            error => ServiceError::Unavailable(error.to_string()),
        })?))
    }
}
