//! One core that feeds many edges (T3): every edge has a QUIC connection and a certificate of its own, and checks every
//! version; it keeps nothing, so that a thousand of them fit beside the core on one machine.
//!
//! The time is from the request to the core until the last edge has checked the version that the core answered with.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::api::Api;
use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::light_edge::LightEdges;
use crate::peer::etcd::Etcd;
use crate::samples::Samples;

const APEX: &str = "changed.example";

/// Past this the run has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Changes a second, and how many connections they come over.
const RATE: u32 = 100;
const CONNECTIONS: usize = 4;

/// What the last edge's p99 must be under at that rate, in seconds: T3.
const UNDER: f64 = 0.5;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = bench.folder("fanout")?;
    generate::zone(&folder, APEX, 1_000)?;
    let (few, changes) = bench.size.pick((10, 50), (100, 2_000), (100, 2_000));
    one_at_a_time(bench, &folder, few, changes)?;
    let (many, changes) = bench.size.pick((50, 50), (1_000, 1_000), (1_000, 6_000));
    at_a_rate(bench, &folder, many, changes)
}

fn one_at_a_time(bench: &mut Bench, folder: &Path, count: usize, changes: usize) -> anyhow::Result<()> {
    let (cluster, edges) = start(bench, folder, count)?;
    let api = cluster.api();
    let mut times = Vec::new();
    for number in 0..changes {
        let started = Instant::now();
        let version = set(&api, number)?;
        times.push(edges.wait(version, LIMIT)?.saturating_duration_since(started));
    }
    let work = format!("one change at a time, until the last of {count} has it");
    let note = format!("from the HTTP request; {} connections lost; edges that check and keep nothing", edges.lost());
    let ours = Figure::percentiles(&Samples::new(&times), "ms", |measure| Figure::new(&work, "zonecast", measure));
    let theirs = etcd(bench, &work, count, changes)?;
    for figure in ours {
        let same = theirs.iter().find(|theirs| theirs.measure == figure.measure);
        bench.record(match (figure.measure.as_str(), same) {
            ("p99", Some(theirs)) => figure.of_row("T3").against(theirs, Some(1.0)),
            _ => figure.note(&note),
        })?;
    }
    theirs.into_iter().try_for_each(|figure| bench.record(figure))
}

/// The same of etcd and its watchers, each with a connection of its own.
fn etcd(bench: &mut Bench, work: &str, count: usize, changes: usize) -> anyhow::Result<Vec<Figure>> {
    if Etcd::version().is_none() {
        bench.skipped(work, "etcd", "etcd-server is not installed")?;
        return Ok(Vec::new());
    }
    bench.say(&format!("etcd and {count} watchers"));
    let etcd = Etcd::start(&bench.folder("etcd")?, 1)?;
    let times = Runtime::new()?.block_on(watched(&etcd, count, changes))?;
    Ok(Figure::percentiles(&Samples::new(&times), "ms", |measure| {
        Figure::new(work, "etcd", measure).kind(Kind::Peer).configuration(etcd.configuration())
    }))
}

async fn watched(etcd: &Etcd, count: usize, changes: usize) -> anyhow::Result<Vec<Duration>> {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..count {
        etcd.client().await?.watch(b"key", tell.clone()).await?;
    }
    let client = etcd.client().await?;
    let mut times = Vec::with_capacity(changes);
    for number in 0..changes {
        let value = format!("value-{number}").into_bytes();
        let started = Instant::now();
        client.put(b"key", &value).await?;
        let (mut missing, mut last) = (count, started);
        while missing > 0 {
            let (seen, at) = told.recv().await.context("the watchers are gone")?;
            if seen == value {
                missing -= 1;
                last = last.max(at);
            }
        }
        times.push(last.saturating_duration_since(started));
    }
    Ok(times)
}

fn at_a_rate(bench: &mut Bench, folder: &Path, count: usize, changes: usize) -> anyhow::Result<()> {
    let (cluster, edges) = start(bench, folder, count)?;
    let work = format!("{RATE} changes/s, until the last of {count} edges has it");
    bench.say(&work);
    let apis: Vec<Api> = (0..CONNECTIONS).map(|_| cluster.api()).collect();
    let started = Instant::now();
    let sent = paced(&apis, started, changes)?;
    let (first, last) = (sent.first().context("no change")?.0, sent.last().context("no change")?.0);
    let arrivals = edges.arrivals(first..=last, LIMIT)?;
    let arrived = |version: u64| arrivals.get(usize::try_from(version - first).unwrap_or(usize::MAX));
    let seconds = |(version, due): &(u64, Duration)| {
        Some([due.as_secs_f64(), arrived(*version)?.saturating_duration_since(started + *due).as_secs_f64()])
    };
    let over_time: Vec<[f64; 2]> = sent.iter().filter_map(seconds).collect();
    let samples = Samples::of(over_time.iter().map(|[_, took]| *took).collect());
    let lost = edges.lost();
    for figure in Figure::percentiles(&samples, "s", |measure| Figure::new(&work, "zonecast", measure)) {
        if figure.measure != "p99" {
            bench.record(figure.over_time(over_time.clone()))?;
            continue;
        }
        let figure = figure.of_row("T3").against_value(UNDER, format!("what T3 asks: {UNDER} s"), Some(1.0));
        // Nobody may be dropped.
        let met = figure.met.map(|met| met && lost == 0);
        let figure = Figure { met, ..figure };
        bench.record(figure.note(format!("{lost} connections lost")))?;
    }
    Ok(())
}

fn start(bench: &mut Bench, folder: &Path, count: usize) -> anyhow::Result<(Cluster, LightEdges)> {
    bench.say(&format!("starting a core and {count} light edges"));
    let cluster = Cluster::start(folder, 0, APEX)?;
    // The last change before any edge is there: all of them must have it.
    let version = set(&cluster.api(), usize::MAX)?;
    let edges = LightEdges::start(count, cluster.system.core.service, &cluster.system.ca(), version)?;
    Ok((cluster, edges))
}

/// Changes at a rate: for each its version and when it was due; in the order of versions.
fn paced(apis: &[Api], started: Instant, changes: usize) -> anyhow::Result<Vec<(u64, Duration)>> {
    let sent = thread::scope(|scope| {
        let sender = |(first, api): (usize, &'_ Api)| {
            (first..changes)
                .step_by(CONNECTIONS)
                .map(|number| {
                    let due = Duration::from_secs(1) * u32::try_from(number)? / RATE;
                    thread::sleep((started + due).saturating_duration_since(Instant::now()));
                    Ok((set(api, number)?, due))
                })
                .collect::<anyhow::Result<Vec<_>>>()
        };
        let senders: Vec<_> = apis.iter().enumerate().map(|task| scope.spawn(move || sender(task))).collect();
        let sent = senders.into_iter().map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?);
        sent.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut sent: Vec<_> = sent.into_iter().flatten().collect();
    sent.sort_unstable_by_key(|(version, _)| *version);
    Ok(sent)
}

fn set(api: &Api, number: usize) -> anyhow::Result<u64> {
    let host = format!("host-{}", number % generate::hosts(1_000));
    api.set(APEX, &host, "A", 60, &generate::new_address(number).to_string())
}
