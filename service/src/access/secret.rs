//! The token as its holder has it, and the hash of it that we keep.
//!
//! # Format
//! `zc_` and 64 hexadecimal digits: 256 random bits, so a plain hash of it cannot be turned round, and a prefix that
//! scanners of leaked secrets can look for.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const PREFIX: &str = "zc_";
const BYTES: usize = 32;

/// A token. It is shown once, when it is made.
#[derive(Clone)]
pub struct Secret(String);

/// BLAKE3 of a whole token. Comparing takes the same time whatever differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretHash(blake3::Hash);

impl Secret {
    /// A new one.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        let mut text = String::from(PREFIX);
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }

    /// From the text of a request, if it looks like one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == BYTES * 2 && digits.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(blake3::hash(self.0.as_bytes()))
    }

    /// Itself, to be given to its holder.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl SecretHash {
    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        blake3::Hash::from_slice(bytes).ok().map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_hex())
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        blake3::Hash::from_hex(&text).map(Self).map_err(|error| de::Error::custom(format_args!("not a hash: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_and_reads_back() {
        let (one, other) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(one.hash(), other.hash());
        assert_eq!(Secret::parse(one.reveal()).unwrap().hash(), one.hash());
        assert_eq!(one.reveal().len(), 67);
        assert!(!format!("{one:?}").contains("zc_"));
    }

    #[test]
    fn other_text_is_no_token() {
        let good = Secret::generate().unwrap().reveal().to_owned();
        let upper = good.to_uppercase();
        for text in ["", "zc_", "x", &good[1..], &good[..66], &format!("{good}0"), &format!(" {good}"), &upper] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }
}
