//! Changes at a rate, and in bursts.

use std::time::Duration;

use super::paced::{self, Plan};
use super::peers;
use super::stage::Stage;
use super::subject::{Subject, Writer, numbers};
use crate::bench::Bench;
use crate::figure::Figure;
use crate::samples::Samples;

/// Connections to the API, and clients of a primary: what waits for its answer does not keep the next change.
const CONNECTIONS: usize = 8;

/// What is done: in words, changes at once, time between, and how many in all.
struct Work {
    name: &'static str,
    burst: usize,
    every: Duration,
    count: usize,
}

pub(super) fn run(bench: &mut Bench, stage: &Stage) -> anyhow::Result<()> {
    let many = bench.size.pick(50, 1_000, 6_000);
    let works = [
        Work { name: "100 changes/s", burst: 1, every: Duration::from_millis(10), count: many },
        Work { name: "bursts of 100 changes each second", burst: 100, every: Duration::from_secs(1), count: many },
    ];
    for work in works {
        let [_, middle, large] = stage.ours();
        let ours = [Some(middle), (work.burst == 1).then_some(large)].into_iter().flatten();
        let mut figures = Vec::new();
        for (mut subject, is_ours) in ours.map(|ours| (ours, true)).chain(tuned(stage, bench)?) {
            let Work { name, burst, every, count } = work;
            subject.work = format!("{name}, zone of {} records", subject.zone.records);
            bench.say(&format!("{}: {}", subject.work, subject.name));
            let others = if is_ours {
                stage.connections(CONNECTIONS - 1).into_iter().map(Writer::Api).collect()
            } else {
                stage.peers.writers(&subject, CONNECTIONS - 1)?
            };
            let times = paced::run(&subject, others, Plan { count, burst, every, first: numbers(count) });
            match times {
                Ok(times) => figures.extend(results(&subject, &times)),
                Err(error) => bench.skipped(&subject.work, &subject.name, &format!("{error:#}"))?,
            }
        }
        record(bench, figures)?;
    }
    Ok(())
}

/// The tuned pairs that take part: but for Knot as a primary, which takes seconds for what others do in milliseconds.
fn tuned(stage: &Stage, bench: &Bench) -> anyhow::Result<impl Iterator<Item = (Subject, bool)> + use<>> {
    let subjects = stage.peers.subjects(bench.size)?.into_iter();
    let takes_part = |subject: &Subject| subject.settings == "tuned" && !subject.name.starts_with("Knot");
    Ok(subjects.filter(move |(subject, _)| takes_part(subject)).map(|(subject, _)| (subject, false)))
}

fn results(subject: &Subject, times: &paced::Times) -> Vec<Figure> {
    let took: Vec<Duration> = times.iter().map(|(_, took)| *took).collect();
    let samples = Samples::new(&took);
    let over_time = times.iter().map(|(due, took)| [due.as_secs_f64(), took.as_secs_f64() * 1000.0]).collect();
    let mut figures = Figure::percentiles(&samples, "ms", |measure| subject.figure(measure));
    if let Some(max) = samples.max() {
        figures.push(subject.figure("max").values(&[max], "ms").samples(samples.len()));
    }
    if let Some(first) = figures.first_mut() {
        first.over_time = over_time;
    }
    figures
}

/// With ratios against the pair of the same work.
fn record(bench: &mut Bench, figures: Vec<Figure>) -> anyhow::Result<()> {
    for figure in figures.clone() {
        let reference = |other: &&Figure| {
            other.subject == peers::REFERENCE && other.work == figure.work && other.measure == figure.measure
        };
        let figure = match figures.iter().find(reference) {
            Some(other) if figure.subject == "zonecast" => figure.clone().against(other, None),
            _ => figure,
        };
        bench.record(figure)?;
    }
    Ok(())
}
