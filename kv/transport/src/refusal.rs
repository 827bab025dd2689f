//! Why a node is not believed to be what it says, told from what TLS reports.

use std::fmt;

use rustls::{AlertDescription, CertificateError};
use thiserror::Error;

/// QUIC carries alerts of TLS as error codes from here to here (RFC 9001 section 4.8).
const CRYPTO_ERRORS: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertificateFault {
    /// There is none.
    NoCertificate,
    /// Another CA has issued it.
    WrongCa,
    /// It has expired, or is not valid yet.
    Expired,
    /// It is on the revocation list.
    Revoked,
    /// It does not let the node be this.
    Role,
    /// The handshake did not come to its end.
    Other,
}

impl CertificateFault {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::NoCertificate, Self::WrongCa, Self::Expired, Self::Revoked, Self::Role, Self::Other];

    /// Its label in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::WrongCa => "wrong_ca",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Role => "role",
            Self::Other => "tls",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NoCertificate => "issue one with `zonecast ca issue` if the node belongs here",
            Self::WrongCa => "issue one from the CA of this system, or compare ca.pem on both nodes",
            Self::Expired => "issue a new one, or put the clocks right",
            Self::Revoked => "issue a new one if the node belongs here",
            Self::Role => "dial a core or a relay; to subscribe, issue a certificate of role edge",
            Self::Other => "check that a zonecast node of this release is at this address",
        }
    }

    /// From an alert of TLS, as rustls chooses them.
    pub(crate) fn from_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateRequired => Self::NoCertificate,
            // When both CAs have one name, it is the signature that does not fit.
            AlertDescription::UnknownCA | AlertDescription::DecryptError => Self::WrongCa,
            AlertDescription::CertificateExpired => Self::Expired,
            AlertDescription::CertificateRevoked => Self::Revoked,
            // It has not the name that was dialled, or may not serve at all.
            AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate => Self::Role,
            _ => Self::Other,
        }
    }

    /// From what a verifier says.
    pub(crate) fn from_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::NoCertificatesPresented => Self::NoCertificate,
            // A list that another CA has signed under the name of ours.
            rustls::Error::InvalidCertRevocationList(_) => Self::WrongCa,
            rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => Self::Other,
            rustls::Error::InvalidCertificate(error) => Self::from_alert(AlertDescription::from(error.clone())),
            _ => Self::Other,
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "there is no certificate",
            Self::WrongCa => "the certificate is of another CA",
            Self::Expired => "the certificate has expired or is not valid yet",
            Self::Revoked => "the certificate is revoked",
            Self::Role => "the certificate does not allow this role",
            Self::Other => "the handshake failed",
        })
    }
}

/// A connection that ended because one side did not believe the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub struct NotTrusted {
    /// What is wrong.
    pub refusal: CertificateFault,
    /// Whether it was the peer who refused us.
    pub by_peer: bool,
}

impl NotTrusted {
    /// From how a connection ended, if TLS had to do with it.
    pub(crate) fn of(error: &quinn::ConnectionError) -> Option<Self> {
        let (code, by_peer) = match error {
            quinn::ConnectionError::TransportError(error) => (u64::from(error.code), false),
            quinn::ConnectionError::ConnectionClosed(close) => (u64::from(close.error_code), true),
            _ => return None,
        };
        let alert = CRYPTO_ERRORS.contains(&code).then(|| u8::try_from(code - CRYPTO_ERRORS.start()).ok()).flatten()?;
        Some(Self { refusal: CertificateFault::from_alert(AlertDescription::from(alert)), by_peer })
    }
}

impl fmt::Display for NotTrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_peer { "the peer refuses this node" } else { "the peer is refused" };
        write!(f, "{who}: {}", self.refusal)
    }
}
