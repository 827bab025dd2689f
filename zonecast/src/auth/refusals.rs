//! Requests that were refused: each counted, a line about them at most once a minute.

use std::time::Instant;

use prometheus::{IntCounterVec, Opts, Registry};
use zonecast_kv_proto::LineLimit;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessRefusal {
    /// No token came with it.
    NoToken,
    /// One that gives nothing.
    BadToken,
    /// One that gives something else.
    Forbidden,
}

impl AccessRefusal {
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

/// Counts refused requests by their reason, and logs one line a minute at most.
#[derive(Debug)]
pub(crate) struct Refusals {
    counter: IntCounterVec,
    lines: LineLimit<Instant>,
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
        for refusal in AccessRefusal::ALL {
            counter.with_label_values(&[refusal.word()]);
        }
        Ok(Self { counter, lines: LineLimit::default() })
    }

    /// One more, of a request to this path of docs/api.md.
    pub(crate) fn note(&self, refusal: AccessRefusal, path: &str, now: Instant) {
        self.counter.with_label_values(&[refusal.word()]).inc();
        if let Some(refused) = self.lines.count(now) {
            let reason = refusal.word();
            tracing::warn!(
                refused,
                reason,
                path,
                "the API refused requests, the last one for this reason; if they are yours, see `zonecast token`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_by_its_reason() {
        let registry = Registry::new();
        let refusals = Refusals::register(&registry).unwrap();
        refusals.note(AccessRefusal::Forbidden, "/", Instant::now());
        assert_eq!(refusals.counter.with_label_values(&["forbidden"]).get(), 1);
        assert_eq!(refusals.counter.with_label_values(&["no_token"]).get(), 0);
    }
}
