//! `zonecast-bench propagation`: measures a deployment that is already there.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use zonecast_api::Patience;
use zonecast_api::types::{Action, RecordChange};

use crate::api::{Access, Api};
use crate::samples::Samples;
use crate::watchers::Watchers;

/// Of the record that is changed.
const TTL: u32 = 60;

/// Changes one record of a running deployment again and again, and times when each edge answers with it.
#[derive(Args)]
pub(crate) struct Deployment {
    /// Address of the core's API.
    #[arg(long, env = "ZONECAST_CORE", default_value = "http://127.0.0.1:8053")]
    core: String,
    /// DNS address of an edge; once for each.
    #[arg(long = "edge", required = true, value_name = "ADDR:PORT")]
    edges: Vec<SocketAddr>,
    /// Zone to change. It must be there already.
    #[arg(long)]
    zone: String,
    /// Name in the zone; its A records are replaced, and deleted at the end.
    #[arg(long, default_value = "zonecast-bench")]
    name: String,
    /// How many changes.
    #[arg(long, default_value_t = 1000)]
    changes: usize,
    /// Time between two changes, in milliseconds.
    #[arg(long, default_value_t = 10, value_name = "MS")]
    pause: u64,
    /// A change that takes longer has failed, in seconds.
    #[arg(long, default_value_t = 10, value_name = "S")]
    limit: u64,
    #[command(flatten)]
    access: Access,
    /// Print JSON lines instead of a table.
    #[arg(long)]
    json: bool,
}

impl Deployment {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        ensure!(self.changes > 0, "--changes 0 measures nothing");
        let api = Api::with_access(&self.core, &self.access)?;
        let times = self.measure(&api);
        let delete = RecordChange {
            action: Action::Delete,
            name: self.name.clone(),
            rtype: Some("A".into()),
            ..RecordChange::default()
        };
        // Whatever happened, what was made is taken away.
        let deleted = api.change(&self.zone, delete, Patience::default());
        let times = times?;
        deleted?;
        self.show(&times);
        Ok(())
    }

    /// For each edge the time of each change.
    fn measure(&self, api: &Api) -> anyhow::Result<Vec<Vec<Duration>>> {
        let full = format!("{}.{}", self.name, self.zone.trim_end_matches('.'));
        let limit = Duration::from_secs(self.limit);
        let mut times = vec![Vec::with_capacity(self.changes); self.edges.len()];
        thread::scope(|scope| {
            let watchers = Watchers::start(scope, &self.edges)?;
            for number in 0..self.changes {
                let [_, _, high, low] = u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
                // TEST-NET-3 and what follows it: nobody's address.
                let address = Ipv4Addr::new(203, 0, high, low);
                let started = Instant::now();
                watchers.watch(&full, address, limit)?;
                api.set(&self.zone, &self.name, "A", TTL, &address.to_string())?;
                for ((at, _), times) in watchers.seen()?.into_iter().zip(&mut times) {
                    times.push(at.saturating_duration_since(started));
                }
                thread::sleep(Duration::from_millis(self.pause));
            }
            Ok(times)
        })
    }

    fn show(&self, times: &[Vec<Duration>]) {
        let last =
            (0..self.changes).filter_map(|number| times.iter().filter_map(|edge| edge.get(number)).max().copied());
        let last: Vec<Duration> = last.collect();
        let edges = self.edges.iter().map(ToString::to_string).chain(["last of all".into()]);
        for (edge, times) in edges.zip(times.iter().chain([&last])) {
            let samples = Samples::new(times);
            let [p50, p99, max] = [samples.median(), samples.percentile(99.0), samples.max()];
            if self.json {
                let line = serde_json::json!({ "edge": edge, "changes": samples.len(), "unit": "ms",
                    "p50": p50, "p99": p99, "max": max });
                println!("{line}");
            } else {
                let text = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.2} ms"));
                println!("{edge}: p50 {}, p99 {}, max {}", text(p50), text(p99), text(max));
            }
        }
        if !self.json && self.changes < 1000 {
            println!("p99 needs --changes 1000 or more");
        }
    }
}
