//! Whom a dialling node believes: the certificate says what the other node is, and that must be what serves this
//! protocol.
//!
//! # Invariants
//! - The name that is checked is the one of the role in the certificate: whoever follows need not know whether it
//!   dials a core or a relay, and between cores only a core will do.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use zonecast_kv_proto::Role;

use crate::peer::peer_of;
use crate::protocol::Protocol;
use crate::revoked::RevokedSerials;

/// Believes nodes that serve a protocol, but for the revoked.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) protocol: Protocol,
    pub(crate) revoked: RevokedSerials,
    pub(crate) verifier: Arc<WebPkiServerVerifier>,
}

/// The name that whoever dials with a protocol asks for. Listeners have one certificate and take no notice of it.
pub(crate) fn dialled_name() -> String {
    Role::Core.server_name()
}

impl Serving {
    /// The name that the certificate must have. Of one that is no node, or must not serve, it has none of them.
    fn name_of(&self, certificate: &CertificateDer<'_>) -> ServerName<'static> {
        let role = peer_of(certificate).ok().map(|peer| peer.role).filter(|role| self.protocol.may_be_served_by(*role));
        let name = role.map_or_else(dialled_name, Role::server_name);
        ServerName::try_from(name).expect("two labels")
    }
}

impl ServerCertVerifier for Serving {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = self.name_of(end_entity);
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, &name, ocsp_response, now)?;
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
