//! Making a data folder from a backup: a cluster of one, whose epoch is a later one.
//!
//! # Invariants
//! - What is not, to the byte, what the backup was when it was taken becomes no data folder.
//! - The folder is there whole or not at all: it is made beside its place and renamed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zonecast_kv_core::{CoreError, Recovered, Remains};
use zonecast_kv_proto::Epoch;
use zonecast_kv_store::{StateOptions, StateStore, StoreError};

use super::contents::{STATE, check_path};
use super::take::Hashing;
use super::{Manifest, ShelfError, VerifyError, backup_at};

/// Why a backup was not restored.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// There is no backup.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// It is damaged.
    #[error(transparent)]
    Backup(#[from] VerifyError),
    /// There is something where the core is to be.
    #[error("{} is not empty: a backup is restored where nothing is; move it away first", .0.display())]
    InTheWay(PathBuf),
    /// The backup is of another store than it says.
    #[error("the backup says that it is of store {said}, and it holds store {found}")]
    OtherStore {
        /// By its manifest.
        said: String,
        /// By its state.
        found: String,
    },
    /// The folder cannot be made.
    #[error("{} cannot be made: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The state cannot be laid out.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nor go on.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// A backup that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub backup: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// How the core goes on.
    pub recovered: Recovered,
}

/// When, and after which epoch at least.
#[derive(Clone, Copy, Debug)]
pub struct RestoreTime {
    /// Microseconds of Unix time.
    pub now_us: u64,
    /// The epoch that begins is later than this one.
    pub above: Epoch,
}

/// Restores the backup in a folder, or the newest one that it holds, into the folder of a core, which is empty or not
/// there.
///
/// # Errors
/// There is no folder of a core then.
pub fn restore(from: &Path, core: &Path, time: RestoreTime) -> Result<Restored, RestoreError> {
    let backup = backup_at(from)?;
    let manifest =
        Manifest::read(&backup).map_err(|source| VerifyError::Manifest { path: Manifest::path(&backup), source })?;
    if core.exists() && core.read_dir().map_err(at(core))?.next().is_some() {
        return Err(RestoreError::InTheWay(core.to_owned()));
    }
    let new = core.with_extension("restoring");
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(at(&new))?;
    }
    super::shelf::make(&new, false)?;
    StateStore::lay_out(&new.join(STATE), |to| copy(&backup, &manifest, to))?;
    let remains = Remains::open(&new, &StateOptions::default())?;
    let found = remains.found().position.store.to_string();
    if found != manifest.store {
        return Err(RestoreError::OtherStore { said: manifest.store, found });
    }
    let recovered = remains.recover(time.now_us, time.above)?;
    let parent = core.parent().unwrap_or(Path::new("."));
    std::fs::rename(&new, core).map_err(at(core))?;
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))?;
    Ok(Restored { backup, manifest, recovered })
}

/// Copies the files of the state, and compares each with the manifest on its way.
fn copy(backup: &Path, manifest: &Manifest, to: &Path) -> Result<(), RestoreError> {
    for file in &manifest.files {
        check_path(&file.path)?;
        let from = backup.join(&file.path);
        let unreadable = |source| VerifyError::Unreadable { path: from.clone(), source };
        let Some(name) = file.path.strip_prefix(STATE).and_then(|path| path.strip_prefix('/')) else {
            return Err(VerifyError::Stray { path: file.path.clone() }.into());
        };
        let to = to.join(name);
        let mut copied = Hashing::create(&to).map_err(at(&to))?;
        let bytes = io::copy(&mut File::open(&from).map_err(unreadable)?, &mut copied).map_err(unreadable)?;
        if (bytes, copied.finish().map_err(at(&to))?) != (file.bytes, file.blake3.clone()) {
            return Err(VerifyError::Damaged { path: from }.into());
        }
    }
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    |source| RestoreError::Io { path, source }
}
