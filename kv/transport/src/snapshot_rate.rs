//! How fast snapshots are sent, all of a publisher together.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::Duration;

use crate::Clock;
use crate::lock::lock;

/// Nothing is read that takes longer at that rate: whoever waits for it hears nothing meanwhile, and several may wait.
const LONGEST: Duration = Duration::from_millis(250);

/// Bytes over time, if there is a limit: each read waits until those before it are paid for.
#[derive(Debug)]
pub(crate) struct SnapshotRate {
    bytes_per_second: Option<NonZeroU64>,
    free_at: Mutex<Duration>,
}

impl SnapshotRate {
    pub(crate) fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Self { bytes_per_second, free_at: Mutex::default() }
    }

    /// How much to read of so many bytes that could be.
    pub(crate) fn most(&self, bytes: usize) -> usize {
        let Some(rate) = self.bytes_per_second else { return bytes };
        let most = u128::from(rate.get()) * LONGEST.as_millis() / 1000;
        bytes.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1)
    }

    /// Waits until so many bytes may be read.
    pub(crate) async fn take(&self, clock: Clock, bytes: usize) {
        if let Some(at) = self.pay(clock.now(), bytes) {
            tokio::time::sleep_until(clock.instant(at).into()).await;
        }
    }

    /// When so many bytes may be read, if not now.
    fn pay(&self, now: Duration, bytes: usize) -> Option<Duration> {
        let rate = self.bytes_per_second?;
        let nanos = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(rate.get()));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = lock(&self.free_at);
        let at = now.max(*free_at);
        *free_at = at.saturating_add(cost);
        (at > now).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_get_no_more_than_the_rate_and_without_one_nobody_waits() {
        let rate = SnapshotRate::new(NonZeroU64::new(1_000_000));
        assert_eq!((rate.most(2_000_000), rate.most(10)), (250_000, 10));
        let now = Duration::from_secs(5);
        assert_eq!(rate.pay(now, 250_000), None);
        for round in 1..=4 {
            assert_eq!(rate.pay(now, 250_000), Some(now + LONGEST * round));
        }
        assert_eq!(rate.pay(now * 2, 1), None, "what was not taken is lost");
        let free = SnapshotRate::new(None);
        assert_eq!((free.most(usize::MAX), free.pay(now, usize::MAX), free.pay(now, 1)), (usize::MAX, None, None));
    }
}
