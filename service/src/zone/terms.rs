//! The author and the condition of a write.

use super::Condition;
use crate::who::Who;

/// The terms of a write: its author and its condition.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whom the history names, and whose place it takes.
    pub who: Who,
    /// Else nothing is done.
    pub condition: Condition,
}
