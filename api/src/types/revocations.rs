//! The certificates that every core and edge refuses.

use serde::{Deserialize, Serialize};

/// The certificates that are revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// Number of the list; a later one has a greater number, and 0 means that there is none yet.
    pub number: u64,
    /// Serial numbers in hexadecimal.
    pub serials: Vec<String>,
}
