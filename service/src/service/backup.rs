//! Backups of the core while it runs, and the restores of its store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zonecast_kv_core::Core;

use super::Service;
use crate::backup::{Manifest, Shelf, Source, Taken, take};
use crate::error::ServiceError;
use crate::who::Who;
use crate::zone::{blocking, unix_time};
use zonecast_api::types::{BackupInfo, ForkInfo};

/// How long a backup waits until everything that was acknowledged anywhere is applied here.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(10);

impl Service {
    /// Copies what the core holds into a new folder in this one on its machine.
    ///
    /// # Errors
    /// The folder is not absolute, cannot be made or holds something else, or the disk failed.
    pub async fn backup(self: &Arc<Self>, folder: PathBuf, who: &Who) -> Result<BackupInfo, ServiceError> {
        let core = self.core().clone();
        let copy = async move {
            // Without a majority it may lack what the others have acknowledged; that is better than no backup.
            let warning = core.catch_up(CATCH_UP_WITHIN).await.err().map(|error| {
                format!(
                    "{error}: the backup holds what this core has applied, which may not be all that was acknowledged"
                )
            });
            let taken = blocking(move || back_up(&core, &folder)).await?;
            Ok(info(taken, warning))
        };
        self.to_the_end(who, copy).await
    }

    /// Every restore of the store, the first one first.
    pub fn forks(&self) -> Result<Vec<ForkInfo>, ServiceError> {
        let forks = self.core().forks().map_err(ServiceError::internal)?;
        let info = |fork: &zonecast_kv_proto::Published| ForkInfo {
            epoch: fork.epoch.get(),
            version: fork.version.get(),
            restore: fork.restore().map(|restore| restore.to_string()).unwrap_or_default(),
            time: fork.time_us / 1_000_000,
        };
        Ok(forks.iter().map(info).collect())
    }
}

fn back_up(core: &Core, folder: &Path) -> Result<Taken, ServiceError> {
    if !folder.is_absolute() {
        return Err(ServiceError::bad("the folder of backups is an absolute path on the machine of the core"));
    }
    let shelf = Shelf::open(folder).map_err(ServiceError::bad)?;
    let files = core.state_files().map_err(ServiceError::internal)?;
    let position = files.head().position;
    let manifest = Manifest::new(position.store.to_string(), position.epoch.get(), position.version.get(), unix_time());
    let sources = (0..).zip(files.files()).map(|(number, file)| {
        let path = files.path(number).map_err(ServiceError::internal)?;
        Ok(Source { name: file.name.clone(), path })
    });
    let sources: Vec<Source> = sources.collect::<Result<_, ServiceError>>()?;
    let taken = take(&shelf, &sources, manifest).map_err(ServiceError::internal)?;
    let (folder, version, new_bytes) = (taken.folder.display(), taken.manifest.version, taken.new_bytes);
    tracing::info!(%folder, version, new_bytes, "backed up");
    for file in &taken.damaged {
        tracing::warn!(file = %file.display(), "a file of the backup before is damaged; it was copied anew");
    }
    Ok(taken)
}

fn info(taken: Taken, warning: Option<String>) -> BackupInfo {
    let Taken { folder, manifest, new_bytes, damaged } = taken;
    let damaged = damaged.first().map(|file| format!("the backup before is damaged, at {}", file.display()));
    BackupInfo {
        folder: folder.display().to_string(),
        bytes: manifest.bytes(),
        new_bytes,
        files: manifest.files.len(),
        store: manifest.store,
        epoch: manifest.epoch,
        version: manifest.version,
        lacks: manifest.lacks,
        warning: warning.or(damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{RestoreError, RestoreTime, VerifyError, restore, verify};
    use crate::test_service::TestService;
    use zonecast_kv_core::Remains;
    use zonecast_kv_proto::Epoch;
    use zonecast_kv_store::StateOptions;

    const NOW: RestoreTime = RestoreTime { now_us: 9_000_000, above: Epoch::ZERO };

    #[test]
    fn a_backup_is_restored_as_it_was_and_only_where_nothing_is() {
        let folder = tempfile::tempdir().unwrap();
        let [shelf, data] = ["backups", "data"].map(|name| folder.path().join(name));
        let api = TestService::start();
        let back_up = || api.runtime().block_on(api.service().backup(shelf.clone(), &Who::default())).unwrap();
        let (first, second) = (back_up(), back_up());
        assert_eq!((first.new_bytes, first.warning), (first.bytes, None));
        assert!(second.new_bytes < first.new_bytes, "{second:?}");
        let position = api.service().core().position();
        api.stop();

        let restored = restore(&shelf, &data, NOW).unwrap();
        assert_eq!(restored.backup.display().to_string(), second.folder);
        assert_eq!((restored.recovered.kept, restored.recovered.fork.epoch), (position, Epoch::new(9000)));
        assert!(matches!(restore(&shelf, &data, NOW), Err(RestoreError::InTheWay(_))));
        let again = Remains::open(&data, &StateOptions::default()).unwrap();
        assert_eq!(again.found().position, restored.recovered.fork);
        drop(again);
        verify(&restored.backup).unwrap();

        let table = restored.backup.join("state").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let table = table.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "sst")).unwrap();
        let mut bytes = std::fs::read(&table).unwrap();
        bytes[10] ^= 1;
        std::fs::write(&table, bytes).unwrap();
        let other = folder.path().join("other");
        let refused = restore(&shelf, &other, NOW).unwrap_err();
        assert!(matches!(&refused, RestoreError::Backup(VerifyError::Damaged { path }) if *path == table), "{refused}");
        assert!(!other.exists());
    }

    #[test]
    fn the_folder_is_named_from_the_root() {
        let api = TestService::start();
        let who = Who::default();
        let error = api.runtime().block_on(api.service().backup("backups".into(), &who)).unwrap_err();
        assert!(error.to_string().contains("absolute"), "{error}");
        api.stop();
    }
}
