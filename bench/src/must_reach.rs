//! `zonecast-bench must-reach`: the figures that a release must reach. They are printed; they decide no test.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::api::Api;
use crate::dev::Dev;
use crate::{changes, generate};

/// Ready times and single changes.
#[derive(Args)]
pub(crate) struct MustReach {
    /// Zones of about ten records in the first figure.
    #[arg(long, default_value_t = 10_000)]
    zones: usize,
    /// Records of the one zone in the second.
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
    /// Changes in the third.
    #[arg(long, default_value_t = 200)]
    changes: usize,
}

impl MustReach {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        generate::small_zones(folder.path(), self.zones)?;
        let dev = start(folder.path())?;
        report(&format!("{} zones of about 10 records: ready", self.zones), dev.took, 10.0);
        let times = changes::run(&Api::new(&dev.http()?), &dev.edges()?, self.zones, self.changes, |_, _| {})?;
        let [p50, p99, max] = changes::percentiles(&times);
        println!(
            "{} changes, request sent to UDP answer: p50 {p50:.2} ms, p99 {p99:.2} ms (must: below 20), max {max:.2} ms",
            self.changes
        );
        print_memory(&dev);
        dev.stop()?;

        let folder = tempfile::tempdir()?;
        generate::zone(folder.path(), "big.example", self.records)?;
        let dev = start(folder.path())?;
        report(&format!("one zone of {} records: ready", self.records), dev.took, 6.0);
        print_memory(&dev);
        dev.stop()
    }
}

fn start(folder: &std::path::Path) -> anyhow::Result<Dev> {
    let zones = folder.to_str().context("temporary folder is not UTF-8")?;
    Dev::start(["--zones", zones, "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"])
}

fn report(what: &str, took: Duration, limit: f64) {
    println!("{what} after {:.2} s (must: within {limit} s)", took.as_secs_f64());
}

fn print_memory(dev: &Dev) {
    if let Some(bytes) = dev.peak_memory() {
        println!("  peak memory of core and edge together: {} MiB", bytes / (1024 * 1024));
    }
}
