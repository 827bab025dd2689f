//! The node at the other end, as its verified certificate says.
//!
//! # Format
//! Of the names in a certificate, `<name>.<role>.zonecast` says who it is, and `<role>.zonecast` is what a node that
//! dials for this role asks for. The name is one lower-case label. Names outside `zonecast` are for HTTPS and say
//! nothing about the node.

use std::fmt;

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use zonecast_kv_proto::MAX_NAME_LEN;

use crate::role::DOMAIN;
use crate::{IdentityError, Role};

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
