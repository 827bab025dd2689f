//! Single changes, one at a time: from the request until every edge answers with the new address.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::generate;
use crate::probe::Answer;
use crate::watchers::Watchers;

/// A change that takes longer than this has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// One change as each edge saw it.
pub(crate) struct Seen {
    /// What was changed, `NAME A ADDRESS`.
    pub(crate) change: String,
    /// Version that the core gave it.
    pub(crate) version: u64,
    /// From the request until the edge answered with it, and that answer, in the order of the edges.
    pub(crate) edges: Vec<(Duration, Answer)>,
}

/// Makes `count` changes in `zones` generated zones and watches every edge for each.
pub(crate) fn run(
    api: &Api,
    edges: &[SocketAddr],
    zones: usize,
    count: usize,
    mut each: impl FnMut(usize, &Seen),
) -> anyhow::Result<Vec<Duration>> {
    thread::scope(|scope| {
        let watchers = Watchers::start(scope, edges)?;
        let mut times = Vec::new();
        for number in 0..count {
            let seen = change(api, &watchers, number, zones)?;
            each(number, &seen);
            times.extend(seen.edges.iter().map(|(time, _)| *time));
        }
        Ok(times)
    })
}

fn change(api: &Api, watchers: &Watchers, number: usize, zones: usize) -> anyhow::Result<Seen> {
    // The first two bytes differ from every generated address; the rest counts.
    let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    let address = Ipv4Addr::new(203, 0, high, low);
    let apex = generate::apex(number % zones.max(1));
    let name = format!("www.{apex}");
    let started = Instant::now();
    watchers.watch(&name, address, LIMIT)?;
    let version = api.set(&apex, "www", "A", 60, &address.to_string())?;
    let since = |(at, answer): (Instant, Answer)| (at.saturating_duration_since(started), answer);
    let edges = watchers.seen()?.into_iter().map(since).collect();
    Ok(Seen { change: format!("{name} A {address}"), version, edges })
}

/// p50, p99 and the largest, in milliseconds.
pub(crate) fn percentiles(times: &[Duration]) -> [f64; 3] {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = |percent: usize| (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    [rank(50), rank(99), sorted.len().saturating_sub(1)]
        .map(|rank| sorted.get(rank).copied().unwrap_or_default().as_secs_f64() * 1000.0)
}
