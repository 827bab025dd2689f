//! Processor time per query over a usual mix of queries (T5).

use std::fmt::Write as _;
use std::path::Path;

use super::course::Course;
use super::processors::{CLIENT, SERVER};
use super::subject::Subject;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
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

/// What an edge may take of what Knot takes, of both what the echo takes left out: T5.
const PART: f64 = 1.0 / 3.0;

fn report(bench: &mut Bench, work: &str, subjects: &[Subject], courses: &[Course]) -> anyhow::Result<()> {
    for (subject, course) in subjects.iter().zip(courses) {
        bench.record(course.cost(subject, work))?;
        bench.record(course.rate(subject, work))?;
    }
    let find = |name: &str, settings: &str| {
        let is_meant =
            |(subject, _): &(&Subject, &Course)| subject.name == name && subject.settings.starts_with(settings);
        subjects.iter().zip(courses).find(is_meant)
    };
    let Some((_, echo)) = find("UDP echo", "recvmmsg") else { return Ok(()) };
    let above = |(subject, course): (&Subject, &Course)| course.above(echo, subject, work);
    let ours = find("zonecast", "").map(above);
    let knot = find("Knot", "tuned").map(above);
    let (Some(ours), Some(knot)) = (ours, knot) else { return Ok(()) };
    bench.record(ours.of_row("T5").against(&knot, Some(PART)))?;
    bench.record(knot)
}
