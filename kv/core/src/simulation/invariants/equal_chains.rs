//! Voters at the same version have the same chain, so they have published the same bytes.

use std::collections::BTreeMap;

use zonecast_kv_proto::{Position, Version};

use super::Invariant;
use crate::simulation::event::Event;

#[derive(Debug, Default)]
pub(crate) struct EqualChains {
    positions: BTreeMap<Version, Position>,
}

impl Invariant for EqualChains {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Applied { run, head, .. } = event else { return Ok(()) };
        if !head.is_founded() {
            return Ok(());
        }
        let known = *self.positions.entry(head.position.version).or_insert(head.position);
        let same = known == head.position;
        same.then_some(()).ok_or(format!("{run:?} stands at {}, somebody else at {known}", head.position))
    }
}
