//! An edge that is started again: from the start of its process to its first answer (T12).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::cluster::{Cluster, wait_served};
use crate::figure::Figure;
use crate::generate;

/// How an edge ended before it is started again.
#[derive(Clone, Copy)]
enum End {
    /// SIGTERM.
    Stopped,
    /// SIGKILL, while it has written.
    Killed,
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = bench.folder("restart")?;
    let records = bench.size.pick(10_000, 1_000_000, 1_000_000);
    generate::zone(&folder, "large.example", records)?;
    measure(bench, &format!("one zone of {records} records"), &folder, "large.example", 1.0)?;

    // In seconds, as T12 has it.
    let counts: &[(usize, f64)] =
        bench.size.pick(&[(100, 1.0)], &[(100_000, 1.0)], &[(100_000, 1.0), (1_000_000, 5.0)]);
    for (zones, limit) in counts {
        let folder = bench.folder("restart")?;
        generate::small_zones(&folder, *zones)?;
        measure(bench, &format!("{zones} zones of about 10 records"), &folder, &generate::apex(zones - 1), *limit)?;
    }
    if counts.len() < 2 {
        bench.say("1,000,000 zones: with --size full");
    }
    Ok(())
}

/// Restarts in turns, stopped and killed.
fn measure(bench: &mut Bench, what: &str, zones: &Path, apex: &str, limit: f64) -> anyhow::Result<()> {
    bench.say(&format!("starting a core and an edge with {what}"));
    let mut cluster = Cluster::start(zones, 1, apex)?;
    let runs = bench.size.pick(1, 5, 10);
    for (end, settings) in [(End::Stopped, "stopped in good order"), (End::Killed, "killed")] {
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(restart(&mut cluster, end, apex)?.as_secs_f64());
        }
        let figure = Figure::new(format!("edge restart to first answer: {what}"), "zonecast", "p50");
        let figure = figure.settings(settings).values(&times, "s").of_row("T12");
        bench.record(figure.against_value(limit, format!("what T12 asks: {limit} s"), Some(1.0)))?;
    }
    Ok(())
}

fn restart(cluster: &mut Cluster, end: End, apex: &str) -> anyhow::Result<Duration> {
    let service = cluster.edges().first().copied();
    let [edge] = cluster.system.edges.as_mut_slice() else { anyhow::bail!("one edge is measured") };
    match end {
        End::Stopped => drop(edge.stop()?),
        End::Killed => edge.kill(),
    }
    let started = Instant::now();
    edge.start()?;
    let Some(service) = service else { anyhow::bail!("one edge is measured") };
    Ok(wait_served(service, apex)?.saturating_duration_since(started))
}
