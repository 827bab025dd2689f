//! TLS 1.3 with certificates on both sides, all from one CA, on ring.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;

use crate::{EndpointError, Identity};

/// What is spoken on a connection, with the version of its frames.
pub(crate) const FAN_OUT: &[u8] = b"zonecast-fan-out/1";

pub(crate) fn server(identity: &Identity) -> Result<QuicServerConfig, EndpointError> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity)?.into(), Arc::clone(&provider))
        .build()
        .map_err(|error| EndpointError::Tls(rustls::Error::General(error.to_string())))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())?;
    config.alpn_protocols = vec![FAN_OUT.to_vec()];
    Ok(QuicServerConfig::try_from(config).expect("ring has the suite that QUIC begins with"))
}

pub(crate) fn client(identity: &Identity) -> Result<QuicClientConfig, EndpointError> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())?;
    config.alpn_protocols = vec![FAN_OUT.to_vec()];
    Ok(QuicClientConfig::try_from(config).expect("ring has the suite that QUIC begins with"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(identity: &Identity) -> Result<RootCertStore, EndpointError> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.root.clone())?;
    Ok(roots)
}
