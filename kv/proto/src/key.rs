//! A key of the store: bytes that begin with their keyspace.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::KeyspaceId;

/// Longest key in bytes. The longest DNS name escapes to 510 bytes; twice that leaves room for other keyspaces
/// while a block of the store still holds several keys.
pub const MAX_KEY_LEN: usize = 1024;

/// Why bytes are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The key has no keyspace in front.
    #[error("a key of {0} bytes has no keyspace")]
    Short(usize),
    /// The key is over [`MAX_KEY_LEN`].
    #[error("a key of {0} bytes is over the limit of {MAX_KEY_LEN}")]
    Long(usize),
}

/// A key: a [`KeyspaceId`] (2 bytes, big-endian), then up to [`MAX_KEY_LEN`] − 2 bytes that the keyspace gives a meaning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// Checks the length.
    ///
    /// # Errors
    /// The bytes are too few to hold a keyspace, or over [`MAX_KEY_LEN`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, KeyError> {
        let bytes = bytes.into();
        Self::check(&bytes)?;
        Ok(Self(bytes))
    }

    /// The check of [`Key::new`] without taking the bytes.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub fn check(bytes: &[u8]) -> Result<KeyspaceId, KeyError> {
        if bytes.len() > MAX_KEY_LEN {
            return Err(KeyError::Long(bytes.len()));
        }
        match bytes {
            [high, low, ..] => Ok(KeyspaceId::new(u16::from_be_bytes([*high, *low]))),
            _ => Err(KeyError::Short(bytes.len())),
        }
    }

    /// The keyspace it belongs to.
    #[must_use]
    pub fn keyspace(&self) -> KeyspaceId {
        Self::check(&self.0).expect("checked by new")
    }

    /// All of it, keyspace first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0.escape_ascii())
    }
}
