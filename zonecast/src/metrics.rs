//! The one registry of the process.
//!
//! Every crate has a `Metrics` struct of its own and registers it here; nothing is global.

use prometheus::core::Collector as _;
use prometheus::{IntGauge, Registry, TextEncoder};

/// What `/metrics` shows.
#[derive(Debug, Default)]
pub(crate) struct MetricsRegistry {
    registry: Registry,
}

impl MetricsRegistry {
    /// Nothing in it yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Where crates register theirs.
    #[must_use]
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All of them in Prometheus text format, whether the node is ready, and whether a fault has ended writing for good.
    ///
    /// # Errors
    /// Two crates registered what cannot stand together.
    pub(crate) fn render(&self, ready: bool, fault: bool) -> Result<String, prometheus::Error> {
        let mut all = self.registry.gather();
        for (name, help, is) in [
            ("zonecast_ready", "1 when the node serves what it was started for", ready),
            ("zonecast_fault", "1 when writing has ended for good, as on a full disk, or a part has died", fault),
        ] {
            let gauge = IntGauge::new(name, help)?;
            gauge.set(is.into());
            all.extend(gauge.collect());
        }
        TextEncoder::new().encode_to_string(&all)
    }
}
