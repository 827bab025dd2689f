//! Errors of a database on disk, grouped by what an operator can do about them.

use std::path::{Path, PathBuf};

use rocksdb::ErrorKind;
use thiserror::Error;
use zonecast_kv_proto::{SourceError, ViewError};

/// Message of the system for a full disk. Errors that pass through raft or a view are text, and are recognised by this
/// message.
pub const NO_SPACE: &str = "No space left on device";

/// What the system says when something that passes or needs a hand kept a file from being read, not the file itself.
const NOT_THE_FILE: [&str; 6] = [
    "Too many open files",
    "Cannot allocate memory",
    "Permission denied",
    "Operation not permitted",
    "Read-only file system",
    "Resource temporarily unavailable",
];

/// An error of RocksDB, without its types, so that users of this crate do not depend on a release of RocksDB.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct DatabaseError(rocksdb::Error);

/// A database that cannot be opened, read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it open: stop that one, or use another folder.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The database's folder.
        path: PathBuf,
    },
    /// No space left: nothing was lost, nothing more can be written.
    #[error("{}: {NO_SPACE}", path.display())]
    DiskFull {
        /// The database's folder.
        path: PathBuf,
    },
    /// The data on disk differs from the data that was written. It is never repaired by guessing.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The database's folder.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The folder cannot be made or entered.
    #[error("folder {} cannot be used: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Anything else of RocksDB: mostly a failing disk.
    #[error("{}: {source}", path.display())]
    Other {
        /// The database's folder.
        path: PathBuf,
        /// As RocksDB says it.
        #[source]
        source: DatabaseError,
    },
    /// The disk has no room for files that are about to come.
    #[error("{needed} bytes are needed in {}, {free} are free", path.display())]
    NoRoom {
        /// Where it would go.
        path: PathBuf,
        /// What it takes.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// What another voter sent is no state, or not the one that it announced.
    #[error("the state that another voter sent is refused: {0}")]
    BadState(String),
    /// Table files that were sent are not what their manifest says.
    #[error("the table files of the snapshot are refused: {0}")]
    BadTables(String),
    /// An earlier write failed, so the database takes no more.
    #[error("{} stopped writing after an earlier error", path.display())]
    Stopped {
        /// The database's folder.
        path: PathBuf,
    },
}

impl StoreError {
    /// Sorts an error of RocksDB. RocksDB has no codes for these two, only its messages.
    pub(crate) fn from_rocksdb(path: &Path, source: rocksdb::Error) -> Self {
        let path = path.to_path_buf();
        let message = source.as_ref();
        let is_lock = message.contains("While lock file") || message.contains("lock hold by current process");
        if is_lock && source.kind() == ErrorKind::IOError {
            Self::Locked { path }
        } else if message.contains(NO_SPACE) {
            Self::DiskFull { path }
        } else if source.kind() == ErrorKind::Corruption {
            Self::Damaged { path, what: source.into_string() }
        } else {
            Self::Other { path, source: DatabaseError(source) }
        }
    }

    /// Whether files are missing, cannot be read or hold something else than was written: what only a new copy mends.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Other { source: DatabaseError(source), .. } => {
                let says = source.as_ref();
                matches!(
                    source.kind(),
                    ErrorKind::IOError | ErrorKind::InvalidArgument | ErrorKind::NotSupported | ErrorKind::NotFound
                ) && !NOT_THE_FILE.iter().any(|words| says.contains(words))
            }
            Self::Locked { .. }
            | Self::DiskFull { .. }
            | Self::Folder { .. }
            | Self::NoRoom { .. }
            | Self::BadState(_)
            | Self::BadTables(_)
            | Self::Stopped { .. } => false,
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), what: what.into() }
    }
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
