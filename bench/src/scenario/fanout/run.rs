//! Everything that is measured of many edges, one after the other.

use super::{idle, rate, single};
use crate::bench::Bench;
use crate::generate;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    let folder = bench.folder("fanout")?;
    generate::zone(&folder, super::stage::APEX, 1_000)?;
    single::run(bench, &folder)?;
    rate::run(bench, &folder, 0)?;
    rate::run(bench, &folder, rate::RELAYS)?;
    idle::run(bench, &folder)
}
