//! The state of a backup brought to a later version, by the entries that the raft log had after it.
//!
//! # Invariants
//! - Entries go through the code with which a voter applies them, so the state becomes what that of a voter was, private
//!   keys included.
//! - It ends right before the change that would publish the next version, which may be in the middle of a group.

use std::io::{self, Read};
use std::path::Path;

use openraft::EntryPayload;
use prometheus::Registry;
use thiserror::Error;
use zonecast_kv_proto::{Head, MachineError, Position, Version};
use zonecast_kv_store::{Apply, StateOptions, StateStore, StoreError, StoreMetrics};

use crate::core::STATE;
use crate::core_error::CoreError;
use crate::entry::{decode_log_id, encode_log_id, encode_membership};
use crate::saved_log::{SavedEntries, SavedLogError, malformed};
use crate::types::{Entry, LogId, StoredMembership};

/// Bytes of changes that are written at once.
const SLICE_BYTES: usize = 2 * 1024 * 1024;

/// Why a saved log was not applied. The state is of no use then.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The log is damaged, or does not follow the state.
    #[error(transparent)]
    Log(#[from] SavedLogError),
    /// A command is not known to this release.
    #[error(transparent)]
    Machine(#[from] MachineError<StoreError>),
    /// The disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A state that nothing else works on, on its way to a version.
#[derive(Debug)]
pub struct Replay {
    state: StateStore,
    applied: Option<LogId>,
    last: Version,
}

/// Where a part of the log has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// There is more of it.
    Goes,
    /// It has ended.
    End,
    /// What follows would publish the next version.
    Stops,
}

impl Replay {
    /// Opens the state in the data folder of a core, to bring it to the version `last`.
    ///
    /// # Errors
    /// There is none, or it is in use or damaged.
    pub fn open(data_dir: &Path, options: &StateOptions, last: Version) -> Result<Self, CoreError> {
        if !StateStore::is_in(&data_dir.join(STATE)) {
            return Err(CoreError::NoState(data_dir.to_owned()));
        }
        let state = StateStore::open(&data_dir.join(STATE), options, StoreMetrics::register(&Registry::new())?)?;
        let applied = state.applied().map(decode_log_id).transpose()?;
        Ok(Self { state, applied, last })
    }

    /// Applies the entries of a saved log that the state does not have yet. Says whether there may be more to apply from the
    /// log after it.
    ///
    /// # Errors
    /// The log is damaged or does not follow the state, or the disk failed.
    pub fn apply(&mut self, log: impl Read) -> Result<bool, ReplayError> {
        let mut entries = SavedEntries::open(log, self.position().store)?;
        loop {
            match self.slice(&mut entries)? {
                Progress::Goes => {}
                Progress::End => return Ok(true),
                Progress::Stops => return Ok(false),
            }
        }
    }

    /// Where the state stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.state.position()
    }

    /// Makes it durable and closes it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn close(self) -> Result<(), StoreError> {
        self.state.sync()
    }

    fn slice<R: Read>(&mut self, entries: &mut SavedEntries<R>) -> Result<Progress, ReplayError> {
        let mut apply = self.state.apply();
        let (mut applied, mut progress) = (self.applied, Progress::Goes);
        while progress == Progress::Goes && apply.bytes() < SLICE_BYTES {
            let Some((at, entry)) = entries.next()? else {
                progress = Progress::End;
                break;
            };
            if Some(entry.log_id.index) <= applied.map(|applied| applied.index) {
                continue;
            }
            follows(applied, entry.log_id).map_err(|why| malformed(at, why))?;
            let log_id = entry.log_id;
            if one(&mut apply, entry, self.last)? {
                apply.log_id(encode_log_id(&log_id));
                applied = Some(log_id);
            } else {
                progress = Progress::Stops;
            }
        }
        apply.commit()?;
        self.applied = applied;
        Ok(progress)
    }
}

/// Nothing may be missing, and no other history begin.
fn follows(applied: Option<LogId>, next: LogId) -> Result<(), String> {
    let expected = applied.map_or(0, |applied| applied.index + 1);
    if next.index != expected {
        return Err(format!("entry {} cannot follow: the state lacks entry {expected}", next.index));
    }
    if applied.is_some_and(|applied| next.leader_id < applied.leader_id) {
        return Err(format!("entry {} is of an earlier term than what it follows", next.index));
    }
    Ok(())
}

/// Says whether all of the entry is applied.
fn one(apply: &mut Apply<'_>, entry: Entry, last: Version) -> Result<bool, MachineError<StoreError>> {
    match entry.payload {
        EntryPayload::Blank => Ok(true),
        EntryPayload::Normal(proposal) => apply.command_while(&proposal.0, |head: &Head| head.position.version <= last),
        EntryPayload::Membership(membership) => {
            apply.membership(encode_membership(&StoredMembership::new(Some(entry.log_id), membership)));
            Ok(true)
        }
    }
}

impl From<io::Error> for ReplayError {
    fn from(error: io::Error) -> Self {
        SavedLogError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use openraft::impls::leader_id_adv::LeaderId;
    use zonecast_kv_proto::{
        Batch, Command, Commit, Group, Key, KeyspaceId, Op, Section, SectionId, StoreId, Value, View as _,
    };
    use zonecast_kv_store::SendState;

    use super::*;
    use crate::environment::State;
    use crate::saved_log::written;
    use crate::state_machine::step;
    use crate::types::{Membership, Proposal};
    use crate::{Applied, Core, CoreConfig};

    /// Puts a value under this number into a keyspace.
    fn commit(keyspace: KeyspaceId, number: u64) -> Commit {
        let id = SectionId { keyspace, partition: 1 };
        let op = Op::Put { key: key(keyspace, number), value: Value::new(vec![7; 100]).unwrap() };
        let batch = Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] };
        Commit { time_us: number, batch: batch.encode().unwrap(), once: None }
    }

    fn key(keyspace: KeyspaceId, number: u64) -> Key {
        Key::new([&keyspace.get().to_be_bytes()[..], &number.to_be_bytes()].concat()).unwrap()
    }

    fn alone(keyspace: KeyspaceId, number: u64) -> EntryPayload<Proposal, u64, crate::Member> {
        EntryPayload::Normal(Proposal(Command::Batch(commit(keyspace, number)).to_bytes()))
    }

    fn together(numbers: &[u64]) -> EntryPayload<Proposal, u64, crate::Member> {
        let mut group = Group::default();
        numbers.iter().for_each(|number| group.push(commit(KeyspaceId::DNS, *number)).unwrap());
        EntryPayload::Normal(Proposal(group.to_bytes()))
    }

    /// The state of a core that has just begun, as files.
    struct Begun {
        files: SendState,
        _folder: tempfile::TempDir,
    }

    async fn begun() -> Begun {
        let folder = tempfile::tempdir().unwrap();
        let (state, registry, sink) = (StateOptions::default(), Registry::new(), Arc::new(|_: &Applied| {}));
        let config = CoreConfig { data_dir: folder.path().into(), state, registry, sink, cluster: None };
        let core = Core::start(config).await.unwrap();
        core.shutdown().await.unwrap();
        drop(core);
        Begun { files: open(folder.path()).snapshot_files().unwrap(), _folder: folder }
    }

    fn open(data_dir: &Path) -> StateStore {
        let metrics = StoreMetrics::register(&Registry::new()).unwrap();
        StateStore::open(&data_dir.join(STATE), &StateOptions::default(), metrics).unwrap()
    }

    fn laid_out(files: &SendState) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        StateStore::lay_out(&folder.path().join(STATE), |to| {
            for (number, file) in (0..).zip(files.files()) {
                std::fs::copy(files.path(number)?, to.join(&file.name)).unwrap();
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
        folder
    }

    /// Entries that follow a state, the first one right after it.
    fn entries(files: &SendState, payloads: Vec<EntryPayload<Proposal, u64, crate::Member>>) -> Vec<Entry> {
        let applied = decode_log_id(files.applied().unwrap()).unwrap();
        let log_id = |index| LogId { leader_id: LeaderId { term: 9, node_id: 4 }, index };
        (applied.index + 1..).zip(payloads).map(|(index, payload)| Entry { log_id: log_id(index), payload }).collect()
    }

    fn mixed(files: &SendState) -> Vec<Entry> {
        let (dns, core) = (KeyspaceId::DNS, KeyspaceId::CORE);
        entries(
            files,
            vec![
                alone(dns, 1),
                alone(core, 1),
                EntryPayload::Blank,
                together(&[2, 3, 4]),
                EntryPayload::Membership(Membership::default()),
                alone(core, 2),
                alone(dns, 5),
                alone(core, 3),
            ],
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_replay_is_where_a_voter_was_right_before_the_next_version() {
        let begun = begun().await;
        let files = &begun.files;
        let entries = mixed(files);
        let store = files.head().position.store;
        // As a voter applies them.
        let voter = laid_out(files);
        let steps: Vec<_> = mixed(files).into_iter().map(step).collect();
        let applied = State::apply(&open(voter.path()), &steps).unwrap().versions;
        let positions: Vec<Position> = applied.iter().map(|version| version.position).collect();
        assert_eq!(positions.len(), 5);
        // How many of the private keys come before the next version.
        for (position, private) in positions.iter().zip([1, 1, 1, 2, 3]) {
            let number = position.version.get();
            let folder = laid_out(files);
            let mut replay = Replay::open(folder.path(), &StateOptions::default(), position.version).unwrap();
            // In two logs that have some entries in common.
            let goes_on = replay.apply(&written(store, &entries[..4])[..]).unwrap();
            assert_eq!(goes_on, number >= 4, "version {number}");
            if goes_on {
                assert_eq!(replay.apply(&written(store, &entries[2..])[..]).unwrap(), number == 5);
            }
            assert_eq!(replay.position(), *position);
            replay.close().unwrap();
            let state = open(folder.path());
            let has = |keyspace, number| state.view().get(key(keyspace, number).as_bytes(), &mut vec![]).unwrap();
            for other in 1..=5 {
                assert_eq!(has(KeyspaceId::DNS, other), other <= number, "{other} at version {number}");
                assert_eq!(has(KeyspaceId::CORE, other), other <= private, "private {other} at version {number}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_that_does_not_follow_is_refused() {
        let begun = begun().await;
        let files = &begun.files;
        let mut entries = mixed(files);
        let store = files.head().position.store;
        let folder = laid_out(files);
        let refused = |bytes: &[u8]| {
            let mut replay = Replay::open(folder.path(), &StateOptions::default(), Version::new(9)).unwrap();
            replay.apply(bytes).unwrap_err().to_string()
        };
        assert!(refused(&written(store, &entries[1..])).contains("at byte 17: entry"), "the first is missing");
        let gap = [&entries[..2], &entries[3..]].concat();
        assert!(refused(&written(store, &gap)).contains("the state lacks entry"));
        assert!(refused(&written(StoreId::new(1), &entries)).contains("not of store"));
        entries[1].log_id.leader_id.term = 0;
        assert!(refused(&written(store, &entries)).contains("of an earlier term"));
        entries[0].payload = EntryPayload::Normal(Proposal(vec![0x92, 1, 99].into()));
        assert!(refused(&written(store, &entries)).contains("kind 99"));
    }
}
