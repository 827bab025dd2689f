//! All parts, one after the other.

use super::{cost, memory, reach, zones};
use crate::bench::Bench;
use crate::dnsperf::Dnsperf;

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if !Dnsperf::is_installed() {
        return bench.skipped("answering queries", "all", "dnsperf is not installed, and it makes the queries");
    }
    cost::run(bench)?;
    zones::run(bench)?;
    reach::run(bench)?;
    memory::run(bench)
}
