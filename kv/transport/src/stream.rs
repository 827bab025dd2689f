//! Frames over one QUIC stream.

use bytes::Bytes;
use thiserror::Error;
use zonecast_kv_proto::{Frame, FrameDecoder, FrameError};

use crate::{NotTrusted, QuicError, TooLong};

/// Most bytes taken from the stream at once: about what one wake-up finds.
const READ: usize = 256 * 1024;

/// Why a stream ended.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The connection is gone.
    #[error("the connection failed: {0}")]
    Connection(#[source] QuicError),
    /// The peer stopped reading.
    #[error("cannot send: {0}")]
    Write(#[source] QuicError),
    /// The peer stopped sending.
    #[error("cannot receive: {0}")]
    Read(#[source] QuicError),
    /// What came is no frame.
    #[error("malformed: {0}")]
    Frame(#[from] FrameError),
    /// The stream ended within a message.
    #[error("malformed: the stream ends within a message")]
    Short,
    /// A message is longer than any may be.
    #[error("malformed: {0}")]
    TooLong(#[from] TooLong),
    /// A message was given up half-way, so no other can follow it.
    #[error("sending: an earlier message was given up half-way")]
    Torn,
}

impl StreamError {
    /// Whether the peer sent what it must not.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Short | Self::TooLong(_))
    }

    /// What the publisher says about the newer connection of this node, if that is why the connection is gone. Who has
    /// not made it shares its identity with another process.
    #[must_use]
    pub fn replaced(&self) -> Option<String> {
        self.quic()?.replaced()
    }

    /// What is wrong with a certificate, if that is why the connection is gone. A client learns only after its handshake
    /// that the server does not believe it.
    #[must_use]
    pub fn refused(&self) -> Option<NotTrusted> {
        self.quic()?.refused()
    }

    pub(crate) fn connection(error: quinn::ConnectionError) -> Self {
        Self::Connection(QuicError::connection(error))
    }

    /// Of a connection that is gone, the reason is what people want to read.
    pub(crate) fn write(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::ConnectionLost(error) => Self::connection(error),
            error => Self::Write(QuicError::write(error)),
        }
    }

    pub(crate) fn read(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::ConnectionLost(error) => Self::connection(error),
            error => Self::Read(QuicError::read(error)),
        }
    }

    fn quic(&self) -> Option<&QuicError> {
        match self {
            Self::Connection(error) | Self::Write(error) | Self::Read(error) => Some(error),
            Self::Frame(_) | Self::Short | Self::TooLong(_) | Self::Torn => None,
        }
    }
}

/// The sending half.
#[derive(Debug)]
pub struct FrameSender {
    stream: quinn::SendStream,
}

impl FrameSender {
    pub(crate) fn new(stream: quinn::SendStream) -> Self {
        Self { stream }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// The peer or the connection is gone.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), StreamError> {
        self.stream.write_all(&frame.to_bytes()).await.map_err(StreamError::write)
    }

    /// Sends encoded frames in as few packets as they take, without copying them first.
    ///
    /// # Errors
    /// The peer or the connection is gone.
    pub async fn send_encoded(&mut self, frames: &mut [Bytes]) -> Result<(), StreamError> {
        self.stream.write_all_chunks(frames).await.map_err(StreamError::write)
    }

    /// Sends a part of encoded frames, as much as there is room for, and says how many bytes; those that are sent are
    /// taken out of `frames`. 0 when nothing is left of them.
    ///
    /// # Errors
    /// The peer or the connection is gone.
    pub async fn send_some(&mut self, frames: &mut Vec<Bytes>) -> Result<usize, StreamError> {
        if frames.is_empty() {
            return Ok(0);
        }
        let written = self.stream.write_chunks(frames).await.map_err(StreamError::write)?;
        frames.drain(..written.chunks);
        Ok(written.bytes)
    }

    /// Everything else on the connection goes first from now on.
    pub(crate) fn yields(&self) {
        // A stream that has ended has nothing to send.
        let _ = self.stream.set_priority(-1);
    }

    /// Ends the stream and waits until the peer has all of it.
    pub async fn finish(&mut self) {
        if self.stream.finish().is_ok() {
            let _ = self.stream.stopped().await;
        }
    }
}

/// What came.
#[derive(Debug)]
pub enum Heard {
    /// A frame.
    Frame(Frame),
    /// So many bytes of one that is not whole yet.
    Bytes(usize),
    /// The stream ended.
    End,
}

/// The receiving half.
#[derive(Debug)]
pub struct FrameReceiver {
    stream: quinn::RecvStream,
    decoder: FrameDecoder,
}

impl FrameReceiver {
    pub(crate) fn new(stream: quinn::RecvStream, decoder: FrameDecoder) -> Self {
        Self { stream, decoder }
    }

    /// The next frame, or `None` at the end of the stream. Loses nothing when dropped half-way.
    ///
    /// # Errors
    /// Malformed bytes, or the connection is gone.
    pub async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        loop {
            match self.hear().await? {
                Heard::Frame(frame) => return Ok(Some(frame)),
                Heard::Bytes(_) => {}
                Heard::End => return Ok(None),
            }
        }
    }

    /// The same, and tells of bytes that make no frame yet. Loses nothing when dropped half-way.
    ///
    /// # Errors
    /// Malformed bytes, or the connection is gone.
    pub async fn hear(&mut self) -> Result<Heard, StreamError> {
        if let Some(frame) = self.decoder.poll()? {
            return Ok(Heard::Frame(frame));
        }
        match self.stream.read_chunk(READ, true).await.map_err(StreamError::read)? {
            Some(chunk) => {
                self.decoder.push(&chunk.bytes);
                Ok(self.decoder.poll()?.map_or(Heard::Bytes(chunk.bytes.len()), Heard::Frame))
            }
            None if self.decoder.is_between_messages() => Ok(Heard::End),
            None => Err(StreamError::Short),
        }
    }

    /// A frame that is here already, without waiting.
    ///
    /// # Errors
    /// Malformed bytes.
    pub fn buffered(&mut self) -> Result<Option<Frame>, StreamError> {
        Ok(self.decoder.poll()?)
    }
}
