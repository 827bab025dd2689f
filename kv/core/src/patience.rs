//! How long a core waits for its disk, and for what is on its way when it is to end.

use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// A write that takes so long is one that others should not wait for: many times what a slow disk takes. A leader gives
    /// up the lead.
    pub hand_over_after: Duration,
    /// A write that takes so long is not expected to end: the core stops.
    pub stop_after: Duration,
    /// How long a shutdown waits for changes on their way, and then for those who use the stores.
    pub end_within: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            hand_over_after: Duration::from_secs(5),
            stop_after: Duration::from_secs(30),
            end_within: Duration::from_secs(20),
        }
    }
}
