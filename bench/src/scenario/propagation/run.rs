//! Everything that is measured of propagation, one after the other.

use super::stage::Stage;
use super::subject::Subject;
use super::{edges, load, rate, single, zones};

use crate::bench::Bench;
use crate::samples::Samples;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let stage = Stage::start(bench)?;
    single::run(bench, &stage)?;
    rate::run(bench, &stage)?;
    load::run(bench, &stage)?;
    drop(stage);
    zones::run(bench)?;
    edges::run(bench)
}

/// p50, and p99 where there are enough samples, of one run.
pub(super) fn record_samples(bench: &mut Bench, subject: &Subject<'_>, samples: &Samples) -> anyhow::Result<()> {
    let p50: Vec<f64> = samples.median().into_iter().collect();
    bench.record(subject.figure("p50").values(&p50, "ms").samples(samples.len()).distribution(samples))?;
    match samples.percentile(99.0) {
        Some(p99) => bench.record(subject.figure("p99").values(&[p99], "ms").samples(samples.len())),
        None => Ok(()),
    }
}
