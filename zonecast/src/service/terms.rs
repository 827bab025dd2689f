//! By whom and on what condition a write is asked.

use super::Condition;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// Name of a token; empty where nobody is asked.
    pub by: String,
    /// Else nothing is done.
    pub condition: Condition,
}
