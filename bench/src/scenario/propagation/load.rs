//! One change at a time while the edge answers queries.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::single;
use super::stage::Stage;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
use crate::samples::Samples;

/// Queries per second: enough to be busy, and less than one processor.
const RATE: usize = 20_000;

/// Different names that are asked for.
const NAMES: usize = 10_000;

pub(super) fn run(bench: &mut Bench, stage: &Stage) -> anyhow::Result<()> {
    let [_, mut subject, _] = stage.ours();
    subject.work = format!("one change at a time while the edge answers {RATE} queries/s");
    if !Dnsperf::is_installed() {
        return bench.skipped(&subject.work, "zonecast", "dnsperf is not installed, and it makes the queries");
    }
    let mut names = String::new();
    for number in 0..NAMES {
        writeln!(names, "{} A", subject.zone.host(number).1)?;
    }
    let folder = bench.folder("load")?;
    let file = folder.join("names");
    std::fs::write(&file, names)?;
    let edge = *subject.edges.first().context("there is one edge")?;
    let _asking = Dnsperf { queries: file, cpu: None }.keep_asking(edge, RATE)?;
    bench.say(&subject.work);
    let times = single::times(&subject, bench.size.pick(50, 1_000, 5_000))?;
    subject.record(bench, &Samples::new(&times))
}
