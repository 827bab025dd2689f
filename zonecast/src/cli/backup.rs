//! `zonecast backup`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use super::shared::Shared;
use crate::output::Output;
use crate::size::size;
use zonecast_service::backup::{self, Backups, VersionRange};
use zonecast_service::day_and_time;
use zonecast_service::exit::{Code, Failure, Outcome};

/// See `zonecast backup --help`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Backup {
    /// Folder of backups, on the machine of the core; it is made if it is missing. Each backup is a folder in it, named
    /// after its time; files that have not changed since the backup before are hard links. Each also has the changes since
    /// the backup before, so that every version between them can be restored. Copy it to another machine afterwards.
    #[arg(value_name = "DIR", required = true)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare every file of a backup on this machine with the manifest of the backup.
    Verify {
        /// A backup, or a folder of backups: then the newest one.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Show the backups of a folder on this machine, and which versions `zonecast restore --version` can make of them.
    List {
        /// A folder of backups.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// What a folder of backups has.
#[derive(Debug, Serialize)]
struct List {
    backups: Vec<Listed>,
    /// Versions that can be restored.
    versions: Vec<VersionRange>,
    /// What is wrong with other backups.
    unreadable: Vec<String>,
}

/// One backup.
#[derive(Debug, Serialize)]
struct Listed {
    folder: String,
    /// When it was made, in seconds of Unix time.
    time: u64,
    store: String,
    epoch: u64,
    version: u64,
    /// Bytes of its files.
    bytes: u64,
}

impl List {
    fn of(backups: &Backups) -> Self {
        let listed = backups.listed.iter().map(|backup| Listed {
            folder: backup.folder.display().to_string(),
            time: backup.manifest.time,
            store: backup.manifest.store.clone(),
            epoch: backup.manifest.epoch,
            version: backup.manifest.version,
            bytes: backup.manifest.bytes(),
        });
        let unreadable = backups.unreadable.iter().map(ToString::to_string).collect();
        Self { backups: listed.collect(), versions: backups.ranges(), unreadable }
    }

    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        for Listed { folder, time, epoch, version, bytes, .. } in &self.backups {
            let (time, bytes) = (day_and_time(*time), size(*bytes));
            writeln!(out, "{folder}: made {time}, version {version} of epoch {epoch}, {bytes}")?;
        }
        self.versions.iter().try_for_each(|range| writeln!(out, "can be restored: {range}"))?;
        self.unreadable.iter().try_for_each(|what| writeln!(out, "no use: {what}"))
    }
}

impl Backup {
    pub(super) fn run(&self, shared: &Shared, output: Output) -> Outcome {
        match (&self.command, &self.folder) {
            (Some(Command::Verify { folder }), _) => {
                let folder = backup::backup_at(folder)?;
                let manifest = backup::verify(&folder).map_err(Failure::failed)?;
                output.show(&manifest, |manifest, out| {
                    let (files, bytes, folder) = (manifest.files.len(), size(manifest.bytes()), folder.display());
                    writeln!(out, "{folder} is good: {files} files, {bytes}")?;
                    show_contents(&manifest.store, manifest.epoch, manifest.version, &manifest.lacks, out)
                })
            }
            (Some(Command::List { folder }), _) => output.show(&List::of(&Backups::read(folder)?), List::show),
            (None, Some(folder)) => {
                let folder = std::path::absolute(folder).map_err(|error| Failure::io("use folder", folder, &error))?;
                let folder = folder.to_str().ok_or_else(|| Failure::usage("the folder's name must be text"))?;
                let info = Context::of(shared, output)?.client.backup(folder)?;
                output.show(&info, |info, out| {
                    let (bytes, new) = (size(info.bytes), size(info.new_bytes));
                    writeln!(out, "backed up into {}: {} files, {bytes}, {new} of it new", info.folder, info.files)?;
                    show_contents(&info.store, info.epoch, info.version, &info.lacks, out)?;
                    if let Some(since) = info.since {
                        writeln!(out, "every version from {since} on can be restored")?;
                    }
                    info.warning.as_ref().map_or(Ok(()), |warning| writeln!(out, "warning: {warning}"))
                })
            }
            (None, None) => return Err(Failure::new(Code::Usage, "which folder?")),
        }?;
        Ok(())
    }
}

fn show_contents(store: &str, epoch: u64, version: u64, lacks: &[String], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "store {store}, version {version} of epoch {epoch}")?;
    lacks.iter().try_for_each(|what| writeln!(out, "not in it: {what}"))
}
