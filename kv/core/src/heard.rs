//! Who was heard last of those that lead: whether a leader that leads no more is still there. One that has handed the
//! lead over was heard a moment ago; one that has died or is cut off, not for as long as it takes until others elect.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::Instant as _;

use crate::environment::Environment;
use crate::types::Moment;

/// The core from which the last append or heartbeat came. Clones share it.
pub(crate) struct Heard<E: Environment>(Arc<Mutex<Option<Last<E>>>>);

struct Last<E: Environment> {
    core: String,
    at: Moment<E>,
}

impl<E: Environment> Clone for Heard<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E: Environment> Heard<E> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// It says something now.
    pub(crate) fn hear(&self, core: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Moment::<E>::now();
        match &mut *last {
            Some(last) if last.core == core => last.at = at,
            last => *last = Some(Last { core: core.to_owned(), at }),
        }
    }

    /// How long ago that was; nothing if another one was heard since.
    pub(crate) fn silent_for(&self, core: &str) -> Option<Duration> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|last| last.core == core).map(|last| last.at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn only_the_last_one_was_heard() {
        let heard = Heard::<Machine>::new();
        let known = || ["core-1", "core-2"].map(|core| heard.silent_for(core).is_some());
        assert_eq!(known(), [false, false]);
        for (core, expected) in [("core-1", [true, false]), ("core-1", [true, false]), ("core-2", [false, true])] {
            heard.hear(core);
            assert_eq!(known(), expected);
        }
    }
}
