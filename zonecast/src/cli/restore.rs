//! `zonecast restore`: a data folder made of a backup.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::place::Place;
use super::recover::{Later, now_us};
use crate::output::Output;
use zonecast_service::backup::{RestoreTime, restore};
use zonecast_service::day_and_time;
use zonecast_service::exit::Outcome;

/// See `zonecast restore --help`.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A backup, or a folder of backups: then the newest one.
    #[arg(value_name = "DIR")]
    backup: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    later: Later,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Report {
    backup: String,
    /// When it was made, in seconds of Unix time.
    time: u64,
    data: String,
    store: String,
    /// Its version and epoch.
    version: u64,
    of_epoch: u64,
    /// The epoch that began, and its first version.
    epoch: u64,
    first: u64,
    restore: String,
    lacks: Vec<String>,
}

impl Restore {
    pub(super) fn run(&self, output: Output) -> Outcome {
        let folder = self.place.open()?;
        let time = RestoreTime { now_us: now_us(), above: self.later.above() };
        let restored = restore(&self.backup, &folder.core(), time)?;
        let (kept, fork) = (restored.recovered.kept, restored.recovered.fork);
        let report = Report {
            backup: restored.backup.display().to_string(),
            time: restored.manifest.time,
            data: folder.path().display().to_string(),
            store: kept.store.to_string(),
            version: kept.version.get(),
            of_epoch: kept.epoch.get(),
            epoch: fork.epoch.get(),
            first: fork.version.get(),
            restore: restored.recovered.restore.to_string(),
            lacks: restored.manifest.lacks,
        };
        output.show(&report, show)?;
        Ok(())
    }
}

fn show(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let Report { backup, data, store, version, of_epoch, epoch, first, .. } = report;
    writeln!(out, "restored {backup}, made {}, into {data}", day_and_time(report.time))?;
    writeln!(out, "store {store}, version {version} of epoch {of_epoch}")?;
    report.lacks.iter().try_for_each(|what| writeln!(out, "not in it: {what}"))?;
    writeln!(out, "epoch {epoch} begins at version {first}")?;
    writeln!(
        out,
        "now start the core: edges at version {version} or before follow on, edges beyond it keep answering and take a \
         snapshot by themselves, and further cores join with empty data folders"
    )
}
