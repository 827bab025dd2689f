//! Since when a write has been under way: a disk that hangs gives no error, it only takes for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One write at a time; read by others without waiting.
#[derive(Debug)]
pub(crate) struct UnderWay {
    opened: Instant,
    /// Nanoseconds from there on, and one; 0 while there is none.
    since: AtomicU64,
}

/// A write that is under way until this is dropped.
pub(crate) struct Writing<'a>(&'a UnderWay);

impl UnderWay {
    pub(crate) fn new() -> Self {
        Self { opened: Instant::now(), since: AtomicU64::new(0) }
    }

    pub(crate) fn begin(&self) -> Writing<'_> {
        self.since.store(self.now(), Ordering::Relaxed);
        Writing(self)
    }

    /// How long the present one has taken so far.
    pub(crate) fn so_long(&self) -> Option<Duration> {
        let since = Some(self.since.load(Ordering::Relaxed)).filter(|since| *since > 0)?;
        Some(Duration::from_nanos(self.now().saturating_sub(since)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.since.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_while_a_write_is_under_way_and_only_then() {
        let under_way = UnderWay::new();
        assert_eq!(under_way.so_long(), None);
        let writing = under_way.begin();
        let early = under_way.so_long().unwrap();
        while under_way.so_long().unwrap() == early {
            std::hint::spin_loop();
        }
        drop(writing);
        assert_eq!(under_way.so_long(), None);
    }
}
