//! Who has made the manifest of a snapshot: a core signs it with the key of its certificate, and whoever gets it checks that
//! it was a core of the same CA, which is not revoked. Whoever passed it on has changed nothing then.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustls::SignatureScheme;
use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use webpki::EndEntityCert;
use zonecast_kv_proto::SignedManifest;

use crate::protocol::Protocol;
use crate::trust::{Side, provider};
use crate::{Identity, Role};

/// Why a manifest is not signed or not believed.
#[derive(Debug, Error)]
pub enum ManifestFault {
    /// Only cores make snapshots.
    #[error("a node of role {0} signs no snapshot")]
    Role(Role),
    /// The key cannot sign.
    #[error("the manifest cannot be signed: {0}")]
    Key(String),
    /// The certificate is not one of a core that is believed here.
    #[error("the manifest is not signed by a core of this CA: {0}")]
    Certificate(rustls::Error),
    /// The signature is not of this manifest, or not of this certificate.
    #[error("the signature of the manifest is wrong")]
    Signature,
}

impl Identity {
    /// Signs the bytes of a manifest with the present certificate.
    ///
    /// # Errors
    /// This node is no core, or its key cannot sign.
    pub fn sign_manifest(&self, manifest: Bytes) -> Result<SignedManifest, ManifestFault> {
        if self.peer().role != Role::Core {
            return Err(ManifestFault::Role(self.peer().role));
        }
        let present = self.present();
        let schemes: Vec<SignatureScheme> =
            provider().signature_verification_algorithms.mapping.iter().map(|(scheme, _)| *scheme).collect();
        let signer = present.certified.key.choose_scheme(&schemes);
        let signer = signer.ok_or_else(|| ManifestFault::Key("it has no scheme that others know".to_owned()))?;
        let signature = signer.sign(&SignedManifest::signed(&manifest));
        let signature = signature.map_err(|error| ManifestFault::Key(error.to_string()))?;
        let certificate = Bytes::copy_from_slice(&present.certificate);
        Ok(SignedManifest::new(manifest, certificate, signer.scheme().into(), signature.into()))
    }

    /// Checks that a core of the same CA, which is not revoked as far as this node knows, has signed a manifest.
    ///
    /// # Errors
    /// Somebody else has, or nobody.
    pub fn check_manifest(&self, signed: &SignedManifest) -> Result<(), ManifestFault> {
        let now = UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let certificate = CertificateDer::from(&signed.certificate[..]);
        let checked = self.present().trust.check(&certificate, Side::Server(Protocol::Core), now);
        checked.map_err(ManifestFault::Certificate)?;
        let certificate = EndEntityCert::try_from(&certificate).map_err(|_| ManifestFault::Signature)?;
        let (scheme, provider) = (SignatureScheme::from(signed.scheme), provider());
        let known = provider.signature_verification_algorithms.mapping.iter().find(|(known, _)| *known == scheme);
        let message = SignedManifest::signed(&signed.manifest);
        let mut algorithms = known.into_iter().flat_map(|(_, algorithms)| algorithms.iter());
        let is_signed = |algorithm| certificate.verify_signature(algorithm, &message, &signed.signature).is_ok();
        if algorithms.any(|algorithm| is_signed(*algorithm)) { Ok(()) } else { Err(ManifestFault::Signature) }
    }
}
