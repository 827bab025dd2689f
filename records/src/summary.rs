//! The depths at which a zone has wildcards, cuts and DNAMEs, so that most lookups of missing names skip reads for
//! them.

use serde::{Deserialize, Serialize};

/// Depths that have a bit of their own; the last bit stands for this depth and every deeper one.
const DEPTHS: u32 = u32::BITS;

/// One bit per depth in labels below the apex for wildcards, cuts and DNAMEs. The counts behind the bits stay in the
/// core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Depth of the parent of a published node whose first label is `*`, that is the closest encloser it can serve.
    pub wildcards: u32,
    /// The depths at which the zone has zone cuts.
    pub cuts: u32,
    /// Depth of DNAME owners; the apex is depth 0.
    pub dnames: u32,
}

impl Summary {
    /// The bit for a depth.
    #[must_use]
    pub fn bit(depth: usize) -> u32 {
        1 << u32::try_from(depth).unwrap_or(u32::MAX).min(DEPTHS - 1)
    }

    /// Whether a wildcard may stand right below an encloser at this depth.
    #[must_use]
    pub fn has_wildcard_below(&self, depth: usize) -> bool {
        self.wildcards & Self::bit(depth) != 0
    }
}
