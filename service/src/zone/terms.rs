//! The author and the condition of a write, and the key under which it is done once.

use zonecast_kv_proto::Idempotency;

use super::Condition;
use crate::who::Who;

/// The terms of a write.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Whom the history names, and whose place it takes.
    pub who: Who,
    /// Else nothing is done.
    pub condition: Condition,
    /// The request, if it is to be done once.
    pub once: Option<Idempotency>,
}
