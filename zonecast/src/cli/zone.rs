//! `zonecast zone import|export|list|check|settings|log|diff|rollback|delete|undelete`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::context::{OnlyIf, WaitUntil};
use super::history::{Diff, Log, Rollback};
use super::settings::Guards;
use super::whole_file::save_whole;
use super::written::{show_preview, show_written};
use super::zone_check::Check;
use super::zone_of::zone_of;
use super::{Context, Waiting, text};
use zonecast_api::PutOptions;
use zonecast_api::Tolerance;
use zonecast_api::types::{DeletedZones, SettingsChange};
use zonecast_service::Progress;
use zonecast_service::day_and_time;
use zonecast_service::exit::{Code, Failure, Outcome};
use zonecast_service::zone_file;

/// See `zonecast zone --help`.
#[derive(Debug, Subcommand)]
pub(super) enum Zone {
    /// Create or replace zones from zone files.
    Import(Import),
    /// Print a zone as a zone file.
    Export(Export),
    /// List the zones, or the deleted zones that can be restored.
    List(List),
    /// Check zone files without a core, and report the errors and warnings that an import would report.
    Check(Check),
    /// Show or change the settings of a zone.
    Settings(Settings),
    /// Show the last changes of a zone with their time, author and serials.
    Log(Log),
    /// Show the records that differ between two states of a zone; by default, those that the last change removed and
    /// added.
    Diff(Diff),
    /// Undo the last change of a zone, or restore the state after an earlier change, settings included.
    Rollback(Rollback),
    /// Delete a zone with all its records. `undelete` can restore it for a limited time.
    Delete(Delete),
    /// Restore a deleted zone with its records, settings and history.
    Undelete(Undelete),
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Zone files. The file APEX.zone holds the zone APEX.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the zone in a single file, whatever the name of the file.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Folder that `$INCLUDE` paths are relative to. The default is the folder of each file.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    choices: Choices,
    /// Import the file even if the zone loses a large share of its records.
    #[arg(long)]
    allow_shrink: bool,
    /// Show what would change, and change nothing. Fails if the import would be held.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    tolerance: Tolerance,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// List the deleted zones that can be restored.
    #[arg(long)]
    deleted: bool,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Name of the zone.
    zone: String,
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Settings {
    /// Name of the zone.
    zone: String,
    #[command(flatten)]
    choices: Choices,
    #[command(flatten)]
    only_if: OnlyIf,
}

/// The settings of a zone.
#[derive(Debug, Args)]
struct Choices {
    /// How a record change sets the serial of the SOA: `increment` adds one, `date` uses the day and two digits
    /// (2026112700), `unix` uses Unix time in seconds, `keep` leaves the serial unchanged.
    #[arg(long, value_name = "POLICY", value_parser = ["increment", "date", "unix", "keep"])]
    serial: Option<String>,
    /// TTL in seconds for new RRsets that are added without a TTL.
    #[arg(long, value_name = "TTL")]
    default_ttl: Option<u32>,
    /// Allow a CNAME at the apex (true or false). Queries for it are answered with the addresses that its target has in
    /// this store.
    #[arg(long, value_name = "BOOL")]
    flatten_apex: Option<bool>,
    #[command(flatten)]
    guards: Guards,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// Name of the zone.
    zone: String,
    /// Delete the zone. Without this option the deletion is held.
    #[arg(long)]
    allow_shrink: bool,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
pub(super) struct Undelete {
    /// Name of the zone.
    zone: String,
    #[command(flatten)]
    wait_until: WaitUntil,
}

impl Zone {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Self::Import(import) => import.run(context),
            Self::Export(export) => export.run(context),
            Self::List(List { deleted: false }) => list(context),
            Self::List(List { deleted: true }) => list_deleted(context),
            Self::Check(check) => check.run(context),
            Self::Settings(settings) => settings.run(context),
            Self::Log(log) => log.run(context),
            Self::Diff(diff) => diff.run(context),
            Self::Rollback(rollback) => rollback.run(context),
            Self::Delete(delete) => delete.run(context),
            Self::Undelete(undelete) => undelete.run(context),
        }
    }
}

impl Import {
    fn run(&self, context: &Context) -> Outcome {
        let progress = Progress::new("importing", "zones", self.files.len() as u64);
        let mut failures = Vec::new();
        for (file, zone) in with_zones(&self.files, self.zone.as_deref())? {
            match self.one(context, file, &zone) {
                Ok(()) => {}
                // A bad file does not stop the import of the others, as in `dev`.
                Err(failure) if self.files.len() > 1 && matches!(failure.code, Code::Failed | Code::Unreadable) => {
                    let findings: Vec<String> = failure.findings.iter().map(text::finding).collect();
                    tracing::error!(file = %file.display(), "{failure}: {}", findings.join("; "));
                    failures.push(failure);
                }
                Err(failure) => return Err(failure),
            }
            progress.add(1);
        }
        progress.finish();
        match failures.len() {
            0 => Ok(()),
            count => Err(Failure::failed(format_args!("{count} of {} files were refused", self.files.len()))),
        }
    }

    fn one(&self, context: &Context, file: &Path, zone: &str) -> Outcome {
        let text = zone_file::read_flat(file, zone, self.folder.as_deref())?;
        let name = file.display().to_string();
        let Self { tolerance, allow_shrink, dry_run, .. } = *self;
        let options = PutOptions { settings: self.choices.to_change(), tolerance, allow_shrink, dry_run };
        let client = self.waiting.only_if.client(context);
        let written = client.put_zone_choosing(zone, &text, &name, &options, self.waiting.patience())?;
        if dry_run { show_preview(context, &written) } else { show_written(context, &written) }
    }
}

impl Export {
    fn run(&self, context: &Context) -> Outcome {
        let export = |out: &mut dyn std::io::Write, failed: &dyn Fn(std::io::Error) -> Failure| {
            context.client.export_zone_to(&self.zone, |part| out.write_all(part).map_err(failed))?;
            out.flush().map_err(failed)
        };
        match &self.output {
            Some(path) => save_whole(path, |out| export(out, &|error| Failure::io("write", path, &error))),
            None => export(&mut std::io::stdout().lock(), &Failure::from),
        }
    }
}

impl Settings {
    fn run(&self, context: &Context) -> Outcome {
        let Self { zone, choices, only_if } = self;
        let change = choices.to_change();
        let settings = if change == SettingsChange::default() {
            context.client.settings(zone)?
        } else {
            only_if.client(context).change_settings(zone, &change)?
        };
        context.output.show(&settings, |settings, out| {
            writeln!(out, "serial\t{}\ndefault TTL\t{}", settings.serial_policy, settings.default_ttl)?;
            writeln!(out, "flatten apex\t{}", settings.flatten_apex)?;
            writeln!(out, "max shrink\t{}\nolder serial\t{}", settings.max_shrink, settings.older_serial)
        })?;
        Ok(())
    }
}

impl Choices {
    fn to_change(&self) -> SettingsChange {
        let Self { serial, default_ttl, flatten_apex, guards } = self;
        let Guards { max_shrink, older_serial } = guards.clone();
        let serial_policy = serial.clone();
        SettingsChange {
            serial_policy,
            default_ttl: *default_ttl,
            flatten_apex: *flatten_apex,
            max_shrink,
            older_serial,
        }
    }
}

impl Delete {
    fn run(&self, context: &Context) -> Outcome {
        let client = self.waiting.only_if.client(context);
        let written = client.delete_zone(&self.zone, self.allow_shrink, self.waiting.patience())?;
        show_written(context, &written)
    }
}

impl Undelete {
    fn run(&self, context: &Context) -> Outcome {
        let written = context.client.undelete_zone(&self.zone, self.wait_until.patience())?;
        show_written(context, &written)
    }
}

fn list(context: &Context) -> Outcome {
    let mut all = Vec::new();
    context.client.each_page(|page| {
        if context.output.json {
            all.extend(page.zones);
            return Outcome::Ok(());
        }
        let mut out = std::io::stdout().lock();
        for zone in &page.zones {
            writeln!(out, "{}\tserial {}\tgeneration {}\tid {}", zone.zone, zone.serial, zone.generation, zone.id)?;
        }
        Ok(())
    })?;
    if context.output.json {
        context.output.show(&all, |_, _| Ok(()))?;
    }
    Ok(())
}

fn list_deleted(context: &Context) -> Outcome {
    let mut deleted = context.client.deleted_zones(None)?;
    while let Some(after) = deleted.next.take() {
        let DeletedZones { zones, next } = context.client.deleted_zones(Some(&after))?;
        deleted.zones.extend(zones);
        deleted.next = next;
    }
    context.output.show(&deleted, |deleted, out| {
        deleted.zones.iter().try_for_each(|zone| {
            let (at, until) = (day_and_time(zone.deleted), day_and_time(zone.kept_until));
            writeln!(out, "{}\tdeleted {at}\tkept until {until}\tid {}", zone.zone, zone.id)
        })
    })?;
    Ok(())
}

/// Each file with the name of its zone.
fn with_zones<'f>(files: &'f [PathBuf], zone: Option<&str>) -> Outcome<Vec<(&'f Path, String)>> {
    match (zone, files) {
        (Some(zone), [file]) => Ok(vec![(file, zone.to_owned())]),
        (Some(_), _) => Err(Failure::usage("--zone goes with a single file")),
        (None, files) => files.iter().map(|file| Ok((file.as_path(), zone_of(file)?))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_named_for_a_single_file_only() {
        let files = [PathBuf::from("a"), PathBuf::from("b")];
        assert!(with_zones(&files, Some("x")).is_err());
        assert_eq!(with_zones(&files[..1], Some("x")).unwrap(), [(Path::new("a"), "x".to_owned())]);
    }
}
