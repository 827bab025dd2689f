//! Whom a node believes: certificates of one CA, but for those that it has revoked, as far as the list in the identity
//! folder or the replicated one says.
//!
//! # Invariants
//! - A revocation list refuses whom it names. Who is not named is let in, and an old list goes on refusing: were lists
//!   to expire, a CA that nobody visits would one day lock everyone out.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use crate::protocol::Protocol;
use crate::revoked::{NotRevoked, RevokedSerials};
use crate::serving::{Serving, dialled_name};

/// Whom a node believes: the CA, and the list of those it has revoked.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
    revoked: RevokedSerials,
}

/// How a peer came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It dialled.
    Client,
    /// It was dialled to speak this protocol.
    Server(Protocol),
}

impl Trust {
    pub(crate) fn new(
        root: CertificateDer<'static>,
        crl: Option<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(root)?;
        let roots = Arc::new(roots);
        let crls: Vec<_> = crl.into_iter().collect();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .with_crls(crls.clone())
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status()
            .build();
        let servers = WebPkiServerVerifier::builder_with_provider(roots, provider())
            .with_crls(crls)
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status()
            .build();
        let (clients, servers) = (clients.map_err(unusable)?, servers.map_err(unusable)?);
        Ok(Self { clients, servers, revoked: RevokedSerials::default() })
    }

    /// The same, and refuses whom these name.
    pub(crate) fn refusing(self, revoked: RevokedSerials) -> Self {
        Self { revoked, ..self }
    }

    /// The certificates that the replicated list revokes.
    pub(crate) fn revoked(&self) -> &RevokedSerials {
        &self.revoked
    }

    /// What looks at those who dial.
    pub(crate) fn clients(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(NotRevoked { revoked: self.revoked.clone(), verifier: Arc::clone(&self.clients) })
    }

    /// What looks at those who are dialled with this protocol.
    pub(crate) fn servers(&self, protocol: Protocol) -> Arc<dyn ServerCertVerifier> {
        Arc::new(Serving { protocol, revoked: self.revoked.clone(), verifier: Arc::clone(&self.servers) })
    }

    /// Looks at a peer's certificate as a handshake would.
    pub(crate) fn check(&self, peer: &CertificateDer<'_>, side: Side, now: UnixTime) -> Result<(), rustls::Error> {
        match side {
            Side::Client => self.clients().verify_client_cert(peer, &[], now).map(|_| ()),
            Side::Server(protocol) => {
                let name = ServerName::try_from(dialled_name()).expect("two labels");
                self.servers(protocol).verify_server_cert(peer, &[], &name, &[], now).map(|_| ())
            }
        }
    }
}

fn unusable(error: VerifierBuilderError) -> rustls::Error {
    rustls::Error::General(error.to_string())
}

/// Where ciphers come from.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
