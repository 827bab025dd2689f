//! Both parts, one after the other.

use super::{load, record};
use crate::bench::Bench;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    load::run(bench)?;
    record::run(bench)
}
