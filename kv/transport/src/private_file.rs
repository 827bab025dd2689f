//! Files with secrets in them, which only their owner may read: keys, tokens, secrets of cookies. One check for all.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Anything of group and others.
const NOT_THE_OWNER: u32 = 0o077;

/// Why a private file is not read.
#[derive(Debug, Error)]
pub enum PrivateFileError {
    /// The system says no.
    #[error("{} cannot be used: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Whoever can read it may use what is in it.
    #[error("{}: others than its owner may read it (mode {mode:03o}); run `chmod 600` on it", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Over its limit.
    #[error("{}: over {limit} bytes", path.display())]
    Long {
        /// Which.
        path: PathBuf,
        /// How much it may hold.
        limit: u64,
    },
}

/// The text of a file of at most `limit` bytes that nobody but its owner may read.
///
/// # Errors
/// It is not there, not such a file, or not text.
pub fn read_private(path: &Path, limit: u64) -> Result<String, PrivateFileError> {
    let io = |source| PrivateFileError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    // Of the open file, so that it is the one that is read.
    let mode = mode(&file.metadata().map_err(io)?);
    if mode & NOT_THE_OWNER != 0 {
        return Err(PrivateFileError::Open { path: path.into(), mode });
    }
    let mut text = String::new();
    let length = file.take(limit + 1).read_to_string(&mut text).map_err(io)?;
    if u64::try_from(length).is_ok_and(|length| length > limit) {
        return Err(PrivateFileError::Long { path: path.into(), limit });
    }
    Ok(text)
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o777
}

/// Where files have no such permissions, folders of a user are for that user.
#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0
}
