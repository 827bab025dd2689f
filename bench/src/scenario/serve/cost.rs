//! Processor time per query over a usual mix of queries (T5).

use std::fmt::Write as _;
use std::path::Path;

use super::course::Course;
use super::run::{CLIENT, SERVER};
use super::subject::Subject;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
use crate::figure::Figure;
use crate::generate;
use crate::peer::{ServedZone, Server, Setup, Software};

/// Apex of the large zone; the last of all in the order in which zones are loaded.
const LARGE: &str = "zz-large.example";

/// Names that are asked for, in this order, again and again.
const QUESTIONS: usize = 100_000;

/// What is asked of peers.
const PEERS: [(Software, Setup); 6] = [
    (Software::Knot, Setup::Tuned),
    (Software::Knot, Setup::AsShipped),
    (Software::Nsd, Setup::Tuned),
    (Software::Bind, Setup::Tuned),
    (Software::PowerDns, Setup::Tuned),
    (Software::PowerDns, Setup::AsShipped),
];

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (names, zones) = bench.size.pick((1_000, 100), (100_000, 10_000), (100_000, 10_000));
    let folder = bench.folder("serve")?;
    generate::small_zones(&folder, zones)?;
    generate::mixed_zone(&folder, LARGE, names)?;
    let work = format!("queries: zone of {names} names and {zones} small zones");
    let subjects = start(bench, &work, &folder, zones)?;
    let queries = bench.folder("serve-queries")?.join("queries");
    std::fs::write(&queries, questions(names, zones)?)?;
    let dnsperf = Dnsperf { queries, cpu: Some(CLIENT) };

    let asked: Vec<_> = subjects.iter().map(|subject| (subject, &dnsperf)).collect();
    let courses = Course::of_all(bench, &work, &asked)?;
    report(bench, &work, &subjects, &courses)
}

fn start(bench: &mut Bench, work: &str, folder: &Path, zones: usize) -> anyhow::Result<Vec<Subject>> {
    bench.say("starting a core and an edge");
    let mut subjects = vec![Subject::ours(folder, LARGE)?];
    let zones = (0..zones).map(generate::apex).chain([LARGE.to_owned()]);
    let zones = zones.map(|apex| ServedZone { file: folder.join(format!("{apex}.zone")), apex });
    let zones: Vec<ServedZone> = zones.collect();
    for (software, setup) in PEERS {
        if software.version().is_none() {
            bench.skipped(work, software.name(), &format!("{} is not installed", software.package()))?;
            continue;
        }
        bench.say(&format!("starting {}, {}", software.name(), setup.name()));
        let home = bench.folder(&format!("serve-{}-{}", software.name(), setup.name().replace(' ', "-")))?;
        match Server::start(software, setup, &zones, &home, Some(SERVER)) {
            Ok(server) => subjects.push(Subject::peer(software.name(), setup.name(), server)),
            Err(error) => bench.skipped(work, software.name(), &format!("{error:#}"))?,
        }
    }
    subjects.push(Subject::echo(false)?);
    subjects.push(Subject::echo(true)?);
    Ok(subjects)
}

/// 80 % addresses, 10 % aliases, 5 % names without the type, 5 % names that are not there, in no order.
fn questions(names: usize, zones: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for number in 0..QUESTIONS {
        // Primes that share no factor with the counts spread the names.
        let (host, zone) = (number * 7_919 % names, generate::apex(number * 6_151 % zones));
        match number % 20 {
            0..4 => writeln!(text, "host-{host}.{LARGE} A")?,
            4..8 => writeln!(text, "host-{host}.{LARGE} AAAA")?,
            8..12 => writeln!(text, "www.{zone} A")?,
            12..14 => writeln!(text, "www.{zone} AAAA")?,
            14..16 => writeln!(text, "mail.{zone} A")?,
            16 => writeln!(text, "ftp.{zone} A")?,
            17 => writeln!(text, "alias-{}.{LARGE} A", host / 10 * 10)?,
            18 => writeln!(text, "host-{host}.{LARGE} MX")?,
            _ => writeln!(text, "no-{host}.{LARGE} A")?,
        }
    }
    Ok(text)
}

/// Where the time of ours goes: what the kernel takes for the packets, by the echo of this run, and the rest by perf.
fn cause(knot: Option<f64>, echo: Option<f64>) -> String {
    let echo = match (knot, echo) {
        (Some(knot), Some(echo)) => format!("an echo that does nothing else costs {:.2} of Knot's", echo / knot),
        _ => "what an echo costs, too".to_owned(),
    };
    format!(
        "most of it is the kernel, which moves packets in bursts already: {echo}; of the rest most is finding what was read \
         before and the zone, by misses of the processor's caches"
    )
}

fn report(bench: &mut Bench, work: &str, subjects: &[Subject], courses: &[Course]) -> anyhow::Result<()> {
    let figures =
        subjects.iter().zip(courses).map(|(subject, course)| (course.cost(subject, work), course.rate(subject, work)));
    let figures: Vec<(Figure, Figure)> = figures.collect();
    let find = |name: &str, settings: &str| {
        figures.iter().map(|(cost, _)| cost).find(|cost| cost.subject == name && cost.settings.starts_with(settings))
    };
    let (knot, echo) = (find("Knot", "tuned"), find("UDP echo", "recvmmsg"));
    let cause = cause(knot.and_then(|knot| knot.value), echo.and_then(|echo| echo.value));
    let targets = [(knot, 2.0 / 3.0), (echo, 1.5)];
    for (cost, rate) in &figures {
        if cost.subject == "zonecast" {
            for (other, target) in targets.iter().filter_map(|(other, target)| Some(((*other)?, *target))) {
                bench.record(cost.clone().of_row("T5").against(other, Some(target)).cause(cause.as_str()))?;
            }
        } else {
            bench.record(cost.clone())?;
        }
        bench.record(rate.clone())?;
    }
    Ok(())
}
