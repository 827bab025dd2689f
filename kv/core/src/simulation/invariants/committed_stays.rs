//! What is applied anywhere is at its index for ever: no voter applies something else there, none takes it out of its log,
//! and every leader has it when it begins (sections 3.6.3 and 3.6.4 of the Raft dissertation).

use std::collections::BTreeMap;

use super::Invariant;
use crate::entry::decode_entry;
use crate::simulation::event::Event;
use crate::types::LogId;

#[derive(Debug, Default)]
pub(crate) struct CommittedStays {
    committed: BTreeMap<u64, LogId>,
    /// The last entry by which somebody began to lead.
    began: BTreeMap<u64, LogId>,
}

impl Invariant for CommittedStays {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Applied { run, log_id, .. } => {
                let known = *self.committed.entry(log_id.index).or_insert(*log_id);
                (known == *log_id)
                    .then_some(())
                    .ok_or(format!("{run:?} applies {log_id}, and {known} was applied before"))
            }
            Event::Truncated { run, entry } => match self.committed.get(&entry.log_id.index) {
                Some(known) if *known == entry.log_id => Err(format!("{run:?} forgets {known}, which was applied")),
                _ => Ok(()),
            },
            Event::Appended { run, entry, is_own: true, log } => {
                let is_first = self
                    .began
                    .insert(run.number, entry.log_id)
                    .is_none_or(|last| last.leader_id != entry.log_id.leader_id);
                let missing = is_first.then(|| self.missing(log, entry.log_id)).flatten();
                missing
                    .map_or(Ok(()), |missing| Err(format!("{run:?} leads from {} on without {missing}", entry.log_id)))
            }
            _ => Ok(()),
        }
    }
}

impl CommittedStays {
    /// What a log lacks in which `first` is the first entry of its leader.
    fn missing(&self, log: &BTreeMap<u64, bytes::Bytes>, first: LogId) -> Option<LogId> {
        let begins = log.first_key_value().map_or(0, |(index, _)| *index);
        let id = |index: u64| log.get(&index).map(|bytes| decode_entry(bytes.clone()).unwrap().log_id);
        let differs = |(index, known): &(&u64, &LogId)| **index >= first.index || id(**index) != Some(**known);
        self.committed.range(begins..).find(differs).map(|(_, known)| *known)
    }
}
