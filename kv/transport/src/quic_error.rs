//! What QUIC reports, without the types of quinn: those who use this crate do not link against a release of it.

use quinn::VarInt;
use thiserror::Error;

use crate::NotTrusted;

/// Why a connection was closed: the same node has a newer one.
pub(crate) const REPLACED: VarInt = VarInt::from_u32(2);

/// An error of QUIC. Its text is the message of quinn.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct QuicError(Kind);

#[derive(Debug, Error)]
#[error(transparent)]
enum Kind {
    Connect(quinn::ConnectError),
    Connection(quinn::ConnectionError),
    Write(quinn::WriteError),
    Read(quinn::ReadError),
}

impl QuicError {
    pub(crate) fn connect(error: quinn::ConnectError) -> Self {
        Self(Kind::Connect(error))
    }

    pub(crate) fn connection(error: quinn::ConnectionError) -> Self {
        Self(Kind::Connection(error))
    }

    pub(crate) fn write(error: quinn::WriteError) -> Self {
        Self(Kind::Write(error))
    }

    pub(crate) fn read(error: quinn::ReadError) -> Self {
        Self(Kind::Read(error))
    }

    /// What the peer says about a newer connection of this node, if that is why the connection is gone.
    pub(crate) fn replaced(&self) -> Option<String> {
        match self.lost()? {
            quinn::ConnectionError::ApplicationClosed(close) if close.error_code == REPLACED => {
                Some(String::from_utf8_lossy(&close.reason).into_owned())
            }
            _ => None,
        }
    }

    /// What is wrong with a certificate, if that is why the connection is gone.
    pub(crate) fn refused(&self) -> Option<NotTrusted> {
        NotTrusted::of(self.lost()?)
    }

    fn lost(&self) -> Option<&quinn::ConnectionError> {
        match &self.0 {
            Kind::Connection(error)
            | Kind::Write(quinn::WriteError::ConnectionLost(error))
            | Kind::Read(quinn::ReadError::ConnectionLost(error)) => Some(error),
            _ => None,
        }
    }
}
