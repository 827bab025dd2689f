//! The identity of a node and its present certificate.
//!
//! A node keeps who it is while its certificate is renewed under it: an identity that watches its folder takes over
//! what is put there, and everything made from it (endpoints, dials, HTTPS) uses that from then on.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::sync::watch;

use crate::credentials::Credentials;
use crate::revoked::RevokedSerials;
use crate::trust::Side;
use crate::{CertificateMetrics, IdentityError, Peer, RevocationList, Serial, reload, revocation_list};

/// A node's certificate with its key, and the CA that both ends trust. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Identity {
    peer: Peer,
    present: watch::Receiver<Arc<Credentials>>,
    watched: Option<Watched>,
}

/// What an identity that watches its folder has besides.
#[derive(Clone, Debug)]
struct Watched {
    metrics: CertificateMetrics,
    look: reload::Look,
}

impl Identity {
    /// One that stays as it is.
    pub(crate) fn fixed(credentials: Credentials) -> Self {
        let credentials = Arc::new(credentials);
        Self { peer: credentials.peer.clone(), present: watch::channel(credentials).1, watched: None }
    }

    /// Back from [`Identity::save`]; stays as it is.
    ///
    /// # Errors
    /// A file is missing or is not what it should be, or they do not belong together. That the certificate has expired
    /// or is revoked is no error: a node can do much without its peers.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        Ok(Self::fixed(Credentials::load(folder)?))
    }

    /// The same, and takes over within five seconds what is put into the folder later. Files that are broken, do not
    /// belong together or belong to another node change nothing but the log. Ends with the last clone. Call within a
    /// tokio runtime.
    ///
    /// # Errors
    /// As [`Identity::load`].
    pub fn watch(folder: &Path, metrics: &CertificateMetrics) -> Result<Self, IdentityError> {
        let (peer, present, look) = reload::start(folder, metrics.clone())?;
        Ok(Self { peer, present, watched: Some(Watched { metrics: metrics.clone(), look }) })
    }

    /// Reads the folder now, changed or not, if it is watched.
    ///
    /// # Errors
    /// What is there cannot be used; what was read before stays.
    pub async fn reload(&self) -> Result<(), IdentityError> {
        match &self.watched {
            Some(watched) => watched.look.now().await,
            None => Ok(()),
        }
    }

    /// The node that the certificate names.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// When the present certificate begins to be good.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.present.borrow().facts.not_before
    }

    /// When the present certificate expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.present.borrow().facts.not_after
    }

    /// The number of the present certificate.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.present.borrow().facts.serial.clone()
    }

    /// Names and addresses for HTTPS in the present certificate.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        self.present.borrow().facts.hosts.clone()
    }

    /// Whether the CA has revoked the present certificate, as far as this node knows.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        self.present.borrow().is_revoked()
    }

    /// Refuses these certificates and no others besides those that the revocation list in the identity folder names: they
    /// are what the replicated list says. Connections with them end: of cores a second later, so that one in good order
    /// hears why, of all others at once.
    pub fn revoke(&self, serials: HashSet<Serial>) {
        let was_revoked = self.is_revoked();
        self.revoked().set(serials);
        if !was_revoked && self.is_revoked() {
            reload::tell(&self.present());
        }
    }

    /// Reads a revocation list, in PEM, if the CA of this node has signed it.
    ///
    /// # Errors
    /// It is no list, or not one of this CA.
    pub fn read_list(&self, pem: &str) -> Result<RevocationList, IdentityError> {
        revocation_list::read(pem, &self.present())
    }

    /// Whether a certificate of a node that subscribes, in DER, was good once and is no longer: it has expired, or was
    /// revoked as far as this node knows.
    #[must_use]
    pub fn is_over(&self, certificate: &[u8]) -> bool {
        let now = UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let checked = self.present().trust.check(&CertificateDer::from(certificate), Side::Client, now);
        // One that is not good yet may become so.
        matches!(
            checked,
            Err(rustls::Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. } | CertificateError::Revoked
            ))
        )
    }

    /// The present certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.present.borrow().certificate.clone()
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.present.borrow().key.clone_key()
    }

    /// The certificate of the CA.
    #[must_use]
    pub fn root(&self) -> CertificateDer<'static> {
        self.present.borrow().root.clone()
    }

    /// Writes certificate, key (for the owner only), CA certificate and revocation list into a folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        self.present().save(folder)
    }

    pub(crate) fn revoked(&self) -> RevokedSerials {
        self.present.borrow().trust.revoked().clone()
    }

    pub(crate) fn present(&self) -> Arc<Credentials> {
        Arc::clone(&self.present.borrow())
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Credentials>> {
        self.present.clone()
    }

    pub(crate) fn metrics(&self) -> Option<&CertificateMetrics> {
        self.watched.as_ref().map(|watched| &watched.metrics)
    }
}
