//! An edge that is started again: from the start of its process to its first answer (T12).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::cluster::{Cluster, wait_served};
use crate::figure::Figure;
use crate::{generate, host};

/// How an edge ended before it is started again.
#[derive(Clone, Copy)]
enum End {
    /// SIGTERM.
    Stopped,
    /// SIGKILL, while it has written.
    Killed,
    /// SIGTERM, and then nothing of its copy is in memory any more.
    Cold,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped in good order",
            Self::Killed => "killed",
            Self::Cold => "cold page cache",
        }
    }
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = bench.folder("restart")?;
    let records = bench.size.pick(10_000, 1_000_000, 1_000_000);
    generate::zone(&folder, "large.example", records)?;
    measure(bench, &format!("one zone of {records} records"), &folder, "large.example", 0.2)?;

    // In seconds, as T12 has it.
    let counts: &[(usize, f64)] =
        bench.size.pick(&[(100, 0.5)], &[(100_000, 0.5)], &[(100_000, 0.5), (1_000_000, 3.0)]);
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

/// Restarts in turns: stopped, killed, and with a cold page cache, which is reported and decides nothing.
fn measure(bench: &mut Bench, what: &str, zones: &Path, apex: &str, limit: f64) -> anyhow::Result<()> {
    bench.say(&format!("starting a core and an edge with {what}"));
    let mut cluster = Cluster::start(zones, 1, apex)?;
    let runs = bench.size.pick(1, 5, 10);
    let work = format!("edge restart to first answer: {what}");
    for end in [End::Stopped, End::Killed, End::Cold] {
        let times: anyhow::Result<Vec<f64>> =
            (0..runs).map(|_| Ok(restart(&mut cluster, end, apex)?.as_secs_f64())).collect();
        let times = match times {
            Err(error) if matches!(end, End::Cold) => {
                bench.skipped(&work, "zonecast", &format!("{error:#}"))?;
                continue;
            }
            times => times?,
        };
        let figure = Figure::new(&work, "zonecast", "p50").settings(end.name()).values(&times, "s");
        let asked = format!("what T12 asks: {limit} s");
        bench.record(match end {
            End::Cold => figure.against_value(limit, asked, None),
            End::Stopped | End::Killed => figure.of_row("T12").against_value(limit, asked, Some(1.0)),
        })?;
    }
    Ok(())
}

fn restart(cluster: &mut Cluster, end: End, apex: &str) -> anyhow::Result<Duration> {
    let service = cluster.edges().first().copied();
    let [edge] = cluster.system.edges.as_mut_slice() else { anyhow::bail!("one edge is measured") };
    match end {
        End::Stopped => drop(edge.stop()?),
        End::Killed => edge.kill(),
        End::Cold => {
            edge.stop()?;
            host::drop_page_cache()?;
        }
    }
    let started = Instant::now();
    edge.start()?;
    let Some(service) = service else { anyhow::bail!("one edge is measured") };
    Ok(wait_served(service, apex)?.saturating_duration_since(started))
}
