//! Bytes in JSON: as text where they are UTF-8, else as an object with their base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes in JSON: `"text"`, or `{"base64": "/w=="}` where they are not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Octets {
    /// Bytes that are UTF-8.
    Text(String),
    /// Any bytes.
    Encoded(Base64),
}

/// Bytes as base64, with padding (RFC 4648 section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base64 {
    /// The text.
    pub base64: String,
}

/// A text that is not base64.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`base64` of bytes is malformed: {0}")]
pub struct OctetsError(String);

impl Octets {
    /// These bytes, in the shape in which people can read them.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Encoded(Base64 { base64: STANDARD.encode(bytes) }),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// Not base64.
    pub fn into_bytes(self) -> Result<Vec<u8>, OctetsError> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Encoded(encoded) => STANDARD.decode(encoded.base64).map_err(|error| OctetsError(error.to_string())),
        }
    }
}

impl Default for Octets {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        for (bytes, json) in [(&b"a/b"[..], r#""a/b""#), (b"", r#""""#), (b"\xff\0", r#"{"base64":"/wA="}"#)] {
            let octets = Octets::of(bytes);
            assert_eq!(serde_json::to_string(&octets).unwrap(), json);
            let read: Octets = serde_json::from_str(json).unwrap();
            assert_eq!(read.into_bytes().unwrap(), bytes);
        }
        // Text may be base64, too.
        let read: Octets = serde_json::from_str(r#"{"base64":"YQ=="}"#).unwrap();
        assert_eq!(read.into_bytes().unwrap(), b"a");
        let read: Octets = serde_json::from_str(r#"{"base64":"YQ"}"#).unwrap();
        assert!(read.into_bytes().is_err());
        assert!(serde_json::from_str::<Octets>(r#"{"base64":"YQ==","x":1}"#).is_err());
    }
}
