//! Requests that were refused: each counted, a line about them at most once a minute.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{IntCounterVec, Opts, Registry};

/// Between two lines: whoever knocks shall not fill the disk.
const LINE: Duration = Duration::from_secs(60);

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token came with it.
    NoToken,
    /// One that gives nothing.
    BadToken,
    /// One that gives something else.
    Forbidden,
}

impl Refusal {
    const ALL: [Self; 3] = [Self::NoToken, Self::BadToken, Self::Forbidden];

    /// The word for programs.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::BadToken => "bad_token",
            Self::Forbidden => "forbidden",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Refusals {
    counter: IntCounterVec,
    unsaid: Mutex<Unsaid>,
}

#[derive(Debug, Default)]
struct Unsaid {
    count: u64,
    said: Option<Instant>,
}

impl Refusals {
    /// Registers the counter.
    ///
    /// # Errors
    /// It is registered already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("zonecast_api_refused_total", "Requests refused for want of a token that allows them");
        let counter = IntCounterVec::new(opts, &["reason"])?;
        registry.register(Box::new(counter.clone()))?;
        // So that each is there before it happens: a rate needs a beginning.
        for refusal in Refusal::ALL {
            counter.with_label_values(&[refusal.word()]);
        }
        Ok(Self { counter, unsaid: Mutex::default() })
    }

    /// One more, of a request to this path of docs/api.md.
    pub(crate) fn note(&self, refusal: Refusal, path: &str, now: Instant) {
        self.counter.with_label_values(&[refusal.word()]).inc();
        if let Some(refused) = self.line_is_due(now) {
            let reason = refusal.word();
            tracing::warn!(
                refused,
                reason,
                path,
                "the API refused requests, the last one for this reason; if they are yours, see `zonecast token`"
            );
        }
    }

    /// How many to tell about, when it is time to.
    fn line_is_due(&self, now: Instant) -> Option<u64> {
        // A count survives whoever panicked over it.
        let mut unsaid = self.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.count += 1;
        let due = unsaid.said.is_none_or(|said| now >= said + LINE);
        due.then(|| std::mem::replace(&mut *unsaid, Unsaid { count: 0, said: Some(now) }).count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_and_a_minute_has_one_line() {
        let registry = Registry::new();
        let refusals = Refusals::register(&registry).unwrap();
        let begin = Instant::now();
        let lines: Vec<_> = [0, 1, 59, 60, 61, 300]
            .into_iter()
            .filter_map(|second| refusals.line_is_due(begin + Duration::from_secs(second)))
            .collect();
        assert_eq!(lines, [1, 3, 2]);
        refusals.note(Refusal::Forbidden, "/", begin);
        assert_eq!(refusals.counter.with_label_values(&["forbidden"]).get(), 1);
        assert_eq!(refusals.counter.with_label_values(&["no_token"]).get(), 0);
    }
}
