//! One change at a time in one of very many small zones.

use super::single;
use super::stage;
use super::subject::Zone;
use crate::bench::Bench;
use crate::cluster::Cluster;
use crate::generate;
use crate::samples::Samples;

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let counts: &[usize] = bench.size.pick(&[1, 100], &[1, 10_000], &[1, 10_000, 100_000]);
    for count in counts {
        let folder = bench.folder("zones")?;
        generate::small_zones(&folder, *count)?;
        let apex = "changed.example";
        let records = 100;
        generate::zone(&folder, apex, records)?;
        bench.say(&format!("starting a core and an edge with {count} zones"));
        let cluster = Cluster::start(&folder, 1, apex)?;
        let mut subject = stage::ours(&cluster, Zone { apex: apex.to_owned(), records });
        subject.work = format!("one change at a time, {count} other zones of about 10 records");
        let times = single::times(&subject, bench.size.pick(50, 1_000, 5_000))?;
        let samples = Samples::new(&times);
        subject.record(bench, &samples)?;
    }
    Ok(())
}
