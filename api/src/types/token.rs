//! Tokens for the API, and requests to make one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token allows; each role includes the rights of the roles before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenRole {
    /// Read zones, records and status.
    #[default]
    Read,
    /// Change records; import and delete zones.
    Write,
    /// Everything, on all zones.
    Admin,
}

/// Not the word for a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTokenRole(String);

/// A request for a new token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name: letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// What it allows.
    pub role: TokenRole,
    /// Only in these zones and those below them; in all, if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// How long it lasts; for ever, without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_s: Option<u64>,
}

/// A token as everybody may know it who has one of role admin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// The token itself: only in the answer to the request that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What it allows.
    pub role: TokenRole,
    /// Where; everywhere, if there are none.
    pub zones: Vec<String>,
    /// When it ends, in seconds of Unix time; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Whether it has ended.
    pub expired: bool,
}

/// All tokens, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// Each of them, without the token itself.
    pub tokens: Vec<TokenInfo>,
}

impl TokenRole {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for TokenRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for TokenRole {
    type Err = UnknownTokenRole;

    fn from_str(text: &str) -> Result<Self, UnknownTokenRole> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| UnknownTokenRole(text.to_owned()))
    }
}

impl fmt::Display for UnknownTokenRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a role: read, write or admin", self.0)
    }
}

impl std::error::Error for UnknownTokenRole {}
