//! The commands in the replicated log, which every voter applies in the same order.
//!
//! # Format
//! A command is the positional MessagePack array `[format, kind, time, batch, count, store, restore, epoch, once,
//! group, bytes]`. Kind 0 is a batch, 1 allocates ids, 2 founds the store, 3 begins an epoch, 4 is a
//! [`Group`](crate::Group) of batches, 5 limits what is kept of requests, 6 raises the feature level. A voter that meets a format or kind it does not
//! know must halt: to skip what others do would be to leave their history.

use bytes::Bytes;
use thiserror::Error;

use crate::{Commit, EncodedBatch, Epoch, MAX_GROUP, MAX_GROUP_LEN, Once, RestoreId, StoreId, positional, read_whole};

const FORMAT: u8 = 1;
const BATCH: u8 = 0;
const ALLOCATE: u8 = 1;
const FOUND: u8 = 2;
const FORK: u8 = 3;
const GROUP: u8 = 4;
const LIMIT_REQUESTS: u8 = 5;
const RAISE_LEVEL: u8 = 6;

/// One command of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Commit a batch.
    Batch(Commit),
    /// Hand out ids that were never handed out before.
    Allocate {
        /// The number of ids.
        count: u64,
    },
    /// Give the store its identity. The first one counts, later ones do nothing.
    Found {
        /// The id of the new store, drawn at random.
        store: StoreId,
    },
    /// Begins a new epoch: what the store holds is to hold, although edges may be ahead of it. The first command of a store
    /// that was restored, or of the one core that is left of several.
    Fork {
        /// When it was made, microseconds of Unix time.
        time_us: u64,
        /// The id of the restore, drawn at random.
        restore: RestoreId,
        /// The epoch to begin, if it is later than the next one: edges may have seen later ones before the restore.
        epoch: Epoch,
    },
    /// Limits from now on what is kept of requests that are done once. Nothing is forgotten for it.
    LimitRequests {
        /// Most records.
        records: u64,
        /// Most bytes of them.
        bytes: u64,
    },
    /// Raises the feature level of the cluster, unless it is as high: every member can read it.
    RaiseLevel {
        /// The new one.
        level: u64,
    },
}

/// Why bytes are not a command. Fatal for the voter that meets it.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Not the MessagePack of a command: damage, because only committed commands are read.
    #[error("not a command: {0}")]
    Syntax(rmp_serde::decode::Error),
    /// A later release wrote the command in a format that is not known.
    #[error("command format {0} is not known to this release")]
    Format(u8),
    /// A later release wrote a command of a kind that is not known.
    #[error("command kind {0} is not known to this release")]
    Kind(u8),
    /// A group without batches, or with more bytes than a group has.
    #[error("a group of {0} batches and {1} bytes is not one that is written")]
    Group(usize, usize),
}

positional! {
    /// A command as it stands in the log.
    #[derive(Debug, Default, PartialEq)]
    pub(crate) struct WireCommand {
        format: u8,
        kind: u8,
        time_us: u64,
        batch: EncodedBatch,
        count: u64,
        store: u128,
        restore: u128,
        epoch: Epoch,
        once: Option<Once>,
        group: Vec<Commit> where len <= MAX_GROUP,
        bytes: u64,
    }
}

impl WireCommand {
    pub(crate) fn of_commits(mut commits: Vec<Commit>) -> Self {
        let empty = Self { format: FORMAT, ..Self::default() };
        match commits.len() {
            1 => {
                let Commit { time_us, batch, once } = commits.remove(0);
                Self { kind: BATCH, time_us, batch, once, ..empty }
            }
            _ => Self { kind: GROUP, group: commits, ..empty },
        }
    }

    /// `about` is a guess at the bytes of its batches.
    pub(crate) fn to_bytes(&self, about: usize) -> Bytes {
        let mut out = Vec::with_capacity(about + 128);
        rmp_serde::encode::write(&mut out, self).expect("writing plain data into memory cannot fail");
        out.into()
    }

    fn read(bytes: &[u8]) -> Result<Self, CommandError> {
        let wire: Self = read_whole(bytes).map_err(CommandError::Syntax)?;
        if wire.format == FORMAT { Ok(wire) } else { Err(CommandError::Format(wire.format)) }
    }

    fn command(self) -> Result<Command, CommandError> {
        match self.kind {
            BATCH => Ok(Command::Batch(Commit { time_us: self.time_us, batch: self.batch, once: self.once })),
            ALLOCATE => Ok(Command::Allocate { count: self.count }),
            FOUND => Ok(Command::Found { store: StoreId::new(self.store) }),
            FORK => {
                let restore = RestoreId::new(self.restore);
                Ok(Command::Fork { time_us: self.time_us, restore, epoch: self.epoch })
            }
            LIMIT_REQUESTS => Ok(Command::LimitRequests { records: self.count, bytes: self.bytes }),
            RAISE_LEVEL => Ok(Command::RaiseLevel { level: self.count }),
            kind => Err(CommandError::Kind(kind)),
        }
    }

    fn group(self) -> Result<Vec<Command>, CommandError> {
        let (count, weight) = (self.group.len(), self.group.iter().map(Commit::weight).sum());
        // One alone is not written as a group.
        if count < 2 || weight > MAX_GROUP_LEN {
            return Err(CommandError::Group(count, weight));
        }
        Ok(self.group.into_iter().map(Command::Batch).collect())
    }
}

impl Command {
    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let empty = WireCommand { format: FORMAT, ..WireCommand::default() };
        let (wire, about) = match self {
            Self::Batch(commit) => (WireCommand::of_commits(vec![commit.clone()]), commit.weight()),
            Self::Allocate { count } => (WireCommand { kind: ALLOCATE, count: *count, ..empty }, 0),
            Self::Found { store } => (WireCommand { kind: FOUND, store: store.get(), ..empty }, 0),
            Self::Fork { time_us, restore, epoch } => {
                let (time_us, restore, epoch) = (*time_us, restore.get(), *epoch);
                (WireCommand { kind: FORK, time_us, restore, epoch, ..empty }, 0)
            }
            Self::LimitRequests { records, bytes } => {
                (WireCommand { kind: LIMIT_REQUESTS, count: *records, bytes: *bytes, ..empty }, 0)
            }
            Self::RaiseLevel { level } => (WireCommand { kind: RAISE_LEVEL, count: *level, ..empty }, 0),
        };
        wire.to_bytes(about)
    }

    /// Back from [`Command::to_bytes`]. The batch is not looked into.
    ///
    /// # Errors
    /// Not MessagePack of this shape, a format or kind this release does not know, or a group.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CommandError> {
        WireCommand::read(bytes)?.command()
    }

    /// All commands of one entry of the log, in order: one, or those of a [`Group`](crate::Group).
    ///
    /// # Errors
    /// As [`Command::from_bytes`], or a group that nobody writes.
    pub fn read_entry(bytes: &[u8]) -> Result<Vec<Self>, CommandError> {
        let wire = WireCommand::read(bytes)?;
        if wire.kind == GROUP { wire.group() } else { Ok(vec![wire.command()?]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edition, EncodedSection, KeyspaceId, Precondition, SectionId};

    fn commands() -> Vec<Command> {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: u64::MAX };
        let batch = EncodedBatch {
            format: 1,
            preconditions: vec![Precondition { section: id, edition: Edition::new(3) }],
            sections: vec![EncodedSection { id, count: 0, ops: Bytes::from_static(b"operations") }],
        };
        vec![
            Command::Batch(Commit { time_us: 1_700_000_000_000_000, batch, once: None }),
            Command::Batch(Commit {
                time_us: 0,
                batch: EncodedBatch { format: 1, ..EncodedBatch::default() },
                once: None,
            }),
            Command::Allocate { count: 300 },
            Command::Found { store: StoreId::new(u128::MAX - 1) },
            Command::Fork { time_us: 7, restore: RestoreId::new(u128::MAX - 2), epoch: Epoch::new(4) },
            Command::LimitRequests { records: 1_000, bytes: u64::MAX },
            Command::RaiseLevel { level: 2 },
        ]
    }

    #[test]
    fn reads_what_it_wrote_and_no_part_of_it() {
        for command in commands() {
            let bytes = command.to_bytes();
            assert_eq!(Command::from_bytes(&bytes).unwrap(), command);
            for cut in 0..bytes.len() {
                assert!(Command::from_bytes(&bytes[..cut]).is_err(), "{command:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn no_flipped_bit_panics() {
        for bytes in commands().iter().map(Command::to_bytes) {
            for at in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[at / 8] ^= 1 << (at % 8);
                let _ = Command::from_bytes(&flipped);
            }
        }
    }

    #[test]
    fn later_releases_are_told_apart_from_damage() {
        assert!(matches!(Command::from_bytes(&[0x92, 2, 0]), Err(CommandError::Format(2))));
        assert!(matches!(Command::from_bytes(&[0x92, 1, 9]), Err(CommandError::Kind(9))));
        assert!(matches!(Command::from_bytes(b"x"), Err(CommandError::Syntax(_))));
    }
}
