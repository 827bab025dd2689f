//! Errors of names, roles and certificates.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{Peer, PrivateFileError};

/// Errors of names, roles and certificates.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Not one lower-case label.
    #[error("{0:?} is not a node name: 1 to 63 of a-z, 0-9 and -")]
    Name(String),
    /// Neither a DNS name nor an IP address, or a name that would say what the node is.
    #[error("{0:?} is not a host: a DNS name outside `zonecast`, or an IP address")]
    Host(String),
    /// The certificate names no node, or more than one.
    #[error("the certificate does not name exactly one zonecast node")]
    Certificate,
    /// Certificate, key, CA certificate and revocation list that do not belong together.
    #[error("{0}")]
    Mismatch(String),
    /// A revocation list that is not one of this system.
    #[error("the revocation list cannot be used: {0}")]
    List(String),
    /// The files were replaced by those of another node.
    #[error("the new certificate is that of {now}, but this node is {was}: put a certificate of {was} there")]
    AnotherNode {
        /// Who the node is.
        was: Peer,
        /// Who the new certificate belongs to.
        now: Peer,
    },
    /// A key that cannot be read, or that others may read.
    #[error(transparent)]
    Key(#[from] PrivateFileError),
    /// A file that cannot be read.
    #[error("{} cannot be used: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

impl IdentityError {
    pub(crate) fn file<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_path_buf();
        move |error| Self::File { path, what: error.to_string() }
    }
}
