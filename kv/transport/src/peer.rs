//! The node at the other end, as its verified certificate says.
//!
//! # Format
//! Of the names in a certificate, `<name>.<role>.zonecast` says who it is, and `<role>.zonecast` is what a node that
//! dials for this role asks for. The name is one lower-case label. Names outside `zonecast` are for HTTPS and say
//! nothing about the node.

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;
use zonecast_kv_proto::{DOMAIN, Peer, is_node_name};

use crate::IdentityError;

/// From a certificate that TLS has verified.
pub(crate) fn peer_of(certificate: &CertificateDer<'_>) -> Result<Peer, IdentityError> {
    let certificate = EndEntityCert::try_from(certificate).map_err(|_| IdentityError::Certificate)?;
    let mut peers = certificate.valid_dns_names().filter_map(|name| {
        let (name, role) = name.strip_suffix(DOMAIN)?.strip_suffix('.')?.split_once('.')?;
        let role = role.parse().ok()?;
        check_name(name).ok()?;
        Some(Peer { role, name: name.to_owned() })
    });
    match (peers.next(), peers.next()) {
        (Some(peer), None) => Ok(peer),
        _ => Err(IdentityError::Certificate),
    }
}

/// Checks that a name is one label.
pub(crate) fn check_name(name: &str) -> Result<(), IdentityError> {
    if !is_node_name(name) {
        return Err(IdentityError::Name(name.to_owned()));
    }
    Ok(())
}
