//! `zonecast restore`: a data folder made of a backup.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::place::Place;
use super::recover::{Later, now_us};
use crate::output::Output;
use zonecast_service::backup::{Order, Point, RestoreTime, restore};
use zonecast_service::day_and_time;
use zonecast_service::exit::Outcome;

/// See `zonecast restore --help`.
#[derive(Debug, Args)]
#[command(disable_version_flag = true)]
pub(super) struct Restore {
    /// A backup, or a folder of backups: then the newest one.
    #[arg(value_name = "DIR")]
    backup: PathBuf,
    /// Restore this version, also one between two backups of the folder: everything as it was right before the next version.
    /// `zonecast backup list DIR` shows the versions that can be restored.
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,
    /// The epoch that the version is of, if it is not that of the newest backup.
    #[arg(long, value_name = "EPOCH", requires = "version")]
    epoch: Option<u64>,
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
    /// The logs of later backups that lead from there to the version.
    logs: Vec<String>,
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
        let point = self.version.map(|version| Point { version, epoch: self.epoch });
        let restored = restore(Order { from: &self.backup, point, core: &folder.core() }, time)?;
        let (kept, fork) = (restored.recovered.kept, restored.recovered.fork);
        let report = Report {
            backup: restored.backup.display().to_string(),
            time: restored.manifest.time,
            logs: restored.logs.iter().map(|log| log.display().to_string()).collect(),
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
    report.logs.iter().try_for_each(|log| writeln!(out, "went on with {log}"))?;
    writeln!(out, "store {store}, version {version} of epoch {of_epoch}")?;
    report.lacks.iter().try_for_each(|what| writeln!(out, "not in it: {what}"))?;
    writeln!(out, "epoch {epoch} begins at version {first}")?;
    writeln!(
        out,
        "now start the core: edges at version {version} or before follow on, edges beyond it keep answering and take a \
         snapshot by themselves, and further cores join with empty data folders"
    )
}
