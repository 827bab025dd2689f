//! Zones that are added one at a time: by the API of zonecast, and to a catalog zone (RFC 9432) of name servers.
//!
//! A primary has all zones already and only names them in its catalog; zonecast is sent each one whole. So what the
//! peers do here is the smaller part of the work.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::subject::LIMIT;
use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::figure::{Figure, Kind};
use crate::generate;
use crate::peer::{CATALOG, Pair, ServedZone, Setup, Software};
use crate::probe::Probe;
use crate::samples::Samples;

const WORK: &str = "a new zone of about 10 records, one at a time";

/// How each pair is set up, and how many zones it adds at the standard size: few where one takes seconds.
const PAIRS: [(Software, Software, Setup, usize); 3] = [
    (Software::Bind, Software::Bind, Setup::Tuned, 200),
    (Software::Bind, Software::Knot, Setup::Tuned, 200),
    (Software::Bind, Software::Bind, Setup::AsShipped, 3),
];

/// After this long a subject has shown what it needs for one zone.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a subject adds one of its zones.
type Add<'a> = dyn Fn(&ServedZone) -> anyhow::Result<()> + 'a;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let count = bench.size.pick(10, 200, 1_000);
    let folder = bench.folder("new-zones")?;
    generate::small_zones(&folder, count)?;
    let zones: Vec<ServedZone> = (0..count)
        .map(generate::apex)
        .map(|apex| ServedZone { file: folder.join(format!("{apex}.zone")), apex })
        .collect();
    let ours = ours(bench, &zones)?;
    let mut reference = None;
    for (primary, secondary, setup, most) in PAIRS {
        let name = format!("{} to {}", primary.name(), secondary.name());
        let missing = [primary, secondary].into_iter().find(|software| software.version().is_none());
        let all = zones.get(..most.min(count)).unwrap_or_default();
        match missing {
            Some(missing) => bench.skipped(WORK, &name, &format!("{} is not installed", missing.package()))?,
            None => match pair(bench, &name, [primary, secondary], setup, all) {
                Ok(figure) => {
                    if reference.is_none() {
                        reference = Some(figure.clone());
                    }
                    bench.record(figure)?;
                }
                Err(error) => bench.skipped(WORK, &name, &format!("{error:#}"))?,
            },
        }
    }
    bench.skipped(WORK, "BIND to NSD", "catalog zones of NSD, from 4.9 on, are not set up by this harness")?;
    bench.record(match reference {
        Some(reference) => ours.against(&reference, None),
        None => ours,
    })
}

fn ours(bench: &mut Bench, zones: &[ServedZone]) -> anyhow::Result<Figure> {
    let folder = bench.folder("first")?;
    let apex = "first.example";
    generate::zone(&folder, apex, 100)?;
    let cluster = Cluster::start(&folder, 1, apex)?;
    let api = cluster.api();
    let add = |zone: &ServedZone| api.put_zone(&zone.apex, &std::fs::read(&zone.file)?).map(drop);
    let [edge, ..] = cluster.edges()[..] else { anyhow::bail!("no edge") };
    let samples = times(edge, zones, 0, &add)?;
    Ok(p50(Figure::new(WORK, "zonecast", "p50"), &samples))
}

fn pair(
    bench: &mut Bench,
    name: &str,
    softwares: [Software; 2],
    setup: Setup,
    zones: &[ServedZone],
) -> anyhow::Result<Figure> {
    bench.say(&format!("starting {name} with a catalog, {}", setup.name()));
    let folder = bench.folder("catalog")?;
    let pair = Pair::start_with_catalog(softwares, setup, zones, &folder)?;
    let updater = pair.updater()?;
    let samples = times(pair.secondary_address(), zones, 1, &|zone| updater.add_member(CATALOG, &zone.apex))?;
    let figure = Figure::new(WORK, name, "p50").kind(Kind::Peer).settings(setup.name());
    Ok(p50(figure, &samples).configuration(pair.configuration()).note("the primary has the zones before"))
}

fn p50(figure: Figure, samples: &Samples) -> Figure {
    let median: Vec<f64> = samples.median().into_iter().collect();
    figure.values(&median, "ms").samples(samples.len()).distribution(samples)
}

/// From the request for each zone until this server answers from it; so many of them are there already.
fn times(server: SocketAddr, zones: &[ServedZone], there: usize, add: &Add<'_>) -> anyhow::Result<Samples> {
    let mut probe = Probe::new(server)?;
    let (began, mut times) = (Instant::now(), Vec::new());
    for (number, zone) in zones.iter().enumerate().skip(there) {
        if began.elapsed() > PATIENCE {
            break;
        }
        let started = Instant::now();
        add(zone)?;
        let (seen, _) = probe.wait_for(&format!("www.{}", zone.apex), generate::small_zone_address(number), LIMIT)?;
        times.push(seen.saturating_duration_since(started));
    }
    Ok(Samples::new(&times))
}
