//! Metrics of the edges of a process.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::staleness::Staleness;

/// Reasons to leave an upstream.
const REASONS: [&str; 19] = [
    "connect",
    "resolve",
    "certificate",
    "itself",
    "lost",
    "goodbye",
    "silent",
    "unconfirmed",
    "behind",
    "trickling",
    "damaged",
    "refused",
    "circle",
    "filter",
    "holds_less",
    "snapshot",
    "store",
    "malformed",
    "replaced",
];

/// Metrics of all edges of a process, by name where it matters. Cloning shares them.
#[derive(Clone, Debug)]
pub struct EdgeMetrics {
    /// The version that readers see.
    pub applied_version: IntGaugeVec,
    /// The version that is synced to disk.
    pub durable_version: IntGaugeVec,
    /// The furthest the upstream is known to be.
    pub head_version: IntGaugeVec,
    /// 1 while connected and streaming or loading.
    pub connected: IntGaugeVec,
    /// When anything came from the upstream last, seconds of Unix time.
    pub heard_seconds: IntGaugeVec,
    /// The age of what the edge takes for the newest version.
    pub staleness: Staleness,
    /// 1 while the copy is damaged and the new one is not here yet.
    pub damaged: IntGaugeVec,
    /// 1 while the copy is other than what voters agree on.
    pub differs: IntGaugeVec,
    /// Keys that were other than what voters agree on, and were put right.
    pub repaired_keys: IntCounter,
    /// Reads of the copy that failed.
    pub read_errors: IntCounterVec,
    /// Versions applied.
    pub applied_versions: IntCounter,
    /// Bytes of versions applied.
    pub applied_bytes: IntCounter,
    /// Writes that applied them.
    pub writes: IntCounter,
    /// Snapshots loaded.
    pub snapshots: IntCounter,
    /// Snapshots that came from an object store, by what came of them.
    pub store_snapshots: IntCounterVec,
    /// Sets of table files fetched for nodes below a relay, by what came of it.
    pub fetched_tables: IntCounterVec,
    /// Bytes of them.
    pub fetched_table_bytes: IntCounter,
    /// Times an upstream was left, by reason.
    pub left: IntCounterVec,
    /// From the leader's stamp to application, by two clocks.
    pub commit_to_applied: Histogram,
}

impl EdgeMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let metric = IntGaugeVec::new(Opts::new(name, help), &["edge"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let propagation = HistogramOpts::new(
            "zonecast_propagation_seconds",
            "Seconds from the commit of a version at the core to its ack there, or to its application at an edge.",
        )
        .const_label("stage", "commit_to_applied")
        .buckets(prometheus::exponential_buckets(0.000_1, 2.0, 20)?);
        let commit_to_applied = Histogram::with_opts(propagation)?;
        registry.register(Box::new(commit_to_applied.clone()))?;
        let left = IntCounterVec::new(
            Opts::new("zonecast_edge_left_upstream_total", "Times an edge left its upstream, by reason."),
            &["reason"],
        )?;
        // From the beginning: `increase` does not see the step from nothing to one.
        REASONS.iter().for_each(|reason| drop(left.with_label_values(&[*reason])));
        registry.register(Box::new(left.clone()))?;
        let results = |name: &str, help: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &["result"])?;
            ["done", "failed"].iter().for_each(|result| drop(metric.with_label_values(&[*result])));
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let staleness = Staleness::new()?;
        registry.register(Box::new(staleness.clone()))?;
        let read_errors = IntCounterVec::new(
            Opts::new("zonecast_edge_read_errors_total", "Reads of the edge's copy that failed."),
            &["edge"],
        )?;
        registry.register(Box::new(read_errors.clone()))?;
        Ok(Self {
            applied_version: gauge("zonecast_applied_version", "Version that readers of the edge see.")?,
            durable_version: gauge("zonecast_durable_version", "Version that power loss cannot take from the edge.")?,
            head_version: gauge("zonecast_edge_head_version", "Furthest version the edge knows its upstream to have.")?,
            connected: gauge("zonecast_edge_connected", "1 while the edge follows its upstream.")?,
            heard_seconds: gauge("zonecast_edge_heard_seconds", "Unix time when the upstream said anything last.")?,
            damaged: gauge("zonecast_edge_copy_damaged", "1 while the copy is damaged and being fetched again.")?,
            differs: gauge("zonecast_edge_copy_differs", "1 while the copy is not what voters agree on.")?,
            repaired_keys: counter(
                "zonecast_edge_repaired_keys_total",
                "Keys of copies that were not what voters agree on, and were put right.",
            )?,
            staleness,
            read_errors,
            applied_versions: counter("zonecast_applied_versions_total", "Versions applied.")?,
            applied_bytes: counter("zonecast_applied_bytes_total", "Bytes of versions applied.")?,
            writes: counter("zonecast_apply_writes_total", "Store writes that applied versions.")?,
            snapshots: counter("zonecast_loaded_snapshots_total", "Snapshots loaded.")?,
            store_snapshots: results(
                "zonecast_edge_store_snapshots_total",
                "Snapshots from an object store, by result.",
            )?,
            fetched_tables: results(
                "zonecast_fetched_table_sets_total",
                "Sets of table files fetched for nodes below, by result.",
            )?,
            fetched_table_bytes: counter(
                "zonecast_fetched_table_bytes_total",
                "Bytes of table files fetched for nodes below.",
            )?,
            left,
            commit_to_applied,
        })
    }
}
