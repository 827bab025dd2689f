//! One change at a time (T1): zonecast in zones of 100, 100,000 and 1,000,000 records, and pairs of name servers in the
//! zone of 100,000.

use std::time::{Duration, Instant};

use super::peers;
use super::stage::Stage;
use super::subject::{Subject, numbers};
use crate::bench::Bench;
use crate::figure::{Figure, Kind};
use crate::limit::{fdatasync, quic, udp_echo};
use crate::samples::Samples;
use crate::watchers::Watchers;

/// Changes that a subject makes before the next one has its turn.
const BLOCK: usize = 50;

/// Changes before anything counts.
const WARM_UP: usize = 50;

/// A subject gets no more time for one run than this; what it did until then is what there is.
const PATIENCE: Duration = Duration::from_secs(25);

/// What a p50 in a zone of 1,000,000 records may be worse by, if it is not within 20 %: T1.
const CLOSE_MS: f64 = 0.1;

/// How many times the floor a p50 may be: T1.
const FLOORS: f64 = 3.0;

/// Results of one subject.
struct Course {
    runs: Vec<Vec<Duration>>,
    spent: Duration,
    wanted: usize,
}

pub(super) fn run(bench: &mut Bench, stage: &Stage) -> anyhow::Result<()> {
    let (runs, changes) = bench.size.pick((1, 100), (3, 1_000), (5, 2_000));
    let mut subjects: Vec<(Subject, usize)> = stage.ours().map(|ours| (ours, changes)).into();
    subjects.extend(stage.peers.subjects(bench.size)?);
    for (subject, _) in &mut subjects {
        subject.work = format!("one change at a time, zone of {} records", subject.zone.records);
    }
    let mut courses: Vec<Course> = subjects.iter().map(|(_, wanted)| Course::new(*wanted)).collect();
    for round in 0..runs {
        bench.say(&format!("one change at a time, run {} of {runs}", round + 1));
        one_run(&subjects, &mut courses)?;
        // What takes seconds for each change is not run again.
        for course in courses.iter_mut().filter(|course| course.wanted < changes) {
            course.wanted = 0;
        }
    }
    let floor = floor(bench)?;
    report(bench, &subjects, &courses, &floor)
}

/// What a change cannot be faster than: one append with fdatasync, one QUIC message, and one question over UDP.
fn floor(bench: &mut Bench) -> anyhow::Result<Figure> {
    let count = bench.size.pick(100, 1_000, 5_000);
    let work = "the parts of a change, one at a time";
    let parts = [
        ("append of 4 KiB and fdatasync", fdatasync::append(&bench.folder("appended")?, count)?),
        ("QUIC message", quic::message(&bench.folder("quic-message")?, count)?),
        ("UDP question", udp_echo::question(count)?),
    ];
    let mut sum = 0.0;
    for (subject, samples) in &parts {
        for figure in
            Figure::percentiles(samples, "ms", |measure| Figure::new(work, *subject, measure).kind(Kind::Limit))
        {
            bench.record(figure)?;
        }
        sum += samples.median().unwrap_or_default();
    }
    Ok(Figure::new(work, "fdatasync, QUIC message and UDP question", "p50").kind(Kind::Limit).values(&[sum], "ms"))
}

/// So many changes of one subject, after some that do not count.
pub(super) fn times(subject: &Subject, count: usize) -> anyhow::Result<Vec<Duration>> {
    std::thread::scope(|scope| {
        let watchers = Watchers::start(scope, &subject.edges)?;
        let all = (0..WARM_UP.min(count / 10) + count).map(|_| subject.change(&watchers, numbers(1)));
        let mut all: Vec<Duration> = all.collect::<Result<_, _>>()?;
        Ok(all.split_off(all.len().saturating_sub(count)))
    })
}

/// Everybody's changes once, in turns.
fn one_run(subjects: &[(Subject, usize)], courses: &mut [Course]) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let watchers = subjects.iter().map(|(subject, _)| Watchers::start(scope, &subject.edges));
        let watchers: Vec<Watchers> = watchers.collect::<Result<_, _>>()?;
        for course in &mut *courses {
            course.begin();
        }
        for turn in 0.. {
            let mut at_work = false;
            for (((subject, _), watchers), course) in subjects.iter().zip(&watchers).zip(&mut *courses) {
                at_work |= course.block(subject, watchers, turn == 0)?;
            }
            if !at_work {
                return Ok(());
            }
        }
        Ok(())
    })
}

impl Course {
    fn new(wanted: usize) -> Self {
        Self { runs: Vec::new(), spent: Duration::ZERO, wanted }
    }

    fn begin(&mut self) {
        self.spent = Duration::ZERO;
        if self.wanted > 0 {
            self.runs.push(Vec::new());
        }
    }

    /// Some changes, if there are any left to make; whether there were.
    fn block(&mut self, subject: &Subject, watchers: &Watchers, first: bool) -> anyhow::Result<bool> {
        let warm_up = if first { WARM_UP.min(self.wanted / 10) } else { 0 };
        let Some(run) = self.runs.last_mut().filter(|run| run.len() < self.wanted) else { return Ok(false) };
        let started = Instant::now();
        for number in 0..BLOCK.min(self.wanted) + warm_up {
            if self.spent + started.elapsed() > PATIENCE || run.len() >= self.wanted {
                break;
            }
            let took = subject.change(watchers, numbers(1))?;
            if number >= warm_up {
                run.push(took);
            }
        }
        self.spent += started.elapsed();
        Ok(self.spent < PATIENCE && run.len() < self.wanted)
    }
}

/// p50 and p99 of each run, their medians as figures, and the ratios of T1.
fn report(bench: &mut Bench, subjects: &[(Subject, usize)], courses: &[Course], floor: &Figure) -> anyhow::Result<()> {
    let mut figures = Vec::new();
    for ((subject, _), course) in subjects.iter().zip(courses) {
        let runs: Vec<Samples> = course.runs.iter().map(|run| Samples::new(run)).collect();
        let all = Samples::new(&course.runs.concat());
        let p50: Vec<f64> = runs.iter().filter_map(Samples::median).collect();
        let p99: Vec<f64> = runs.iter().filter_map(|run| run.percentile(99.0)).collect();
        let p50 = subject.figure("p50").values(&p50, "ms").samples(all.len()).distribution(&all);
        let p50 = peers::remark(p50);
        let p99 = subject.figure("p99").values(&p99, "ms").samples(all.len());
        figures.push((p50, p99));
    }
    let against = figures.iter().position(|(p50, _)| p50.subject == peers::REFERENCE && p50.settings == "tuned");
    let against = against.and_then(|index| figures.get(index).cloned());
    let [small, middle, large, ..] = figures.as_mut_slice() else { return Ok(()) };
    if let Some((p50, p99)) = against {
        middle.0 = middle.0.clone().of_row("T1").against(&p50, Some(1.0 / 8.0));
        middle.1 = middle.1.clone().of_row("T1").against(&p99, Some(1.0 / 6.0));
    }
    bench.record(middle.0.clone().of_row("T1").against(floor, Some(FLOORS)))?;
    large.0 = within(large.0.clone().of_row("T1"), &small.0);
    for (p50, p99) in figures {
        bench.record(p50)?;
        // Too few changes to speak of a p99.
        if p99.value.is_some() {
            bench.record(p99)?;
        }
    }
    Ok(())
}

/// The p50 in a large zone against that in a small one: within 20 %, or within a tenth of a millisecond.
fn within(large: Figure, small: &Figure) -> Figure {
    let apart = large.value.zip(small.value).map(|(large, small)| large - small);
    let figure = large.against(small, Some(1.2));
    let figure = Figure { against: Some(format!("zonecast, {}", small.work)), ..figure };
    match apart {
        Some(apart) if apart <= CLOSE_MS => Figure { met: Some(true), ..figure }
            .note(format!("{:.0} us apart; within 20 % or 100 us is asked for", apart * 1000.0)),
        _ => figure,
    }
}
