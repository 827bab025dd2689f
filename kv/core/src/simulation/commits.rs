//! Every committed batch by its revision, as the first voter that applied it shows it: the model that reads and states are
//! compared with.

use std::collections::BTreeMap;

use zonecast_kv_proto::{Command, MemoryView, Revision, Verdict, decode_ops};

use super::event::Event;
use super::writes::{Written, content_hash};

#[derive(Debug, Default)]
pub(crate) struct Commits {
    model: MemoryView,
    batches: BTreeMap<Revision, Commit>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) writes: Vec<Written>,
    /// Of everything, once it is applied.
    pub(crate) content: u64,
}

impl Commits {
    /// Takes in what is applied; on another voter again, it must be the same.
    pub(crate) fn see(&mut self, event: &Event<'_>) -> Result<(), String> {
        let Event::Applied { run, command: Some(Command::Batch(commit)), verdict, .. } = event else { return Ok(()) };
        let Verdict::Committed { revision, .. } = verdict else { return Ok(()) };
        let ops = commit.batch.sections.iter().flat_map(decode_ops).map(Result::unwrap);
        let writes = ops.filter_map(|op| Written::read(&op)).collect();
        self.add(*revision, writes).map_err(|what| format!("{run:?}: {what}"))
    }

    pub(crate) fn add(&mut self, revision: Revision, writes: Vec<Written>) -> Result<(), String> {
        if let Some(known) = self.batches.get(&revision) {
            let same = known.writes == writes;
            return same
                .then_some(())
                .ok_or(format!("revision {revision} is {writes:?} here and {:?} elsewhere", known.writes));
        }
        if revision.get() != self.last().get() + 1 {
            return Err(format!("revision {revision} comes after revision {}", self.last()));
        }
        for written in &writes {
            self.model.insert(&written.key, &written.value());
        }
        self.batches.insert(revision, Commit { writes, content: content_hash(&self.model) });
        Ok(())
    }

    /// The last revision.
    pub(crate) fn last(&self) -> Revision {
        self.batches.last_key_value().map_or(Revision::ZERO, |(revision, _)| *revision)
    }

    pub(crate) fn get(&self, revision: Revision) -> Option<&Commit> {
        self.batches.get(&revision)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Revision, &Commit)> {
        self.batches.iter().map(|(revision, commit)| (*revision, commit))
    }

    /// Hash of everything as it is at this revision.
    pub(crate) fn content(&self, revision: Revision) -> Option<u64> {
        match revision {
            Revision::ZERO => Some(content_hash(&MemoryView::new())),
            revision => self.get(revision).map(|commit| commit.content),
        }
    }
}
