//! `zonecast zone check`: reports the errors and warnings of an import, without a core.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use zonecast_builder::ZoneSettings;
use zonecast_ingest::ZoneRoot;
use zonecast_records::Name;

use super::zone_of::zone_of;
use super::{Context, text};
use crate::roles::zone_folder::ZoneFolder;
use zonecast_api::Tolerance;
use zonecast_api::types::{Finding, Severity};
use zonecast_service::exit::{Failure, Outcome};
use zonecast_service::zone_file::{self, Beside, Checked, ZoneText};
use zonecast_service::{ImportChoices, Nesting, as_built};

/// See `zonecast zone check --help`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Zone files, where the file APEX.zone holds the zone APEX; or one folder of zone files, which is checked as a
    /// core would import it.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Name of the zone in a single file, whatever the name of the file.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Manifest of a folder: lines of `apex<TAB>file`. Other files of the folder are ignored.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["zone", "folder"])]
    manifest: Option<PathBuf>,
    /// Folder that `$INCLUDE` paths are relative to. The default is the folder of each file.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Allow a CNAME at the apex (true or false), as the setting `flatten-apex` of a zone does.
    #[arg(long, value_name = "BOOL", default_value_t = false, action = clap::ArgAction::Set)]
    flatten_apex: bool,
    #[command(flatten)]
    tolerance: Tolerance,
    /// Fail on warnings, too.
    #[arg(long)]
    strict: bool,
}

/// The report about a file.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    zone: String,
    ok: bool,
    records: u64,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// Numbers of files with errors and with warnings.
#[derive(Debug, Default)]
struct Count {
    refused: u64,
    odd: u64,
}

/// A file of the command line: its zone, the folder for its includes, and its path relative to that folder.
type Found = (Name, ZoneRoot, PathBuf);

impl Check {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        let mut count = Count::default();
        match self.files.as_slice() {
            [folder] if folder.is_dir() && self.zone.is_none() => self.check_folder(context, folder, &mut count)?,
            _ if self.manifest.is_some() => return Err(Failure::usage("--manifest goes with a single folder")),
            _ => self.check_files(context, &mut count)?,
        }
        match count {
            Count { refused: refused @ 1.., .. } => {
                Err(Failure::failed(format_args!("{refused} zone files are refused")))
            }
            Count { odd: odd @ 1.., .. } if self.strict => {
                Err(Failure::failed(format_args!("{odd} zone files have warnings")))
            }
            _ => Ok(()),
        }
    }

    fn check_folder(&self, context: &Context, folder: &Path, count: &mut Count) -> Outcome {
        let zones = ZoneFolder::open(folder, self.manifest.as_ref(), ImportChoices::default())?;
        let nesting = Nesting::of(zones.entries().iter().map(|entry| &entry.apex));
        let (left_out, more) = zones.left_out();
        for left_out in left_out {
            let zone = left_out.apex.map(|apex| apex.to_string()).unwrap_or_default();
            let file = left_out.finding.file.clone().unwrap_or_default();
            let checked = Checked { errors: vec![left_out.finding.clone()], ..Checked::default() };
            say(context, file, zone, checked, count)?;
        }
        count.refused += more;
        for entry in zones.entries() {
            let file = zones.root().folder().join(&entry.file).display().to_string();
            let text = ZoneText::File { root: zones.root(), file: &entry.file, nesting: &nesting };
            say(context, file, entry.apex.to_string(), zone_file::check(text, &entry.apex, self.beside()), count)?;
        }
        Ok(())
    }

    fn check_files(&self, context: &Context, count: &mut Count) -> Outcome {
        if self.zone.is_some() && self.files.len() > 1 {
            return Err(Failure::usage("--zone goes with a single file"));
        }
        let found: Vec<Outcome<Found>> = self.files.iter().map(|file| self.find(file)).collect();
        let nesting = Nesting::of(found.iter().flatten().map(|(zone, ..)| zone));
        for (path, found) in self.files.iter().zip(found) {
            let file = path.display().to_string();
            match found {
                Ok((zone, root, relative)) => {
                    let text = ZoneText::File { root: &root, file: &relative, nesting: &nesting };
                    say(context, file, zone.to_string(), zone_file::check(text, &zone, self.beside()), count)?;
                }
                // One bad file does not keep the others out.
                Err(failure) if self.files.len() > 1 => {
                    let (severity, rule) = (Severity::Error, "unreadable".to_owned());
                    let message = failure.to_string();
                    let error = Finding { severity, file: Some(file.clone()), rule, message, ..Finding::default() };
                    say(context, file, String::new(), Checked { errors: vec![error], ..Checked::default() }, count)?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    fn find(&self, file: &Path) -> Outcome<Found> {
        let zone = self.zone.clone().map_or_else(|| zone_of(file), Ok)?;
        let (root, relative) = zone_file::root_of(file, self.folder.as_deref())?;
        Ok((zone_file::parse_zone(&zone)?, root, relative))
    }

    fn beside(&self) -> Beside {
        let settings = ZoneSettings::default().with_flatten(self.flatten_apex);
        Beside { settings, tolerance: as_built(self.tolerance), ..Beside::default() }
    }
}

fn say(context: &Context, file: String, zone: String, checked: Checked, count: &mut Count) -> Outcome {
    let Checked { records, errors, warnings } = checked;
    let ok = errors.is_empty();
    count.refused += u64::from(!ok);
    count.odd += u64::from(!warnings.is_empty());
    let report = Report { file, zone, ok, records, errors, warnings };
    context.output.show(&report, |report, out| {
        for error in &report.errors {
            writeln!(out, "error: {}", text::finding(error))?;
        }
        for warning in &report.warnings {
            writeln!(out, "warning: {}", text::finding(warning))?;
        }
        let verdict = if report.ok { "can be served" } else { "is refused" };
        writeln!(out, "{}: zone {} {verdict}, {} records", report.file, report.zone, report.records)
    })?;
    Ok(())
}
