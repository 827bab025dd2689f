//! Batches that travel together: one entry of the log, one sync, one answer, for many small changes.
//!
//! They are applied one after another, each as if it stood alone: with its own verdict, revision, version and time. One
//! that is refused takes with it only what was built on it, as its preconditions say.

use bytes::Bytes;

use crate::command::WireCommand;
use crate::{EncodedBatch, Once, positional};

/// Most bytes of a group, as [`Commit::weight`] counts them: enough that a sync costs little for each change, and little
/// enough that what waits behind a group does not wait for long. A batch with more travels alone.
pub const MAX_GROUP_LEN: usize = 1024 * 1024;
/// Most batches of a group.
pub const MAX_GROUP: usize = 1024;
/// What a batch weighs beside its operations, and a precondition of it: more than either takes encoded.
const COMMIT_OVERHEAD: usize = 64;
const PRECONDITION_WEIGHT: usize = 32;
/// The same for a request beside its note.
const ONCE_WEIGHT: usize = 96;

positional! {
    /// A batch that is to be committed.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Commit {
        /// When the leader proposed it, microseconds of Unix time.
        pub time_us: u64,
        /// What to do, if its preconditions hold.
        pub batch: EncodedBatch,
        /// If it is to be done once.
        pub once: Option<Once>,
    }
}

impl Commit {
    /// Its bytes as the limit of a group counts them.
    #[must_use]
    pub fn weight(&self) -> usize {
        let once = self.once.as_ref().map_or(0, |once| ONCE_WEIGHT + once.note.len());
        COMMIT_OVERHEAD + self.batch.len() + PRECONDITION_WEIGHT * self.batch.preconditions.len() + once
    }
}

/// Batches for one entry of the log, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    commits: Vec<Commit>,
    weight: usize,
}

impl Group {
    /// Takes one more in, or gives it back where there is no room: then it goes after this group. The first one always
    /// has room.
    ///
    /// # Errors
    /// There is no room.
    #[expect(clippy::result_large_err, reason = "it is what was given")]
    pub fn push(&mut self, commit: Commit) -> Result<(), Commit> {
        let weight = self.weight + commit.weight();
        if !self.commits.is_empty() && (weight > MAX_GROUP_LEN || self.commits.len() == MAX_GROUP) {
            return Err(commit);
        }
        self.commits.push(commit);
        self.weight = weight;
        Ok(())
    }

    /// The number of batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commits.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// As an entry of the log; [`Command::read_entry`](crate::Command::read_entry) reads it. One batch alone is written as
    /// any other command.
    #[must_use]
    pub fn to_bytes(self) -> Bytes {
        WireCommand::of_commits(self.commits).to_bytes(self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, EncodedSection, Idempotency, KeyspaceId, Note, RequestKey, SectionId};

    fn commit(partition: u64, len: usize) -> Commit {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition };
        let section = EncodedSection { id, count: 1, ops: vec![7; len].into() };
        let batch = EncodedBatch { format: 1, preconditions: vec![], sections: vec![section] };
        let key = RequestKey::made_at(partition, 0);
        let idempotency = Idempotency { scope: [1; 16], key, request_hash: [2; 32] };
        let once = Once { idempotency, note: Note::new(&b"note"[..]).unwrap() };
        Commit { time_us: partition, batch, once: partition.is_multiple_of(2).then_some(once) }
    }

    #[test]
    fn a_group_holds_so_many_bytes_and_so_many_batches_but_for_one_alone() {
        let mut many = Group::default();
        for number in 0..MAX_GROUP {
            many.push(commit(number as u64, 10)).unwrap();
        }
        assert_eq!(many.push(commit(0, 10)), Err(commit(0, 10)));
        let mut large = Group::default();
        large.push(commit(1, 2 * MAX_GROUP_LEN)).unwrap();
        assert_eq!(large.push(commit(2, 1)), Err(commit(2, 1)));
        let mut halves = Group::default();
        let half = MAX_GROUP_LEN / 2 - commit(1, 0).weight();
        halves.push(commit(1, half)).unwrap();
        halves.push(commit(3, half)).unwrap();
        assert_eq!((halves.len(), halves.push(commit(5, 1))), (2, Err(commit(5, 1))));
    }

    #[test]
    fn an_entry_is_read_as_the_commands_it_was_made_of() {
        for (first, count) in [(0, 1), (1, 1), (0, 2), (0, 100)] {
            let commits: Vec<_> = (first..first + count).map(|number| commit(number, 10)).collect();
            let mut group = Group::default();
            commits.iter().for_each(|commit| group.push(commit.clone()).unwrap());
            let bytes = group.to_bytes();
            let expected: Vec<_> = commits.into_iter().map(Command::Batch).collect();
            assert_eq!(Command::read_entry(&bytes).unwrap(), expected);
            for cut in 0..bytes.len() {
                assert!(Command::read_entry(&bytes[..cut]).is_err(), "{count} cut at {cut}");
            }
        }
        assert_eq!(
            Group { commits: vec![commit(1, 3)], weight: 0 }.to_bytes(),
            Command::Batch(commit(1, 3)).to_bytes(),
            "one alone is no group"
        );
    }

    #[test]
    fn what_no_group_holds_is_no_entry() {
        let read = |commits: Vec<Commit>| Command::read_entry(&Group { commits, weight: 0 }.to_bytes());
        assert!(read(vec![commit(1, 1); MAX_GROUP]).is_ok());
        assert!(read(vec![commit(1, 1); MAX_GROUP + 1]).is_err());
        assert!(read(vec![commit(1, MAX_GROUP_LEN / 2); 2]).is_err());
        // None at all, and a command of its own beside it.
        assert!(Command::read_entry(&[0x92, 1, 4]).is_err());
        assert!(Command::from_bytes(&Group { commits: vec![commit(1, 1); 2], weight: 0 }.to_bytes()).is_err());
    }
}
