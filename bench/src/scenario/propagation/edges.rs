//! One change at a time with several edges, and with one of them stopped (T13).

use super::single;
use super::stage;
use super::subject::{Subject, Zone};
use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::figure::Figure;
use crate::generate;
use crate::samples::Samples;

/// Paired runs: some with all edges, and as many with one stopped.
const PAIRS: usize = 5;

/// What the others' p99 may be worse by, if it is not within the spread of the runs: T13.
const WORSE: f64 = 1.1;

const APEX: &str = "changed.example";

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let records = 1_000;
    let folder = bench.folder("edges")?;
    generate::zone(&folder, APEX, records)?;
    let zone = Zone { apex: APEX.into(), records };
    let count = bench.size.pick(3, 8, 8);
    bench.say(&format!("starting a core and {count} edges"));
    let cluster = Cluster::start(&folder, count, APEX)?;
    let mut all = stage::ours(&cluster, zone.clone());
    all.work = format!("one change at a time, until the last of {count} edges shows it");
    let times = single::times(&all, bench.size.pick(50, 1_000, 5_000))?;
    all.record(bench, &Samples::new(&times))?;
    drop((all, cluster));

    let cluster = Cluster::start(&folder, 3, APEX)?;
    let mut others = stage::ours(&cluster, zone);
    let [first, second, _] = others.edges.as_slice() else { return Ok(()) };
    others.edges = vec![*first, *second];
    others.work = "one change at a time, two of three edges".into();
    slow_edge(bench, &cluster, &others)
}

/// p99 of the other edges in runs with and without one stopped, in turns.
fn slow_edge(bench: &mut Bench, cluster: &Cluster, others: &Subject) -> anyhow::Result<()> {
    let changes = bench.size.pick(30, 1_000, 2_000);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let last = cluster.system.edges.last();
    single::times(others, changes / 10)?;
    for pair in 0..PAIRS {
        bench.say(&format!("one edge stopped and not, pair {} of {PAIRS}", pair + 1));
        without.push(Samples::new(&single::times(others, changes)?));
        if let Some(edge) = last {
            edge.pause();
        }
        let times = single::times(others, changes);
        if let Some(edge) = last {
            edge.resume();
        }
        with.push(Samples::new(&times?));
    }
    let p99 = |runs: &[Samples]| runs.iter().filter_map(|run| run.percentile(99.0)).collect::<Vec<_>>();
    let figure = |settings: &str, runs: &[Samples]| {
        let samples = runs.iter().map(Samples::len).sum();
        Figure { settings: settings.into(), ..others.figure("p99") }.values(&p99(runs), "ms").samples(samples)
    };
    // Too few changes to speak of a p99.
    if p99(&with).is_empty() {
        return Ok(());
    }
    let (all_run, one_stopped) = (figure("all three run", &without), figure("the third is stopped", &with));
    let one_stopped = one_stopped.of_row("T13").against(&all_run, Some(WORSE));
    // Within what the runs without it differ by anyhow.
    let within = one_stopped.value.zip(all_run.spread).is_some_and(|(value, [_, largest])| value <= largest);
    let one_stopped = match one_stopped.met {
        Some(false) if within => {
            Figure { met: Some(true), ..one_stopped }.note("within the spread of the runs without")
        }
        _ => one_stopped,
    };
    bench.record(all_run)?;
    bench.record(one_stopped)
}
