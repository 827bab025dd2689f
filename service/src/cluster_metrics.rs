//! Metrics of the cluster that this core is in.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use zonecast_api::types::ClusterInfo;

/// See the module. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct ClusterMetrics {
    term: IntGauge,
    is_leader: IntGauge,
    has_leader: IntGauge,
    voters: IntGauge,
    reached: IntGauge,
    lag: IntGaugeVec,
    /// Whose lag is shown.
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl ClusterMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let shown = |gauge: IntGauge| {
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let opts = Opts::new("zonecast_raft_log_lag_entries", "Entries that the raft log of a core lacks");
        let lag = IntGaugeVec::new(opts, &["core"])?;
        registry.register(Box::new(lag.clone()))?;
        Ok(Self {
            term: shown(IntGauge::new("zonecast_raft_term", "Raft term of this core")?)?,
            is_leader: shown(IntGauge::new("zonecast_raft_is_leader", "1 while this core leads")?)?,
            has_leader: shown(IntGauge::new("zonecast_raft_has_leader", "1 while this core knows of a leader")?)?,
            voters: shown(IntGauge::new("zonecast_raft_voters", "Cores of the cluster that vote")?)?,
            reached: shown(IntGauge::new(
                "zonecast_raft_voters_reached",
                "Voters that answer this core, itself included",
            )?)?,
            lag,
            shown: Arc::default(),
        })
    }

    /// Shows a cluster.
    pub(crate) fn show(&self, cluster: &ClusterInfo) {
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.term, cluster.term);
        set(&self.is_leader, u64::from(cluster.leader.as_ref() == Some(&cluster.core)));
        set(&self.has_leader, u64::from(cluster.leader.is_some()));
        set(&self.voters, cluster.voters);
        set(&self.reached, cluster.reached);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (member, state) in cluster.members.iter().filter_map(|member| Some((member, member.state?))) {
            set(&self.lag.with_label_values(&[&member.name]), state.lag);
            now.insert(member.name.clone());
        }
        for gone in shown.difference(&now) {
            // It was there.
            let _ = self.lag.remove_label_values(&[gone]);
        }
        *shown = now;
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use zonecast_api::types::{ClusterMember, ClusterMemberState};

    use super::*;

    #[test]
    fn a_core_that_is_away_has_no_lag_and_the_others_do() {
        let registry = Registry::new();
        let metrics = ClusterMetrics::register(&registry).unwrap();
        let member = |name: &str, lag: Option<u64>| ClusterMember {
            name: name.into(),
            state: lag.map(|lag| ClusterMemberState { lag, ..ClusterMemberState::default() }),
            ..ClusterMember::default()
        };
        let cluster = |second| ClusterInfo {
            core: "core-1".into(),
            leader: Some("core-1".into()),
            voters: 3,
            reached: 2,
            members: vec![member("core-1", Some(0)), member("core-2", second)],
            ..ClusterInfo::default()
        };
        metrics.show(&cluster(Some(7)));
        let shown = || TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let text = shown();
        for line in [
            "zonecast_raft_is_leader 1",
            "zonecast_raft_voters 3",
            "zonecast_raft_voters_reached 2",
            "zonecast_raft_log_lag_entries{core=\"core-2\"} 7",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
        }
        metrics.show(&cluster(None));
        assert!(!shown().contains("core-2"));
    }
}
