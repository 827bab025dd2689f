//! What a token may do.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The role of a token; each role includes the rights of the roles before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TokenRole {
    /// Read zones, records and status.
    Read,
    /// Change records; import and delete zones.
    Write,
    /// Everything, on all zones.
    Admin,
}

impl fmt::Display for TokenRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}
