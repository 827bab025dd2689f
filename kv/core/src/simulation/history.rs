//! What clients asked, and what they were told.

use zonecast_kv_proto::Revision;

/// A write or a read, at some time on one clock for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) id: u64,
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) told: Told,
}

/// What its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is committed.
    Committed(Revision),
    /// Nothing was done, and nothing will be.
    NotDone,
    /// It may be committed, now or later.
    Unknown,
    /// What was read: everything, at this revision, with this hash.
    Read { revision: Revision, content: u64 },
    /// Nothing was read.
    NotRead,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    operations: Vec<Operation>,
}

impl History {
    pub(crate) fn add(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }
}
