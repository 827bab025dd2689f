//! Everything that an answer needs to write on, kept from one query to the next.

use zonecast_records::{KeyBuffer, Name};

use crate::finder::Finder;
use crate::message::Offsets;
use crate::{MAX_ADDITIONAL_TARGETS, MAX_CHAIN};

/// Buffers of one thread that answers. They grow to what the largest answer needs and stay.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) finder: Finder,
    /// The name being looked up as a path from the root.
    pub(crate) path: Vec<u8>,
    pub(crate) chain: Chain,
    pub(crate) extra: Extra,
    pub(crate) offsets: Offsets,
}

/// What a chain has passed already.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    steps: Vec<(Step, Name)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Owner of a CNAME.
    Alias,
    /// Closest encloser of a wildcard CNAME.
    Wildcard,
    /// Owner of a DNAME.
    Dname,
}

/// Buffers for what is read beside the name itself: zone keys, additional data, glue.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) key: KeyBuffer,
    pub(crate) path: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) targets: Vec<Name>,
    /// For targets that only a wildcard makes.
    pub(crate) finder: Finder,
}

impl Scratch {
    /// With room for most answers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            chain: Chain { steps: Vec::with_capacity(2 * MAX_CHAIN) },
            extra: Extra { targets: Vec::with_capacity(MAX_ADDITIONAL_TARGETS), ..Extra::default() },
            ..Self::default()
        }
    }
}

impl Chain {
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
    }

    /// Remembers the step and says whether it is the first of its kind.
    pub(crate) fn visit(&mut self, step: Step, name: Name) -> bool {
        let is_new = !self.steps.contains(&(step, name));
        if is_new {
            self.steps.push((step, name));
        }
        is_new
    }
}
