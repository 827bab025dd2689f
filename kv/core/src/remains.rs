//! What is left of a cluster, and how it goes on as one of its own: the data folder of its only voter that is left, or the
//! state from a backup.
//!
//! ```text
//! before  raft log        ... 40 ─ 41 ─ 42     40 is known to be committed
//!         state           ... 39
//! after   state           ... 39 ─ 40 ─ 41 ─ 42 ─ fork       one voter, under a new node id
//!         raft log        (empty, goes on far beyond 42)
//! ```
//! All that the raft log has is applied, as if this voter had been elected: raft would have done the same, and what was
//! acknowledged last may not be known here to be committed. Then a fork begins a later epoch: its restore id enters the
//! chain. So edges that have what is not here take a snapshot, and others follow.
//!
//! # Invariants
//! - Nothing of raft is taken over: no vote, no entry, no node id. The raft log goes on so far beyond its end that no index,
//!   and so no node id, is given twice, whatever the others have written after that.
//! - From the first write on until everything is durable the file `node` says that the folder is being recovered: no core
//!   starts on it, and all of this can be done again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use openraft::impls::leader_id_adv::LeaderId;
use prometheus::Registry;
use zonecast_kv_proto::{Command, Epoch, Position, RestoreId, Verdict};
use zonecast_kv_store::{RaftLog, StateOptions, StateStore, StoreError, StoreMetrics};

use crate::core::{RAFT, STATE};
use crate::core_error::CoreError;
use crate::entry::{decode_entry, decode_log_id, decode_vote, encode_log_id, encode_membership, encode_vote};
use crate::environment::State;
use crate::member::Member;
use crate::node_file::{Node, Stage};
use crate::start::{has_log, membership};
use crate::state_machine::step;
use crate::types::{LogId, Membership, StoredMembership, Vote};
use crate::voter::{failed, random};

/// So far beyond the end of its log a recovered voter goes on: no cluster writes so much while one of its voters is away.
const BEYOND: u64 = 1 << 32;
/// Bytes of entries that are applied in one write.
const SLICE_BYTES: usize = 2 * 1024 * 1024;
/// Of a member whose name is not known here; the core says its own when it starts.
const NAMELESS: &str = "core";

/// The data folder of a core that does not run, opened to go on alone.
#[derive(Debug)]
pub struct Remains {
    data_dir: PathBuf,
    log: RaftLog,
    state: StateStore,
    found: Found,
}

/// What a data folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The last version that is applied.
    pub position: Position,
    /// Index of the last entry of the raft log that is applied.
    pub applied: u64,
    /// Of the last one that is known to be committed: it is applied, or stands in the raft log.
    pub committed: u64,
    /// Of the last one that is here. Nobody here knows whether the others have committed what is after `committed`.
    pub last: u64,
    /// The cluster as it was, this core included.
    pub members: Vec<Member>,
    /// There is a raft log. A backup has none, and needs none.
    pub has_log: bool,
    /// The latest term of raft that is known here.
    term: u64,
    /// As the cluster knows it.
    own: Option<Member>,
}

/// A data folder that goes on as a cluster of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The last version from before: who stands there or earlier follows on.
    pub kept: Position,
    /// The first version of the epoch that began.
    pub fork: Position,
    /// What tells this from every other restore.
    pub restore: RestoreId,
    /// The last entry of the raft log that was kept.
    pub last: u64,
    /// The node id of the only voter.
    pub node: u64,
}

impl Remains {
    /// Opens the folder and looks at what it holds. It is not changed yet.
    ///
    /// # Errors
    /// It holds no state, a process works on it, or it is damaged.
    pub fn open(data_dir: &Path, options: &StateOptions) -> Result<Self, CoreError> {
        if !StateStore::is_in(&data_dir.join(STATE)) {
            return Err(CoreError::NoState(data_dir.to_owned()));
        }
        let node = Node::read(data_dir)?;
        let metrics = StoreMetrics::register(&Registry::new())?;
        let log = RaftLog::open(&data_dir.join(RAFT), metrics.clone())?;
        let state = StateStore::open(&data_dir.join(STATE), options, metrics)?;
        let found = Found::look(&log, &state, node).map_err(|what| damaged(data_dir, what))?;
        if !state.head().is_founded() {
            return Err(CoreError::NoState(data_dir.to_owned()));
        }
        Ok(Self { data_dir: data_dir.to_owned(), log, state, found })
    }

    /// What the folder holds.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Makes it a cluster of its own. The epoch that begins is the time, in milliseconds of Unix time, so that of two
    /// restores of one backup the later one has the later epoch; or the one after `above`, if that is later.
    ///
    /// # Errors
    /// The disk failed, or the raft log has a command of a later release. The folder can be recovered again.
    pub fn recover(self, now_us: u64, above: Epoch) -> Result<Recovered, CoreError> {
        let id = self.found.last.saturating_add(BEYOND);
        self.mark(id, Stage::Recovering)?;
        self.apply_log()?;
        let (kept, restore) = (self.state.position(), RestoreId::new(random()?));
        let epoch = Epoch::new(now_us / 1000).max(above.next().unwrap_or(above));
        self.fork(id, &Command::Fork { time_us: now_us, restore, epoch })?;
        self.renew_log(id)?;
        self.mark(id, Stage::Began)?;
        Ok(Recovered { kept, fork: self.state.position(), restore, last: self.found.last, node: id })
    }

    fn mark(&self, id: u64, stage: Stage) -> Result<(), CoreError> {
        Ok(Node { id, stage }.write(&self.data_dir)?)
    }

    /// Applies what the log has and the state has not.
    fn apply_log(&self) -> Result<(), CoreError> {
        let mut next = if self.state.applied().is_some() { self.found.applied + 1 } else { 0 };
        loop {
            let entries = self.log.read(next..u64::MAX, SLICE_BYTES)?;
            let Some((last, _)) = entries.last() else { break };
            next = last + 1;
            let steps = entries.into_iter().map(|(_, bytes)| decode_entry(bytes).map(step));
            State::apply(&self.state, &steps.collect::<io::Result<Vec<_>>>()?)?;
        }
        Ok(self.state.sync()?)
    }

    /// Begins the epoch, with this node as the only voter.
    fn fork(&self, id: u64, fork: &Command) -> Result<(), CoreError> {
        let me = self.found.own.clone().unwrap_or(Member { name: NAMELESS.into(), address: String::new() });
        let alone = Membership::new(vec![BTreeSet::from([id])], BTreeMap::from([(id, me)])).map_err(failed)?;
        let log_id = self.first_log_id(id);
        let mut apply = self.state.apply();
        let verdicts = apply.command(&fork.to_bytes()).map_err(failed)?;
        if !matches!(verdicts[..], [Verdict::Committed { .. }]) {
            return Err(failed(format_args!("a fork was answered by {verdicts:?}")));
        }
        apply.membership(encode_membership(&StoredMembership::new(Some(log_id), alone)));
        apply.log_id(encode_log_id(&log_id));
        apply.commit()?;
        Ok(self.state.sync()?)
    }

    /// Gives up the whole log and the vote: it goes on after the fork, in a later term.
    fn renew_log(&self, id: u64) -> Result<(), CoreError> {
        let log_id = self.first_log_id(id);
        let mark = encode_log_id(&log_id);
        self.log.save_committed(Some(mark.clone()));
        self.log.purge(id, mark)?;
        let (done, durable) = channel();
        let vote = Vote { leader_id: log_id.leader_id, committed: false };
        self.log.save_vote(encode_vote(&vote), Box::new(move |result| drop(done.send(result))))?;
        durable.recv().map_err(failed)?.map_err(failed)?;
        Ok(self.log.close()?)
    }

    fn first_log_id(&self, id: u64) -> LogId {
        LogId { leader_id: LeaderId { term: self.found.term + 1, node_id: id }, index: id }
    }
}

impl Found {
    fn look(log: &RaftLog, state: &StateStore, node: Option<Node>) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let applied = state.applied().map(decode_log_id).transpose().map_err(|error| text(&error))?;
        let committed = log.committed().map(decode_log_id).transpose().map_err(|error| text(&error))?;
        let last = log.last().map_err(|error| text(&error))?;
        let last = last.map(decode_entry).transpose().map_err(|error| text(&error))?.map(|entry| entry.log_id);
        let vote = log.vote().map(decode_vote).transpose().map_err(|error| text(&error))?;
        let members = membership(state).map_err(|error| text(&error))?;
        let index = |log_id: Option<LogId>| log_id.map_or(0, |log_id| log_id.index);
        let (applied_index, first) = (index(applied), log.range().start);
        if first > applied_index + 1 {
            return Err(format!("the state ends with entry {applied_index}, the raft log begins at {first}"));
        }
        let terms = [applied, committed, last].into_iter().flatten().map(|log_id| log_id.leader_id.term);
        let last = index(last).max(applied_index);
        Ok(Self {
            position: state.position(),
            applied: applied_index,
            committed: index(committed).clamp(applied_index, last),
            last,
            members: members.membership().nodes().map(|(_, member)| member.clone()).collect(),
            has_log: has_log(log),
            term: terms.chain(vote.map(|vote| vote.leader_id.term)).max().unwrap_or_default(),
            own: node.and_then(|node| members.membership().get_node(&node.id).cloned()),
        })
    }
}

fn damaged(data_dir: &Path, what: String) -> CoreError {
    StoreError::Damaged { path: data_dir.to_owned(), what }.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use openraft::EntryPayload;
    use zonecast_kv_proto::{
        Batch, Commit, Key, KeyspaceId, Op, Section, SectionId, Value, Version, View as _, ViewError,
    };

    use super::*;
    use crate::entry::encode_entry;
    use crate::types::{Entry, Proposal};
    use crate::{Applied, Core, CoreConfig, Outcome};

    const OPTIONS: fn() -> StateOptions = StateOptions::default;

    fn batch(number: u64) -> Batch {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let op = Op::Put { key: key(number), value: Value::new(vec![7; 100]).unwrap() };
        Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] }
    }

    fn key(number: u64) -> Key {
        Key::new([&[0, 1][..], &number.to_be_bytes()].concat()).unwrap()
    }

    fn has(core: &Core, number: u64) -> bool {
        core.view().get(key(number).as_bytes(), &mut vec![]).unwrap()
    }

    async fn start(folder: &Path) -> Result<Core, CoreError> {
        let (state, registry) = (StateOptions::default(), Registry::new());
        let sink = Arc::new(|_: &Applied| {});
        Core::start(CoreConfig { data_dir: folder.to_owned(), state, registry, sink, cluster: None }).await
    }

    async fn write(core: &Core, number: u64) {
        let ((), pending) = core.change(move |_, _| Ok::<_, ViewError>((batch(number), ()))).await.unwrap();
        assert!(matches!(pending.await, Outcome::Committed { .. }));
    }

    /// Entries that the log has and nobody has applied: as a follower has them that was killed.
    fn append(folder: &Path, numbers: std::ops::Range<u64>) {
        let log = RaftLog::open(&folder.join(RAFT), StoreMetrics::register(&Registry::new()).unwrap()).unwrap();
        let last = decode_entry(log.last().unwrap().unwrap()).unwrap().log_id;
        let entries = numbers.zip(1..).map(|(number, after)| {
            let commit = Commit { time_us: 0, batch: batch(number).encode().unwrap(), once: None };
            let payload = EntryPayload::Normal(Proposal(Command::Batch(commit).to_bytes()));
            let entry = Entry { log_id: LogId { index: last.index + after, ..last }, payload };
            (entry.log_id.index, encode_entry(&entry))
        });
        log.append(entries.collect(), Box::new(|result| result.unwrap())).unwrap();
        log.close().unwrap();
    }

    /// A core with ten changes, and two more in its log.
    async fn remains(folder: &Path) {
        let core = start(folder).await.unwrap();
        for number in 0..10 {
            write(&core, number).await;
        }
        core.shutdown().await.unwrap();
        drop(core);
        append(folder, 10..12);
    }

    fn recover(folder: &Path) -> Recovered {
        Remains::open(folder, &OPTIONS()).unwrap().recover(7_000_000, Epoch::ZERO).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_that_the_log_has_is_kept_and_nothing_of_raft() {
        let folder = tempfile::tempdir().unwrap();
        remains(folder.path()).await;
        let found = Remains::open(folder.path(), &OPTIONS()).unwrap().found().clone();
        assert_eq!((found.position.version, found.last), (Version::new(10), found.applied + 2));
        assert!(found.committed <= found.applied + 1 && found.has_log, "{found:?}");
        let recovered = recover(folder.path());
        assert_eq!((recovered.kept.version, recovered.fork.version), (Version::new(12), Version::new(13)));
        assert_eq!((recovered.fork.epoch, recovered.last), (Epoch::new(7000), found.last));
        assert!(recovered.node > found.last + 1_000_000_000, "the others may have given an id by now: {recovered:?}");
        for restart in 0..2 {
            let core = start(folder.path()).await.unwrap();
            assert!((0..12 + restart).all(|number| has(&core, number)), "{:?}", core.head());
            write(&core, 12 + restart).await;
            assert_eq!(core.position().epoch, Epoch::new(7000));
            let forks = core.forks().unwrap();
            assert_eq!(forks.iter().map(|fork| fork.restore()).collect::<Vec<_>>(), [Some(recovered.restore)]);
            let cluster = core.cluster().await;
            assert_eq!(cluster.members.iter().map(|member| member.id).collect::<Vec<_>>(), [recovered.node]);
            core.shutdown().await.unwrap();
        }
        // Once more: every fork is kept, and no id comes twice.
        let again = Remains::open(folder.path(), &OPTIONS()).unwrap().recover(1, Epoch::new(7005)).unwrap();
        assert!(again.node > recovered.node && again.fork.epoch == Epoch::new(7006), "{again:?}");
        let core = start(folder.path()).await.unwrap();
        assert_eq!(core.forks().unwrap().len(), 2);
        core.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn cut_off_after_any_step_no_core_starts_and_it_can_be_done_again() {
        type Step = fn(&Remains, u64);
        let steps: [Step; 4] = [
            |remains, id| remains.mark(id, Stage::Recovering).unwrap(),
            |remains, _| remains.apply_log().unwrap(),
            |remains, id| {
                let fork = Command::Fork { time_us: 1, restore: RestoreId::new(9), epoch: Epoch::new(1) };
                remains.fork(id, &fork).unwrap();
            },
            |remains, id| remains.renew_log(id).unwrap(),
        ];
        for done in 1..=steps.len() {
            let folder = tempfile::tempdir().unwrap();
            remains(folder.path()).await;
            let remains = Remains::open(folder.path(), &OPTIONS()).unwrap();
            let id = remains.found().last + BEYOND;
            steps[..done].iter().for_each(|step| step(&remains, id));
            drop(remains);
            let error = start(folder.path()).await.expect_err("it is neither the one nor the other");
            assert!(matches!(error, CoreError::Unfinished(_)), "after {done} steps: {error}");
            recover(folder.path());
            let core = start(folder.path()).await.unwrap();
            assert!((0..12).all(|number| has(&core, number)), "after {done} steps");
            core.shutdown().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_its_log_it_keeps_what_the_state_has_applied() {
        let folder = tempfile::tempdir().unwrap();
        remains(folder.path()).await;
        std::fs::remove_dir_all(folder.path().join(RAFT)).unwrap();
        assert!(!Remains::open(folder.path(), &OPTIONS()).unwrap().found().has_log);
        recover(folder.path());
        let core = start(folder.path()).await.unwrap();
        assert!((0..10).all(|number| has(&core, number)) && !has(&core, 10), "{:?}", core.head());
        core.shutdown().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_without_a_state_and_one_in_use_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Remains::open(folder.path(), &OPTIONS()).map(drop);
        assert!(matches!(open(), Err(CoreError::NoState(_))));
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing was made");
        let core = start(folder.path()).await.unwrap();
        assert!(open().is_err());
        write(&core, 1).await;
        core.shutdown().await.unwrap();
        drop(core);
        // A command of a later release is not skipped.
        let log = RaftLog::open(&folder.path().join(RAFT), StoreMetrics::register(&Registry::new()).unwrap()).unwrap();
        let last = decode_entry(log.last().unwrap().unwrap()).unwrap().log_id;
        let log_id = LogId { index: last.index + 1, ..last };
        let payload = EntryPayload::Normal(Proposal(Bytes::from_static(&[0x92, 1, 99])));
        let entry = encode_entry(&Entry { log_id, payload });
        log.append(vec![(log_id.index, entry)], Box::new(|result| result.unwrap())).unwrap();
        drop(log);
        let error = Remains::open(folder.path(), &OPTIONS()).unwrap().recover(1, Epoch::ZERO).unwrap_err();
        assert!(error.to_string().contains("kind 99"), "{error}");
    }
}
