//! How long ago a majority of the cores confirmed what an edge knows to be the newest version, computed when it is asked
//! for: it grows while nothing happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

/// A gauge of seconds for each edge of a process. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Staleness {
    gauge: GaugeVec,
    confirmed: Arc<Mutex<BTreeMap<String, Duration>>>,
}

impl Staleness {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let options = Opts::new(
            "zonecast_staleness_seconds",
            "Seconds since a majority of the cores confirmed what the edge takes for the newest version, or since its start.",
        );
        Ok(Self { gauge: GaugeVec::new(options, &["edge"])?, confirmed: Arc::default() })
    }

    /// The newest version that an edge knows of was confirmed then, since the Unix epoch.
    pub(crate) fn confirmed(&self, edge: &str, at: Duration) {
        let mut confirmed = self.lock();
        match confirmed.get_mut(edge) {
            Some(known) => *known = at,
            None => _ = confirmed.insert(edge.to_owned(), at),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Duration>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Staleness {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for (edge, confirmed) in self.lock().iter() {
            self.gauge.with_label_values(&[edge]).set(now.saturating_sub(*confirmed).as_secs_f64());
        }
        self.gauge.collect()
    }
}
