//! How many edges a client waits for.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How many edges must have a version before a waiting client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// Every expected one, and at least one.
    All,
    /// So many. `edge` is one.
    Count(usize),
    /// This share of the expected ones, rounded up, and at least one.
    Percent(u8),
}

/// Text that is no wait condition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is none of: edge, all, a number, a number from 1 to 100 with %")]
pub struct WaitForError(String);

impl FromStr for WaitFor {
    type Err = WaitForError;

    fn from_str(text: &str) -> Result<Self, WaitForError> {
        let bad = || WaitForError(text.to_owned());
        match text {
            "edge" => Ok(Self::Count(1)),
            "all" => Ok(Self::All),
            _ => match text.strip_suffix('%') {
                Some(share) => match share.parse() {
                    Ok(share @ 1..=100) => Ok(Self::Percent(share)),
                    _ => Err(bad()),
                },
                None => text.parse().map(Self::Count).map_err(|_| bad()),
            },
        }
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for WaitFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
        }
    }
}

impl WaitFor {
    /// How many of `total` expected edges that is. More than `total` cannot be met yet.
    #[must_use]
    pub fn needed(&self, total: usize) -> usize {
        match self {
            Self::All => total.max(1),
            Self::Count(count) => *count,
            Self::Percent(share) => (total * usize::from(*share)).div_ceil(100).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_conditions_count_expected_edges() {
        let needed = |text: &str, total| text.parse::<WaitFor>().map(|condition| condition.needed(total));
        assert_eq!(needed("edge", 5), Ok(1));
        assert_eq!(needed("all", 5), Ok(5));
        assert_eq!(needed("all", 0), Ok(1));
        assert_eq!(needed("3", 5), Ok(3));
        assert_eq!(needed("50%", 5), Ok(3));
        assert_eq!(needed("1%", 5), Ok(1));
        assert_eq!(needed("100%", 5), Ok(5));
        for bad in ["", "most", "0%", "101%", "-1", "5 %"] {
            assert!(bad.parse::<WaitFor>().is_err(), "{bad}");
        }
    }
}
