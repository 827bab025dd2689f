//! Processor time per query where little of what is asked for is at hand: more names than an edge keeps of its reads, and
//! an edge that has just started with a cold page cache.

use std::fmt::Write as _;
use std::time::Duration;

use super::course::Course;
use super::processors::{CLIENT, SERVER};
use super::subject::Subject;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
use crate::figure::Figure;
use crate::peer::{ServedZone, Server, Setup, Software};
use crate::{generate, host};

const APEX: &str = "large.example";

/// Shares no factor with the number of names, so that each is asked for once before any is asked for again.
const STRIDE: usize = 7_919;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let records = bench.size.pick(10_000, 1_000_000, 4_000_000);
    let folder = bench.folder("reach")?;
    let file = generate::zone(&folder, APEX, records)?;
    let queries = bench.folder("reach-queries")?.join("queries");
    let mut names = String::new();
    for number in 0..generate::hosts(records) {
        writeln!(names, "host-{}.{APEX} A", number * STRIDE % generate::hosts(records))?;
    }
    std::fs::write(&queries, names)?;
    let dnsperf = Dnsperf { queries, cpu: Some(CLIENT) };

    let work = format!("queries of all names of a zone of {records} records, in no order");
    bench.say("starting a core and an edge");
    let mut subjects = vec![Subject::ours(&folder, APEX)?];
    for software in [Software::Knot, Software::Nsd] {
        if software.version().is_none() {
            bench.skipped(&work, software.name(), &format!("{} is not installed", software.package()))?;
            continue;
        }
        let home = bench.folder(&format!("reach-{}", software.name()))?;
        let zones = [ServedZone { apex: APEX.into(), file: file.clone() }];
        match Server::start(software, Setup::Tuned, &zones, &home, Some(SERVER)) {
            Ok(server) => subjects.push(Subject::peer(software.name(), "tuned", server)),
            Err(error) => bench.skipped(&work, software.name(), &format!("{error:#}"))?,
        }
    }
    subjects.push(Subject::echo(true)?);
    let asked: Vec<_> = subjects.iter().map(|subject| (subject, &dnsperf)).collect();
    let courses = Course::of_all(bench, &work, &asked)?;
    let costs: Vec<Figure> =
        subjects.iter().zip(&courses).map(|(subject, course)| course.cost(subject, &work)).collect();
    let knot = costs.iter().find(|cost| cost.subject == Software::Knot.name()).cloned();
    for cost in costs {
        let ours = cost.subject == "zonecast";
        bench.record(match &knot {
            Some(knot) if ours => cost.against(knot, None),
            _ => cost,
        })?;
    }
    let Some(ours) = subjects.into_iter().next() else { return Ok(()) };
    cold(bench, records, ours, &dnsperf)
}

/// The same names, asked of an edge that has just started while nothing of its copy is in memory.
fn cold(bench: &mut Bench, records: usize, mut ours: Subject, dnsperf: &Dnsperf) -> anyhow::Result<()> {
    let work = format!("queries of an edge just started with a cold page cache, zone of {records} records");
    bench.say(&work);
    let mut course = Course::default();
    for _ in 0..bench.size.pick(1, 3, 5) {
        ours.stop_edge()?;
        if let Err(error) = host::drop_page_cache() {
            return bench.skipped(&work, "zonecast", &format!("{error:#}"));
        }
        ours.start_edge(APEX)?;
        course.round(&ours, dnsperf, Duration::from_secs(bench.size.pick(1, 5, 20)))?;
    }
    bench.record(course.cost(&ours, &work))?;
    bench.record(course.rate(&ours, &work))
}
