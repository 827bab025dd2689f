//! A version as it came from a publisher: decoded, and its bytes.

use bytes::Bytes;

use crate::{Published, PublishedError};

/// A version with the bytes that it came as. A relay passes the bytes on, and not the decoded version: what a later release
/// appended to a version would be lost in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedVersion {
    /// What the bytes say.
    pub published: Published,
    /// As they came.
    pub bytes: Bytes,
}

impl ReceivedVersion {
    /// Reads a version. Whether it follows another one is not checked.
    ///
    /// # Errors
    /// The bytes are no version.
    pub fn read(bytes: Bytes) -> Result<Self, PublishedError> {
        Ok(Self { published: Published::from_bytes(&bytes)?, bytes })
    }
}

impl From<Published> for ReceivedVersion {
    /// As if it came from a publisher of this release.
    fn from(published: Published) -> Self {
        Self { bytes: published.to_bytes(), published }
    }
}
