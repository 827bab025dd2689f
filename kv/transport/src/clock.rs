//! A clock for the state machines: counts from the Unix epoch and never goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock at its start, monotonic from then on. Intervals are exact; the date drifts as the machine's steps do.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Duration,
    start: Instant,
}

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, start: Instant::now() }
    }

    /// Time since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.wall + self.start.elapsed()
    }

    /// The instant at which [`Clock::now`] will be `time`.
    #[must_use]
    pub fn instant(&self, time: Duration) -> Instant {
        self.start + time.saturating_sub(self.wall)
    }
}
