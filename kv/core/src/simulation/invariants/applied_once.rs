//! No write is applied twice: an operation has one revision, and a counter is counted up by one each time.

use std::collections::BTreeMap;

use zonecast_kv_proto::{Command, Revision, Verdict, decode_ops};

use super::Invariant;
use crate::simulation::event::Event;
use crate::simulation::writes::Written;

#[derive(Debug, Default)]
pub(crate) struct AppliedOnce {
    last: Revision,
    revisions: BTreeMap<u64, Revision>,
    counters: BTreeMap<Vec<u8>, u64>,
}

impl Invariant for AppliedOnce {
    fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Applied { run, command: Some(Command::Batch(commit)), verdict, .. } = event else { return Ok(()) };
        let Verdict::Committed { revision, .. } = verdict else { return Ok(()) };
        let writes = commit.batch.sections.iter().flat_map(decode_ops).filter_map(|op| Written::read(&op.unwrap()));
        self.add(*revision, writes.collect()).map_err(|what| format!("{run:?}: {what}"))
    }
}

impl AppliedOnce {
    fn add(&mut self, revision: Revision, writes: Vec<Written>) -> Result<(), String> {
        let is_new = revision > self.last;
        self.last = self.last.max(revision);
        for Written { key, by, count } in writes {
            let known = *self.revisions.entry(by).or_insert(revision);
            if known != revision {
                return Err(format!("operation {by} is revision {known} and revision {revision}"));
            }
            if !is_new || count == 0 {
                continue;
            }
            let before = self.counters.insert(key, count).unwrap_or_default();
            if before + 1 != count {
                return Err(format!("operation {by} counts from {before} to {count} at revision {revision}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(by: u64, count: u64) -> Vec<Written> {
        vec![Written { key: vec![0, 1, 1], by, count }]
    }

    #[test]
    fn an_operation_at_two_revisions_and_a_count_that_is_lost_are_found() {
        let begun = || {
            let mut once = AppliedOnce::default();
            assert_eq!(once.add(Revision::new(1), written(10, 1)), Ok(()));
            assert_eq!(once.add(Revision::new(2), written(11, 2)), Ok(()));
            // On another voter.
            assert_eq!(once.add(Revision::new(1), written(10, 1)), Ok(()));
            once
        };
        assert_eq!(begun().add(Revision::new(3), written(12, 3)), Ok(()));
        assert!(begun().add(Revision::new(3), written(10, 3)).is_err());
        assert!(begun().add(Revision::new(3), written(12, 2)).is_err());
        assert!(begun().add(Revision::new(3), written(12, 4)).is_err());
    }
}
