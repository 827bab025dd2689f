//! What a client asks to be done once, and what is kept of it when it is done.

use std::ops::Deref;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Epoch, RequestKey, RequestKeyError, Revision, Version, positional, read_whole};

/// Most bytes of a [`Note`].
pub const MAX_NOTE_LEN: usize = 1024;

const FORMAT: u8 = 1;
/// What a record counts beside its note: about what it takes with its key.
const RECORD_OVERHEAD: u64 = 160;

/// Identifies a request: a key within a scope, such as the token that asks. In order of the time when the key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    /// The key that the client has drawn.
    pub key: RequestKey,
    /// Keys of different scopes have nothing to do with each other.
    pub scope: [u8; 16],
}

/// Asks for a change to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Keys of different scopes have nothing to do with each other.
    pub scope: [u8; 16],
    /// The key that the client has drawn for the change.
    pub key: RequestKey,
    /// BLAKE3 of what is asked for: the same key must not ask for something else.
    pub request_hash: [u8; 32],
}

/// Some bytes that are given to whoever asks again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note(Bytes);

/// A change that is done once, beside its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireOnce", into = "WireOnce")]
pub struct Once {
    /// The request.
    pub idempotency: Idempotency,
    /// For whoever asks again.
    pub note: Note,
}

/// What is kept of a request: how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireRecord", into = "WireRecord")]
pub struct RequestRecord {
    /// BLAKE3 of what was asked for.
    pub request_hash: [u8; 32],
    /// The epoch in which it was done.
    pub epoch: Epoch,
    /// The revision of its batch.
    pub revision: Revision,
    /// Its version, if any of it is published.
    pub version: Option<Version>,
    /// Its time, microseconds of Unix time.
    pub time_us: u64,
    /// For whoever asks again.
    pub note: Note,
}

/// A note over [`MAX_NOTE_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a note of {0} bytes is over the limit of {MAX_NOTE_LEN}")]
pub struct NoteError(usize);

/// Why bytes are not a record.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Not the MessagePack of a record.
    #[error("not the record of a request: {0}")]
    Syntax(rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("record format {0} is not known to this release")]
    Format(u8),
    /// A hash that is no hash.
    #[error("a hash of {0} bytes")]
    Hash(usize),
    /// A key that is no key.
    #[error(transparent)]
    Key(#[from] RequestKeyError),
    /// A note that is too long.
    #[error(transparent)]
    Note(#[from] NoteError),
}

positional! {
    /// As it stands in a command.
    #[derive(Debug, Default, PartialEq)]
    struct WireOnce {
        scope: u128,
        key: u128,
        request_hash: Bytes,
        note: Bytes,
    }
}

positional! {
    /// As it is kept.
    #[derive(Debug, Default, PartialEq)]
    struct WireRecord {
        format: u8,
        request_hash: Bytes,
        epoch: Epoch,
        revision: Revision,
        version: Version,
        time_us: u64,
        note: Bytes,
    }
}

impl RequestId {
    /// Bytes of [`RequestId::to_bytes`].
    pub const LEN: usize = 32;

    /// As the key of its record: 16 bytes of key, 16 of scope.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..16].copy_from_slice(&self.key.get().to_be_bytes());
        bytes[16..].copy_from_slice(&self.scope);
        bytes
    }

    /// Back from [`RequestId::to_bytes`]; nothing, if these bytes are not from there.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; Self::LEN] = bytes.try_into().ok()?;
        let (key, scope) = bytes.split_first_chunk::<16>()?;
        Some(Self { key: RequestKey::new(u128::from_be_bytes(*key)).ok()?, scope: scope.try_into().ok()? })
    }
}

impl Idempotency {
    /// What identifies the request.
    #[must_use]
    pub fn id(&self) -> RequestId {
        RequestId { key: self.key, scope: self.scope }
    }
}

impl Note {
    /// At most [`MAX_NOTE_LEN`] bytes.
    ///
    /// # Errors
    /// There are more.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, NoteError> {
        let bytes = bytes.into();
        if bytes.len() <= MAX_NOTE_LEN { Ok(Self(bytes)) } else { Err(NoteError(bytes.len())) }
    }
}

impl Deref for Note {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl RequestRecord {
    /// The bytes that it counts.
    #[must_use]
    pub fn size(&self) -> u64 {
        RECORD_OVERHEAD + self.note.len() as u64
    }

    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(self).expect("plain data always encodes").into()
    }

    /// Back from [`RequestRecord::to_bytes`].
    ///
    /// # Errors
    /// Not MessagePack of this shape, another format, or something over its limit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RequestError> {
        read_whole::<WireRecord>(bytes).map_err(RequestError::Syntax)?.try_into()
    }
}

fn hash(bytes: &Bytes) -> Result<[u8; 32], RequestError> {
    bytes[..].try_into().map_err(|_| RequestError::Hash(bytes.len()))
}

impl TryFrom<WireOnce> for Once {
    type Error = RequestError;

    fn try_from(wire: WireOnce) -> Result<Self, RequestError> {
        let (key, request_hash) = (RequestKey::new(wire.key)?, hash(&wire.request_hash)?);
        let idempotency = Idempotency { scope: wire.scope.to_be_bytes(), key, request_hash };
        Ok(Self { idempotency, note: Note::new(wire.note)? })
    }
}

impl From<Once> for WireOnce {
    fn from(Once { idempotency, note }: Once) -> Self {
        let Idempotency { scope, key, request_hash } = idempotency;
        let request_hash = Bytes::copy_from_slice(&request_hash);
        Self { scope: u128::from_be_bytes(scope), key: key.get(), request_hash, note: note.0 }
    }
}

impl TryFrom<WireRecord> for RequestRecord {
    type Error = RequestError;

    fn try_from(wire: WireRecord) -> Result<Self, RequestError> {
        if wire.format != FORMAT {
            return Err(RequestError::Format(wire.format));
        }
        let (request_hash, note) = (hash(&wire.request_hash)?, Note::new(wire.note)?);
        let version = Some(wire.version).filter(|version| *version != Version::ZERO);
        let WireRecord { epoch, revision, time_us, .. } = wire;
        Ok(Self { request_hash, epoch, revision, version, time_us, note })
    }
}

impl From<RequestRecord> for WireRecord {
    fn from(record: RequestRecord) -> Self {
        let RequestRecord { request_hash, epoch, revision, version, time_us, note } = record;
        let (request_hash, version) = (Bytes::copy_from_slice(&request_hash), version.unwrap_or_default());
        Self { format: FORMAT, request_hash, epoch, revision, version, time_us, note: note.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> RequestRecord {
        RequestRecord {
            request_hash: [7; 32],
            epoch: Epoch::new(1),
            revision: Revision::new(9),
            version: Some(Version::new(3)),
            time_us: 1_000_000,
            note: Note::new(&b"note"[..]).unwrap(),
        }
    }

    #[test]
    fn a_record_is_read_as_written_and_no_part_of_it() {
        let private = RequestRecord { version: None, note: Note::default(), ..record() };
        for record in [record(), private] {
            let bytes = record.to_bytes();
            assert_eq!(RequestRecord::from_bytes(&bytes).unwrap(), record);
            assert!((0..bytes.len()).all(|cut| RequestRecord::from_bytes(&bytes[..cut]).is_err()));
        }
        assert!(record().size() >= record().to_bytes().len() as u64 + RequestId::LEN as u64);
    }

    #[test]
    fn a_record_of_a_later_release_or_over_a_limit_is_no_record() {
        let wire = || WireRecord::from(record());
        let read = |wire: WireRecord| RequestRecord::from_bytes(&rmp_serde::to_vec(&wire).unwrap());
        assert!(matches!(read(WireRecord { format: 2, ..wire() }), Err(RequestError::Format(2))));
        assert!(matches!(read(WireRecord { request_hash: Bytes::new(), ..wire() }), Err(RequestError::Hash(0))));
        let note = vec![0; MAX_NOTE_LEN + 1].into();
        assert!(matches!(read(WireRecord { note, ..wire() }), Err(RequestError::Note(_))));
    }

    #[test]
    fn requests_are_in_the_order_in_which_their_keys_were_made() {
        let id = |ms, scope| RequestId { key: RequestKey::made_at(ms, 0), scope: [scope; 16] };
        let ids = [id(1, 9), id(2, 3), id(2, 4), id(3, 0)];
        assert!(ids.is_sorted() && ids.map(|id| id.to_bytes()).is_sorted());
        assert!(ids.iter().all(|id| RequestId::from_bytes(&id.to_bytes()) == Some(*id)));
        assert_eq!(RequestId::from_bytes(&[0; 32]), None);
    }
}
