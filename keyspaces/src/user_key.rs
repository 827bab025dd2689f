//! A key of a user: bytes, without the keyspace in front.

use std::fmt;

use thiserror::Error;

/// Longest key of a user in bytes: a key of the store without its keyspace.
pub const MAX_KEY_LEN: usize = zonecast_kv_proto::MAX_KEY_LEN - 2;

/// Why bytes are not a key of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a key has 1 to {MAX_KEY_LEN} bytes, this one has {0}")]
pub struct UserKeyError(pub usize);

/// A key: 1 to [`MAX_KEY_LEN`] bytes, by which keys are ordered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(Vec<u8>);

impl UserKey {
    /// Checks the length.
    ///
    /// # Errors
    /// There are no bytes, or too many.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, UserKeyError> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > MAX_KEY_LEN {
            return Err(UserKeyError(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// All of it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The part before the first slash, if there is one: the group that the key would be in.
    pub(crate) fn group(&self) -> Option<&str> {
        let slash = self.0.iter().position(|byte| *byte == b'/')?;
        std::str::from_utf8(self.0.get(..slash)?).ok()
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) => write!(f, "`{}`", text.escape_debug()),
            Err(_) => write!(f, "`{}`", self.0.escape_ascii()),
        }
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserKey({})", self.0.escape_ascii())
    }
}
