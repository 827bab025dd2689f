//! What a comparison found: counts per class, and a bounded number of readable differences.

use std::collections::BTreeMap;
use std::fmt;

use crate::{CHOICES, Case};

/// Differences shown in full for each set of aspects: the rest are counted.
const SHOWN_PER_KIND: usize = 3;

/// Collects the outcome of all questions.
#[derive(Debug, Default)]
pub struct Report {
    asked: BTreeMap<&'static str, u64>,
    chosen: BTreeMap<&'static str, u64>,
    unexplained: BTreeMap<String, (u64, Vec<String>)>,
}

impl Report {
    /// Judges one case.
    pub fn add(&mut self, case: &Case<'_>) {
        *self.asked.entry(case.ours.class(case.question.rtype)).or_default() += 1;
        if let Some(what) = unsound(case) {
            self.fail(what, case);
            return;
        }
        let kinds: Vec<_> = case.differences().collect();
        if kinds.iter().any(|(_, aspects)| aspects.is_empty()) {
            return;
        }
        match CHOICES.iter().find(|choice| (choice.covers)(case)) {
            Some(choice) => *self.chosen.entry(choice.id).or_default() += 1,
            None => {
                let kinds: Vec<String> = kinds.iter().map(|(name, aspects)| format!("{name} {aspects:?}")).collect();
                self.fail(
                    format!("{} differs from {}", case.ours.class(case.question.rtype), kinds.join(" and ")),
                    case,
                );
            }
        }
    }

    /// How many questions were judged.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.values().sum()
    }

    /// How many differences no choice explains.
    #[must_use]
    pub fn unexplained(&self) -> u64 {
        self.unexplained.values().map(|(count, _)| count).sum()
    }

    /// How often each documented choice was made.
    #[must_use]
    pub fn chosen(&self) -> &BTreeMap<&'static str, u64> {
        &self.chosen
    }

    fn fail(&mut self, kind: String, case: &Case<'_>) {
        let (count, shown) = self.unexplained.entry(kind).or_default();
        *count += 1;
        if shown.len() < SHOWN_PER_KIND {
            shown.push(case.to_string());
        }
    }
}

/// Records twice in one message, an odd header, or additional data that is not in the zone: wrong whatever the peers say.
fn unsound(case: &Case<'_>) -> Option<String> {
    if case.ours.repeated > 0 {
        return Some("a record stands twice in one message".to_owned());
    }
    if let Some(what) = case.ours.oddity {
        return Some(what.to_owned());
    }
    let stray = case.ours.additional.iter().find(|rr| !case.is_hosted(rr))?;
    Some(format!("additional data that is in no zone: type {}", stray.rtype))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} questions: {:?}", self.asked(), self.asked)?;
        writeln!(f, "documented choices: {:?}", self.chosen)?;
        writeln!(f, "unexplained: {}", self.unexplained())?;
        for (kind, (count, shown)) in &self.unexplained {
            writeln!(f, "== {count} x {kind}")?;
            for case in shown {
                writeln!(f, "  {case}")?;
            }
        }
        Ok(())
    }
}
