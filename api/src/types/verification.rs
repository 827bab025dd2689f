//! Whether all nodes hold the same.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A verification: every node sums up its copy at the same version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VerificationInfo {
    /// Its number; 0 if there never was one.
    pub number: u64,
    /// The worst of all nodes.
    pub state: VerifiedState,
    /// When it began, in seconds of Unix time.
    pub began: u64,
    /// The version at which all nodes are compared; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What more than half of the voters hold; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<AgreedCopy>,
    /// Every core that votes, and every edge and relay that is known.
    pub nodes: Vec<VerifiedNode>,
}

/// What more than half of the voters hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedCopy {
    /// Hash of everything published, the first 8 bytes.
    pub hash: String,
    /// How many keys that are.
    pub keys: u64,
    /// How many voters hold this.
    pub agreeing: u64,
    /// How many voters there are.
    pub voters: u64,
}

/// One node in a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiedNode {
    /// Its role: `core`, `edge` or `relay`.
    pub role: String,
    /// Its name.
    pub node: String,
    /// What has come of it.
    pub state: VerifiedState,
    /// Hash of everything published that it holds, the first 8 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Ranges of keys in which it differed, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges: Option<u64>,
    /// The first key that differed, or the last one of the first range that did, with escapes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// More for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What has come of a node. The later in this list, the worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifiedState {
    /// It holds what most voters hold.
    Equal,
    /// It held something else, and was put right since.
    Repaired,
    /// Nobody knows, and nobody will.
    #[default]
    Unknown,
    /// Nobody knows yet.
    Running,
    /// Its copy could not be read.
    Failed,
    /// It holds something else.
    Differs,
}

impl VerificationInfo {
    /// The worst of these nodes.
    #[must_use]
    pub fn worst<'n>(nodes: impl IntoIterator<Item = &'n VerifiedNode>) -> VerifiedState {
        nodes.into_iter().map(|node| node.state).max().unwrap_or_default()
    }
}

impl VerifiedState {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Equal, Self::Repaired, Self::Unknown, Self::Running, Self::Failed, Self::Differs];

    /// Its word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Repaired => "repaired",
            Self::Unknown => "unknown",
            Self::Running => "running",
            Self::Failed => "failed",
            Self::Differs => "differs",
        }
    }
}

impl fmt::Display for VerifiedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}
