//! A token as it is kept: everything but the secret.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zonecast_records::Name;

use super::{Grant, SecretHash, TokenRole};
use zonecast_service::Scope;

/// Longest name of a token: a word for people, a label in log lines.
const MAX_NAME: usize = 63;

/// Most zones of one token; who needs more has an apex above them, or a token without scope.
const MAX_ZONES: usize = 1000;

/// What a token says that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum TokenError {
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

/// A token as the token file keeps it: with the hash of its secret, by which a request is matched.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    name: String,
    hash: SecretHash,
    role: TokenRole,
    scope: Scope,
    created: u64,
    expires: Option<u64>,
}

/// What a token is made of.
#[derive(Debug)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) hash: SecretHash,
    pub(crate) role: TokenRole,
    /// All, where it names none.
    pub(crate) zones: Vec<String>,
    pub(crate) now: SystemTime,
    /// For ever, without.
    pub(crate) lasts: Option<Duration>,
}

/// The same as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredToken {
    name: String,
    role: TokenRole,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    zones: Vec<String>,
    blake3: SecretHash,
    /// Seconds since 1970, as below.
    created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
}

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// A name or zone that is none, or an admin of some zones.
    pub(crate) fn new(new: NewToken) -> Result<Self, TokenError> {
        let NewToken { name, hash, role, zones, now, lasts } = new;
        let created = seconds(now);
        let expires = lasts.map(|lasts| created.saturating_add(lasts.as_secs()));
        Self::checked(StoredToken { name, role, zones, blake3: hash, created, expires })
    }

    pub(super) fn checked(stored: StoredToken) -> Result<Self, TokenError> {
        let StoredToken { name, role, zones, blake3, created, expires } = stored;
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

    pub(super) fn stored(&self) -> StoredToken {
        StoredToken {
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
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it may do.
    #[must_use]
    pub(crate) fn role(&self) -> TokenRole {
        self.role
    }

    /// Where, none for everywhere.
    #[must_use]
    pub(crate) fn zones(&self) -> Vec<String> {
        self.scope.apexes().iter().map(ToString::to_string).collect()
    }

    /// When it ends, in seconds since 1970.
    #[must_use]
    pub(crate) fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// Whether it has ended.
    #[must_use]
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| seconds(now) >= expires)
    }

    pub(super) fn has(&self, hash: &SecretHash) -> bool {
        self.hash == *hash
    }

    pub(super) fn has_secret_of(&self, other: &Self) -> bool {
        self.has(&other.hash)
    }

    pub(super) fn grant(&self) -> Grant {
        Grant::new(&self.name, self.role, self.scope.clone())
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    fn token(name: &str, role: TokenRole, zones: &[&str], lasts: Option<Duration>) -> Result<Token, TokenError> {
        let zones: Vec<String> = zones.iter().map(|zone| (*zone).to_owned()).collect();
        let hash = Secret::generate().unwrap().hash();
        Token::new(NewToken { name: name.into(), hash, role, zones, now: SystemTime::UNIX_EPOCH, lasts })
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
