//! Metrics of verifications: those of the leader, which knows of all nodes.

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use zonecast_api::types::{VerificationInfo, VerifiedState};

/// See the module. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct VerificationMetrics {
    nodes: IntGaugeVec,
    number: IntGauge,
    began: IntGauge,
}

/// While it is there, what is shown is of this lead.
pub(crate) struct Leading(VerificationMetrics);

impl VerificationMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("zonecast_verification_nodes", "Nodes in the last verification, by what has come of them");
        let nodes = IntGaugeVec::new(opts, &["outcome"])?;
        registry.register(Box::new(nodes.clone()))?;
        let number = IntGauge::new("zonecast_verification_number", "Number of the last verification")?;
        registry.register(Box::new(number.clone()))?;
        let began =
            IntGauge::new("zonecast_verification_timestamp_seconds", "Unix time when the last verification began")?;
        registry.register(Box::new(began.clone()))?;
        let metrics = Self { nodes, number, began };
        metrics.show(&VerificationInfo::default());
        Ok(metrics)
    }

    /// This core leads from here on, and shows what it knows until this is dropped.
    pub(crate) fn leading(&self) -> Leading {
        Leading(self.clone())
    }

    pub(crate) fn show(&self, info: &VerificationInfo) {
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        for state in VerifiedState::ALL {
            let count = info.nodes.iter().filter(|node| node.state == state).count();
            set(&self.nodes.with_label_values(&[state.label()]), count as u64);
        }
        set(&self.number, info.number);
        set(&self.began, info.began);
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.0.show(&VerificationInfo::default());
    }
}
