//! TLS 1.3 with certificates on both sides, all from one CA, on ring.
//!
//! # Invariants
//! - No session is ever resumed: a resumed one does not look at certificates again, so it would outlive what was
//!   revoked or has expired.
//! - A revocation list refuses whom it names. Who is not named is let in, and an old list goes on refusing: were lists
//!   to expire, a CA that nobody visits would one day lock everyone out.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};

use crate::credentials::Credentials;
use crate::{EndpointError, Role};

/// What is spoken on a connection, with the version of its frames.
pub(crate) const FAN_OUT: &[u8] = b"zonecast-fan-out/1";

/// Whom a node believes: the CA, and the list of those it has revoked.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
}

/// How a peer came to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It dialled.
    Client,
    /// It was dialled for this role.
    Server(Role),
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
        Ok(Self { clients: clients.map_err(unusable)?, servers: servers.map_err(unusable)? })
    }

    /// Looks at a peer's certificate as a handshake would.
    pub(crate) fn check(&self, peer: &CertificateDer<'_>, side: Side, now: UnixTime) -> Result<(), rustls::Error> {
        match side {
            Side::Client => self.clients.verify_client_cert(peer, &[], now).map(|_| ()),
            Side::Server(role) => {
                let name = ServerName::try_from(role.server_name()).expect("two labels");
                self.servers.verify_server_cert(peer, &[], &name, &[], now).map(|_| ())
            }
        }
    }
}

fn unusable(error: VerifierBuilderError) -> rustls::Error {
    rustls::Error::General(error.to_string())
}

pub(crate) fn server(credentials: &Credentials) -> Result<QuicServerConfig, EndpointError> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::clone(&credentials.trust.clients))
        .with_single_cert(vec![credentials.certificate.clone()], credentials.key.clone_key())?;
    config.alpn_protocols = vec![FAN_OUT.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(QuicServerConfig::try_from(config).expect("ring has the suite that QUIC begins with"))
}

pub(crate) fn client(credentials: &Credentials) -> Result<QuicClientConfig, EndpointError> {
    let servers = Arc::clone(&credentials.trust.servers);
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_webpki_verifier(servers)
        .with_client_auth_cert(vec![credentials.certificate.clone()], credentials.key.clone_key())?;
    config.alpn_protocols = vec![FAN_OUT.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(QuicClientConfig::try_from(config).expect("ring has the suite that QUIC begins with"))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
