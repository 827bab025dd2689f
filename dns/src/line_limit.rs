//! Limits log lines that every query or request would cause while a fault lasts to one line per minute, with a count.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines: an operator who looks finds one, and nobody fills the disk by asking.
const LINE: Duration = Duration::from_secs(60);

/// Limits one kind of log line to one per minute.
#[derive(Debug, Default)]
pub struct LineLimit(Mutex<Unsaid>);

#[derive(Debug, Default)]
struct Unsaid {
    count: u64,
    said: Option<Instant>,
}

impl LineLimit {
    /// Counts one more event. If a line is due, returns the number of events since the last line, this one included.
    #[must_use]
    pub fn count(&self, now: Instant) -> Option<u64> {
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
        let (lines, begin) = (LineLimit::default(), Instant::now());
        assert_eq!(lines.count(begin), Some(1));
        for second in 1..60 {
            assert_eq!(lines.count(begin + Duration::from_secs(second)), None);
        }
        assert_eq!(lines.count(begin + LINE), Some(60));
        assert_eq!(lines.count(begin + LINE), None);
    }
}
