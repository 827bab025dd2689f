//! Memory with a zone of 1,000,000 records, after its hot names were asked for (T10).

use std::fmt::Write as _;
use std::time::Duration;

use super::processors::{CLIENT, SERVER};
use super::subject::Subject;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
use crate::figure::Figure;
use crate::peer::{ServedZone, Server, Setup, Software};
use crate::{generate, process};

const APEX: &str = "large.example";

/// Names that are asked for.
const HOT: usize = 100_000;

const PEERS: [Software; 3] = [Software::Nsd, Software::Knot, Software::Bind];

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let records = bench.size.pick(10_000, 1_000_000, 1_000_000);
    let folder = bench.folder("memory")?;
    let file = generate::zone(&folder, APEX, records)?;
    let work = format!("memory with a zone of {records} records, hot names asked for");
    let queries = bench.folder("memory-queries")?.join("queries");
    let mut names = String::new();
    for number in 0..HOT {
        writeln!(names, "host-{}.{APEX} A", number * 7_919 % generate::hosts(records))?;
    }
    std::fs::write(&queries, names)?;
    let dnsperf = Dnsperf { queries, cpu: Some(CLIENT) };

    let mut figures = Vec::new();
    bench.say("starting a core and an edge");
    figures.push(measure(&work, &Subject::ours(&folder, APEX)?, &dnsperf)?);
    for software in PEERS {
        if software.version().is_none() {
            bench.skipped(&work, software.name(), &format!("{} is not installed", software.package()))?;
            continue;
        }
        bench.say(&format!("starting {}", software.name()));
        let home = bench.folder(&format!("memory-{}", software.name()))?;
        let zones = [ServedZone { apex: APEX.into(), file: file.clone() }];
        match Server::start(software, Setup::Tuned, &zones, &home, Some(SERVER)) {
            Ok(server) => figures.push(measure(&work, &Subject::peer(software.name(), "tuned", server), &dnsperf)?),
            Err(error) => bench.skipped(&work, software.name(), &format!("{error:#}"))?,
        }
    }
    let nsd = figures.iter().find(|figure| figure.subject == Software::Nsd.name()).cloned();
    for figure in figures {
        let figure = match &nsd {
            Some(nsd) if figure.subject == "zonecast" => figure.of_row("T10").against(nsd, Some(1.0 / 3.0)),
            _ => figure,
        };
        bench.record(figure)?;
    }
    Ok(())
}

fn measure(work: &str, subject: &Subject, dnsperf: &Dnsperf) -> anyhow::Result<Figure> {
    dnsperf.run(subject.address()?, Duration::from_secs(3))?;
    #[allow(clippy::cast_precision_loss, reason = "bytes of memory for people")]
    let mebibytes = process::memory(subject.pid()?) as f64 / f64::from(1 << 20);
    Ok(subject.figure(work, "resident").values(&[mebibytes], "MiB").note("proportional set size of all its processes"))
}
