//! One change at a time in a small zone while a large one is replaced as a whole, again and again: no zone waits for
//! another.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::Context as _;

use super::single;
use super::stage::Stage;
use crate::bench::Bench;
use crate::generate;
use crate::samples::Samples;

const APEX: &str = "replaced.example";

pub(super) fn run(bench: &mut Bench, stage: &Stage) -> anyhow::Result<()> {
    let records = bench.size.pick(10_000, 1_000_000, 1_000_000);
    let [mut subject, ..] = stage.ours();
    subject.work = format!("one change at a time while a zone of {records} records is replaced, again and again");
    bench.say(&subject.work);
    let folder = bench.folder("beside_import")?;
    let text = std::fs::read_to_string(generate::zone(&folder, APEX, records)?)?;
    // Every record differs from one text to the other, so that each is a generation of its own.
    let texts = [text.replace(" A 10.", " A 11."), text];
    let api = stage.connections(1).pop().context("a connection")?;
    let (done, replaced) = (AtomicBool::new(false), AtomicUsize::new(0));
    let times = thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            for text in texts.iter().cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                api.put_zone(APEX, text.as_bytes())?;
                replaced.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
        let times = single::times(&subject, bench.size.pick(50, 1_000, 5_000));
        done.store(true, Ordering::Relaxed);
        replacing.join().map_err(|_| anyhow::anyhow!("the one who replaces panicked"))??;
        times
    })?;
    bench.say(&format!("it was replaced {} times", replaced.load(Ordering::Relaxed)));
    subject.record(bench, &Samples::new(&times))
}
