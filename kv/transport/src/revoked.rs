//! Certificates that the replicated list revokes, beside those of the revocation list in the identity folder.
//!
//! ```text
//! list in the store, applied here ─▶ RevokedSerials ◀─ verifiers of TLS, before a connection is one
//!                                          └─ changes ─▶ guard: closes those that are open
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use tokio::sync::watch;

use crate::Serial;
use crate::certificate::Facts;

/// The serial numbers of the replicated list. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct RevokedSerials(Arc<watch::Sender<HashSet<Serial>>>);

impl Default for RevokedSerials {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(HashSet::new())))
    }
}

impl RevokedSerials {
    /// These and no others from now on.
    pub(crate) fn set(&self, serials: HashSet<Serial>) {
        self.0.send_if_modified(|present| {
            let is_new = *present != serials;
            *present = serials;
            is_new
        });
    }

    /// Tells when there are others.
    pub(crate) fn changes(&self) -> watch::Receiver<HashSet<Serial>> {
        self.0.subscribe()
    }

    /// Refuses a certificate that is among them.
    pub(crate) fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let revoked = self.0.borrow();
        if revoked.is_empty() {
            return Ok(());
        }
        match Facts::of(certificate) {
            Ok(facts) if !revoked.contains(&facts.serial) => Ok(()),
            Ok(_) => Err(CertificateError::Revoked.into()),
            Err(_) => Err(CertificateError::BadEncoding.into()),
        }
    }
}

/// Believes the dialling nodes that another verifier believes, but for the revoked.
#[derive(Debug)]
pub(crate) struct NotRevoked {
    pub(crate) revoked: RevokedSerials,
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for NotRevoked {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        self.revoked.check(end_entity).map(|()| verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
