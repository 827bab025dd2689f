//! The halves of a stream between cores.
//!
//! # Invariants
//! - Each half holds its connection: the guard of the endpoint closes those that somebody holds when a certificate
//!   expires or is revoked, and a link may be gone before its streams.
//! - What was not finished is reset when it is dropped: the peer must not take half of a stream for all of it.

use quinn::VarInt;

use crate::{Connection, StreamError};

/// Why a half was reset or stopped.
const DROPPED: VarInt = VarInt::from_u32(0);
const MALFORMED: VarInt = VarInt::from_u32(1);

/// The sending half.
#[derive(Debug)]
pub(crate) struct SendHalf {
    pub(crate) quinn: quinn::SendStream,
    is_finished: bool,
    _connection: Connection,
}

impl SendHalf {
    pub(crate) fn new(quinn: quinn::SendStream, connection: Connection) -> Self {
        Self { quinn, is_finished: false, _connection: connection }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.quinn.write_all(bytes).await.map_err(StreamError::write)
    }

    /// Nothing more follows. What was written still goes out, whether or not this is dropped.
    pub(crate) fn finish(&mut self) {
        // It fails only where nobody reads any more.
        let _ = self.quinn.finish();
        self.is_finished = true;
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        if !self.is_finished {
            let _ = self.quinn.reset(DROPPED);
        }
    }
}

/// The receiving half. Dropped, it tells the peer to stop.
#[derive(Debug)]
pub(crate) struct ReceiveHalf {
    pub(crate) quinn: quinn::RecvStream,
    _connection: Connection,
}

impl ReceiveHalf {
    pub(crate) fn new(quinn: quinn::RecvStream, connection: Connection) -> Self {
        Self { quinn, _connection: connection }
    }

    /// The byte that a stream begins with.
    pub(crate) async fn kind(&mut self) -> Result<u8, StreamError> {
        let mut kind = [0];
        match self.quinn.read(&mut kind).await.map_err(StreamError::read)? {
            Some(1) => Ok(kind[0]),
            _ => Err(StreamError::Short),
        }
    }

    /// Takes nothing more: what came is not what it should be.
    pub(crate) fn refuse(&mut self) {
        // It fails where everything has come already.
        let _ = self.quinn.stop(MALFORMED);
    }
}
