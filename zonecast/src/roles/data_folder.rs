//! The folder a process keeps everything in, held by one process at a time.
//!
//! # Format
//! ```text
//! lock      empty; locked while a process works here
//! ca/       the certificate authority of this system, made at the first start
//! core/     the voter's log and state
//! edges/    one copy for each edge, by its name
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::exit::{Code, Failure, Outcome};

/// See the module. A temporary one is gone when dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
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
        Ok(Self { _lock: lock(&path)?, path, _temporary: None })
    }

    /// A temporary one.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn temporary() -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("zonecast-").tempdir();
        let folder = folder.map_err(|error| Failure::io("make a folder in", &std::env::temp_dir(), &error))?;
        let path = folder.path().to_owned();
        Ok(Self { _lock: lock(&path)?, path, _temporary: Some(folder) })
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
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Failure::io("write in data folder", folder, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format_args!("another process works on data folder {}", folder.display());
            Err(Failure::new(Code::Locked, message))
        }
        Err(TryLockError::Error(error)) => Err(Failure::io("lock", &path, &error)),
    }
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
