//! How long a client is waited for whose turn it is: to send the rest of a body, or to read its answer.
//!
//! Who moves nothing for a while is gone. Who moves a byte now and then would hold its place for as long as it likes, so
//! over each minute of waiting there is a least rate, the same that [edges](zonecast_kv_proto::LEAST_RATE) are held to.
//! Only time in which the client is waited for counts, never that in which it waits for us.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use zonecast_kv_proto::Pace;

/// Measures how long a client keeps us waiting: one pause that is too long, or a rate that is too low, ends it. The
/// clock is an argument.
#[derive(Clone, Copy, Debug)]
struct Patience {
    pause: Duration,
    /// In all, up to when something moved last.
    waited: Duration,
    /// When it began to wait, while nothing moves.
    since: Option<Instant>,
    /// Over the time that was waited.
    pace: Pace,
}

impl Patience {
    fn new(pause: Duration) -> Self {
        Self { pause, waited: Duration::ZERO, since: None, pace: Pace::begin(Duration::ZERO) }
    }

    /// So many bytes have moved.
    fn moved(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        self.pace.moved(self.waited, bytes);
    }

    /// Nothing moves: until when that may be so; `None` when patience is at its end.
    fn wait(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.since.get_or_insert(now);
        let pause = now.saturating_duration_since(since);
        // A minute that was good is followed by the next.
        self.pace.moved(self.waited + pause, 0);
        if pause >= self.pause || self.pace.is_trickling(self.waited + pause) {
            return None;
        }
        Some(since + self.pause.min(self.pace.deadline().saturating_sub(self.waited)))
    }
}

/// Patience that wakes the task when it is at its end.
#[derive(Debug)]
pub(super) struct Patient {
    patience: Patience,
    sleep: Pin<Box<Sleep>>,
}

impl Patient {
    /// With who moves nothing for so long.
    pub(super) fn new(pause: Duration) -> Self {
        Self { patience: Patience::new(pause), sleep: Box::pin(sleep_until(Instant::now())) }
    }

    /// So many bytes have moved.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.patience.moved(Instant::now(), bytes);
    }

    /// Nothing moves; ready when that was so for too long.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(until) = self.patience.wait(Instant::now()) {
            if self.sleep.deadline() != until {
                self.sleep.as_mut().reset(until);
            }
            ready!(self.sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::LEAST_RATE;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(15);

    /// After how many seconds a client that moves so many bytes every so many seconds is given up, within ten minutes.
    /// What is not moved by it is moved at once, as by the buffers of a socket.
    fn given_up(at_once: usize, bytes: usize, every: u64) -> Option<u64> {
        let (mut patience, begin) = (Patience::new(PAUSE), Instant::now());
        patience.moved(begin, at_once);
        let mut until = patience.wait(begin).unwrap();
        for second in 1..600 {
            let now = begin + Duration::from_secs(second);
            if second % every == 0 {
                patience.moved(now, bytes);
            }
            if second % every == 0 || now >= until {
                let Some(next) = patience.wait(now) else { return Some(second) };
                until = next;
            }
        }
        None
    }

    #[test]
    fn a_byte_now_and_then_is_not_waited_for_and_a_slow_link_is() {
        assert_eq!(given_up(0, 0, 600), Some(15), "nothing at all");
        assert_eq!(given_up(0, 1, 14), Some(60), "a byte every 14 seconds");
        assert_eq!(given_up(0, 4096, 1), Some(60));
        assert_eq!(given_up(4 << 20, 1, 14), Some(120), "what is long ago does not count");
        assert_eq!(given_up(0, LEAST_RATE, 1), None);
        assert_eq!(given_up(0, 12 * LEAST_RATE, 12), None, "it may come in bursts");
    }

    #[test]
    fn time_in_which_the_client_waits_for_us_does_not_count() {
        let (mut patience, begin) = (Patience::new(PAUSE), Instant::now());
        for minute in 0..60 {
            // Two seconds of waiting for the client, then 58 in which nothing is to be moved.
            let now = begin + Duration::from_secs(60 * minute);
            assert!(patience.wait(now).is_some(), "minute {minute}");
            patience.moved(now + Duration::from_secs(2), 2 * LEAST_RATE);
        }
    }
}
