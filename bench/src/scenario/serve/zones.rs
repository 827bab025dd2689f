//! Processor time per query of the same number of zones, which are all that there are, or some of many.

use std::fmt::Write as _;

use super::course::Course;
use super::processors::CLIENT;
use super::subject::Subject;
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;
use crate::generate;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (few, many) = bench.size.pick((100, 1_000), (1_000, 100_000), (1_000, 1_000_000));
    let work = format!("queries of {few} zones, alone and among {many}");
    let (mut subjects, mut questions) = (Vec::new(), Vec::new());
    for zones in [few, many] {
        bench.say(&format!("starting a core and an edge with {zones} zones"));
        let folder = bench.folder(&format!("serve-{zones}-zones"))?;
        generate::small_zones(&folder, zones)?;
        let mut subject = Subject::ours(&folder, &generate::apex(zones - 1))?;
        subject.settings = format!("{zones} zones");
        subjects.push(subject);
        let queries = bench.folder(&format!("serve-{zones}-zones-queries"))?.join("queries");
        std::fs::write(&queries, text(few, zones / few)?)?;
        questions.push(Dnsperf { queries, cpu: Some(CLIENT) });
    }
    let asked: Vec<_> = subjects.iter().zip(&questions).collect();
    let courses = Course::of_all(bench, &work, &asked)?;
    let costs: Vec<_> = subjects.iter().zip(&courses).map(|(subject, course)| course.cost(subject, &work)).collect();
    if let [alone, among] = costs.as_slice() {
        bench.record(alone.clone())?;
        bench.record(among.clone().against(alone, None))?;
    }
    Ok(())
}

/// An address, an alias, a type and a name that are not there, of so many zones, each so far from the last.
fn text(zones: usize, apart: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for number in 0..zones {
        let apex = generate::apex(number * apart);
        writeln!(text, "www.{apex} A\nftp.{apex} A\nwww.{apex} MX\nno.{apex} A")?;
    }
    Ok(text)
}
