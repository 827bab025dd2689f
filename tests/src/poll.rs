//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// How often a condition is looked at: often enough to cost a test nothing, seldom enough to leave the processor to
/// what is waited for.
const INTERVAL: Duration = Duration::from_millis(3);

/// Looks until there is something, or until the deadline has passed.
pub fn poll_until<T>(deadline: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::park_timeout(INTERVAL);
    }
}
