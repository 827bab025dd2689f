//! Changes at a rate until the last of a thousand edges has them, below one core and below relays (T3); and the memory of
//! a relay with its share of them.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::stage::{self, LIMIT, Stage};
use crate::api::Api;
use crate::bench::Bench;
use crate::figure::Figure;
use crate::samples::Samples;

/// Changes a second, and how many connections they come over.
const RATE: u32 = 100;
const CONNECTIONS: usize = 4;

/// What a relay counts that it has sent: bytes of frames, before QUIC encrypts and packs them.
pub(super) const SENT: &str = "zonecast_sent_bytes_total";

/// Relays where there are any.
pub(super) const RELAYS: usize = 4;

/// What the last edge's p99 must be under at that rate, in seconds: T3.
const UNDER: f64 = 0.5;

pub(super) fn run(bench: &mut Bench, folder: &Path, relays: usize) -> anyhow::Result<()> {
    let (edges, changes) = bench.size.pick((40, 50), (1_000, 1_000), (1_000, 6_000));
    let stage = Stage::start(bench, folder, relays, edges)?;
    let work = match relays {
        0 => format!("{RATE} changes/s, until the last of {edges} edges has it"),
        _ => format!("{RATE} changes/s through {relays} relays, until the last of {edges} edges has it"),
    };
    let relays: Vec<Api> = stage.cluster.relays.iter().map(|relay| Api::new(&relay.http.to_string())).collect();
    let before = sent(&relays)?;
    at_a_rate(bench, &stage, &work, changes)?;
    if relays.is_empty() {
        return Ok(());
    }
    let bytes = Figure::new(&work, "zonecast", "bytes of frames for a change and an edge");
    let bytes = bytes.values(&[(sent(&relays)? - before) / count(edges) / count(changes)], "B");
    bench.record(bytes.note("what the relays have sent in all, heartbeats included"))?;
    memory(bench, &stage, &work, edges / relays.len())
}

/// Bytes that relays have sent so far.
fn sent(relays: &[Api]) -> anyhow::Result<f64> {
    relays.iter().map(|relay| relay.metric(SENT)).sum()
}

fn at_a_rate(bench: &mut Bench, stage: &Stage, work: &str, changes: usize) -> anyhow::Result<()> {
    bench.say(work);
    let apis: Vec<Api> = (0..CONNECTIONS).map(|_| stage.cluster.api()).collect();
    let started = Instant::now();
    let sent = paced(&apis, started, changes)?;
    let (first, last) = (sent.first().context("no change")?.0, sent.last().context("no change")?.0);
    let arrivals = stage.edges.arrivals(first..=last, LIMIT)?;
    let arrived = |version: u64| arrivals.get(usize::try_from(version - first).unwrap_or(usize::MAX));
    let seconds = |(version, due): &(u64, Duration)| {
        Some([due.as_secs_f64(), arrived(*version)?.saturating_duration_since(started + *due).as_secs_f64()])
    };
    let over_time: Vec<[f64; 2]> = sent.iter().filter_map(seconds).collect();
    let samples = Samples::of(over_time.iter().map(|[_, took]| *took).collect());
    let lost = stage.edges.lost();
    let note = format!("light edges, which check every chain and keep nothing; {lost} connections lost");
    for figure in Figure::percentiles(&samples, "s", |measure| Figure::new(work, "zonecast", measure)) {
        let figure = figure.note(&note);
        if figure.measure != "p99" {
            bench.record(figure.over_time(over_time.clone()))?;
            continue;
        }
        let figure = figure.of_row("T3").against_value(UNDER, format!("what T3 asks: {UNDER} s"), Some(1.0));
        // Nobody may be dropped.
        let met = figure.met.map(|met| met && lost == 0);
        bench.record(Figure { met, ..figure })?;
    }
    Ok(())
}

/// Of each relay, after the changes.
fn memory(bench: &mut Bench, stage: &Stage, work: &str, edges: usize) -> anyhow::Result<()> {
    let resident = stage.cluster.relays.iter().map(|relay| Ok(mebibytes(relay.memory()?)));
    let resident = resident.collect::<anyhow::Result<Vec<f64>>>()?;
    let figure = Figure::new(work, "zonecast", format!("resident memory of a relay with {edges} edges"));
    bench.record(figure.values(&resident, "MiB").note("of each relay, after the changes"))
}

#[allow(clippy::cast_precision_loss, reason = "bytes of memory for people")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[allow(clippy::cast_precision_loss, reason = "thousands of edges and changes")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
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
                    Ok((stage::set(api, number)?, due))
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
