//! A leader id leads in one run of one voter only: one that has lost its vote would lead a second time under it.
//!
//! Leader ids are a term and a node id: in openraft's order of votes a second voter may lead in a term, under a greater
//! id, and then ends the first one's lead.

use std::collections::BTreeMap;

use openraft::impls::leader_id_adv::LeaderId;

use super::Invariant;
use crate::simulation::event::Event;

#[derive(Debug, Default)]
pub(crate) struct OneLeader {
    /// By which run each was.
    led: BTreeMap<LeaderId<u64, u64>, u64>,
}

impl Invariant for OneLeader {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Appended { run, entry, is_own: true, .. } = event else { return Ok(()) };
        let leader_id = entry.log_id.leader_id;
        let number = *self.led.entry(leader_id).or_insert(run.number);
        (number == run.number).then_some(()).ok_or(format!("{run:?} leads as {leader_id}, as run {number} did before"))
    }
}
