//! The role of a node, as in its certificate.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Everything that certificates name is below this; nothing else may be.
pub const DOMAIN: &str = "zonecast";

/// The role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A voter: holds everything, serves everyone.
    Core,
    /// Serves other edges what it holds itself.
    Relay,
    /// Holds a copy and answers.
    Edge,
    /// Asks and changes, holds nothing.
    Client,
}

/// Text that is no role.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is none of the roles core, relay, edge, client")]
pub struct RoleError(String);

impl Role {
    const ALL: [Self; 4] = [Self::Core, Self::Relay, Self::Edge, Self::Client];

    /// Its label in a certificate.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Relay => "relay",
            Self::Edge => "edge",
            Self::Client => "client",
        }
    }

    /// Whether others may dial it.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Core | Self::Relay)
    }

    /// Whether it may have the published data.
    #[must_use]
    pub const fn may_subscribe(self) -> bool {
        matches!(self, Self::Core | Self::Relay | Self::Edge)
    }

    /// The DNS name that a node of this role is dialled by.
    #[must_use]
    pub fn server_name(self) -> String {
        format!("{}.{DOMAIN}", self.label())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::ALL.into_iter().find(|role| role.label() == text).ok_or_else(|| RoleError(text.to_owned()))
    }
}
