//! What one burst of queries came to, counted without atomic additions and told to all at its end.

use zonecast_edge_reader::{AnswerClass, CacheCounts, Lookups, Outcome};

use crate::rate_limit::Verdict;

/// Counts of one burst; see [`Metrics::add`](crate::Metrics::add).
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) queries: u64,
    pub(crate) truncated: u64,
    pub(crate) denied: u64,
    pub(crate) limited_truncated: u64,
    pub(crate) limited_dropped: u64,
    pub(crate) cache: CacheCounts,
    /// By the four bits of RCODE.
    pub(crate) responses: [u64; 16],
    /// In the order of [`AnswerClass::ALL`].
    pub(crate) classes: [ClassTally; AnswerClass::ALL.len()],
}

/// Counts of one class of answers.
#[derive(Debug, Default)]
pub(crate) struct ClassTally {
    pub(crate) answers: u64,
    pub(crate) names: u64,
    pub(crate) zones: u64,
    pub(crate) additional: u64,
    pub(crate) proofs: u64,
}

impl Tally {
    pub(crate) fn answered(&mut self, outcome: &Outcome) {
        self.queries += 1;
        if let Some(class) = self.classes.get_mut(outcome.class as usize) {
            class.count(outcome.lookups);
        }
        if !outcome.is_answer() {
            return;
        }
        if let Some(responses) = self.responses.get_mut(usize::from(outcome.rcode.to_int())) {
            *responses += 1;
        }
        self.truncated += u64::from(outcome.truncated);
    }

    pub(crate) fn limited(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Send => {}
            Verdict::Truncate => self.limited_truncated += 1,
            Verdict::Drop => self.limited_dropped += 1,
        }
    }
}

impl ClassTally {
    fn count(&mut self, lookups: Lookups) {
        self.answers += 1;
        self.names += u64::from(lookups.names);
        self.zones += u64::from(lookups.zones);
        self.additional += u64::from(lookups.additional);
        self.proofs += u64::from(lookups.proofs);
    }
}
