//! Backups of the core while it runs, and what is said about them afterwards: that a restore is meant.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use zonecast_kv_proto::{EdgeLink, SubscribeRefusal};

use super::Service;
use crate::backup::{Manifest, seal};
use crate::error::ServiceError;
use crate::who::Who;
use crate::zone::{blocking, unix_time};
use zonecast_api::types::{BackupInfo, ForkInfo};

impl Service {
    /// Copies what the core holds into a new folder on its machine.
    ///
    /// # Errors
    /// The folder is not absolute, cannot be made or holds something, or the disk failed.
    pub async fn backup(self: &Arc<Self>, folder: PathBuf, who: &Who) -> Result<BackupInfo, ServiceError> {
        let core = self.core().clone();
        let copy = blocking(move || {
            make_empty(&folder)?;
            // What is committed while the copy is made may be in it, too.
            let position = core.position();
            let manifest =
                Manifest::new(position.store.to_string(), position.epoch.get(), position.version.get(), unix_time());
            core.checkpoint(&folder).map_err(|error| unfinished(&folder, &error))?;
            let manifest = seal(&folder, manifest).map_err(|error| unfinished(&folder, &error))?;
            tracing::info!(folder = %folder.display(), version = manifest.version, "backed up");
            Ok(BackupInfo {
                folder: folder.display().to_string(),
                bytes: manifest.bytes(),
                files: manifest.files.len(),
                store: manifest.store,
                epoch: manifest.epoch,
                version: manifest.version,
                lacks: manifest.lacks,
            })
        });
        self.to_the_end(who, copy).await
    }

    /// Says that a restore is meant: a new epoch begins, and edges that are ahead take what the core holds.
    ///
    /// # Errors
    /// The core cannot commit.
    pub async fn accept_restore(self: &Arc<Self>, who: Who) -> Result<ForkInfo, ServiceError> {
        let service = Arc::clone(self);
        self.to_the_end(&who.clone(), async move { service.accept_restore_now(who.name()).await }).await
    }

    async fn accept_restore_now(&self, by: &str) -> Result<ForkInfo, ServiceError> {
        let was_needed = self.parts.publisher.edges().iter().any(|edge| is_cured_by_restore(edge.report.link));
        // Later than any that an edge has seen, or edges would stay that follow an earlier restore.
        let above = self.parts.publisher.highest_epoch().next().unwrap_or_default();
        let restore = self.core().accept_restore(above).await;
        // It may have been on its way when the core stopped.
        let restore = restore.map_err(|error| ServiceError::Unknown(error.to_string()))?.to_string();
        let forks = self.forks()?;
        let fork = forks.into_iter().find(|fork| fork.restore == restore);
        let fork = fork.ok_or_else(|| ServiceError::internal("an accepted restore is not among the forks"))?;
        *self.restore_accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        tracing::warn!(
            epoch = fork.epoch,
            version = fork.version,
            by,
            "a restore was accepted: edges that are ahead take a snapshot"
        );
        let warning = (!was_needed).then(|| {
            "no edge was refused by this core as being ahead of it, so none needs this; edges that connect later may"
                .to_owned()
        });
        Ok(ForkInfo { warning, ..fork })
    }

    /// Every restore that was accepted, the first one first.
    pub fn forks(&self) -> Result<Vec<ForkInfo>, ServiceError> {
        let forks = self.core().forks().map_err(ServiceError::internal)?;
        let info = |fork: &zonecast_kv_proto::Published| ForkInfo {
            epoch: fork.epoch.get(),
            version: fork.version.get(),
            restore: fork.restore().map(|restore| restore.to_string()).unwrap_or_default(),
            time: fork.time_us / 1_000_000,
            warning: None,
        };
        Ok(forks.iter().map(info).collect())
    }
}

/// Whether an edge was refused for having what this core has lost.
fn is_cured_by_restore(link: EdgeLink) -> bool {
    use SubscribeRefusal::{Ahead, ChainDiffers, ForkedAt};
    matches!(link, EdgeLink::Refused(_, Ahead(_) | ForkedAt { .. } | ChainDiffers { .. }))
}

/// The folder, for the core's user only, with nothing in it.
fn make_empty(folder: &Path) -> Result<(), ServiceError> {
    if !folder.is_absolute() {
        return Err(ServiceError::bad("the folder of a backup is an absolute path on the machine of the core"));
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = match builder.create(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let has_something = folder.read_dir().map(|mut entries| entries.next().is_some());
            match has_something {
                Ok(true) => return Err(ServiceError::bad(format_args!("{} is not empty", folder.display()))),
                Ok(false) => for_its_user_only(folder),
                Err(error) => Err(error),
            }
        }
        made => made,
    };
    made.map_err(|error| {
        let folder = folder.display();
        ServiceError::bad(format_args!("the core cannot make folder {folder} on its machine, as its user: {error}"))
    })
}

fn for_its_user_only(folder: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

fn unfinished(folder: &Path, error: &dyn std::fmt::Display) -> ServiceError {
    let folder = folder.display();
    ServiceError::Internal(format!("{error}; what is in {folder} is no backup, remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_service::TestService;

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_there_is_for_its_user_only_from_then_on() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        make_empty(folder.path()).unwrap();
        assert_eq!(folder.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(folder.path().join("x"), "").unwrap();
        assert!(make_empty(folder.path()).unwrap_err().to_string().contains("not empty"));
    }

    #[test]
    fn whether_a_restore_was_accepted_is_not_known_when_the_core_has_stopped() {
        let api = TestService::start();
        api.runtime().block_on(api.service().accept_restore(Who::default())).unwrap();
        api.runtime().block_on(api.service().core().shutdown()).unwrap();
        let error = api.runtime().block_on(api.service().accept_restore(Who::default())).unwrap_err();
        assert!(matches!(error, ServiceError::Unknown(_)), "{error}");
        api.stop();
    }
}
