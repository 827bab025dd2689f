//! By whom and on what condition a write is asked.

use super::Condition;
use crate::auth::Who;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Whom the history names, and whose place it takes.
    pub who: Who,
    /// Else nothing is done.
    pub condition: Condition,
}
