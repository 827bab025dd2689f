//! What an edge's copy must keep to, over a real disk.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use zonecast_kv_proto::{
    Batch, Key, KeyspaceId, MemoryView, Op, Position, Published, Section, SectionId, StoreId, Value, Version, View,
    encode_entries,
};

use crate::{EdgeOptions, EdgeSnapshot, EdgeStore, StoreError};

const SMALL: EdgeOptions = EdgeOptions { cache_bytes: 8 << 20, write_buffer_bytes: 1 << 20, batch_log_bytes: 0 };

/// Set for the child of the crash test: the folder it writes into until it is killed.
const CRASH_FOLDER: &str = "ZONECAST_TEST_EDGE_CRASH_FOLDER";

fn key(tail: &[u8]) -> Key {
    Key::new([&[0, 1], tail].concat()).unwrap()
}

fn put(tail: &[u8], value: &[u8]) -> Op {
    Op::Put { key: key(tail), value: Value::new(value.to_vec()).unwrap() }
}

fn batch(ops: Vec<Op>) -> Batch {
    let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
    Batch { preconditions: Vec::new(), sections: vec![Section { id, ops }] }
}

fn after(position: &Position, ops: Vec<Op>) -> (Published, Position) {
    let published = Published::after(position, 0, batch(ops).encode().unwrap().sections).unwrap();
    let position = published.follow(position).unwrap();
    (published, position)
}

fn load(store: &EdgeStore, data: &MemoryView, position: &Position) {
    let mut load = store.begin_snapshot(None).unwrap();
    for (key, value) in data.entries() {
        load.add(&encode_entries(&[(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))])).unwrap();
    }
    load.finish(position).unwrap();
}

fn content(snapshot: &EdgeSnapshot) -> MemoryView {
    let mut data = MemoryView::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        data.insert(key, value);
        ControlFlow::Continue(())
    };
    snapshot.view().scan(&[], &[0xff; 3], visit).unwrap();
    data
}

fn origin() -> Position {
    Position::origin(StoreId::new(9))
}

fn copies(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("copy-")).count()
}

#[test]
fn a_new_copy_begins_with_a_snapshot_and_goes_on_with_versions() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = MemoryView::new();
    model.insert(&[0, 1, 5], b"five");
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    assert_eq!(store.position(), None);
    let (published, position) = after(&origin(), vec![put(b"a", b"1"), put(b"b", b"2")]);
    assert!(matches!(store.apply(&[published.clone().into()]), Err(StoreError::Damaged { .. })));

    load(&store, &model, &origin());
    assert_eq!(store.apply(&[published.into()]).unwrap(), position);
    model.apply(&batch(vec![put(b"a", b"1"), put(b"b", b"2")]));
    let ops = vec![
        Op::DeleteRange { start: key(b"a"), end: key(b"b") },
        Op::DeleteRange { start: key(b"z"), end: key(b"a") },
    ];
    let (next, end) = after(&position, ops.clone());
    assert!(matches!(store.apply(&[next.clone().into(), next.clone().into()]), Err(StoreError::Damaged { .. })));
    assert_eq!(store.position(), Some(position), "nothing of a refused write is applied");
    store.apply(&[next.into()]).unwrap();
    model.apply(&batch(ops));
    let snapshot = store.snapshot().unwrap();
    assert_eq!((content(&snapshot), snapshot.position()), (model.clone(), Some(end)));
    assert_eq!(store.sync().unwrap(), Some(end));

    drop((snapshot, store));
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    assert_eq!((content(&store.snapshot().unwrap()), store.position()), (model, Some(end)));
}

#[test]
fn a_snapshot_of_the_old_copy_is_readable_after_the_switch_and_its_files_go_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    let (mut one, mut two) = (MemoryView::new(), MemoryView::new());
    (0..=255).for_each(|byte| one.insert(&[0, 1, byte], &[byte; 100]));
    two.insert(&[0, 1, 9], b"nine");
    load(&store, &one, &origin());
    let before = store.snapshot().unwrap();
    let later = Position { version: Version::new(7), ..origin() };
    load(&store, &two, &later);
    assert_eq!(content(&before), one);
    assert_eq!(content(&store.snapshot().unwrap()), two);
    assert_eq!(copies(folder.path()), 2);
    drop(before);
    assert_eq!(copies(folder.path()), 1);

    let mut unfinished = store.begin_snapshot(None).unwrap();
    unfinished.add(&encode_entries(&[(Bytes::from_static(&[0, 1]), Bytes::new())])).unwrap();
    drop(unfinished);
    assert_eq!((copies(folder.path()), store.position()), (1, Some(later)));
}

#[test]
fn a_second_process_is_told_and_leftovers_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    assert!(matches!(EdgeStore::open(folder.path(), SMALL), Err(StoreError::Locked { .. })));
    drop(store);
    std::fs::create_dir(folder.path().join("copy-77")).unwrap();
    drop(EdgeStore::open(folder.path(), SMALL).unwrap());
    assert_eq!(copies(folder.path()), 1);
    // A name that makes no sense, and one of a copy that is not there: a new copy, which says why.
    for name in ["copy-", "copy-5\n"] {
        std::fs::write(folder.path().join("current"), name).unwrap();
        let store = EdgeStore::open(folder.path(), SMALL).unwrap();
        assert_eq!((store.position(), store.damage().is_some()), (None, true), "{name:?}");
    }
    assert_eq!(copies(folder.path()), 1);
}

#[test]
fn snapshots_and_views_may_cross_threads_as_they_say() {
    fn shared<T: Send + Sync>() {}
    shared::<EdgeSnapshot>();
    shared::<EdgeStore>();
}

#[test]
fn a_scan_may_read_the_same_view() {
    let folder = tempfile::tempdir().unwrap();
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    let mut model = MemoryView::new();
    (0..9).for_each(|byte| model.insert(&[0, 1, byte], &[byte]));
    load(&store, &model, &origin());
    let snapshot = store.snapshot().unwrap();
    let view = snapshot.view();
    let (mut key, mut value, mut seen) = (Vec::new(), Vec::new(), 0);
    view.scan(&[0, 1], &[0, 2], &mut |at, _| {
        assert!(view.last_in(&[0, 1], at, &mut key, &mut value).unwrap());
        assert_eq!(key, at);
        seen += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, 9);
}

fn op() -> impl Strategy<Value = Op> {
    let tail = || prop::collection::vec(0_u8..4, 0..4);
    prop_oneof![
        4 => (tail(), prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(tail, value)| put(&tail, &value)),
        1 => tail().prop_map(|tail| Op::Delete { key: key(&tail) }),
        1 => (tail(), tail()).prop_map(|(start, end)| Op::DeleteRange { start: key(&start), end: key(&end) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_view_reads_as_the_model_does(
        batches in prop::collection::vec(prop::collection::vec(op(), 1..20), 1..6),
        queries in prop::collection::vec((prop::collection::vec(0_u8..4, 0..5), prop::collection::vec(0_u8..4, 0..5)), 1..30),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let store = EdgeStore::open(folder.path(), SMALL).unwrap();
        load(&store, &MemoryView::new(), &origin());
        let (mut model, mut position) = (MemoryView::new(), origin());
        let mut versions = Vec::new();
        for ops in batches {
            model.apply(&batch(ops.clone()));
            let (published, next) = after(&position, ops);
            versions.push(published);
            position = next;
        }
        prop_assert_eq!(store.apply(&versions.into_iter().map(Into::into).collect::<Vec<_>>()).unwrap(), position);
        let snapshot = store.snapshot().unwrap();
        prop_assert_eq!(content(&snapshot), model.clone());
        let view = snapshot.view();
        for (one, other) in queries {
            let (one, other) = (key(&one), key(&other));
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            let (mut expected_key, mut found_key) = (Vec::new(), Vec::new());
            let there = model.get(one.as_bytes(), &mut expected).unwrap();
            prop_assert_eq!(view.get(one.as_bytes(), &mut found).unwrap(), there);
            prop_assert_eq!(&found, &expected);
            let there = model.last_in(one.as_bytes(), other.as_bytes(), &mut expected_key, &mut expected).unwrap();
            prop_assert_eq!(view.last_in(one.as_bytes(), other.as_bytes(), &mut found_key, &mut found).unwrap(), there);
            prop_assert_eq!((found_key, found), (expected_key, expected));
        }
    }
}

/// Every version writes its number under every key, so any mix of two versions shows.
fn numbered(number: u64) -> Vec<Op> {
    (0..50).map(|at| put(&[at], &number.to_be_bytes())).collect()
}

/// Not a test of its own: the process that [`a_kill_at_any_time_leaves_exactly_one_version`] kills.
#[test]
fn crash_child() {
    let Some(folder) = std::env::var_os(CRASH_FOLDER) else { return };
    let store = EdgeStore::open(Path::new(&folder), SMALL).unwrap();
    loop {
        let position = store.position();
        if position.is_none_or(|position| position.version.get().is_multiple_of(400)) {
            let before = position.unwrap_or_else(origin);
            let (_, next) = after(&before, numbered(before.version.get() + 1));
            let mut model = MemoryView::new();
            model.apply(&batch(numbered(next.version.get())));
            load(&store, &model, &next);
        } else {
            let before = position.unwrap();
            let (published, _) = after(&before, numbered(before.version.get() + 1));
            store.apply(&[published.into()]).unwrap();
        }
    }
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_kill_at_any_time_leaves_exactly_one_version() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..8_u64 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "edge_tests::crash_child", "--nocapture"])
            .env(CRASH_FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = Killed(child);
        // It is killed some way into its work; how far differs from round to round and that is the point.
        let deadline = Instant::now() + Duration::from_millis(150 + 37 * round);
        while Instant::now() < deadline {
            std::thread::yield_now();
        }
        drop(child);
        let store = EdgeStore::open(folder.path(), SMALL).unwrap();
        let Some(position) = store.position() else { continue };
        assert!(position.version.get() >= last, "went back from {last} to {position}");
        last = position.version.get();
        let mut model = MemoryView::new();
        model.apply(&batch(numbered(last)));
        assert_eq!(content(&store.snapshot().unwrap()), model, "at {position}");
    }
    assert!(last > 400, "only {last} versions were written: nothing was tried");
}
