//! What a publisher reports.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::refusal::CertificateFault;

/// Edges with a lag of their own; beyond them the page would grow past what Prometheus likes to read.
const MAX_EDGE_LABELS: usize = 1000;

/// Reasons to refuse a connection beside those of [`CertificateFault`].
const REASONS: [&str; 7] = ["too_many", "refused", "malformed", "closed", "stalled", "source", "no_cluster"];

/// Metrics of a publisher. Cloning shares them.
#[derive(Clone, Debug)]
pub struct TransportMetrics {
    /// The last version given to the publisher.
    pub published_version: IntGauge,
    /// Versions written to downstreams.
    pub sent_versions: IntCounter,
    /// Bytes written to downstreams, snapshots included.
    pub sent_bytes: IntCounter,
    /// Connections of downstreams that are up.
    pub connections: IntGauge,
    /// Connections from other cores that are up.
    pub core_connections: IntGauge,
    /// Connections not taken or ended from this side, by reason.
    pub refused: IntCounterVec,
    /// Snapshots begun.
    pub snapshots: IntCounter,
    /// Snapshots begun as table files.
    pub table_snapshots: IntCounter,
    /// Bytes of table files read for downstreams.
    pub table_bytes: IntCounter,
    /// Snapshots that downstreams have taken from an object store.
    pub store_snapshots: IntCounter,
    /// Times that a downstream was behind the tail and the log was read.
    pub log_reads: IntCounter,
    /// Acks that were booked.
    pub acks: IntCounter,
    /// Times that edges were heard of together.
    pub ack_steps: IntCounter,
    /// Waits for edges that were looked at, because of an ack or because others are expected.
    pub wait_looks: IntCounter,
    /// Times that a process came back that another one with the same certificate had replaced.
    pub twins: IntCounter,
    /// Versions that each edge lacks.
    pub edge_lag: EdgeLag,
    /// From commit to ack, on the clock of this node.
    pub commit_to_ack: Histogram,
}

impl TransportMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let propagation = HistogramOpts::new(
            "zonecast_propagation_seconds",
            "Seconds from the commit of a version at the core to its ack there, or to its application at an edge.",
        )
        .const_label("stage", "commit_to_ack")
        .buckets(prometheus::exponential_buckets(0.000_1, 2.0, 20)?);
        let metrics = Self {
            published_version: IntGauge::new("zonecast_published_version", "The last version given to downstreams.")?,
            sent_versions: IntCounter::new("zonecast_sent_versions_total", "Versions written to downstreams.")?,
            sent_bytes: IntCounter::new("zonecast_sent_bytes_total", "Bytes written to downstreams.")?,
            connections: IntGauge::new("zonecast_downstream_connections", "Connections of downstreams that are up.")?,
            core_connections: IntGauge::new("zonecast_core_connections", "Connections from other cores that are up.")?,
            refused: IntCounterVec::new(
                Opts::new("zonecast_refused_connections_total", "Connections refused or ended here, by reason."),
                &["reason"],
            )?,
            snapshots: IntCounter::new("zonecast_sent_snapshots_total", "Snapshots begun for downstreams.")?,
            table_snapshots: IntCounter::new(
                "zonecast_sent_table_snapshots_total",
                "Snapshots begun for downstreams as table files.",
            )?,
            table_bytes: IntCounter::new("zonecast_sent_table_bytes_total", "Bytes of table files for downstreams.")?,
            store_snapshots: IntCounter::new(
                "zonecast_store_snapshots_total",
                "Snapshots that downstreams have taken from an object store.",
            )?,
            log_reads: IntCounter::new("zonecast_log_reads_total", "Reads of the log for slow downstreams.")?,
            acks: IntCounter::new("zonecast_acks_total", "Acks of edges that were booked.")?,
            ack_steps: IntCounter::new(
                "zonecast_ack_steps_total",
                "Times that a relay or another core told how far all its edges are that are in step.",
            )?,
            wait_looks: IntCounter::new(
                "zonecast_wait_looks_total",
                "Waits for edges that were looked at because of an ack, or because other edges are expected.",
            )?,
            twins: IntCounter::new(
                "zonecast_twin_connections_total",
                "Times that a process came back that another one with the same certificate had replaced.",
            )?,
            edge_lag: EdgeLag::new()?,
            commit_to_ack: Histogram::with_opts(propagation)?,
        };
        // From the beginning: `increase` does not see the step from nothing to one.
        for reason in CertificateFault::ALL.map(CertificateFault::label).iter().chain(&REASONS) {
            metrics.refused.with_label_values(&[reason]);
        }
        registry.register(Box::new(metrics.published_version.clone()))?;
        registry.register(Box::new(metrics.sent_versions.clone()))?;
        registry.register(Box::new(metrics.sent_bytes.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.core_connections.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.snapshots.clone()))?;
        registry.register(Box::new(metrics.table_snapshots.clone()))?;
        registry.register(Box::new(metrics.table_bytes.clone()))?;
        registry.register(Box::new(metrics.store_snapshots.clone()))?;
        registry.register(Box::new(metrics.log_reads.clone()))?;
        registry.register(Box::new(metrics.acks.clone()))?;
        registry.register(Box::new(metrics.ack_steps.clone()))?;
        registry.register(Box::new(metrics.wait_looks.clone()))?;
        registry.register(Box::new(metrics.twins.clone()))?;
        registry.register(Box::new(metrics.edge_lag.clone()))?;
        registry.register(Box::new(metrics.commit_to_ack.clone()))?;
        Ok(metrics)
    }
}

/// Lag per edge, read when it is asked for: an edge that is away falls behind without saying anything.
#[derive(Clone)]
pub struct EdgeLag {
    gauge: IntGaugeVec,
    read: Arc<Mutex<Option<ReadLags>>>,
}

type ReadLags = Box<dyn Fn() -> Vec<(String, u64)> + Send>;

impl EdgeLag {
    fn new() -> Result<Self, prometheus::Error> {
        let options = Opts::new("zonecast_edge_lag_versions", "Versions that an edge has not acknowledged.");
        Ok(Self { gauge: IntGaugeVec::new(options, &["edge"])?, read: Arc::default() })
    }

    pub(crate) fn read_from(&self, read: impl Fn() -> Vec<(String, u64)> + Send + 'static) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(read));
    }
}

impl std::fmt::Debug for EdgeLag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeLag").finish_non_exhaustive()
    }
}

impl Collector for EdgeLag {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauge.reset();
        for (edge, lag) in read.iter().flat_map(|read| read()).take(MAX_EDGE_LABELS) {
            self.gauge.with_label_values(&[edge]).set(i64::try_from(lag).unwrap_or(i64::MAX));
        }
        self.gauge.collect()
    }
}
