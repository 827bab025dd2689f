//! Decides when a damaged copy is fetched again, and when failed reads are logged.
//!
//! Pure: time is an argument.

use std::time::Duration;

/// A copy that is damaged again is fetched again only after this long, then twice as long each time: a disk that damages
/// whatever is written to it must not have the core send snapshots without end.
const FIRST_WAIT: Duration = Duration::from_mins(10);

/// Longest wait between two.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Reads that fail for a reason that is not the copy's have a line this often.
const LINE_EVERY: Duration = Duration::from_mins(1);

/// Says when to fetch a damaged copy again, with waits that grow, and when to log failed reads, once a minute at most.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    /// Before this, none is fetched.
    not_before: Option<Duration>,
    wait: Option<Duration>,
    /// The present damage has been told, and is being repaired.
    under_way: bool,
    errors_told: u64,
    told_at: Option<Duration>,
}

impl Repairs {
    /// The copy was damaged at the start: it has been told, and the new one begins with a snapshot anyway.
    pub(crate) fn at_start(now: Duration) -> Self {
        let mut repairs = Self::default();
        repairs.fetched(now);
        repairs
    }

    /// Whether a new copy is to be fetched now, given whether the present one is damaged.
    pub(crate) fn fetch(&mut self, now: Duration, is_damaged: bool) -> bool {
        if !is_damaged {
            self.under_way = false;
            return false;
        }
        let due = !self.under_way && self.not_before.is_none_or(|time| now >= time);
        if due {
            self.fetched(now);
        }
        due
    }

    /// When to ask again though nothing happened.
    pub(crate) fn timeout(&self, is_damaged: bool) -> Option<Duration> {
        self.not_before.filter(|_| is_damaged && !self.under_way)
    }

    /// How many reads have failed that nobody was told of, if a line is due. None is while damage, which was told, is
    /// being repaired.
    pub(crate) fn line(&mut self, now: Duration, read_errors: u64) -> Option<u64> {
        if self.under_way {
            self.errors_told = read_errors;
        }
        let quiet = read_errors.saturating_sub(self.errors_told);
        let due = quiet > 0 && self.told_at.is_none_or(|time| now >= time + LINE_EVERY);
        due.then(|| {
            self.told_at = Some(now);
            self.errors_told = read_errors;
            quiet
        })
    }

    fn fetched(&mut self, now: Duration) {
        let wait = self.wait.map_or(FIRST_WAIT, |wait| (wait * 2).min(LONGEST_WAIT));
        self.under_way = true;
        self.not_before = Some(now + wait);
        self.wait = Some(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn damage_is_repaired_at_once_and_then_ever_more_rarely() {
        let mut repairs = Repairs::default();
        assert_eq!((repairs.fetch(MINUTE, false), repairs.timeout(true)), (false, None));
        assert!(repairs.fetch(MINUTE, true));
        assert!(!repairs.fetch(MINUTE * 100, true), "it is under way");
        assert_eq!(repairs.timeout(true), None);
        assert!(!repairs.fetch(2 * MINUTE, false));
        // Damaged again right after.
        assert!(!repairs.fetch(3 * MINUTE, true));
        assert_eq!(repairs.timeout(true), Some(11 * MINUTE));
        assert!(repairs.fetch(11 * MINUTE, true));
        assert!(!repairs.fetch(12 * MINUTE, false));
        assert!(!repairs.fetch(30 * MINUTE, true));
        assert!(repairs.fetch(31 * MINUTE, true));
    }

    #[test]
    fn failed_reads_have_a_line_a_minute() {
        let mut repairs = Repairs::default();
        assert_eq!(repairs.line(MINUTE, 0), None);
        assert_eq!(repairs.line(MINUTE, 3), Some(3));
        assert_eq!(repairs.line(MINUTE + MINUTE / 2, 1000), None);
        assert_eq!(repairs.line(2 * MINUTE, 1001), Some(998));
        assert_eq!(repairs.line(9 * MINUTE, 1001), None);
        assert!(repairs.fetch(9 * MINUTE, true));
        assert_eq!(repairs.line(9 * MINUTE, 5000), None, "that is known");
    }
}
