//! Feature levels: what every voter of a cluster can read, so that releases can be mixed while they are upgraded.
//!
//! A release has one level, [`FEATURE_LEVEL`], and reads everything of the levels up to it. A cluster agrees on a level,
//! which is part of the [`Head`](crate::Head). It is raised by a command once every member runs a release of a higher
//! one, and never goes back. Until then nobody writes what the agreed level does not have.
//!
//! | level | what it brings |
//! |---|---|
//! | 1 | everything of the first release |
//! | 2 | the agreed level itself: a command that raises it, and head format 2, which says it |

/// The level of this release.
pub const FEATURE_LEVEL: u32 = 2;

/// The level of a store that nothing was agreed on.
pub const FIRST_LEVEL: u32 = 1;
