//! Who a node is and what it may be, as its certificate says it.
//!
//! # Format
//! A certificate holds two DNS names: `<name>.<role>.zonecast` says who it is, `<role>.zonecast` is what a node that
//! dials for this role asks for. The name is one lower-case label.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use webpki::EndEntityCert;
use zonecast_kv_proto::MAX_NAME_LEN;

use crate::ca::{make_folder, write_private};

pub(crate) const DOMAIN: &str = "zonecast";
const CERTIFICATE: &str = "node.pem";
const KEY: &str = "node.key";
const ROOT: &str = "ca.pem";

/// What a node may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A voter: holds everything, serves everyone.
    Core,
    /// Serves other edges what it holds itself.
    Relay,
    /// Holds a copy and answers.
    Edge,
    /// Asks and changes, holds nothing.
    Client,
}

impl Role {
    const ALL: [Self; 4] = [Self::Core, Self::Relay, Self::Edge, Self::Client];

    /// Its label in a certificate.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Relay => "relay",
            Self::Edge => "edge",
            Self::Client => "client",
        }
    }

    /// Whether others may dial it.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Core | Self::Relay)
    }

    /// Whether it may have the published data.
    #[must_use]
    pub const fn may_subscribe(self) -> bool {
        matches!(self, Self::Core | Self::Relay | Self::Edge)
    }

    /// The DNS name that a node of this role is dialled by.
    pub(crate) fn server_name(self) -> String {
        format!("{}.{DOMAIN}", self.label())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Role {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::ALL.into_iter().find(|role| role.label() == text).ok_or_else(|| IdentityError::Role(text.to_owned()))
    }
}

/// The node at the other end, as its verified certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it may be.
    pub role: Role,
    /// Which one it is.
    pub name: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

/// What is wrong with a name, a role or a certificate.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// No such role.
    #[error("{0:?} is none of the roles core, relay, edge, client")]
    Role(String),
    /// Not one lower-case label.
    #[error("{0:?} is not a node name: 1 to 63 of a-z, 0-9 and -")]
    Name(String),
    /// A certificate that says nothing, or two things, about who it belongs to.
    #[error("a certificate without exactly one name of a zonecast node")]
    Certificate,
    /// A file that cannot be read.
    #[error("{} cannot be used: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

impl Peer {
    /// From a certificate that TLS has verified.
    pub(crate) fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let certificate = EndEntityCert::try_from(certificate).map_err(|_| IdentityError::Certificate)?;
        let mut peers = certificate.valid_dns_names().filter_map(|name| {
            let (name, role) = name.strip_suffix(DOMAIN)?.strip_suffix('.')?.split_once('.')?;
            let role = role.parse().ok()?;
            check_name(name).ok()?;
            Some(Self { role, name: name.to_owned() })
        });
        match (peers.next(), peers.next()) {
            (Some(peer), None) => Ok(peer),
            _ => Err(IdentityError::Certificate),
        }
    }
}

/// Checks that a name is one label.
pub(crate) fn check_name(name: &str) -> Result<(), IdentityError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let outside_is_dash = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > MAX_NAME_LEN || outside_is_dash || !name.bytes().all(good) {
        return Err(IdentityError::Name(name.to_owned()));
    }
    Ok(())
}

/// A node's certificate with its key, and the CA that both ends trust.
pub struct Identity {
    pub(crate) peer: Peer,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) root: CertificateDer<'static>,
    pub(crate) pem: Pem,
}

/// The same as text, for files.
#[derive(Clone)]
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) root: String,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            peer: self.peer.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone_key(),
            root: self.root.clone(),
            pem: self.pem.clone(),
        }
    }
}

impl fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.peer).finish_non_exhaustive()
    }
}

impl Identity {
    /// Who it says to be.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Writes certificate, key (for the owner only) and CA certificate into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        make_folder(folder).map_err(file_error(folder))?;
        for (name, text) in [(KEY, &self.pem.key), (CERTIFICATE, &self.pem.certificate), (ROOT, &self.pem.root)] {
            let path = folder.join(name);
            write_private(&path, text).map_err(file_error(&path))?;
        }
        Ok(())
    }

    /// Back from [`Identity::save`].
    ///
    /// # Errors
    /// A file is missing or is not what it should be.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(file_error(&path))
        };
        let pem = Pem { certificate: read(CERTIFICATE)?, key: read(KEY)?, root: read(ROOT)? };
        Self::from_pem(pem).map_err(|error| file_error(folder)(error))
    }

    pub(crate) fn from_pem(pem: Pem) -> Result<Self, IdentityError> {
        let certificate =
            CertificateDer::from_pem_slice(pem.certificate.as_bytes()).map_err(|_| IdentityError::Certificate)?;
        let root = CertificateDer::from_pem_slice(pem.root.as_bytes()).map_err(|_| IdentityError::Certificate)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.key.as_bytes()).map_err(|_| IdentityError::Certificate)?;
        let peer = Peer::from_certificate(&certificate)?;
        Ok(Self { peer, certificate, key: key.into(), root, pem })
    }
}

fn file_error<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> IdentityError {
    let path = path.to_path_buf();
    move |error| IdentityError::File { path, what: error.to_string() }
}
