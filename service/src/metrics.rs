//! The metrics of this crate.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::cluster_metrics::ClusterMetrics;
use crate::error::ServiceError;
use crate::verification::VerificationMetrics;

/// Upper bounds in seconds: a record build is far below a millisecond, a full build of millions of records takes some.
const BUILD_BUCKETS: [f64; 12] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.1, 1.0, 5.0, 30.0];

/// The metrics of this crate.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Building keys from a whole zone.
    full_build: Histogram,
    /// Building keys from record changes.
    record_build: Histogram,
    /// Builds that came to nothing, by kind and reason.
    failures: IntCounterVec,
    /// Zones imported, by what became of them.
    imports: IntCounterVec,
    /// Zone files that broke off on their way out.
    broken_exports: IntCounter,
    /// Zones hosted.
    zones: IntGauge,
    /// Last version the core has committed.
    committed: IntGauge,
    cluster: ClusterMetrics,
    verification: VerificationMetrics,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = HistogramOpts::new("zonecast_build_seconds", "Time to build keys, by kind of build")
            .buckets(BUILD_BUCKETS.to_vec());
        let builds = HistogramVec::new(opts, &["kind"])?;
        let opts =
            Opts::new("zonecast_build_failures_total", "Zones and changes that were not built, by kind and reason");
        let failures = IntCounterVec::new(opts, &["kind", "reason"])?;
        let opts = Opts::new("zonecast_zone_imports_total", "Zone files imported, by what became of them");
        let imports = IntCounterVec::new(opts, &["result"])?;
        let broken_exports =
            IntCounter::new("zonecast_exports_broken_total", "Zone files that broke off on their way out")?;
        registry.register(Box::new(broken_exports.clone()))?;
        let zones = IntGauge::new("zonecast_zones", "Zones hosted by the core")?;
        registry.register(Box::new(builds.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(imports.clone()))?;
        let committed = IntGauge::new("zonecast_committed_version", "Last version the core has committed")?;
        registry.register(Box::new(zones.clone()))?;
        registry.register(Box::new(committed.clone()))?;
        // From the beginning: `increase` does not see the step from nothing to one.
        for kind in Build::ALL {
            for reason in ["refused", "failed"] {
                failures.with_label_values(&[kind.label(), reason]);
            }
        }
        for imported in Imported::ALL {
            imports.with_label_values(&[imported.label()]);
        }
        Ok(Self {
            full_build: builds.with_label_values(&[Build::Full.label()]),
            record_build: builds.with_label_values(&[Build::Record.label()]),
            failures,
            imports,
            broken_exports,
            zones,
            committed,
            cluster: ClusterMetrics::register(registry)?,
            verification: VerificationMetrics::register(registry)?,
        })
    }

    /// Of the cluster.
    pub(crate) fn cluster(&self) -> &ClusterMetrics {
        &self.cluster
    }

    /// Of verifications.
    pub(crate) fn verification(&self) -> &VerificationMetrics {
        &self.verification
    }

    /// A whole zone was built.
    pub fn built_zone(&self, took: Duration) {
        self.full_build.observe(took.as_secs_f64());
    }

    /// Record changes were built.
    pub fn built_records(&self, took: Duration) {
        self.record_build.observe(took.as_secs_f64());
    }

    /// A build came to nothing. Zones that are not there, or busy, have not come as far as a build.
    pub fn not_built(&self, kind: Build, error: &ServiceError) {
        let reason = match error {
            ServiceError::Refused { .. } => "refused",
            ServiceError::Internal(_) => "failed",
            _ => return,
        };
        self.failures.with_label_values(&[kind.label(), reason]).inc();
    }

    /// That many zone files were imported with this result.
    pub fn imported(&self, result: Imported, count: u64) {
        self.imports.with_label_values(&[result.label()]).inc_by(count);
    }

    /// A zone file broke off on its way out.
    pub fn export_broke_off(&self) {
        self.broken_exports.inc();
    }

    /// The last version the core has committed.
    pub fn set_committed(&self, version: u64) {
        self.committed.set(i64::try_from(version).unwrap_or(i64::MAX));
    }

    /// How many zones are hosted now.
    pub fn set_zones(&self, zones: u64) {
        self.zones.set(i64::try_from(zones).unwrap_or(i64::MAX));
    }
}

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// All keys of a zone.
    Full,
    /// What changes of records touch.
    Record,
}

impl Build {
    const ALL: [Self; 2] = [Self::Full, Self::Record];

    fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Record => "record",
        }
    }
}

/// What became of a zone file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was the same as before.
    Unchanged,
    /// Its zone was made or changed.
    Changed,
    /// It broke a rule.
    Refused,
    /// It would have taken away too much, or set the serial back.
    Held,
}

impl Imported {
    const ALL: [Self; 4] = [Self::Unchanged, Self::Changed, Self::Refused, Self::Held];

    fn label(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "changed",
            Self::Refused => "refused",
            Self::Held => "held",
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    fn shown_by(registry: &Registry) -> String {
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn builds_that_come_to_nothing_are_counted_by_kind_and_reason() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let shown = |sample: &str| shown_by(&registry).lines().any(|line| line == sample);
        let sample = |kind, reason, count| {
            format!("zonecast_build_failures_total{{kind=\"{kind}\",reason=\"{reason}\"}} {count}")
        };
        for (kind, reason) in [("full", "refused"), ("full", "failed"), ("record", "refused"), ("record", "failed")] {
            assert!(shown(&sample(kind, reason, 0)), "{kind} {reason} is there before it happens");
        }
        metrics.not_built(Build::Full, &ServiceError::refused("a rule", vec![]));
        metrics.not_built(Build::Record, &ServiceError::internal("damage"));
        metrics.not_built(Build::Record, &ServiceError::NoZone("one.test".into()));
        for (kind, reason, count) in [("full", "refused", 1), ("full", "failed", 0), ("record", "refused", 0)] {
            assert!(shown(&sample(kind, reason, count)), "{kind} {reason} {count}");
        }
        assert!(shown(&sample("record", "failed", 1)));
    }

    #[test]
    fn imports_are_shown_before_there_are_any() {
        let registry = Registry::new();
        let _metrics = Metrics::register(&registry).unwrap();
        assert!(shown_by(&registry).contains("zonecast_zone_imports_total{result=\"refused\"} 0\n"));
    }
}
