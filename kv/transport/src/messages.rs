//! Messages over the halves of a stream between cores.

use bytes::{Bytes, BytesMut};

use crate::StreamError;
use crate::halves::{ReceiveHalf, SendHalf};
use crate::message_decoder::{MessageDecoder, encode_length};

/// Packets taken from the stream at once.
const READ_CHUNKS: usize = 32;

/// Sends messages. Dropped before [`MessageSender::finish`], it resets its half: the peer's
/// [`MessageReceiver::next`] fails then.
#[derive(Debug)]
pub struct MessageSender {
    pub(crate) half: SendHalf,
    /// A message has gone out in part, and nobody sends the rest.
    is_torn: bool,
}

impl MessageSender {
    pub(crate) fn new(half: SendHalf) -> Self {
        Self { half, is_torn: false }
    }

    /// Sends one message, without copying it. Waits while the peer does not read.
    ///
    /// # Errors
    /// It is longer than [`MAX_MESSAGE`](crate::MAX_MESSAGE), and nothing was sent; or the peer or the connection is
    /// gone. When this was dropped half-way, nothing can be sent any more.
    pub async fn send(&mut self, message: Bytes) -> Result<(), StreamError> {
        self.send_all([message]).await
    }

    /// Sends several in as few packets as they take, without copying them.
    ///
    /// # Errors
    /// As [`MessageSender::send`]; one that is too long keeps all of them back.
    pub async fn send_all(&mut self, messages: impl IntoIterator<Item = Bytes>) -> Result<(), StreamError> {
        if self.is_torn {
            return Err(StreamError::Torn);
        }
        let mut chunks = chunks(messages)?;
        self.is_torn = true;
        self.half.quinn.write_all_chunks(&mut chunks).await.map_err(StreamError::write)?;
        self.is_torn = false;
        Ok(())
    }

    /// Ends the stream after what was sent, and waits until the peer has it. What was sent goes out also when this is
    /// dropped meanwhile.
    ///
    /// # Errors
    /// The peer stopped reading, or the connection is gone. When a message was given up half-way, there is no good end.
    pub async fn finish(mut self) -> Result<(), StreamError> {
        if self.is_torn {
            return Err(StreamError::Torn);
        }
        self.half.finish();
        match self.half.quinn.stopped().await {
            Ok(None) => Ok(()),
            Ok(Some(code)) => Err(StreamError::write(quinn::WriteError::Stopped(code))),
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(StreamError::connection(error)),
            Err(quinn::StoppedError::ZeroRttRejected) => Err(StreamError::write(quinn::WriteError::ZeroRttRejected)),
        }
    }
}

/// Each message behind its length.
fn chunks(messages: impl IntoIterator<Item = Bytes>) -> Result<Vec<Bytes>, StreamError> {
    let messages = messages.into_iter();
    let mut lengths = BytesMut::new();
    let mut chunks = Vec::with_capacity(2 * messages.size_hint().0);
    for message in messages {
        lengths.extend_from_slice(&encode_length(&message)?);
        chunks.extend([lengths.split().freeze(), message]);
    }
    Ok(chunks)
}

/// Receives messages. Dropped, it tells the peer to stop.
#[derive(Debug)]
pub struct MessageReceiver {
    half: ReceiveHalf,
    decoder: MessageDecoder,
}

impl MessageReceiver {
    pub(crate) fn new(half: ReceiveHalf) -> Self {
        Self { half, decoder: MessageDecoder::default() }
    }

    /// The next message, or `None` where the peer has finished. Loses nothing when dropped half-way. A message may share
    /// its memory with those that came with it; copy what is kept for long.
    ///
    /// # Errors
    /// A message that is too long, or half of one; the peer has gone back on the stream; or the connection is gone: at
    /// the latest 10 s after the last packet of a peer that said no goodbye.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        loop {
            if let Some(message) = self.decoder.poll().inspect_err(|_| self.half.refuse())? {
                return Ok(Some(message));
            }
            let mut chunks = [const { Bytes::new() }; READ_CHUNKS];
            match self.half.quinn.read_chunks(&mut chunks).await.map_err(StreamError::read)? {
                Some(count) => chunks.iter().take(count).for_each(|chunk| self.decoder.push(chunk)),
                None if self.decoder.is_between_messages() => return Ok(None),
                None => return Err(StreamError::Short),
            }
        }
    }

    /// The half, and what was read from it and is no message yet.
    pub(crate) fn into_parts(self) -> (ReceiveHalf, Bytes) {
        (self.half, self.decoder.into_rest())
    }
}
