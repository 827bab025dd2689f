//! Whether a peer that is in the middle of something moves fast enough to be waited for.
//!
//! A large message takes its time on a slow link, so bytes that move are a sign of life. A peer that moves a byte now and
//! then would be waited for without end, so over each minute there is a least rate.

use std::time::Duration;

/// Bytes a second that a peer must move in the middle of a message: half of what a line of 128 kbit/s carries.
pub const LEAST_RATE: usize = 8 * 1024;

/// The rate is looked at over so much time, so that a link may falter for a while.
pub const PACE_OVER: Duration = Duration::from_secs(60);

/// Bytes that must move in [`PACE_OVER`].
const LEAST: usize = LEAST_RATE * 60;

/// Bytes of one transfer in the present minute of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    since: Duration,
    bytes: usize,
}

impl Pace {
    /// Of a transfer that begins now.
    #[must_use]
    pub fn begin(now: Duration) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// So many bytes moved.
    pub fn moved(&mut self, now: Duration, bytes: usize) {
        if now >= self.deadline() && !self.is_trickling(now) {
            *self = Self::begin(now);
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// When the minute ends, after which [`Pace::is_trickling`] can say yes.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.since + PACE_OVER
    }

    /// Whether a minute is over in which too little moved.
    #[must_use]
    pub fn is_trickling(&self, now: Duration) -> bool {
        now >= self.deadline() && self.bytes < LEAST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds after which a peer that moves so many bytes every second is given up, within ten minutes.
    fn given_up(bytes: usize) -> Option<u64> {
        let mut pace = Pace::begin(Duration::ZERO);
        (1..600).find(|second| {
            let now = Duration::from_secs(*second);
            pace.moved(now, bytes);
            pace.is_trickling(now)
        })
    }

    #[test]
    fn a_slow_peer_is_waited_for_and_one_that_trickles_is_not() {
        assert_eq!(given_up(LEAST_RATE), None);
        assert_eq!(given_up(1_000_000 / 8), None);
        assert_eq!(given_up(LEAST_RATE - 200), Some(60));
        assert_eq!(given_up(1), Some(60));
    }

    #[test]
    fn a_rate_of_the_past_does_not_count() {
        let mut pace = Pace::begin(Duration::ZERO);
        pace.moved(Duration::from_secs(59), LEAST * 100);
        pace.moved(Duration::from_secs(61), 1);
        assert!(!pace.is_trickling(Duration::from_secs(120)), "the second minute began at 61 s");
        assert!(pace.is_trickling(Duration::from_secs(121)));
    }
}
