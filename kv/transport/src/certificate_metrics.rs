//! Metrics of the certificate of a node and of those of its peers.

use std::time::UNIX_EPOCH;

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::credentials::Credentials;
use crate::refusal::CertificateFault;

/// Metrics of the certificates of a process. Cloning shares them.
#[derive(Clone, Debug)]
pub struct CertificateMetrics {
    /// When the own certificate expires, seconds of Unix time.
    pub not_after: IntGaugeVec,
    /// Changed identity folders, by whether they could be used.
    pub reloads: IntCounterVec,
    /// Connections closed because a certificate was no longer good, by reason.
    pub closed: IntCounterVec,
}

impl CertificateMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let not_after = Opts::new(
            "zonecast_certificate_not_after_seconds",
            "Unix time at which the certificate of this node expires.",
        );
        let reloads = Opts::new(
            "zonecast_certificate_reloads_total",
            "Times the identity folder had changed: ok, or failed and the old certificate stays.",
        );
        let closed = Opts::new(
            "zonecast_certificate_closed_connections_total",
            "Connections closed because the certificate of either side was no longer good, by reason.",
        );
        let metrics = Self {
            not_after: IntGaugeVec::new(not_after, &["node"])?,
            reloads: IntCounterVec::new(reloads, &["result"])?,
            closed: IntCounterVec::new(closed, &["reason"])?,
        };
        // From the beginning: `increase` does not see the step from nothing to one.
        for result in ["ok", "failed"] {
            metrics.reloads.with_label_values(&[result]);
        }
        for refusal in CertificateFault::ALL {
            metrics.closed.with_label_values(&[refusal.label()]);
        }
        registry.register(Box::new(metrics.not_after.clone()))?;
        registry.register(Box::new(metrics.reloads.clone()))?;
        registry.register(Box::new(metrics.closed.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn show(&self, credentials: &Credentials) {
        let seconds = credentials.facts.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let gauge = self.not_after.with_label_values(&[&credentials.peer.name]);
        gauge.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}
