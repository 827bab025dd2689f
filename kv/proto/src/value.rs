//! A value of the store: bytes within a limit.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

/// Largest value in bytes: sixteen of the largest DNS RRset, a quarter of the largest batch.
pub const MAX_VALUE_LEN: usize = 1024 * 1024;

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a value of {0} bytes is over the limit of {MAX_VALUE_LEN}")]
pub struct ValueError(pub usize);

/// A value, at most [`MAX_VALUE_LEN`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Bytes);

impl Value {
    /// Checks the length.
    ///
    /// # Errors
    /// The bytes are over [`MAX_VALUE_LEN`].
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, ValueError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_VALUE_LEN {
            return Err(ValueError(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// All of it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}
