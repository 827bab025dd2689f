//! Both parts, one after the other.

use super::{answers, network, writes};
use crate::bench::Bench;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    writes::run(bench)?;
    network::run(bench)?;
    answers::run(bench)
}
