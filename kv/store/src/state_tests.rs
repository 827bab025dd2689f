//! The state: what it writes, how it reads, what it keeps of its history.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use prometheus::Registry;
use proptest::prelude::*;
use zonecast_kv_proto::{
    Batch, BatchSource, Chain, Command, Commit, Edition, Epoch, Group, Idempotency, Key, KeyspaceId, MemoryView, Note,
    Once, Op, Position, Precondition, Published, Refusal, RequestId, RequestKey, RestoreId, Section, SectionId,
    StoreId, Value, Verdict, Version, View, decode_entries,
};

use crate::{StateOptions, StateStore, StoreError, StoreMetrics};

pub(crate) const ZONE: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
pub(crate) const NOTES: SectionId = SectionId { keyspace: KeyspaceId::CORE, partition: 1 };

pub(crate) fn open_with(path: &Path, batch_log_bytes: u64) -> StateStore {
    let options = StateOptions { batch_log_bytes, ..StateOptions::default() };
    StateStore::open(path, &options, StoreMetrics::register(&Registry::new()).unwrap()).unwrap()
}

pub(crate) fn open(path: &Path) -> StateStore {
    open_with(path, 1 << 30)
}

pub(crate) fn founded(path: &Path) -> StateStore {
    let state = open(path);
    apply(&state, &[Command::Found { store: StoreId::new(7) }]);
    state
}

pub(crate) fn apply(state: &StateStore, commands: &[Command]) -> Vec<Verdict> {
    let mut slice = state.apply();
    let verdicts = commands.iter().flat_map(|command| slice.command(&command.to_bytes()).unwrap()).collect();
    slice.commit().unwrap();
    verdicts
}

pub(crate) fn command(batch: &Batch) -> Command {
    Command::Batch(Commit { time_us: 5, batch: batch.encode().unwrap(), once: None })
}

/// Puts something once, with a key made at this millisecond, at the same time.
pub(crate) fn done_once(ms: u64, scope: u8, hash: u8) -> Command {
    let key = RequestKey::made_at(ms, 0);
    let idempotency = Idempotency { scope: [scope; 16], key, request_hash: [hash; 32] };
    let note = Note::new(vec![hash; 3]).unwrap();
    let batch = one(NOTES, put(NOTES, &[hash], b"once")).encode().unwrap();
    Command::Batch(Commit { time_us: ms * 1000, batch, once: Some(Once { idempotency, note }) })
}

fn key(id: SectionId, tail: &[u8]) -> Key {
    Key::new([&id.keyspace.get().to_be_bytes()[..], tail].concat()).unwrap()
}

pub(crate) fn put(id: SectionId, tail: &[u8], value: &[u8]) -> Op {
    Op::Put { key: key(id, tail), value: Value::new(value.to_vec()).unwrap() }
}

pub(crate) fn one(id: SectionId, op: Op) -> Batch {
    Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] }
}

pub(crate) fn entries(view: &impl View, lower: &[u8], end: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = vec![];
    view.scan(lower, end, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn tail() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0_u8, 1, 255]), 0..4)
}

fn op(id: SectionId) -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (tail(), any::<u8>()).prop_map(move |(tail, byte)| put(id, &tail, &[byte])),
        2 => tail().prop_map(move |tail| Op::Delete { key: key(id, &tail) }),
        1 => (tail(), tail()).prop_map(move |(one, other)| Op::DeleteRange { start: key(id, &one), end: key(id, &other) }),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    (prop::collection::vec(op(ZONE), 0..5), prop::collection::vec(op(NOTES), 0..5)).prop_map(|(zone, notes)| Batch {
        preconditions: vec![],
        sections: vec![Section { id: ZONE, ops: zone }, Section { id: NOTES, ops: notes }],
    })
}

fn probe() -> impl Strategy<Value = Key> {
    (prop::sample::select(vec![ZONE, NOTES]), tail()).prop_map(|(id, tail)| key(id, &tail))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// A group comes to what its batches come to one by one, refused ones among them.
    #[test]
    fn a_group_is_its_batches_one_by_one(
        batches in prop::collection::vec((batch(), 0_u64..100, prop::option::of(0_u64..6)), 1..12),
    ) {
        let commits = batches.into_iter().map(|(mut batch, time_us, required)| {
            let required = required.map(|edition| Precondition { section: ZONE, edition: Edition::new(edition) });
            batch.preconditions.extend(required);
            Commit { time_us, batch: batch.encode().unwrap(), once: None }
        });
        let commits: Vec<_> = commits.collect();
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [together, alone] = [0, 1].map(|at| founded(folders[at].path()));
        let mut group = Group::default();
        commits.iter().for_each(|commit| group.push(commit.clone()).unwrap());
        let mut slice = together.apply();
        let verdicts = slice.command(&group.to_bytes()).unwrap();
        let versions = slice.commit().unwrap();
        let mut expected = (Vec::new(), Vec::new());
        for commit in commits {
            let mut slice = alone.apply();
            expected.0.extend(slice.command(&Command::Batch(commit).to_bytes()).unwrap());
            expected.1.extend(slice.commit().unwrap());
        }
        prop_assert_eq!(verdicts, expected.0);
        let bytes = |versions: Vec<crate::AppliedVersion>| versions.into_iter().map(|version| version.bytes);
        prop_assert!(bytes(versions).eq(bytes(expected.1)));
        prop_assert_eq!(together.head(), alone.head());
        let [one, other] = [together.view(), alone.view()];
        prop_assert_eq!(entries(&one, &[], &[0xff; 8]), entries(&other, &[], &[0xff; 8]));
        for id in [ZONE, NOTES] {
            prop_assert_eq!(one.edition(id).unwrap(), other.edition(id).unwrap());
        }
    }

    /// Whatever is applied in whatever slices, a view reads as the plain model did when it was taken, across both
    /// column families and a restart.
    #[test]
    fn reads_like_the_model(
        slices in prop::collection::vec(prop::collection::vec(batch(), 0..4), 1..6),
        probes in prop::collection::vec((probe(), probe()), 1..10),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut state = founded(folder.path());
        let mut model = MemoryView::new();
        let mut editions = BTreeMap::new();
        let mut views = vec![];
        for slice in &slices {
            let commands: Vec<Command> = slice.iter().map(command).collect();
            let verdicts = apply(&state, &commands);
            let all_committed = verdicts.iter().all(|verdict| matches!(verdict, Verdict::Committed { .. }));
            prop_assert!(all_committed, "{:?}", verdicts);
            for batch in slice {
                model.apply(batch);
                for section in batch.sections.iter().filter(|section| !section.ops.is_empty()) {
                    *editions.entry(section.id).or_insert(0) += 1;
                }
            }
            views.push((state.view(), model.clone()));
        }
        let head = state.head();
        for (view, model) in views {
            check(&view, &model, &probes)?;
        }
        drop(state);
        state = open(folder.path());
        prop_assert_eq!(state.head(), head);
        check(&state.view(), &model, &probes)?;
        for (id, edition) in editions {
            prop_assert_eq!(state.edition(id).unwrap(), Edition::new(edition));
            prop_assert_eq!(state.view().edition(id).unwrap(), Edition::new(edition));
        }
    }
}

fn check(view: &impl View, model: &MemoryView, probes: &[(Key, Key)]) -> Result<(), TestCaseError> {
    prop_assert_eq!(entries(view, &[], &[0xff; 8]), entries(model, &[], &[0xff; 8]));
    for (one, other) in probes {
        let (one, other) = (one.as_bytes(), other.as_bytes());
        let (mut found, mut expected) = ((vec![], vec![]), (vec![], vec![]));
        prop_assert_eq!(view.get(one, &mut found.1), model.get(one, &mut expected.1));
        prop_assert_eq!(&found, &expected);
        let is_found = view.last_in(one, other, &mut found.0, &mut found.1).unwrap();
        prop_assert_eq!(is_found, model.last_in(one, other, &mut expected.0, &mut expected.1).unwrap());
        prop_assert!(!is_found || found == expected);
        prop_assert_eq!(entries(view, one, other), entries(model, one, other));
    }
    Ok(())
}

#[test]
fn a_read_inside_a_scan_sees_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    let ops = (0..10).map(|byte| put(ZONE, &[byte], &[byte])).collect();
    apply(&state, &[command(&Batch { preconditions: vec![], sections: vec![Section { id: ZONE, ops }] })]);
    let view = state.view();
    let mut seen = 0;
    view.scan(&[0], &[0xff], &mut |key, _| {
        let (mut last, mut value) = (vec![], vec![]);
        assert!(view.last_in(&[0], key, &mut last, &mut value).unwrap());
        assert_eq!(last, key);
        seen += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, 10);
}

#[test]
fn what_was_done_once_is_known_in_its_slice_after_it_after_a_restart_and_in_a_checkpoint() {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let folder = tempfile::tempdir().unwrap();
    let [data, copy] = ["data", "copy"].map(|name| folder.path().join(name));
    let state = founded(&data);
    let verdicts = apply(&state, &[done_once(1, 1, 1), done_once(1, 1, 1), done_once(1, 1, 2), done_once(2, 1, 2)]);
    assert!(matches!(verdicts[0], Verdict::Committed { .. }));
    let Verdict::Repeated(record) = &verdicts[1] else { panic!("{verdicts:?}") };
    assert_eq!((record.revision.get(), &record.note[..]), (1, &[1; 3][..]));
    assert_eq!(verdicts[2], Verdict::Refused(Refusal::KeyReused));
    assert!(matches!(verdicts[3], Verdict::Committed { .. }));
    copy_state(&state, &copy).unwrap();
    drop(state);
    for path in [&data, &copy] {
        let state = open(path);
        let id = RequestId { key: RequestKey::made_at(1, 0), scope: [1; 16] };
        assert_eq!(state.request(&id).unwrap().as_ref(), Some(record));
        assert_eq!(state.head().requests.records, 2);
        assert_eq!(apply(&state, &[done_once(1, 1, 1)]), [Verdict::Repeated(record.clone())]);
        // One of the two is too old now, and goes; then the other, in the slice in which a third came.
        apply(&state, &[done_once(DAY_MS + 2, 1, 3)]);
        assert_eq!((state.request(&id).unwrap(), state.head().requests.records), (None, 2));
        let verdicts = apply(&state, &[done_once(DAY_MS + 3, 1, 4), done_once(2 * DAY_MS + 4, 1, 5)]);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Committed { .. })));
        let kept = state.live().requests(&id, 9, |_| true).unwrap();
        assert_eq!(kept.iter().map(|(id, _)| id.key.made_ms()).collect::<Vec<_>>(), [2 * DAY_MS + 4]);
        assert_eq!((state.head().requests.records, state.head().requests.oldest_ms), (1, 2 * DAY_MS + 4));
        assert_eq!(apply(&state, &[done_once(1, 1, 1)]), [Verdict::Refused(Refusal::KeyTooOld)]);
    }
}

#[test]
fn commands_of_one_slice_see_each_other_and_an_uncommitted_slice_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    let with = |edition| {
        let required = Precondition { section: ZONE, edition: Edition::new(edition) };
        command(&Batch { preconditions: vec![required], ..one(ZONE, put(ZONE, b"x", b"1")) })
    };
    let verdicts = apply(&state, &[with(0), with(1), with(1), with(2)]);
    assert!(matches!(verdicts[1], Verdict::Committed { version: Some(_), .. }));
    assert!(
        matches!(verdicts[2], Verdict::Refused(Refusal::Precondition { present, .. }) if present == Edition::new(2))
    );
    assert!(matches!(verdicts[3], Verdict::Committed { .. }));
    let head = state.head();
    state.apply().command(&with(3).to_bytes()).unwrap();
    assert_eq!((state.head(), state.view().head().unwrap()), (head, head));
}

#[test]
fn what_the_caller_keeps_with_the_state_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    assert_eq!((state.applied(), state.membership()), (None, None));
    let mut slice = state.apply();
    slice.log_id(Bytes::from_static(b"id"));
    slice.membership(Bytes::from_static(b"members"));
    slice.commit().unwrap();
    drop(state);
    let state = open(folder.path());
    assert_eq!(state.applied(), Some(Bytes::from_static(b"id")));
    assert_eq!(state.view().membership().unwrap(), Some(Bytes::from_static(b"members")));
}

/// Applies versions of about a kilobyte each.
pub(crate) fn add_versions(state: &StateStore, count: usize) {
    for _ in 0..count {
        apply(state, &[command(&one(ZONE, put(ZONE, b"x", &[1; 1000])))]);
    }
}

pub(crate) fn follow(state: &StateStore, mut position: Position, max_bytes: usize) -> Position {
    loop {
        let versions = state.read_after(position.version, max_bytes).unwrap().unwrap();
        if versions.is_empty() {
            return position;
        }
        for bytes in versions {
            position = Published::from_bytes(&bytes).unwrap().follow(&position).unwrap();
            assert_eq!(state.chain_at(position.version).unwrap(), Some(position.chain));
        }
    }
}

#[test]
fn the_batch_log_leads_from_the_origin_to_the_head() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    let origin = state.position();
    assert_eq!(state.read_after(Version::ZERO, 1).unwrap(), Some(vec![]));
    add_versions(&state, 20);
    for max_bytes in [1, 3000, usize::MAX] {
        assert_eq!(follow(&state, origin, max_bytes), state.position());
    }
    assert_eq!(state.read_after(Version::ZERO, 1).unwrap().unwrap().len(), 1);
    assert_eq!(state.chain_at(Version::ZERO).unwrap(), Some(Chain::origin(StoreId::new(7))));
    assert_eq!(state.chain_at(Version::new(21)).unwrap(), None);
    assert_eq!(state.read_after(Version::new(99), 1).unwrap(), Some(vec![]));
}

#[test]
fn a_fork_is_a_version_and_is_kept_when_the_log_is_trimmed() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    let origin = state.position();
    add_versions(&state, 3);
    let before = state.position();
    for (restore, epoch) in [(8, 0), (9, 5)] {
        let (restore, epoch) = (RestoreId::new(restore), Epoch::new(epoch));
        apply(&state, &[Command::Fork { time_us: 6, restore, epoch }]);
        add_versions(&state, 2);
    }
    assert_eq!(follow(&state, origin, usize::MAX), state.position());
    assert_eq!(state.chain_at(before.version).unwrap(), Some(before.chain), "of the epoch before, too");
    drop(state);
    let state = open_with(folder.path(), 10_000);
    add_versions(&state, 100);
    assert_eq!(state.chain_at(before.version).unwrap(), None);
    let forks = state.forks().unwrap();
    let known: Vec<_> = forks.iter().map(|fork| (fork.epoch.get(), fork.version.get(), fork.restore)).collect();
    assert_eq!(known, [(1, 4, 8), (5, 7, 9)]);
    assert_eq!((state.began(), state.position().epoch), (Version::new(7), Epoch::new(5)));
}

/// As a backup does, and who restores it.
pub(crate) fn copy_state(state: &StateStore, to: &Path) -> Result<(), StoreError> {
    let files = state.snapshot_files()?;
    StateStore::lay_out(to, |folder| {
        for (number, file) in (0..).zip(files.files()) {
            std::fs::copy(files.path(number)?, folder.join(&file.name)).unwrap();
        }
        Ok(())
    })
}

#[test]
fn a_checkpoint_opens_as_what_was_applied_when_it_was_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (here, copy) = (folder.path().join("here"), folder.path().join("copy"));
    let state = founded(&here);
    add_versions(&state, 5);
    let head = state.head();
    copy_state(&state, &copy).unwrap();
    assert!(copy_state(&state, &copy).is_err(), "nothing is copied over");
    assert!(StateStore::is_in(&copy) && !StateStore::is_in(folder.path()));
    add_versions(&state, 5);
    drop(state);
    std::fs::remove_dir_all(&here).unwrap();
    let copied = open(&copy);
    assert_eq!(copied.head(), head);
    assert_eq!(follow(&copied, Position::origin(StoreId::new(7)), usize::MAX), head.position);
}

#[test]
fn the_batch_log_is_trimmed_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    drop(state);
    let mut state = open_with(folder.path(), 64_000);
    for round in 1..=4 {
        add_versions(&state, 50);
        let last = state.position().version.get();
        assert_eq!(last, 50 * round);
        assert_eq!(state.read_after(Version::ZERO, 1).unwrap().is_none(), round > 1);
        assert!(state.read_after(Version::new(last - 50), 1).unwrap().is_some(), "the newest are kept");
        assert_eq!(state.chain_at(Version::new(1)).unwrap().is_none(), round > 1);
        drop(state);
        state = open_with(folder.path(), 64_000);
    }
    let first = (0..200).find(|after| state.read_after(Version::new(*after), 1).unwrap().is_some()).unwrap();
    let held = state.read_after(Version::new(first), usize::MAX).unwrap().unwrap();
    let bytes: usize = held.iter().map(Bytes::len).sum();
    assert!((55_000..=64_000).contains(&bytes), "{bytes}");
}

#[test]
fn what_is_pinned_is_not_trimmed_until_it_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    drop(founded(folder.path()));
    let state = open_with(folder.path(), 64_000);
    let pin = BatchSource::pin(&state, Version::ZERO);
    add_versions(&state, 100);
    assert!(state.read_after(Version::ZERO, 1).unwrap().is_some());
    drop(pin);
    add_versions(&state, 1);
    assert!(state.read_after(Version::ZERO, 1).unwrap().is_none());
}

#[test]
fn a_snapshot_is_everything_published_at_one_position() {
    let folder = tempfile::tempdir().unwrap();
    let state = founded(folder.path());
    let ops = |id| (0..100_u8).map(|byte| put(id, &[byte], &[byte; 50])).collect::<Vec<_>>();
    let sections = [ZONE, NOTES].map(|id| Section { id, ops: ops(id) });
    apply(&state, &[command(&Batch { preconditions: vec![], sections: sections.into() })]);
    let mut snapshot = BatchSource::snapshot(&state, None).unwrap();
    let position = state.position();
    add_versions(&state, 3);
    assert_eq!(snapshot.position(), position);
    let (mut found, mut parts) = (vec![], 0);
    loop {
        let part = snapshot.next_message(1000).unwrap();
        if part.is_empty() {
            break;
        }
        let own = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        found.extend(decode_entries(&part).map(|entry| entry.map(|(key, value)| (own(key), own(value))).unwrap()));
        parts += 1;
    }
    let expected: Vec<(Bytes, Bytes)> = (0..100_u8)
        .map(|byte| (Bytes::copy_from_slice(key(ZONE, &[byte]).as_bytes()), Bytes::from(vec![byte; 50])))
        .collect();
    assert_eq!(found, expected);
    assert!((5..10).contains(&parts), "{parts}");
}
