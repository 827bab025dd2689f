//! Metrics of the core.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// Metrics of proposals. Cloning shares them.
#[derive(Clone, Debug)]
pub struct CoreMetrics {
    /// Seconds from a proposal's arrival to its answer, for those committed.
    pub commit_seconds: Histogram,
    /// Proposals by outcome: `committed`, `refused`, `unknown`, `busy`.
    pub proposals: IntCounterVec,
    /// Bytes proposed and not applied yet.
    pub in_flight_bytes: IntGauge,
}

impl CoreMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let buckets = prometheus::exponential_buckets(0.000_1, 2.0, 17)?;
        let commit_seconds = Histogram::with_opts(
            HistogramOpts::new("zonecast_commit_seconds", "Seconds from a change's arrival to its commit.")
                .buckets(buckets),
        )?;
        let proposals =
            IntCounterVec::new(Opts::new("zonecast_proposals_total", "Proposals by outcome."), &["outcome"])?;
        // From the beginning: `increase` does not see the step from nothing to one.
        for outcome in ["committed", "refused", "unknown", "busy"] {
            proposals.with_label_values(&[outcome]);
        }
        let in_flight_bytes =
            IntGauge::new("zonecast_proposed_unapplied_bytes", "Bytes proposed and not applied yet.")?;
        registry.register(Box::new(commit_seconds.clone()))?;
        registry.register(Box::new(proposals.clone()))?;
        registry.register(Box::new(in_flight_bytes.clone()))?;
        Ok(Self { commit_seconds, proposals, in_flight_bytes })
    }
}
