//! Record builds: one change in a very large zone, in a small one, and the full build that it saves (T8).

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use domain::base::iana::Rtype;
use zonecast_builder::{Change, RrsetChange, SerialTime, record_build};
use zonecast_kv_proto::{MemoryView, View, ViewError};
use zonecast_records::Name;

use crate::bench::Bench;
use crate::figure::Figure;
use crate::samples::Samples;
use crate::{generate, in_memory};

const APEX: &str = "large.example";

/// What a record build may take, in microseconds: T8.
const WORK_US: f64 = 100.0;

/// How much faster than the full build it must be.
const TIMES: f64 = 4_000.0;

/// How much longer than in a zone of 1,000 it may take.
const WORSE: f64 = 1.5;

/// Keys of the answer path that a change of glue may touch.
const KEYS: f64 = 3.0;

/// Changes in a row in one zone before the other has its turn.
const BLOCK: usize = 500;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let (records, changes) = bench.size.pick((10_000, 1_000_usize), (1_000_000, 10_000), (4_000_000, 100_000));
    let file = generate::zone(&bench.folder("record-build")?, APEX, records)?;
    bench.say(&format!("building a zone of {records} records"));
    let text = std::fs::read(&file)?;
    let started = Instant::now();
    let build = in_memory::build(APEX, &text)?;
    let full = started.elapsed();
    drop(text);
    let mut large = Zone::new(in_memory::store(build), records)?;
    let small_file = generate::zone(&bench.folder("record-build-small")?, APEX, 1_000)?;
    let small = in_memory::store(in_memory::build(APEX, &std::fs::read(small_file)?)?);
    let mut small = Zone::new(small, 1_000)?;
    for _ in 0..changes.div_ceil(BLOCK) {
        large.changes(BLOCK)?;
        small.changes(BLOCK)?;
    }
    record_times(bench, records, full, &large, &small)?;
    glue(bench)
}

/// A zone in memory that changes.
struct Zone {
    view: MemoryView,
    apex: Name,
    records: usize,
    done: usize,
    /// Of each change: all of it, and what of that was the map's.
    times: Vec<(Duration, Duration)>,
}

/// A view that notes how long its reads take. They are the store's work, for which a map in memory stands: in a zone of
/// millions a read compares two dozen keys, each of them somewhere else in memory.
struct Timed<'v> {
    view: &'v MemoryView,
    reading: Cell<Duration>,
}

impl Timed<'_> {
    fn timed<T>(&self, read: impl FnOnce(&MemoryView) -> T) -> T {
        let started = Instant::now();
        let found = read(self.view);
        self.reading.set(self.reading.get() + started.elapsed());
        found
    }
}

impl View for Timed<'_> {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.timed(|view| view.get(key, value))
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.timed(|view| view.last_in(lower, upper, key, value))
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.timed(|view| view.scan(lower, end, visit))
    }
}

impl Zone {
    fn new(view: MemoryView, records: usize) -> anyhow::Result<Self> {
        let apex = APEX.parse().map_err(|error| anyhow!("{APEX}: {error}"))?;
        Ok(Self { view, apex, records, done: 0, times: Vec::new() })
    }

    /// Sets the address of one host after the other, all over the zone.
    fn changes(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            let host = self.done * 7_919 % generate::hosts(self.records);
            let address = generate::new_address(self.done);
            let change = set_address(&format!("host-{host}.{APEX}"), address)?;
            let view = Timed { view: &self.view, reading: Cell::default() };
            let started = Instant::now();
            let build = record_build(&view, &self.apex, std::slice::from_ref(&change), SerialTime::default())?;
            self.times.push((started.elapsed(), view.reading.get()));
            self.view.apply(&build.batch);
            self.done += 1;
        }
        Ok(())
    }

    /// Microseconds of the builder alone, and with the reads.
    fn samples(&self) -> [Samples; 2] {
        let of = |time: fn(&(Duration, Duration)) -> Duration| {
            Samples::of(self.times.iter().map(|times| time(times).as_secs_f64() * 1e6).collect())
        };
        [of(|(all, reads)| all.saturating_sub(*reads)), of(|(all, _)| *all)]
    }
}

fn record_times(bench: &mut Bench, records: usize, full: Duration, large: &Zone, small: &Zone) -> anyhow::Result<()> {
    let work = |records: usize| format!("one change in a zone of {records} records: work of the builder");
    let figure = |zone: &Zone, settings: &str, measure: &str, value: Option<f64>| {
        let values: Vec<f64> = value.into_iter().collect();
        let figure = Figure::new(work(zone.records), "zonecast", measure).values(&values, "us");
        figure.samples(zone.times.len()).settings(settings)
    };
    let ([of_large, all_of_large], [of_small, all_of_small]) = (large.samples(), small.samples());
    let (alone, with_reads) = ("record build", "record build and the reads of a map in memory");
    let p99 = figure(large, with_reads, "p99", all_of_large.percentile(99.0)).of_row("T8");
    bench.record(p99.against_value(WORK_US, "what T8 asks: 100 us", Some(1.0)))?;
    let small_p50 = figure(small, alone, "p50", of_small.median()).distribution(&of_small);
    let large_p50 = figure(large, alone, "p50", of_large.median()).distribution(&of_large);
    let note = "reads of the present keys, as many in a small zone, are the store's and not counted";
    bench.record(large_p50.of_row("T8").note(note).against(&small_p50, Some(WORSE)))?;
    bench.record(small_p50)?;
    let large_p50 = figure(large, with_reads, "p50", all_of_large.median());
    let small_p50 = figure(small, with_reads, "p50", all_of_small.median());
    bench.record(large_p50.clone().against(&small_p50, None))?;
    bench.record(small_p50)?;
    let full_us = full.as_secs_f64() * 1e6;
    let faster = large_p50.value.map(|value| full_us / value);
    let values: Vec<f64> = faster.into_iter().collect();
    let figure = Figure::new(work(records), "zonecast", "full build over record build").values(&values, "times");
    let figure = figure.more_is_better().of_row("T8").note(format!("the full build took {:.2} s", full.as_secs_f64()));
    bench.record(figure.against_value(TIMES, "what T8 asks: 4,000 times", Some(1.0)))
}

/// The address of a name server that many delegations share: how many keys its change touches.
fn glue(bench: &mut Bench) -> anyhow::Result<()> {
    let delegations = bench.size.pick(1_000, 200_000, 1_000_000);
    bench.say(&format!("building a zone of {delegations} delegations"));
    let mut text = String::from(generate::HEAD);
    for number in 0..delegations {
        writeln!(text, "child-{number} NS ns.child-{number}\nns.child-{number} A 192.0.2.2")?;
    }
    let view = in_memory::store(in_memory::build(APEX, text.as_bytes())?);
    let apex: Name = APEX.parse().map_err(|error| anyhow!("{error}"))?;
    let change = set_address(&format!("ns.child-{}.{APEX}", delegations / 2), Ipv4Addr::new(192, 0, 2, 3))?;
    let build = record_build(&view, &apex, &[change], SerialTime::default())?;
    let published = build.batch.sections.iter().filter(|section| section.id.keyspace.is_published());
    let keys: usize = published.map(|section| section.ops.len()).sum();
    #[allow(clippy::cast_precision_loss, reason = "a few keys")]
    let keys = keys as f64;
    let work = format!("one change of glue in a zone of {delegations} delegations");
    let figure = Figure::new(work, "zonecast", "published keys touched").values(&[keys], "keys").of_row("T8");
    bench.record(figure.against_value(KEYS, "what T8 asks: 3 keys", Some(1.0)))
}

fn set_address(owner: &str, address: Ipv4Addr) -> anyhow::Result<Change> {
    let owner = owner.parse().map_err(|error| anyhow!("{owner}: {error}"))?;
    Ok(Change::Rrset(RrsetChange::Set { owner, rtype: Rtype::A, ttl: 60, rdatas: vec![address.octets().to_vec()] }))
}
