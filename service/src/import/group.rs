//! Many small batches that travel as one: a commit costs the same for one zone as for a hundred.

use std::collections::HashSet;

use zonecast_kv_proto::{Batch, Op, SectionId};

/// Bytes at which a group is full. Edges apply a batch whole, so it bounds what one write of theirs holds; beyond some
/// hundred KiB a commit gains nothing from more.
pub(super) const GROUP_BYTES: usize = 512 * 1024;

/// What an operation takes in an encoded batch beside key and value, about.
const OP_OVERHEAD: usize = 16;

/// What travels in a group.
pub(crate) trait Grouped {
    /// What it asks for.
    fn batch(&self) -> &Batch;
}

/// Batches of zones that are committed as one: a group ends when the next batch would make it too large or touch one of
/// its sections again.
#[derive(Debug)]
pub(crate) struct Group<G> {
    members: Vec<G>,
    sections: HashSet<SectionId>,
    bytes: usize,
}

impl<G> Default for Group<G> {
    fn default() -> Self {
        Self { members: vec![], sections: HashSet::new(), bytes: 0 }
    }
}

impl<G: Grouped> Group<G> {
    /// Adds one; gives those that had to go before it.
    pub(crate) fn add(&mut self, member: G) -> Vec<G> {
        let batch = member.batch();
        let bytes = batch_bytes(batch);
        let mut sections = batch.sections.iter().map(|section| section.id);
        let is_full = self.bytes + bytes > GROUP_BYTES || sections.any(|id| self.sections.contains(&id));
        let full = if is_full { self.take() } else { vec![] };
        self.sections.extend(batch.sections.iter().map(|section| section.id));
        self.bytes += bytes;
        self.members.push(member);
        full
    }

    /// What was gathered.
    pub(crate) fn take(&mut self) -> Vec<G> {
        std::mem::take(self).members
    }
}

/// What a group asks for, as one batch.
pub(crate) fn joined<G: Grouped>(members: &[G]) -> Batch {
    let mut joined = Batch::default();
    for batch in members.iter().map(Grouped::batch) {
        joined.preconditions.extend_from_slice(&batch.preconditions);
        joined.sections.extend_from_slice(&batch.sections);
    }
    joined
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
    use zonecast_kv_proto::{Key, KeyspaceId, Section, Value};

    use super::*;

    impl Grouped for Batch {
        fn batch(&self) -> &Batch {
            self
        }
    }

    fn batch(partition: u64, bytes: usize) -> Batch {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition };
        let op = Op::Put { key: Key::new(vec![0, 1, 9]).unwrap(), value: Value::new(vec![0; bytes]).unwrap() };
        Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] }
    }

    #[test]
    fn nothing_is_lost_and_no_group_is_over_full() {
        let mut group = Group::default();
        let mut seen = Vec::new();
        let mut take = |full: Vec<Batch>| {
            let full = joined(&full);
            assert!(batch_bytes(&full) <= GROUP_BYTES || full.sections.len() == 1);
            seen.extend(full.sections.iter().map(|section| section.id.partition));
        };
        for partition in 0..100 {
            take(group.add(batch(partition, if partition == 50 { 1_000_000 } else { 20_000 })));
        }
        take(group.take());
        assert!(group.take().is_empty());
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_section_stands_once_in_a_group() {
        let mut group = Group::default();
        assert!(group.add(batch(1, 1)).is_empty());
        assert!(group.add(batch(2, 1)).is_empty());
        assert_eq!(group.add(batch(1, 2)), [batch(1, 1), batch(2, 1)]);
        assert_eq!(group.take(), [batch(1, 2)]);
    }
}
