//! A zone file until it is served, and parsing and building alone (T7).

use std::path::Path;
use std::time::Instant;

use crate::bench::Bench;
use crate::dev::Dev;
use crate::figure::{Figure, Kind};
use crate::peer::{ServedZone, Server, Setup, Software};
use crate::{generate, in_memory};

const APEX: &str = "large.example";

/// Records a second that parsing and building alone must reach on one core: T7.
const ALONE: f64 = 500_000.0;

const PEERS: [Software; 4] = [Software::Nsd, Software::Knot, Software::Bind, Software::PowerDns];

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let records = bench.size.pick(10_000, 1_000_000, 1_000_000);
    let folder = bench.folder("build")?;
    let file = generate::zone(&folder, APEX, records)?;
    let work = format!("zone file of {records} records: process start to first answer");
    let rounds = bench.size.pick(1, 3, 5);
    let mut ours = Vec::new();
    let mut peers: Vec<(Software, Vec<f64>, Option<String>)> = Vec::new();
    for round in 0..rounds {
        bench.say(&format!("{work}: round {} of {rounds}", round + 1));
        ours.push(served(&folder)?);
        for software in PEERS {
            if software.version().is_none() {
                if round == 0 {
                    bench.skipped(&work, software.name(), &format!("{} is not installed", software.package()))?;
                }
                continue;
            }
            let zones = [ServedZone { apex: APEX.into(), file: file.clone() }];
            let home = bench.folder(&format!("build-{}", software.name()))?;
            match Server::start(software, Setup::Tuned, &zones, &home, None) {
                Ok(server) => keep(&mut peers, software, &server),
                Err(error) => bench.skipped(&work, software.name(), &format!("{error:#}"))?,
            }
        }
    }
    let peers: Vec<Figure> = peers
        .into_iter()
        .map(|(software, times, configuration)| {
            let figure = Figure::new(&work, software.name(), "p50").kind(Kind::Peer).settings("tuned");
            Figure { configuration, ..figure.values(&times, "s") }
        })
        .collect();
    let ours = Figure::new(&work, "zonecast", "p50").values(&ours, "s").of_row("T7");
    let ours = ours.note("durable at the core and served by an edge, both in one process");
    let fastest = peers.iter().filter(|peer| peer.value.is_some());
    let fastest = fastest.min_by(|one, other| one.value.partial_cmp(&other.value).unwrap_or(std::cmp::Ordering::Equal));
    bench.record(match fastest {
        Some(fastest) => ours.against(fastest, Some(1.5)),
        None => ours,
    })?;
    for peer in peers {
        bench.record(peer)?;
    }
    alone(bench, &file, records, rounds)
}

fn keep(peers: &mut Vec<(Software, Vec<f64>, Option<String>)>, software: Software, server: &Server) {
    let took = server.ready_after().as_secs_f64();
    match peers.iter_mut().find(|(other, ..)| *other == software) {
        Some((_, times, _)) => times.push(took),
        None => peers.push((software, vec![took], Some(server.configuration().to_owned()))),
    }
}

/// `zonecast dev` prints its ready line when its edge serves all zones.
fn served(folder: &Path) -> anyhow::Result<f64> {
    let folder = folder.to_string_lossy();
    let dev = Dev::start(["--zones", &folder, "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"])?;
    let took = dev.took.as_secs_f64();
    dev.stop()?;
    Ok(took)
}

/// From text to keys in memory, on one thread.
fn alone(bench: &mut Bench, file: &Path, records: usize, rounds: usize) -> anyhow::Result<()> {
    let text = std::fs::read(file)?;
    #[allow(clippy::cast_precision_loss, reason = "a count of records")]
    let count = records as f64;
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let started = Instant::now();
        let build = in_memory::build(APEX, &text)?;
        rates.push(count / started.elapsed().as_secs_f64());
        drop(build);
    }
    let work = format!("zone file of {records} records: text to keys, one thread");
    let figure = Figure::new(work, "zonecast", "records per second").values(&rates, "1/s").more_is_better();
    let figure = figure.of_row("T7").against_value(ALONE, "what T7 asks: 500,000 records/s", Some(1.0));
    bench.record(figure)
}
