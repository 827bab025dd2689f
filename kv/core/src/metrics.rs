//! Metrics of the core.

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::refusals::REASONS;

/// Metrics of proposals. Cloning shares them.
#[derive(Clone, Debug)]
pub struct CoreMetrics {
    /// Seconds from a proposal's arrival to its answer, for those committed.
    pub commit_seconds: Histogram,
    /// Proposals by outcome: `committed`, `repeated`, `refused`, `unknown`, `busy`.
    pub proposals: IntCounterVec,
    /// Bytes proposed and not applied yet.
    pub in_flight_bytes: IntGauge,
    /// Seconds that the present write of the raft log or the state has taken so far.
    pub disk_write_seconds: Gauge,
    /// 1 while the clock of this machine is not believed.
    pub clock_wrong: IntGauge,
    /// Other cores that are refused here, by reason.
    pub refused: IntCounterVec,
    /// Snapshots of the state that another voter has got from here.
    pub snapshots_sent: IntCounter,
    /// Snapshots of the state that were received and installed here.
    pub snapshots_received: IntCounter,
    /// Bytes of snapshots sent, of those that were cut off too.
    pub snapshot_sent_bytes: IntCounter,
    /// Bytes of snapshots received, of those that were cut off too.
    pub snapshot_received_bytes: IntCounter,
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
        for outcome in ["committed", "repeated", "refused", "unknown", "busy"] {
            proposals.with_label_values(&[outcome]);
        }
        let in_flight_bytes =
            IntGauge::new("zonecast_proposed_unapplied_bytes", "Bytes proposed and not applied yet.")?;
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        registry.register(Box::new(commit_seconds.clone()))?;
        registry.register(Box::new(proposals.clone()))?;
        let disk_write_seconds = Gauge::new(
            "zonecast_disk_write_seconds",
            "Seconds that the present write of the raft log or the state has taken so far.",
        )?;
        registry.register(Box::new(disk_write_seconds.clone()))?;
        registry.register(Box::new(in_flight_bytes.clone()))?;
        let clock_wrong = IntGauge::new(
            "zonecast_clock_wrong",
            "1 while the clock of this machine is wrong, or has jumped and nobody has confirmed it.",
        )?;
        registry.register(Box::new(clock_wrong.clone()))?;
        let refused = IntCounterVec::new(
            Opts::new("zonecast_refused_cores_total", "Times that another core was refused here, by reason."),
            &["reason"],
        )?;
        for reason in REASONS {
            refused.with_label_values(&[reason]);
        }
        registry.register(Box::new(refused.clone()))?;
        Ok(Self {
            commit_seconds,
            proposals,
            in_flight_bytes,
            disk_write_seconds,
            clock_wrong,
            refused,
            snapshots_sent: counter("zonecast_snapshots_sent_total", "Snapshots of the state sent to other voters.")?,
            snapshots_received: counter(
                "zonecast_snapshots_received_total",
                "Snapshots of the state received from other voters and installed.",
            )?,
            snapshot_sent_bytes: counter(
                "zonecast_snapshot_sent_bytes_total",
                "Bytes of snapshots sent to other voters.",
            )?,
            snapshot_received_bytes: counter(
                "zonecast_snapshot_received_bytes_total",
                "Bytes of snapshots received from other voters.",
            )?,
        })
    }
}
