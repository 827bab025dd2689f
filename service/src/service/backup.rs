//! Backups of the core while it runs, and the restores of its store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zonecast_kv_core::Core;

use super::Service;
use crate::backup::{Between, Content, Manifest, Shelf, Source, Taken, take};
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
    let manifest = Manifest { entry: Core::entry_of(&files).map_err(ServiceError::internal)?, ..manifest };
    let sources = (0..).zip(files.files()).map(|(number, file)| {
        let path = files.path(number).map_err(ServiceError::internal)?;
        Ok(Source { name: file.name.clone(), path })
    });
    let sources: Vec<Source> = sources.collect::<Result<_, ServiceError>>()?;
    let content = Content { manifest, sources: &sources, log: &|span, out| core.save_log(span, out) };
    let taken = take(&shelf, content).map_err(ServiceError::internal)?;
    let (folder, version, new_bytes) = (taken.folder.display(), taken.manifest.version, taken.new_bytes);
    tracing::info!(%folder, version, new_bytes, "backed up");
    for file in &taken.damaged {
        tracing::warn!(file = %file.display(), "a file of the backup before is damaged; it was copied anew");
    }
    Ok(taken)
}

fn info(taken: Taken, warning: Option<String>) -> BackupInfo {
    let Taken { folder, manifest, new_bytes, damaged, between } = taken;
    let damaged = damaged.first().map(|file| format!("the backup before is damaged, at {}", file.display()));
    BackupInfo {
        folder: folder.display().to_string(),
        bytes: manifest.bytes(),
        new_bytes,
        files: manifest.files.len(),
        store: manifest.store,
        epoch: manifest.epoch,
        version: manifest.version,
        since: if let Between::All(since) = between { Some(since) } else { None },
        lacks: manifest.lacks,
        warning: warning.or(damaged).or_else(|| gap(between, manifest.version)),
    }
}

/// Why nothing between two backups can be restored.
fn gap(between: Between, version: u64) -> Option<String> {
    let (since, why) = match between {
        Between::First | Between::All(_) => return None,
        Between::Missing(since) => (
            since,
            "the raft log of this core does not reach back to the backup before: back up more often, or set a larger \
             `raft_log_bytes`",
        ),
        Between::TooLong(since) => {
            (since, "the changes since the backup before are more than 1 GiB: back up more often")
        }
    };
    Some(format!("no version between {since} and {version} can be restored: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::{Order, Point, RestoreError, RestoreTime, VerifyError, restore, verify};
    use crate::test_service::TestService;
    use zonecast_kv_core::Remains;
    use zonecast_kv_proto::Epoch;
    use zonecast_kv_store::StateOptions;

    fn order<'a>(from: &'a Path, core: &'a Path) -> Order<'a> {
        Order { from, point: None, core }
    }

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

        let restored = restore(order(&shelf, &data), NOW).unwrap();
        assert_eq!(restored.backup.display().to_string(), second.folder);
        assert_eq!((restored.recovered.kept, restored.recovered.fork.epoch), (position, Epoch::new(9000)));
        assert!(matches!(restore(order(&shelf, &data), NOW), Err(RestoreError::InTheWay(_))));
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
        let refused = restore(order(&shelf, &other), NOW).unwrap_err();
        assert!(matches!(&refused, RestoreError::Backup(VerifyError::Damaged { path }) if *path == table), "{refused}");
        assert!(!other.exists());
    }

    #[test]
    fn a_version_between_two_backups_is_restored_as_it_was_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = folder.path().join("backups");
        let api = TestService::start();
        let back_up = || api.runtime().block_on(api.service().backup(shelf.clone(), &Who::default())).unwrap();
        let put = |zone: &str, last: u8| {
            api.put_zone(zone, format!("@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.{last}\n").as_bytes());
            api.service().core().position()
        };
        put("one.test", 1);
        let first = back_up();
        assert_eq!((first.since, &first.warning), (None, &None));
        let positions = [put("two.test", 2), put("one.test", 3), put("three.test", 4)];
        let second = back_up();
        assert_eq!((second.since, &second.warning), (Some(first.version), &None));
        assert_eq!(positions[2].version.get(), second.version);
        api.stop();

        let point = |version: u64| Some(Point { version, epoch: None });
        for (number, position) in (0..).zip(positions) {
            let core = folder.path().join(format!("core-{number}"));
            let point = point(position.version.get());
            let restored = restore(Order { from: &shelf, point, core: &core }, NOW).unwrap();
            assert_eq!(restored.recovered.kept, position);
            assert_eq!(restored.logs.len(), usize::from(number < 2));
        }
        let core = folder.path().join("core");
        let between = Order { from: &shelf, point: point(positions[0].version.get()), core: &core };
        for version in [first.version - 1, second.version + 1] {
            let refused = restore(Order { point: point(version), ..between }, NOW).unwrap_err().to_string();
            let range = format!("it has versions {} to {} of epoch 0", first.version, second.version);
            assert!(refused.contains(&range), "{refused}");
        }
        let log = Path::new(&second.folder).join("log");
        let mut bytes = std::fs::read(&log).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&log, bytes).unwrap();
        let refused = restore(between, NOW).unwrap_err();
        assert!(refused.to_string().starts_with(&format!("{} is damaged", log.display())), "{refused}");
        assert!(verify(Path::new(&second.folder)).is_err() && !core.exists());
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
