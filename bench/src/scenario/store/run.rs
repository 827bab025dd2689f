//! Both parts, one after the other.

use super::{answers, writes};
use crate::bench::Bench;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    writes::run(bench)?;
    answers::run(bench)
}
