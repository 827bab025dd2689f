//! Making a data folder from a backup: a cluster of one, whose epoch is a later one.
//!
//! # Invariants
//! - What is not, to the byte, what the backup was when it was taken becomes no data folder. So it is with the logs of later
//!   backups, with which a version between two of them is made.
//! - The folder is there whole or not at all: it is made beside its place and renamed.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zonecast_kv_core::{CoreError, Recovered, Remains, Replay, ReplayError};
use zonecast_kv_proto::{Epoch, Version};
use zonecast_kv_store::{StateOptions, StateStore, StoreError};

use super::contents::{LOG, STATE, check_path, hash_file};
use super::take::Hashing;
use super::{Backups, Listed, Manifest, Point, ShelfError, VerifyError, VersionRange, Way, backup_at};

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
    /// No backup and no log leads there.
    #[error("version {} cannot be restored from {}{}: it has {}", point.version, folder.display(), of(*point), list(ranges))]
    OutOfReach {
        /// What was asked for.
        point: Point,
        /// The folder of backups.
        folder: PathBuf,
        /// What can be.
        ranges: Vec<VersionRange>,
    },
    /// A log does not lead where its manifest says.
    #[error("the logs of the backups end at version {found}")]
    EndsEarly {
        /// The last version that they lead to.
        found: u64,
    },
    /// A log cannot be applied.
    #[error("{} cannot be applied: {source}", path.display())]
    Log {
        /// Which.
        path: PathBuf,
        /// The reason.
        #[source]
        source: ReplayError,
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
    /// Logs of later backups that were applied to it.
    pub logs: Vec<PathBuf>,
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

/// What is to be restored, and where.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// A backup, or a folder of backups.
    pub from: &'a Path,
    /// This version; or the backup as it is, the newest one of a folder.
    pub point: Option<Point>,
    /// The folder of a core, which is empty or not there.
    pub core: &'a Path,
}

/// Makes the folder of a core.
///
/// # Errors
/// There is no folder of a core then.
pub fn restore(order: Order<'_>, time: RestoreTime) -> Result<Restored, RestoreError> {
    let Order { from, point, core } = order;
    let Way { base, logs } = way(from, point)?;
    if core.exists() && core.read_dir().map_err(at(core))?.next().is_some() {
        return Err(RestoreError::InTheWay(core.to_owned()));
    }
    let new = core.with_extension("restoring");
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(at(&new))?;
    }
    super::shelf::make(&new, false)?;
    StateStore::lay_out(&new.join(STATE), |to| copy(&base, to))?;
    let logs = match point {
        Some(point) => lead_to(&new, Version::new(point.version), &logs)?,
        None => vec![],
    };
    let remains = Remains::open(&new, &StateOptions::default())?;
    let found = remains.found().position.store.to_string();
    let Listed { folder: backup, manifest } = base;
    if found != manifest.store {
        return Err(RestoreError::OtherStore { said: manifest.store, found });
    }
    let recovered = remains.recover(time.now_us, time.above)?;
    let parent = core.parent().unwrap_or(Path::new("."));
    std::fs::rename(&new, core).map_err(at(core))?;
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))?;
    Ok(Restored { backup, manifest, logs, recovered })
}

fn way(from: &Path, point: Option<Point>) -> Result<Way, RestoreError> {
    let Some(point) = point else {
        let folder = backup_at(from)?;
        let unreadable = |source| VerifyError::Manifest { path: Manifest::path(&folder), source };
        let manifest = Manifest::read(&folder).map_err(unreadable)?;
        return Ok(Way { base: Listed { folder, manifest }, logs: vec![] });
    };
    let backups = Backups::read(from)?;
    let out_of_reach = || RestoreError::OutOfReach { point, folder: from.to_owned(), ranges: backups.ranges() };
    backups.way_to(point).ok_or_else(out_of_reach)
}

/// Applies the logs of later backups to the state, up to a version; which of them it took.
fn lead_to(data_dir: &Path, version: Version, backups: &[Listed]) -> Result<Vec<PathBuf>, RestoreError> {
    let mut replay = Replay::open(data_dir, &StateOptions::default(), version)?;
    let mut taken = vec![];
    for backup in backups {
        let path = checked_log(backup)?;
        let file = File::open(&path).map_err(|source| VerifyError::Unreadable { path: path.clone(), source })?;
        let goes_on =
            replay.apply(BufReader::new(file)).map_err(|source| RestoreError::Log { path: path.clone(), source })?;
        taken.push(path);
        if !goes_on {
            break;
        }
    }
    let found = replay.position().version;
    replay.close()?;
    if found == version { Ok(taken) } else { Err(RestoreError::EndsEarly { found: found.get() }) }
}

/// The log of a backup, if it is what was written.
fn checked_log(backup: &Listed) -> Result<PathBuf, VerifyError> {
    let path = backup.folder.join(LOG);
    let found =
        hash_file(&path, LOG.into()).map_err(|source| VerifyError::Unreadable { path: path.clone(), source })?;
    if backup.manifest.files.contains(&found) { Ok(path) } else { Err(VerifyError::Damaged { path }) }
}

fn of(point: Point) -> String {
    point.epoch.map(|epoch| format!(" in epoch {epoch}")).unwrap_or_default()
}

fn list(ranges: &[VersionRange]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Copies the files of the state, and compares each with the manifest on its way.
fn copy(backup: &Listed, to: &Path) -> Result<(), RestoreError> {
    for file in backup.manifest.files.iter().filter(|file| file.path != LOG) {
        check_path(&file.path)?;
        let from = backup.folder.join(&file.path);
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
