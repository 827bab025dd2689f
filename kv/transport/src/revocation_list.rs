//! A revocation list that was signed by the CA, read for the replicated list that is made of it.

use std::time::{Duration, UNIX_EPOCH};

use rustls::CertificateError;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateRevocationListDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::credentials::{Credentials, MAX_CRL};
use crate::trust::{Side, Trust};
use crate::{IdentityError, Serial};

/// A list that is known to be of the CA of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// A later list has a greater one.
    pub number: u64,
    /// Whom it names.
    pub serials: Vec<Serial>,
}

/// Reads a list of the CA that these credentials are of.
pub(crate) fn read(pem: &str, own: &Credentials) -> Result<RevocationList, IdentityError> {
    if pem.len() as u64 > MAX_CRL {
        return Err(not_a_list("it is too long"));
    }
    let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).map_err(|_| not_a_list("not in PEM"))?;
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| not_a_list("not a list of RFC 5280"))?;
    let (_, root) = X509Certificate::from_der(&own.root).map_err(|_| IdentityError::Certificate)?;
    if list.issuer().as_raw() != root.subject().as_raw() || !is_signed(&der, own) {
        return Err(not_a_list("the CA of this system has not signed it"));
    }
    let number = list.crl_number().and_then(|number| u64::try_from(number).ok());
    let serials = list.iter_revoked_certificates().map(|revoked| Serial::new(revoked.raw_serial())).collect();
    Ok(RevocationList { number: number.ok_or_else(|| not_a_list("it has no number"))?, serials })
}

/// TLS looks at the signature of a list before it looks who is on it.
fn is_signed(der: &CertificateRevocationListDer<'static>, own: &Credentials) -> bool {
    let valid_at = own.facts.not_before.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let Ok(trust) = Trust::new(own.root.clone(), Some(der.clone())) else { return false };
    let checked = trust.check(&own.certificate, Side::Client, UnixTime::since_unix_epoch(valid_at));
    matches!(checked, Ok(()) | Err(rustls::Error::InvalidCertificate(CertificateError::Revoked)))
}

fn not_a_list(why: &str) -> IdentityError {
    IdentityError::List(why.to_owned())
}
