//! Everything that is measured of propagation, one after the other.

use super::stage::Stage;
use super::{beside_import, edges, load, new_zones, rate, single, zones};
use crate::bench::Bench;

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
