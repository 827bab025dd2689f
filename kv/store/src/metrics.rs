//! Metrics of the databases of a voter.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

use crate::batch_log::BatchLog;

/// Metrics of the raft log and the state. Cloning shares them.
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    /// Seconds to make one group of raft log writes durable.
    pub fsync_seconds: Histogram,
    /// Raft log writes made durable together.
    pub fsync_group: Histogram,
    /// Bytes of entries written to the raft log.
    pub raft_log_bytes: IntCounter,
    /// Bytes that the files of the raft log take.
    pub raft_log_disk_bytes: IntGauge,
    /// Versions written to the batch log.
    pub batches: IntCounter,
    /// Bytes of versions written to the batch log.
    pub batch_bytes: IntCounter,
    /// Bytes of versions the batch log holds.
    pub batch_log_bytes: IntGauge,
    /// Seconds to write one slice of applied commands into the state.
    pub apply_seconds: Histogram,
}

impl StoreMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let fine = prometheus::exponential_buckets(0.000_05, 2.0, 16)?;
        let groups = prometheus::exponential_buckets(1.0, 2.0, 13)?;
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let batch_log_bytes = IntGauge::new("zonecast_batch_log_bytes", "Bytes of versions the batch log holds.")?;
        registry.register(Box::new(batch_log_bytes.clone()))?;
        let raft_log_disk_bytes =
            IntGauge::new("zonecast_raft_log_disk_bytes", "Bytes that the files of the raft log take.")?;
        registry.register(Box::new(raft_log_disk_bytes.clone()))?;
        Ok(Self {
            raft_log_disk_bytes,
            fsync_seconds: histogram(
                "zonecast_raft_fsync_seconds",
                "Seconds to make one group of raft log writes durable.",
                &fine,
            )?,
            fsync_group: histogram("zonecast_raft_fsync_group", "Raft log writes made durable together.", &groups)?,
            raft_log_bytes: counter("zonecast_raft_log_bytes_total", "Bytes of entries written to the raft log.")?,
            batches: counter("zonecast_batches_total", "Versions written to the batch log.")?,
            batch_bytes: counter("zonecast_batch_bytes_total", "Bytes of versions written to the batch log.")?,
            batch_log_bytes,
            apply_seconds: histogram(
                "zonecast_state_apply_seconds",
                "Seconds to write one slice of applied commands into the state.",
                &fine,
            )?,
        })
    }

    /// This is the batch log of the live database.
    pub(crate) fn shows(&self, log: &BatchLog) {
        self.batch_log_bytes.set(i64::try_from(log.total()).unwrap_or(i64::MAX));
    }
}
