//! All parts, one after the other, and the processors that they use.

use super::{cost, memory, reach, zones};
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;

/// Processor of every server.
pub(super) const SERVER: usize = 0;

/// Processor of dnsperf.
pub(super) const CLIENT: usize = 1;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if !Dnsperf::is_installed() {
        return bench.skipped("answering queries", "all", "dnsperf is not installed, and it makes the queries");
    }
    cost::run(bench)?;
    zones::run(bench)?;
    reach::run(bench)?;
    memory::run(bench)
}
