//! A new edge: from an empty disk to its first answer, over a snapshot, while changes go on (T11).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::api::Api;
use crate::bench::Bench;
use crate::cluster::{Cluster, wait_served};
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::light_edge::LightEdges;
use crate::limit::quic;

const APEX: &str = "large.example";

/// Bytes that the limit sends: as many as a large snapshot has.
const LIMIT: u64 = 1 << 30;

/// What the core counts that it has sent.
const SENT: &str = "zonecast_sent_bytes_total";

/// Part of the raw stream's rate that T11 asks for.
const PART: f64 = 0.5;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = bench.folder("bootstrap")?;
    // Many large zones, since the core holds one at a time in memory.
    let (zones, records) = bench.size.pick((1, 10_000), (1, 1_000_000), (45, 1_000_000));
    for number in 1..zones {
        generate::zone(&folder, &format!("large-{number}.example"), records)?;
    }
    generate::zone(&folder, APEX, records)?;
    let what = if zones == 1 { "zone".to_owned() } else { format!("{zones} zones") };
    bench.say(&format!("starting a core with {what} of {records} records"));
    let mut cluster = Cluster::start(&folder, 1, APEX)?;
    let (mut times, mut rates, mut raw, mut sent) = (Vec::new(), Vec::new(), Vec::new(), 0.0);
    let api = cluster.api();
    let content = content(&cluster, &api)?;
    for run in 0..bench.size.pick(1, 3, 3) {
        bench.say(&format!("a new edge and a raw stream, run {}", run + 1));
        raw.push(quic::stream(&bench.folder("quic")?, bench.size.pick(1 << 24, LIMIT, LIMIT))? / 1e6);
        let before = api.metric(SENT)?;
        let took = changing(cluster.api(), || bootstrap(&mut cluster))?;
        sent = api.metric(SENT)? - before;
        times.push(took);
        rates.push(content / took / 1e6);
    }
    let work = format!("a new edge, {what} of {records} records, while changes go on");
    let note = format!(
        "a snapshot of {:.0} MB of keys and values, sent as {:.0} MB; the whole time counts: start, transfer, check, open",
        content / 1e6,
        sent / 1e6
    );
    let note = if content < 2e9 { format!("{note}. T11 asks for 2 GB: --size full") } else { note };
    bench.record(Figure::new(&work, "zonecast", "process start to first answer").values(&times, "s"))?;
    let limit = Figure::new(&work, "QUIC stream", "rate").kind(Kind::Limit).settings("raw, on loopback");
    let limit = limit.values(&raw, "MB/s").more_is_better();
    let rate = Figure::new(&work, "zonecast", "rate").values(&rates, "MB/s").more_is_better().of_row("T11");
    bench.record(rate.note(note).against(&limit, Some(PART)))?;
    bench.record(limit)
}

/// Bytes of all keys and values: what a receiver gets that takes no table files, which are compressed.
fn content(cluster: &Cluster, api: &Api) -> anyhow::Result<f64> {
    let before = api.metric(SENT)?;
    let version = api.set(APEX, "host-0", "A", 60, &generate::new_address(0).to_string())?;
    drop(LightEdges::start(1, &cluster.upstreams(), &cluster.system.ca(), version)?);
    Ok(api.metric(SENT)? - before)
}

/// Starts the one edge with nothing; seconds until it answers.
fn bootstrap(cluster: &mut Cluster) -> anyhow::Result<f64> {
    let [service] = cluster.edges()[..] else { anyhow::bail!("one edge is measured") };
    let [edge] = cluster.system.edges.as_mut_slice() else { anyhow::bail!("one edge is measured") };
    edge.kill();
    std::fs::remove_dir_all(&edge.data)?;
    let started = Instant::now();
    edge.start()?;
    Ok(wait_served(service, APEX)?.saturating_duration_since(started).as_secs_f64())
}

/// Does something while one change after the other is made.
fn changing<T>(api: Api, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                api.set(APEX, "host-0", "A", 60, &generate::new_address(number).to_string())?;
            }
            anyhow::Ok(())
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        changes.join().map_err(|_| anyhow::anyhow!("the one who changes panicked"))??;
        result
    })
}
