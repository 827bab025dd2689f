//! Two logs with the same entry are the same up to there: each entry has one content and one predecessor, everywhere and
//! for ever (section 3.5 of the Raft dissertation).

use std::collections::BTreeMap;

use super::Invariant;
use crate::entry::decode_entry;
use crate::simulation::event::Event;
use crate::types::{Entry, LogId};

#[derive(Debug, Default)]
pub(crate) struct LogMatching {
    entries: BTreeMap<LogId, Known>,
}

#[derive(Debug)]
struct Known {
    entry: Entry,
    before: Option<LogId>,
}

impl Invariant for LogMatching {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Appended { run, entry, log, .. } = event else { return Ok(()) };
        let before = entry.log_id.index.checked_sub(1).and_then(|index| log.get(&index));
        let before = before.map(|bytes| decode_entry(bytes.clone()).unwrap().log_id);
        let known = self.entries.entry(entry.log_id).or_insert_with(|| Known { entry: (*entry).clone(), before });
        if known.entry != **entry {
            return Err(format!("{run:?}: entry {} is another one elsewhere", entry.log_id));
        }
        // What a log has given up is not compared.
        match (known.before, before) {
            (Some(known), Some(before)) if known != before => {
                Err(format!("{run:?}: entry {} follows {before} here and {known} elsewhere", entry.log_id))
            }
            (None, Some(_)) => {
                known.before = before;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
