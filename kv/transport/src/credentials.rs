//! A certificate with its key, the CA that both ends trust, and whom that CA has revoked: one identity folder.
//!
//! # Format
//! ```text
//! node.pem   certificate
//! node.key   its key (PKCS #8), for the owner only
//! ca.pem     certificate of the CA
//! crl.pem    whom the CA has revoked; absent while it has revoked nobody
//! ```

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::CertificateError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::sign::CertifiedKey;

use crate::certificate::Facts;
use crate::files::{make_folder, read_text, read_text_if_there, write_private};
use crate::peer::peer_of;
use crate::trust::{Side, Trust, provider};
use crate::{IdentityError, Peer, read_private};

pub(crate) const CERTIFICATE: &str = "node.pem";
pub(crate) const KEY: &str = "node.key";
pub(crate) const ROOT: &str = "ca.pem";
/// In the folder of a CA too.
pub(crate) const CRL: &str = "crl.pem";

/// A certificate with many hosts has a few KiB.
pub(crate) const MAX_PEM: u64 = 256 * 1024;

/// Some 100 bytes for each of the certificates that a CA may have issued.
pub(crate) const MAX_CRL: u64 = 16 * 1024 * 1024;

/// The parsed and checked files of an identity folder, ready for TLS.
pub(crate) struct Credentials {
    pub(crate) peer: Peer,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) root: CertificateDer<'static>,
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) facts: Facts,
    pub(crate) trust: Trust,
    pub(crate) pem: Pem,
}

/// The same as text, for files.
#[derive(Clone)]
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) root: String,
    pub(crate) crl: Option<String>,
}

impl fmt::Debug for Credentials {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("peer", &self.peer).field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Writes certificate, key (for the owner only), CA certificate and revocation list into a folder.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        make_folder(folder).map_err(IdentityError::file(folder))?;
        let Pem { certificate, key, root, crl } = &self.pem;
        for (name, text) in
            [(KEY, Some(key)), (CERTIFICATE, Some(certificate)), (ROOT, Some(root)), (CRL, crl.as_ref())]
        {
            let path = folder.join(name);
            let written = match text {
                Some(text) => write_private(&path, text),
                // It would be that of another CA.
                None if path.exists() => std::fs::remove_file(&path),
                None => Ok(()),
            };
            written.map_err(IdentityError::file(&path))?;
        }
        Ok(())
    }

    /// Back from [`Credentials::save`], if the files belong together.
    pub(crate) fn load(folder: &Path) -> Result<Self, IdentityError> {
        let read = |name: &str| {
            let path = folder.join(name);
            read_text(&path, MAX_PEM).map_err(IdentityError::file(&path))
        };
        let crl_path = folder.join(CRL);
        let crl = read_text_if_there(&crl_path, MAX_CRL).map_err(IdentityError::file(&crl_path))?;
        let key = read_private(&folder.join(KEY), MAX_PEM)?;
        let pem = Pem { certificate: read(CERTIFICATE)?, key, root: read(ROOT)?, crl };
        let credentials = Self::from_pem(pem).map_err(|error| IdentityError::file(folder)(error))?;
        credentials.check().map_err(|error| IdentityError::file(folder)(error))?;
        Ok(credentials)
    }

    /// Certificate and key must fit; whether the CA does is for [`Credentials::load`].
    pub(crate) fn from_pem(pem: Pem) -> Result<Self, IdentityError> {
        let certificate = one::<CertificateDer<'static>>(&pem.certificate, CERTIFICATE)?;
        let root = one::<CertificateDer<'static>>(&pem.root, ROOT)?;
        let key = PrivateKeyDer::from(one::<PrivatePkcs8KeyDer<'static>>(&pem.key, KEY)?);
        let crl = pem.crl.as_deref().map(|text| one::<CertificateRevocationListDer<'static>>(text, CRL)).transpose()?;
        let peer = peer_of(&certificate)?;
        let facts = Facts::of(&certificate)?;
        let certified = CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), &provider());
        let certified =
            certified.map_err(|error| mismatch(format_args!("{KEY} is not the key of {CERTIFICATE}: {error}")))?;
        let trust =
            Trust::new(root.clone(), crl).map_err(|error| mismatch(format_args!("{ROOT} or {CRL}: {error}")))?;
        Ok(Self { peer, certificate, key, root, certified: certified.into(), facts, trust, pem })
    }

    /// Whether certificate, CA and revocation list belong together. Expired or revoked, they do.
    fn check(&self) -> Result<(), IdentityError> {
        let valid_at = self.facts.not_before.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        match self.trust.check(&self.certificate, Side::Client, UnixTime::since_unix_epoch(valid_at)) {
            Ok(()) | Err(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => Ok(()),
            Err(rustls::Error::InvalidCertRevocationList(error)) => {
                Err(mismatch(format_args!("{CRL} is not of the CA in {ROOT}: {error:?}")))
            }
            Err(error) => Err(mismatch(format_args!("{CERTIFICATE} is not of the CA in {ROOT}: {error}"))),
        }
    }

    /// Whether the CA has revoked this certificate itself.
    pub(crate) fn is_revoked(&self) -> bool {
        let valid_at = self.facts.not_before.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let checked = self.trust.check(&self.certificate, Side::Client, UnixTime::since_unix_epoch(valid_at));
        checked == Err(rustls::Error::InvalidCertificate(CertificateError::Revoked))
    }
}

fn one<T: PemObject>(text: &str, file: &str) -> Result<T, IdentityError> {
    T::from_pem_slice(text.as_bytes()).map_err(|_| mismatch(format_args!("{file} is not what it should be")))
}

fn mismatch(what: fmt::Arguments<'_>) -> IdentityError {
    IdentityError::Mismatch(what.to_string())
}
