//! What the core has ever published, for comparison.

use std::collections::BTreeMap;

use crate::{Chain, Epoch, MemoryView, Position, Version};

/// Every state that a core has stood at.
#[derive(Default)]
pub(super) struct History {
    states: BTreeMap<(Epoch, Version), (Chain, MemoryView)>,
}

impl History {
    pub(super) fn add(&mut self, position: &Position, data: &MemoryView) {
        self.states.insert(position.order(), (position.chain, data.clone()));
    }

    /// What a copy must hold that stands there.
    pub(super) fn at(&self, position: &Position) -> Option<&MemoryView> {
        let (chain, data) = self.states.get(&position.order())?;
        (*chain == position.chain).then_some(data)
    }
}
