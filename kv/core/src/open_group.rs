//! Changes that are staged and not sent yet: they go to raft as one entry. Pure.
//!
//! [`Turns`](crate::turns::Turns) says when they go.

use zonecast_kv_proto::{Commit, Group};

/// See the module. `W` is who waits for a change.
#[derive(Debug)]
pub(crate) struct OpenGroup<W> {
    pub(crate) group: Group,
    /// One for each change of the group.
    pub(crate) waiting: Vec<W>,
}

impl<W> Default for OpenGroup<W> {
    fn default() -> Self {
        Self { group: Group::default(), waiting: Vec::new() }
    }
}

impl<W> OpenGroup<W> {
    pub(crate) fn of(commit: Commit, who: W) -> Self {
        let mut group = Group::default();
        group.push(commit).expect("the first one has room");
        Self { group, waiting: vec![who] }
    }

    /// Takes one more in. What was there comes back if both together are too much: it goes first.
    pub(crate) fn add(&mut self, commit: Commit, who: W) -> Option<Self> {
        match self.group.push(commit) {
            Ok(()) => {
                self.waiting.push(who);
                None
            }
            Err(commit) => Some(std::mem::replace(self, Self::of(commit, who))),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::{EncodedBatch, EncodedSection, KeyspaceId, MAX_GROUP_LEN, SectionId};

    use super::*;

    fn commit(len: usize) -> Commit {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let section = EncodedSection { id, count: 1, ops: vec![7; len].into() };
        let batch = EncodedBatch { format: 1, preconditions: vec![], sections: vec![section] };
        Commit { time_us: 1, batch, once: None }
    }

    #[test]
    fn what_does_not_fit_opens_the_next_group_and_the_full_one_goes_first() {
        let mut open = OpenGroup::default();
        assert!(open.add(commit(10), 'a').is_none() && open.add(commit(10), 'b').is_none());
        let full = open.add(commit(MAX_GROUP_LEN), 'c').unwrap();
        assert_eq!((full.waiting, full.group.len()), (vec!['a', 'b'], 2));
        assert_eq!((open.len(), open.group.len(), &open.waiting), (1, 1, &vec!['c']));
        assert_eq!(open.add(commit(10), 'd').unwrap().waiting, ['c'], "it travels alone");
    }
}
