//! A clock for the state machines: counts from the Unix epoch and never goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock at its start, monotonic from then on. Intervals are exact; the date drifts as the machine's steps do.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Duration,
    start: Instant,
    /// Seconds of it in a second: 1 but in tests, which need not wait a minute for what happens after one.
    speed: u32,
}

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, start: Instant::now(), speed: 1 }
    }

    /// Starts now, and runs so many times as fast.
    #[cfg(test)]
    pub(crate) fn fast(speed: u32) -> Self {
        Self { speed, ..Self::start() }
    }

    /// Time since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.wall + self.start.elapsed() * self.speed
    }

    /// The instant at which [`Clock::now`] will be `time`.
    #[must_use]
    pub fn instant(&self, time: Duration) -> Instant {
        self.start + time.saturating_sub(self.wall) / self.speed
    }
}
