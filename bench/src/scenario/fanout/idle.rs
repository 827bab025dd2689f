//! One relay with a thousand edges and nothing to do: its memory, and what each of them costs it in the network and in
//! processor time.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::rate::{SENT, count, mebibytes};
use super::stage;
use crate::api::Api;
use crate::bench::Bench;
use crate::cluster::{Cluster, Layout};
use crate::figure::Figure;

/// Processor time of a relay, in user mode and in the kernel.
const PROCESSOR: &str = "zonecast_process_cpu_seconds_total";

/// What a relay with so many connections must have less of: T3.
const MEMORY_MIB: f64 = 512.0;
const ASKED_OF: usize = 1_000;

/// Time to come to rest: the changes before are acknowledged, compactions are done.
const SETTLE: Duration = Duration::from_secs(2);

/// What a relay used.
#[derive(Clone, Copy)]
struct Use {
    sent_bytes: f64,
    processor_us: f64,
}

pub(super) fn run(bench: &mut Bench, folder: &Path) -> anyhow::Result<()> {
    let (edges, seconds) = bench.size.pick((40, 2), (1_000, 8), (1_000, 30));
    bench.say("starting a core and a relay");
    let cluster = Cluster::laid_out(Layout { relays: 1, ..Layout::default() }, folder, stage::APEX)?;
    let relay = cluster.relays.first().context("a relay")?;
    let api = Api::new(&relay.http.to_string());
    let alone = watch(&api, seconds)?;
    bench.say(&format!("{edges} light edges"));
    let following = stage::follow(&cluster, edges)?;
    let loaded = watch(&api, seconds)?;
    let work = format!("one relay with {edges} idle edges");
    let each = loaded.less(alone).over(count(edges));
    let note = format!("with so many and with none; light edges; {} connections lost", following.lost());
    for (measure, unit, value) in [
        ("bytes of frames to an edge in a second", "B", each.sent_bytes),
        ("processor time for an edge in a second", "us", each.processor_us),
    ] {
        let figure = Figure::new(&work, "zonecast", measure).values(&[value], unit);
        bench.record(figure.note(&note))?;
    }
    let resident = Figure::new(&work, "zonecast", "resident memory").values(&[mebibytes(relay.memory()?)], "MiB");
    let resident = resident.against_value(MEMORY_MIB, format!("what T3 asks: {MEMORY_MIB} MiB"), Some(1.0));
    // Fewer say nothing of the target.
    bench.record(if edges < ASKED_OF { resident } else { resident.of_row("T3") })
}

impl Use {
    fn less(self, other: Self) -> Self {
        Self { sent_bytes: self.sent_bytes - other.sent_bytes, processor_us: self.processor_us - other.processor_us }
    }

    /// The part of one of so many edges or seconds.
    fn over(self, many: f64) -> Self {
        Self { sent_bytes: self.sent_bytes / many, processor_us: self.processor_us / many }
    }
}

/// What the relay uses in a second, over some seconds.
fn watch(relay: &Api, seconds: u64) -> anyhow::Result<Use> {
    thread::sleep(SETTLE);
    let used = || anyhow::Ok(Use { sent_bytes: relay.metric(SENT)?, processor_us: relay.metric(PROCESSOR)? * 1e6 });
    let (before, started) = (used()?, Instant::now());
    thread::sleep(Duration::from_secs(seconds));
    Ok(used()?.less(before).over(started.elapsed().as_secs_f64()))
}
