//! How often copies are verified, and how fast.

use std::num::NonZeroU64;
use std::time::Duration;

/// Bytes a second that a node reads to verify its copy, unless somebody says otherwise: 32 MiB, a share of any disk that
/// answers and changes do not notice.
pub const VERIFY_BYTES_PER_SECOND: NonZeroU64 = NonZeroU64::new(32 * 1024 * 1024).expect("it is not 0");

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Time from one verification to the next that nobody asks for; none where nobody asks, if there is none.
    pub every: Option<Duration>,
    /// Bytes of keys and values that each node reads for it in a second.
    pub bytes_per_second: NonZeroU64,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { every: Some(Duration::from_hours(24)), bytes_per_second: VERIFY_BYTES_PER_SECOND }
    }
}
