//! A token as it is kept: everything but the secret.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zonecast_records::Name;

use super::SecretHash;
use crate::scope::Scope;
use zonecast_api::types::{TokenInfo, TokenRole};

/// Longest name of a token: a word for people, a label in log lines.
const MAX_NAME: usize = 63;

/// Most zones of one token; who needs more has an apex above them, or a token without scope.
const MAX_ZONES: usize = 1000;

/// What a token says that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not 1 to 63 letters, digits, `.`, `_`, `-`.
    #[error("{0:?} is not a name for a token: 1 to 63 letters, digits, `.`, `_` and `-`")]
    Name(String),
    /// Not a name, or too many.
    #[error("token {token:?}: zone {zone:?}: {reason}")]
    Zone {
        /// Whose.
        token: String,
        /// Which.
        zone: String,
        /// Why.
        reason: String,
    },
    /// Over [`MAX_ZONES`].
    #[error("token {0:?} has over {MAX_ZONES} zones: name one above them, or none for all")]
    Zones(String),
    /// Everything, but only in some zones.
    #[error("token {0:?}: role admin is for everything and takes no zones; role write does")]
    AdminOfZones(String),
}

/// A token as it is kept: with the hash of its secret, by which a request is matched.
#[derive(Clone, Debug)]
pub struct Token {
    name: String,
    hash: SecretHash,
    role: TokenRole,
    scope: Scope,
    created: u64,
    expires: Option<u64>,
}

/// What a token is made of.
#[derive(Debug)]
pub struct TokenDraft {
    /// For people.
    pub name: String,
    /// Of its secret.
    pub hash: SecretHash,
    /// What it may do.
    pub role: TokenRole,
    /// All, where it names none.
    pub zones: Vec<String>,
    /// When it is made.
    pub now: SystemTime,
    /// For ever, without.
    pub lasts: Option<Duration>,
}

/// The same as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    pub(super) name: String,
    pub(super) role: TokenRole,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) zones: Vec<String>,
    pub(super) blake3: SecretHash,
    /// Seconds since 1970, as below.
    pub(super) created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<u64>,
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// A name or zone that is none, or an admin of some zones.
    pub fn new(new: TokenDraft) -> Result<Self, TokenError> {
        let TokenDraft { name, hash, role, zones, now, lasts } = new;
        let created = seconds(now);
        let expires = lasts.map(|lasts| created.saturating_add(lasts.as_secs()));
        Self::checked(TokenRecord { name, role, zones, blake3: hash, created, expires })
    }

    /// From what was written down.
    ///
    /// # Errors
    /// As [`Token::new`].
    pub fn checked(stored: TokenRecord) -> Result<Self, TokenError> {
        let TokenRecord { name, role, zones, blake3, created, expires } = stored;
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(good) {
            return Err(TokenError::Name(name));
        }
        if zones.len() > MAX_ZONES {
            return Err(TokenError::Zones(name));
        }
        if role == TokenRole::Admin && !zones.is_empty() {
            return Err(TokenError::AdminOfZones(name));
        }
        let apex = |zone: String| {
            zone.parse::<Name>().map_err(|error| TokenError::Zone {
                token: name.clone(),
                reason: error.to_string(),
                zone,
            })
        };
        let scope = Scope::of(zones.into_iter().map(apex).collect::<Result<_, _>>()?);
        Ok(Self { name, hash: blake3, role, scope, created, expires })
    }

    /// As it is written down.
    #[must_use]
    pub fn record(&self) -> TokenRecord {
        TokenRecord {
            name: self.name.clone(),
            role: self.role,
            zones: self.zones(),
            blake3: self.hash,
            created: self.created,
            expires: self.expires,
        }
    }

    /// For people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may do.
    #[must_use]
    pub fn role(&self) -> TokenRole {
        self.role
    }

    /// Where, none for everywhere.
    #[must_use]
    pub fn zones(&self) -> Vec<String> {
        self.scope.apexes().iter().map(ToString::to_string).collect()
    }

    /// When it ends, in seconds since 1970.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| seconds(now) >= expires)
    }

    /// In which zones.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Of its secret.
    #[must_use]
    pub fn hash(&self) -> &SecretHash {
        &self.hash
    }

    /// Everything but its secret.
    #[must_use]
    pub fn describe(&self, now: SystemTime) -> TokenInfo {
        TokenInfo {
            name: self.name.clone(),
            token: None,
            role: self.role,
            zones: self.zones(),
            expires: self.expires,
            expired: self.is_expired(now),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Secret;

    fn token(name: &str, role: TokenRole, zones: &[&str], lasts: Option<Duration>) -> Result<Token, TokenError> {
        let zones: Vec<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let hash = Secret::generate().unwrap().hash();
        Token::new(TokenDraft { name: name.into(), hash, role, zones, now: SystemTime::UNIX_EPOCH, lasts })
    }

    #[test]
    fn nonsense_is_refused() {
        use TokenRole::{Admin, Read};
        for name in ["", "a b", "a\n", "ä", &"x".repeat(64)] {
            assert!(matches!(token(name, Read, &[], None), Err(TokenError::Name(_))), "{name}");
        }
        assert!(matches!(token("a", Read, &["a..b"], None), Err(TokenError::Zone { .. })));
        assert!(matches!(token("a", Admin, &["example.com"], None), Err(TokenError::AdminOfZones(_))));
        assert!(matches!(token("a", Read, &["a"; 1001], None), Err(TokenError::Zones(_))));
        token("Ci-1._x", Read, &["a"; 1000], None).unwrap();
    }

    #[test]
    fn it_ends_at_its_second() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_millis(seconds);
        let ending = token("a", TokenRole::Read, &[], Some(Duration::from_secs(60))).unwrap();
        assert!(!ending.is_expired(at(59_999)) && ending.is_expired(at(60_000)));
        let endless = token("a", TokenRole::Read, &[], None).unwrap();
        assert!(!endless.is_expired(at(u64::from(u32::MAX) * 1000)));
    }
}
