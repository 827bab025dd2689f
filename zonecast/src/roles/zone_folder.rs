//! The folder of zone files that a core imports at start.

use std::path::{Path, PathBuf};

use zonecast_ingest::{Manifest, ManifestEntry, ManifestError, ZoneRoot};

use super::Stop;
use super::holdings::warn_of_unlisted;
use crate::exit::{Code, Failure, Outcome};
use crate::import::{ImportReport, import_folder};
use crate::service::Service;
use crate::service::zone_file::open_root;
use std::sync::Arc;

/// A folder whose list of zones was read.
#[derive(Debug)]
pub(crate) struct ZoneFolder {
    root: ZoneRoot,
    entries: Vec<ManifestEntry>,
    allow_shrink: bool,
}

impl ZoneFolder {
    /// Reads what is listed, but no zone. `allow_shrink` says that it is meant where zones lose much.
    ///
    /// # Errors
    /// Folder or manifest cannot be read, or the manifest makes no sense.
    pub(crate) fn open(folder: &Path, manifest: Option<&PathBuf>, allow_shrink: bool) -> Outcome<Self> {
        let root = open_root(folder)?;
        let (what, listed) = match manifest {
            Some(path) => (path.display(), Manifest::read(path)),
            None => (folder.display(), Manifest::of_folder(root.folder())),
        };
        let listed = listed.map_err(|errors| {
            let unreadable = errors.iter().any(|error| matches!(error, ManifestError::Io { .. }));
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            let code = if unreadable { Code::Unreadable } else { Code::Failed };
            Failure::new(code, format_args!("{what}: {}", lines.join("; ")))
        })?;
        Ok(Self { root, entries: listed.entries, allow_shrink })
    }

    /// How many zones are listed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Imports what differs; `None` when it was asked to stop before the end.
    ///
    /// # Errors
    /// The core cannot commit.
    pub(crate) async fn import(self, service: &Arc<Service>, stop: &Stop) -> Outcome<Option<ImportReport>> {
        let listed: Vec<_> = self.entries.iter().map(|entry| entry.apex).collect();
        let report = tokio::select! {
            report = import_folder(service, self.root, (self.entries, self.allow_shrink), stop.flag()) => report,
            // A zone that is being built is not waited for.
            () = stop.asked() => return Ok(None),
        };
        let report = match report {
            Ok(report) => report,
            Err(error) => return Err(service.failure(error).await),
        };
        if stop.is_asked() {
            return Ok(None);
        }
        warn_of_unlisted(&service.core().view(), listed.into_iter()).map_err(Failure::failed)?;
        let ImportReport { changed, unchanged, refused, held, .. } = report;
        tracing::info!(changed, unchanged, refused, held, version = %service.core().position().version, "imported");
        Ok(Some(report))
    }
}
