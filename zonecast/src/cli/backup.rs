//! `zonecast backup`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Context;
use super::shared::Shared;
use crate::output::Output;
use crate::size::size;
use zonecast_service::backup;
use zonecast_service::exit::{Code, Failure, Outcome};

/// See `zonecast backup --help`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Backup {
    /// Folder of backups, on the machine of the core; it is made if it is missing. Each backup is a folder in it, named
    /// after its time; files that have not changed since the backup before are hard links. Copy it to another machine
    /// afterwards.
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
            (None, Some(folder)) => {
                let folder = std::path::absolute(folder).map_err(|error| Failure::io("use folder", folder, &error))?;
                let folder = folder.to_str().ok_or_else(|| Failure::usage("the folder's name must be text"))?;
                let info = Context::of(shared, output)?.client.backup(folder)?;
                output.show(&info, |info, out| {
                    let (bytes, new) = (size(info.bytes), size(info.new_bytes));
                    writeln!(out, "backed up into {}: {} files, {bytes}, {new} of it new", info.folder, info.files)?;
                    show_contents(&info.store, info.epoch, info.version, &info.lacks, out)?;
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
