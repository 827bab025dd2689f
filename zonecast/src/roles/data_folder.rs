//! The folder a process keeps everything in, held by one process at a time.
//!
//! # Format
//! ```text
//! lock      locked while a process works here; says where the folder is: name of the machine, inode and path, by tabs
//! ca/       the certificate authority of this system, made at the first start
//! core/     the voter's log and state
//! edges/    one copy for each edge, by its name
//! voters    where the cores of a cluster of `zonecast dev` are reached
//! cores/    log and state of the cores of such a cluster but the first, by its name
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use zonecast_kv_store::lock_file;
use zonecast_service::exit::{Code, Failure, Outcome};

/// Longest text of a place that is read: a name of a machine and a path.
const MAX_PLACE: u64 = 8 * 1024;

/// A data folder and the lock that keeps other processes out of it. A temporary folder is deleted when it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    moved_from: Option<String>,
    // Order of fields: the lock goes before the folder does.
    _lock: File,
    _temporary: Option<TempDir>,
}

impl DataFolder {
    /// Makes the folder if it is missing, and locks it.
    ///
    /// # Errors
    /// It cannot be made or written, or another process holds it.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        make(path)?;
        let path = path.canonicalize().map_err(|error| Failure::io("use data folder", path, &error))?;
        let mut lock = lock(&path)?;
        let moved_from = remember_place(&mut lock, &path);
        if let Some(from) = &moved_from {
            tracing::warn!(
                folder = %path.display(), %from,
                "this data folder was moved or copied; if a process still works on it where it was, stop one of the two"
            );
        }
        Ok(Self { _lock: lock, path, moved_from, _temporary: None })
    }

    /// A temporary one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn temporary() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("zonecast-").tempdir();
        let folder = folder.map_err(|error| Failure::io("make a folder in", &std::env::temp_dir(), &error))?;
        let path = folder.path().to_owned();
        Ok(Self { _lock: lock(&path)?, path, moved_from: None, _temporary: Some(folder) })
    }

    /// Where it was when a process worked on it last, if that is another place: two copies of it may be in use.
    #[must_use]
    pub(crate) fn moved_from(&self) -> Option<&str> {
        self.moved_from.as_deref()
    }

    /// Where it is.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the certificate authority is kept.
    #[must_use]
    pub(crate) fn ca(&self) -> PathBuf {
        self.path.join("ca")
    }

    /// Where the voter is kept.
    #[must_use]
    pub(crate) fn core(&self) -> PathBuf {
        self.path.join("core")
    }

    /// Where the first token of the API is left.
    #[must_use]
    pub(crate) fn first_token(&self) -> PathBuf {
        self.path.join("first-token")
    }

    /// Where another core of the same process is kept.
    #[must_use]
    pub(crate) fn other_core(&self, name: &str) -> PathBuf {
        self.path.join("cores").join(name)
    }

    /// Where the copy of an edge is kept.
    #[must_use]
    pub(crate) fn edge(&self, name: &str) -> PathBuf {
        self.path.join("edges").join(name)
    }
}

/// For its owner only: it holds private keys.
fn make(path: &Path) -> Outcome {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| Failure::io("make data folder", path, &error))
}

fn lock(folder: &Path) -> Outcome<File> {
    let path = folder.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let file = file.map_err(|error| Failure::io("write in data folder", folder, &error))?;
    match lock_file(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format_args!("another process works on data folder {}", folder.display());
            Err(Failure::new(Code::Locked, message))
        }
        Err(TryLockError::Error(error)) => Err(Failure::io("lock", &path, &error)),
    }
}

/// Says where the folder was if that is not where it is, and remembers where it is. Nothing fails because of it: a full
/// disk is noticed by those who need room.
fn remember_place(lock: &mut File, folder: &Path) -> Option<String> {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let inode = std::fs::metadata(folder).map_or(0, |metadata| metadata.ino());
    let place = format!("{}\t{inode}\t{}", machine.trim(), folder.display());
    let mut before = String::new();
    let _ = (&mut *lock).take(MAX_PLACE).read_to_string(&mut before);
    if before == place {
        return None;
    }
    let written = lock.rewind().and_then(|()| lock.set_len(0)).and_then(|()| lock.write_all(place.as_bytes()));
    if let Err(error) = written {
        tracing::debug!(%error, "where the data folder is was not written down");
    }
    let mut parts = before.splitn(3, '\t');
    let (machine, _, path) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{path} on {machine}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_so() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/data");
        let first = DataFolder::open(&path).unwrap();
        assert_eq!(DataFolder::open(&path).unwrap_err().code, Code::Locked);
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn one_that_was_moved_or_copied_says_where_it_was() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().canonicalize().unwrap().join("first");
        for _ in 0..2 {
            assert_eq!(DataFolder::open(&place).unwrap().moved_from(), None);
        }
        let elsewhere = place.with_file_name("second");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::copy(place.join("lock"), elsewhere.join("lock")).unwrap();
        let copy = DataFolder::open(&elsewhere).unwrap();
        let from = copy.moved_from().unwrap();
        assert!(from.starts_with(&format!("{} on ", place.display())), "{from}");
        drop(copy);
        assert_eq!(DataFolder::open(&elsewhere).unwrap().moved_from(), None, "once");
        // Restored in its place: another folder of the same name.
        std::fs::rename(&place, place.with_file_name("aside")).unwrap();
        std::fs::rename(&elsewhere, &place).unwrap();
        assert!(DataFolder::open(&place).unwrap().moved_from().is_some());
    }

    #[test]
    fn a_file_in_the_way_is_unreadable() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        std::fs::write(&path, "").unwrap();
        assert_eq!(DataFolder::open(&path).unwrap_err().code, Code::Unreadable);
    }

    #[test]
    fn a_temporary_one_is_gone_afterwards() {
        let folder = DataFolder::temporary().unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("something"), "x").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
