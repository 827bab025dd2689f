//! One change at a time with a core that feeds a hundred edges (T3), beside etcd and as many watchers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Runtime;

use super::stage::{self, LIMIT, Stage};
use crate::bench::Bench;
use crate::figure::{Figure, Kind};
use crate::peer::etcd::Etcd;
use crate::samples::Samples;

pub(super) fn run(bench: &mut Bench, folder: &Path) -> anyhow::Result<()> {
    let (count, changes) = bench.size.pick((10, 50), (100, 2_000), (100, 2_000));
    let stage = Stage::start(bench, folder, 0, count)?;
    let api = stage.cluster.api();
    let mut times = Vec::new();
    for number in 0..changes {
        let started = Instant::now();
        let version = stage::set(&api, number)?;
        times.push(stage.edges.wait(version, LIMIT)?.saturating_duration_since(started));
    }
    let work = format!("one change at a time, until the last of {count} has it");
    let note =
        format!("from the HTTP request; {} connections lost; edges that check and keep nothing", stage.edges.lost());
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
