//! Closes connections whose certificates are no longer good: TLS looks at them only once.
//!
//! # Invariants
//! - When the credentials change, every connection is looked at again as a handshake would; one that begins meanwhile is
//!   looked at when it is added, so none slips through between.
//! - When the replicated list of revoked certificates changes, so is every connection; those between cores a moment later.
//! - A connection ends within two seconds after the peer's certificate, or the own one it was made with, has expired.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quinn::VarInt;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::credentials::Credentials;
use crate::protocol::Protocol;
use crate::quic_config::server_config;
use crate::refusal_log::RefusalLog;
use crate::trust::Side;
use crate::{CertificateFault, Identity, Peer};

/// How often connections are looked at: expiry has the precision of a second anyway.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A core that is revoked is cut off so long after that has been applied: it hears of it itself, and so do its edges.
const CORES_LINGER: Duration = Duration::from_secs(1);

/// A connection and whose it is.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) quinn: quinn::Connection,
    pub(crate) peer: Peer,
    pub(crate) protocol: Protocol,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) side: Side,
    pub(crate) peer_not_after: SystemTime,
    pub(crate) own_not_after: SystemTime,
}

/// Watches the connections of one endpoint. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    watched: Arc<Watched>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Watched {
    identity: Identity,
    connections: Mutex<Vec<Weak<Verified>>>,
    /// Between two cores there are several connections, which end together.
    told: RefusalLog<(Peer, CertificateFault)>,
}

impl Guard {
    /// Call within a tokio runtime. A server's configuration follows the identity.
    pub(crate) fn start(identity: Identity, server: Option<quinn::Endpoint>) -> Self {
        let watched = Arc::new(Watched { identity, connections: Mutex::default(), told: RefusalLog::default() });
        let task = tokio::spawn(run(Arc::clone(&watched), server));
        Self { watched, task }
    }

    /// Watches a connection from now on.
    pub(crate) fn add(&self, connection: &Arc<Verified>) -> Result<(), CertificateFault> {
        self.watched.connections().push(Arc::downgrade(connection));
        // After it stands in the list: whatever changes from here on finds it there.
        connection.check(&self.watched.identity.present())
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.watched.identity
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(watched: Arc<Watched>, server: Option<quinn::Endpoint>) {
    let mut changes = watched.identity.changes();
    let mut may_change = true;
    let mut revoked = watched.identity.revoked().changes();
    let mut cut_cores_at: Option<Instant> = None;
    // A peer that refuses a certificate that has expired says so before this closes the connection without a word of it.
    let mut ticks = tokio::time::interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = changes.changed(), if may_change => match changed {
                Ok(()) => {
                    let present = Arc::clone(&changes.borrow_and_update());
                    if let Some(server) = &server {
                        reconfigure(server, &present);
                    }
                    watched.close_if(|connection| connection.check(&present).err());
                }
                Err(_) => may_change = false,
            },
            // We hold the identity, and it the sender.
            Ok(()) = revoked.changed() => {
                revoked.borrow_and_update();
                let present = watched.identity.present();
                let goes = |connection: &Verified| connection.protocol != Protocol::Core;
                watched.close_if(|connection| goes(connection).then(|| connection.check(&present).err()).flatten());
                cut_cores_at = Some(Instant::now() + CORES_LINGER);
            }
            () = sleep_until(cut_cores_at) => {
                cut_cores_at = None;
                let present = watched.identity.present();
                watched.close_if(|connection| connection.check(&present).err());
            }
            _ = ticks.tick() => {
                let now = SystemTime::now();
                watched.close_if(|connection| connection.is_over(now).then_some(CertificateFault::Expired));
            }
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn reconfigure(server: &quinn::Endpoint, present: &Credentials) {
    match server_config(present) {
        Ok(config) => server.set_server_config(Some(config)),
        Err(error) => tracing::error!(%error, "the new certificate cannot be used; the old one is shown to peers"),
    }
}

impl Watched {
    fn connections(&self) -> MutexGuard<'_, Vec<Weak<Verified>>> {
        // Whole between two calls.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_if(&self, over: impl Fn(&Verified) -> Option<CertificateFault>) {
        let alive: Vec<Arc<Verified>> = {
            let mut connections = self.connections();
            connections.retain(|connection| connection.strong_count() > 0);
            connections.iter().filter_map(Weak::upgrade).collect()
        };
        for connection in alive.iter().filter(|connection| connection.quinn.close_reason().is_none()) {
            if let Some(refusal) = over(connection) {
                self.close(connection, refusal);
            }
        }
    }

    fn close(&self, connection: &Verified, refusal: CertificateFault) {
        let (peer, address) = (&connection.peer, connection.quinn.remote_address());
        let own = refusal == CertificateFault::Expired && connection.own_not_after < connection.peer_not_after;
        let whose = if own { "this node" } else { "the peer" };
        if let Some(quiet) = self.told.due((peer.clone(), refusal)) {
            tracing::warn!(%peer, %address, quiet, "closed: of {whose}, {refusal}; {}", refusal.advice());
        }
        if let Some(metrics) = self.identity.metrics() {
            metrics.closed.with_label_values(&[refusal.label()]).inc();
        }
        connection.quinn.close(VarInt::from_u32(1), refusal.to_string().as_bytes());
    }
}

impl Verified {
    fn check(&self, present: &Credentials) -> Result<(), CertificateFault> {
        let now = SystemTime::now();
        let since = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        let checked = present.trust.check(&self.certificate, self.side, since);
        checked.map_err(|error| CertificateFault::from_tls(&error))
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.peer_not_after < now || self.own_not_after < now
    }
}
