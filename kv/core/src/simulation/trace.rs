//! What happened, as lines: a hash over all of them, and the last ones for whoever looks for a fault.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Lines that are shown with a fault.
const SHOWN: usize = 80;

#[derive(Debug)]
pub(crate) struct Trace {
    /// All lines are printed, too.
    is_shown: bool,
    hasher: DefaultHasher,
    lines: u64,
    last: VecDeque<String>,
}

impl Default for Trace {
    fn default() -> Self {
        let is_shown = std::env::var_os("ZONECAST_TRACE").is_some();
        Self { is_shown, hasher: DefaultHasher::new(), lines: 0, last: VecDeque::new() }
    }
}

impl Trace {
    pub(crate) fn note(&mut self, at: u64, what: &str) {
        (at, what).hash(&mut self.hasher);
        self.lines += 1;
        if self.last.len() == SHOWN {
            self.last.pop_front();
        }
        let line = format!("{}.{:06} ms {what}", at / 1_000_000, at % 1_000_000);
        if self.is_shown {
            println!("{line}");
        }
        self.last.push_back(line);
    }

    /// Equal for runs in which the same happened at the same times.
    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    pub(crate) fn last(&self) -> String {
        self.last.iter().map(|line| format!("  {line}\n")).collect()
    }
}
