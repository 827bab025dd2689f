//! Limits log lines that every query or request would cause while a fault lasts to one line per minute, with a count.
//!
//! Pure: time is an argument, of any clock that a duration can be added to.

use std::ops::Add;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Between two lines: an operator who looks finds one, and nobody fills the disk by asking.
const LINE: Duration = Duration::from_secs(60);

/// Limits one kind of log line to one per minute. `T` is a moment of the caller's clock.
#[derive(Debug)]
pub struct LineLimit<T>(Mutex<Unsaid<T>>);

#[derive(Debug)]
struct Unsaid<T> {
    count: u64,
    said: Option<T>,
}

impl<T> Default for LineLimit<T> {
    fn default() -> Self {
        Self(Mutex::new(Unsaid { count: 0, said: None }))
    }
}

impl<T: Copy + PartialOrd + Add<Duration, Output = T>> LineLimit<T> {
    /// Counts one more event. If a line is due, returns the number of events since the last line, this one included.
    #[must_use]
    pub fn count(&self, now: T) -> Option<u64> {
        let mut unsaid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.count += 1;
        let due = unsaid.said.is_none_or(|said| now >= said + LINE);
        due.then(|| {
            unsaid.said = Some(now);
            std::mem::take(&mut unsaid.count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_minute_counts_all_since_the_last() {
        let (lines, begin) = (LineLimit::default(), Duration::from_secs(1000));
        assert_eq!(lines.count(begin), Some(1));
        for second in 1..60 {
            assert_eq!(lines.count(begin + Duration::from_secs(second)), None);
        }
        assert_eq!(lines.count(begin + LINE), Some(60));
        assert_eq!(lines.count(begin + LINE), None);
    }
}
