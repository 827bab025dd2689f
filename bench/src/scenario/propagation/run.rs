//! Everything that is measured of propagation, one after the other.

use super::stage::Stage;
use super::subject::Subject;
use super::{beside_import, edges, load, new_zones, rate, single, zones};
use crate::bench::Bench;
use crate::figure::Figure;
use crate::samples::Samples;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let stage = Stage::start(bench)?;
    single::run(bench, &stage)?;
    rate::run(bench, &stage)?;
    load::run(bench, &stage)?;
    beside_import::run(bench, &stage)?;
    drop(stage);
    zones::run(bench)?;
    new_zones::run(bench)?;
    edges::run(bench)
}

/// What there is to say of one run.
pub(super) fn record_samples(bench: &mut Bench, subject: &Subject, samples: &Samples) -> anyhow::Result<()> {
    let figures = Figure::percentiles(samples, "ms", |measure| subject.figure(measure));
    figures.into_iter().try_for_each(|figure| bench.record(figure))
}
