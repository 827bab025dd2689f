//! The folder of zone files that a core imports at start.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zonecast_ingest::{LeftOut, Manifest, ManifestEntry, ManifestError, Place, ZoneRoot};
use zonecast_records::Name;

use super::Stop;
use zonecast_api::types::{Finding, Severity};
use zonecast_service::Imported;
use zonecast_service::Service;
use zonecast_service::exit::{Code, Failure, Outcome};
use zonecast_service::warn_of_unlisted;
use zonecast_service::zone_file::{open_root, word};
use zonecast_service::{ImportChoices, ImportReport, ListedZones, ServiceError, import_folder};

/// A folder whose list of zones was read.
#[derive(Debug)]
pub(crate) struct ZoneFolder {
    root: ZoneRoot,
    entries: Vec<ManifestEntry>,
    left_out: Vec<LeftOutZone>,
    /// Beyond those.
    more_left_out: u64,
    hidden: u64,
    choices: ImportChoices,
}

/// What cannot be a zone and keeps no other out.
#[derive(Debug)]
pub(crate) struct LeftOutZone {
    /// What it would be, where that is known.
    pub apex: Option<Name>,
    /// Where and why.
    pub finding: Finding,
}

impl ZoneFolder {
    /// Reads what is listed, but no zone.
    ///
    /// # Errors
    /// Folder or manifest cannot be read.
    pub(crate) fn open(folder: &Path, manifest: Option<&PathBuf>, choices: ImportChoices) -> Outcome<Self> {
        let root = open_root(folder)?;
        let listed = match manifest {
            Some(path) => Manifest::read(path),
            None => Manifest::of_folder(root.folder()),
        };
        let Manifest { entries, left_out, more_left_out, hidden } = listed.map_err(|error| {
            let unreadable = matches!(error, ManifestError::Io { .. });
            Failure::new(if unreadable { Code::Unreadable } else { Code::Failed }, error)
        })?;
        let manifest = manifest.map_or(root.folder(), PathBuf::as_path);
        let left_out = left_out.into_iter().map(|left_out| LeftOutZone::new(&root, manifest, left_out)).collect();
        Ok(Self { root, entries, left_out, more_left_out, hidden, choices })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &ZoneRoot {
        &self.root
    }

    /// The zones.
    pub(crate) fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// What cannot be a zone, and how many more there are of that.
    pub(crate) fn left_out(&self) -> (&[LeftOutZone], u64) {
        (&self.left_out, self.more_left_out)
    }

    /// How many zones are listed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Imports what differs. Ends early when it is asked to stop, and with the lead of the core.
    ///
    /// # Errors
    /// The core cannot commit.
    pub(crate) async fn import(
        &self,
        service: &Arc<Service>,
        stop: &Stop,
    ) -> Result<Option<ImportReport>, ServiceError> {
        self.report_left_out(service);
        let left_out = u64::try_from(self.left_out.len()).unwrap_or(u64::MAX).saturating_add(self.more_left_out);
        // What is left out may be the zone of a file that turned bad: it is listed, and stays as it is.
        let known = self.left_out.iter().filter_map(|left_out| left_out.apex);
        let known: HashSet<Name> = known.collect();
        let listed: Vec<_> = self.entries.iter().map(|entry| entry.apex).chain(known.iter().copied()).collect();
        let zones = ListedZones { entries: self.entries.clone(), left_out: known };
        let report = tokio::select! {
            report = import_folder(service, self.root.clone(), zones, self.choices, stop.flag()) => report,
            // A zone that is being built is not waited for.
            () = stop.asked() => return Ok(None),
        };
        let report = report?;
        let report = ImportReport { refused: report.refused + left_out, ..report };
        if stop.is_asked() {
            return Ok(None);
        }
        warn_of_unlisted(&service.core().view(), listed.into_iter()).map_err(ServiceError::internal)?;
        let ImportReport { changed, unchanged, refused, held, .. } = report;
        tracing::info!(changed, unchanged, refused, held, version = %service.core().position().version, "imported");
        Ok(Some(report))
    }

    /// Says what cannot be a zone, and counts it.
    fn report_left_out(&self, service: &Service) {
        let (count, more) = (u64::try_from(self.left_out.len()).unwrap_or(u64::MAX), self.more_left_out);
        for LeftOutZone { apex, finding } in &self.left_out {
            let Finding { file, line, rule, message, .. } = finding;
            // A field that is none is not logged.
            let (zone, file) = (apex.as_ref().map(tracing::field::display), file.as_deref());
            tracing::error!(zone, file, line, rule, "left out: {message}");
        }
        if more > 0 {
            tracing::error!(more, "further lines or files are left out");
        }
        if self.hidden > 0 {
            tracing::info!(files = self.hidden, "files whose names begin with a dot are no zones");
        }
        service.metrics().imported(Imported::Refused, count.saturating_add(more));
    }
}

impl LeftOutZone {
    /// `manifest` is the file with the lines, or the folder.
    fn new(root: &ZoneRoot, manifest: &Path, left_out: LeftOut) -> Self {
        let LeftOut { place, apex, rule } = left_out;
        let (file, line) = match place {
            Place::Line(line) => (std::path::absolute(manifest).unwrap_or_else(|_| manifest.to_owned()), Some(line)),
            Place::File(file) => (root.folder().join(file), None),
        };
        let finding = Finding {
            severity: Severity::Error,
            file: Some(file.display().to_string()),
            line,
            record: None,
            rule: word(&rule),
            message: rule.to_string(),
        };
        Self { apex: apex.map(|apex| *apex), finding }
    }
}
