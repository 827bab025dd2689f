//! Finds the messages in the bytes of a stream between cores: a length of four bytes, big-endian, and so many bytes.
//! Pure.
//!
//! # Invariants
//! - Memory follows what has come, never what a length announces, and no length above [`MAX_MESSAGE`] is waited for.

use bytes::{Buf as _, Bytes, BytesMut};
use thiserror::Error;

/// Bytes of one message at most: a batch has 4 MiB, and what surrounds it must not make it too long.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// Bytes of a length.
const LENGTH: usize = 4;

/// A message over [`MAX_MESSAGE`], which holds its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a message of {0} bytes; at most {MAX_MESSAGE} are allowed")]
pub struct TooLong(pub usize);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct MessageDecoder(BytesMut);

impl MessageDecoder {
    /// The next bytes of the stream. All messages should be taken out before.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next message, if all of it is here.
    pub(crate) fn poll(&mut self) -> Result<Option<Bytes>, TooLong> {
        let Some(length) = self.0.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_MESSAGE {
            return Err(TooLong(length));
        }
        if self.0.len() < LENGTH + length {
            return Ok(None);
        }
        self.0.advance(LENGTH);
        Ok(Some(self.0.split_to(length).freeze()))
    }

    /// Whether the stream may end here.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.0.is_empty()
    }

    /// What has come and was not taken out.
    pub(crate) fn into_rest(self) -> Bytes {
        self.0.freeze()
    }
}

/// The four bytes in front of a message.
pub(crate) fn encode_length(message: &Bytes) -> Result<[u8; LENGTH], TooLong> {
    let length = u32::try_from(message.len()).ok().filter(|_| message.len() <= MAX_MESSAGE);
    length.map(u32::to_be_bytes).ok_or(TooLong(message.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(messages: &[Vec<u8>]) -> Vec<u8> {
        let encode = |message: &Vec<u8>| {
            let message = Bytes::from(message.clone());
            [&encode_length(&message).unwrap()[..], &message].concat()
        };
        messages.iter().flat_map(encode).collect()
    }

    /// Gives the bytes piece by piece; what came out, and whether it failed.
    fn decode(mut bytes: &[u8], pieces: &[usize]) -> (Vec<Bytes>, bool, MessageDecoder) {
        let (mut decoder, mut messages) = (MessageDecoder::default(), Vec::new());
        let mut pieces = pieces.iter().copied().cycle();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(pieces.next().unwrap_or(usize::MAX).clamp(1, bytes.len()));
            decoder.push(piece);
            bytes = rest;
            loop {
                match decoder.poll() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(_) => return (messages, true, decoder),
                }
            }
        }
        (messages, false, decoder)
    }

    /// What must come out, told from the whole at once.
    fn model(mut bytes: &[u8]) -> (Vec<Bytes>, bool, usize) {
        let mut messages = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > MAX_MESSAGE {
                return (messages, true, bytes.len());
            }
            let Some(message) = rest.get(..length) else { break };
            messages.push(Bytes::copy_from_slice(message));
            bytes = &rest[length..];
        }
        (messages, false, bytes.len())
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            pieces in prop::collection::vec(1_usize..400, 0..20),
        ) {
            let (decoded, failed, decoder) = decode(&encode(&messages), &pieces);
            prop_assert_eq!(decoded, messages);
            prop_assert!(!failed && decoder.is_between_messages());
        }

        /// Lengths are mostly small, or nothing would be left of the noise after the first.
        #[test]
        fn noise_gives_what_a_plain_reading_gives(
            noise in prop::collection::vec(prop_oneof![6 => Just(0_u8), 1 => any::<u8>()], 0..600),
            pieces in prop::collection::vec(1_usize..50, 0..20),
        ) {
            let (decoded, failed, decoder) = decode(&noise, &pieces);
            let (expected, fails, left) = model(&noise);
            prop_assert_eq!((decoded, failed), (expected, fails));
            // What comes after a fault is not taken in.
            prop_assert!(failed || decoder.into_rest().len() == left);
        }
    }

    #[test]
    fn a_length_above_the_limit_fails_at_once_and_the_limit_itself_is_waited_for() {
        let mut decoder = MessageDecoder::default();
        decoder.push(&u32::try_from(MAX_MESSAGE).unwrap().to_be_bytes());
        assert_eq!(decoder.poll(), Ok(None));
        assert!(decoder.0.capacity() < 1024, "memory is taken for what has not come");
        let mut decoder = MessageDecoder::default();
        decoder.push(&u32::try_from(MAX_MESSAGE + 1).unwrap().to_be_bytes());
        assert_eq!(decoder.poll(), Err(TooLong(MAX_MESSAGE + 1)));

        let message = Bytes::from(vec![0; MAX_MESSAGE + 1]);
        assert_eq!(encode_length(&message), Err(TooLong(MAX_MESSAGE + 1)));
        assert_eq!(encode_length(&message.slice(1..)), Ok([0, 0x80, 0, 0]));
    }
}
