//! HTTPS with the certificate of a node: what the binary needs for its API.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::trust::provider;
use crate::{EndpointError, Identity};

impl Identity {
    /// For a server whose clients show a token rather than a certificate. It shows the present certificate, whatever is
    /// renewed meanwhile. Protocols (ALPN) are the caller's.
    ///
    /// # Errors
    /// TLS 1.3 and 1.2 cannot be spoken.
    pub fn https_server(&self) -> Result<rustls::ServerConfig, EndpointError> {
        let config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Present(self.clone())));
        Ok(config)
    }
}

/// Resolves to the present certificate, whatever the client asks for: a node has one.
#[derive(Debug)]
struct Present(Identity);

impl ResolvesServerCert for Present {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.present().certified))
    }
}
