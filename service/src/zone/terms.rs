//! By whom and on what condition a write is asked.

use super::Condition;
use crate::who::Who;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whom the history names, and whose place it takes.
    pub who: Who,
    /// Else nothing is done.
    pub condition: Condition,
}
