//! Many small batches that travel as one: a commit costs the same for one zone as for a hundred.

use zonecast_kv_proto::{Batch, Op};

/// Bytes at which a group is full. Edges apply a batch whole, so it bounds what one write of theirs holds; beyond some
/// hundred KiB a commit gains nothing from more.
pub(super) const GROUP_BYTES: usize = 512 * 1024;

/// What an operation takes in an encoded batch beside key and value, about.
const OP_OVERHEAD: usize = 16;

/// See the module. Batches of one group must not share a section.
#[derive(Debug, Default)]
pub(crate) struct Group {
    batch: Batch,
    bytes: usize,
}

impl Group {
    /// Adds a batch; gives the group that was full before it.
    pub(crate) fn add(&mut self, batch: Batch) -> Option<Batch> {
        let bytes = batch_bytes(&batch);
        let full = if self.bytes + bytes > GROUP_BYTES { self.take() } else { None };
        self.batch.preconditions.extend(batch.preconditions);
        self.batch.sections.extend(batch.sections);
        self.bytes += bytes;
        full
    }

    /// What was gathered, unless it is nothing.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        self.bytes = 0;
        Some(std::mem::take(&mut self.batch)).filter(|batch| !batch.sections.is_empty())
    }
}

/// About how many bytes a batch takes when encoded.
pub(super) fn batch_bytes(batch: &Batch) -> usize {
    let ops = batch.sections.iter().flat_map(|section| &section.ops);
    ops.map(|op| match op {
        Op::Put { key, value } => key.as_bytes().len() + value.as_bytes().len() + OP_OVERHEAD,
        Op::Delete { key } => key.as_bytes().len() + OP_OVERHEAD,
        Op::DeleteRange { start, end } => start.as_bytes().len() + end.as_bytes().len() + OP_OVERHEAD,
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::{Key, KeyspaceId, Section, SectionId, Value};

    use super::*;

    fn batch(partition: u64, bytes: usize) -> Batch {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition };
        let op = Op::Put { key: Key::new(vec![0, 1, 9]).unwrap(), value: Value::new(vec![0; bytes]).unwrap() };
        Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] }
    }

    #[test]
    fn nothing_is_lost_and_no_group_is_over_full() {
        let mut group = Group::default();
        let mut seen = Vec::new();
        let mut take = |full: Option<Batch>| {
            let Some(full) = full else { return };
            assert!(batch_bytes(&full) <= GROUP_BYTES || full.sections.len() == 1);
            seen.extend(full.sections.iter().map(|section| section.id.partition));
        };
        for partition in 0..100 {
            take(group.add(batch(partition, if partition == 50 { 1_000_000 } else { 20_000 })));
        }
        take(group.take());
        assert!(group.take().is_none());
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }
}
