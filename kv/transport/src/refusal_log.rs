//! Keeps the log readable when somebody without a good certificate knocks again and again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::CertificateFault;

/// One line for each reason in this time; how many there were is in the metrics, and in the next line.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// When a reason was logged last, and how often not since. There are few reasons.
#[derive(Debug)]
pub struct RefusalLog<R = CertificateFault>(Mutex<HashMap<R, (Instant, u64)>>);

impl<R> Default for RefusalLog<R> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R: Eq + Hash> RefusalLog<R> {
    /// Whether to write a line now, and how many were not written since the last.
    #[must_use]
    pub fn due(&self, refusal: R) -> Option<u64> {
        self.due_at(refusal, Instant::now())
    }

    fn due_at(&self, refusal: R, now: Instant) -> Option<u64> {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match reasons.get_mut(&refusal) {
            Some((last, quiet)) if now.saturating_duration_since(*last) < LINE_EVERY => {
                *quiet += 1;
                None
            }
            _ => Some(reasons.insert(refusal, (now, 0)).map_or(0, |(_, quiet)| quiet)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_line_a_minute() {
        let (log, start) = (RefusalLog::default(), Instant::now());
        assert_eq!(log.due_at(CertificateFault::Expired, start), Some(0));
        assert_eq!(log.due_at(CertificateFault::Revoked, start), Some(0));
        assert_eq!(log.due_at(CertificateFault::Expired, start + LINE_EVERY / 2), None);
        assert_eq!(log.due_at(CertificateFault::Expired, start + LINE_EVERY / 2), None);
        assert_eq!(log.due_at(CertificateFault::Expired, start + LINE_EVERY), Some(2));
        assert_eq!(log.due_at(CertificateFault::Expired, start + LINE_EVERY), None);
    }
}
