//! Errors of a certificate authority.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{IdentityError, IssuedError, PrivateFileError};

/// Why an operation on a CA failed.
#[derive(Debug, Error)]
pub enum CaError {
    /// A file cannot be read or written.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its key cannot be read, or others may read it.
    #[error(transparent)]
    Key(#[from] PrivateFileError),
    /// Half of the CA is missing: restore it from a backup, or remove the other half to start anew.
    #[error(
        "{} exists, but {} is missing: restore it from a backup, or remove the other to make a new authority",
        found.display(), missing.display()
    )]
    Half {
        /// The half that is there.
        found: PathBuf,
        /// The half that is not.
        missing: PathBuf,
    },
    /// The folder has a CA already; a new one would not match the existing certificates.
    #[error("{} holds a certificate authority already", .0.display())]
    Exists(PathBuf),
    /// There is none.
    #[error("{} holds no certificate authority; make one with `zonecast ca init`", .0.display())]
    Missing(PathBuf),
    /// The file of what was issued says something else.
    #[error("{}: {source}", path.display())]
    Issued {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: IssuedError,
    },
    /// Nothing of this name or number was issued.
    #[error("no certificate of name or serial {0:?} was issued here; see `zonecast ca show`")]
    Unknown(String),
    /// The name was given in more than one role.
    #[error("{0:?} was issued in more than one role; give a serial, see `zonecast ca show`")]
    Ambiguous(String),
    /// A certificate that would never be good.
    #[error(
        "a certificate must be valid for at least one second, and end at a time that this system \
         can represent: choose another validity"
    )]
    Validity,
    /// A key or certificate that cannot be made or read.
    #[error("certificate authority: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A name that no certificate is made for, or a certificate of the CA that cannot be read.
    #[error(transparent)]
    Name(#[from] IdentityError),
}

impl CaError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::File { path, source }
    }
}
