//! What nodes come to at markers: the same where they hold the same, and where they differ if they do not.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rocksdb::{DB, Options};
use zonecast_kv_proto::{
    Batch, BatchSource as _, Command, Key, Marker, MemoryView, Op, Position, Published, RangeHash, RangesWant,
    ReceivedVersion, Section, StoreId, VERIFICATION, encode_entries,
};

use crate::state_tests::{NOTES, ZONE, apply, command, done_once, founded, one, put};
use crate::{CheckProgress, Checked, EdgeOptions, EdgeStore, RangeCheck, RangeChecks, StateStore};

const SMALL: EdgeOptions = EdgeOptions { cache_bytes: 8 << 20, write_buffer_bytes: 1 << 20, batch_log_bytes: 0 };

/// Far more than any of this takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn marker(number: u64) -> Batch {
    let ops = vec![Marker::new(number, 1, 1 << 40).put()];
    Batch { preconditions: vec![], sections: vec![Section { id: VERIFICATION, ops }] }
}

/// Waits until the marker of this number is summed up.
fn checked(checks: &RangeChecks, number: u64) -> (Arc<Checked>, Position) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(RangeCheck { marker, position, progress }) = checks.present()
            && marker.number == number
        {
            match progress {
                CheckProgress::Done(done) => return (done, position),
                CheckProgress::Failed(why) => panic!("{why}"),
                CheckProgress::Hashing => {}
            }
        }
        assert!(Instant::now() < deadline, "marker {number} was not summed up: {:?}", checks.present());
        std::thread::yield_now();
    }
}

fn tail(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// A voter with some zones and notes.
fn voter(folder: &Path) -> StateStore {
    let state = founded(folder);
    let zone: Vec<Op> = (0..5_000).map(|number| put(ZONE, &tail(number), b"value")).collect();
    let notes: Vec<Op> = (0..50).map(|number| put(NOTES, &tail(number), b"note")).collect();
    let sections = vec![Section { id: ZONE, ops: zone }, Section { id: NOTES, ops: notes }];
    apply(&state, &[command(&Batch { preconditions: vec![], sections }), done_once(1, 1, 1)]);
    state
}

fn at_marker(state: &StateStore, number: u64) -> Arc<Checked> {
    apply(state, &[command(&marker(number))]);
    let (checked, position) = checked(state.checks(), number);
    assert_eq!(position, state.position());
    checked
}

#[test]
fn voters_come_to_the_same_unless_one_holds_something_else_private_keys_included() {
    let folder = tempfile::tempdir().unwrap();
    let [one_path, other_path] = ["one", "other"].map(|name| folder.path().join(name));
    let (first, second) = (voter(&one_path), voter(&other_path));
    let (here, there) = (at_marker(&first, 1), at_marker(&second, 1));
    assert_eq!((here.published.root(), here.keys), (there.published.root(), 5_001));
    let private = |checked: &Checked| checked.private.as_ref().unwrap().clone();
    assert_eq!(private(&here), private(&there));
    drop((second, there));

    let change = |family: &str, key: &[u8], value: &[u8]| {
        let live = std::fs::read_to_string(other_path.join("current")).unwrap();
        let database = other_path.join(live.trim());
        let families = DB::list_cf(&Options::default(), &database).unwrap();
        let db = DB::open_cf(&Options::default(), &database, families).unwrap();
        db.put_cf(db.cf_handle(family).unwrap(), key, value).unwrap();
        db.cancel_all_background_work(true);
    };
    // A byte of what is published, and then one of what is not.
    change("published", &[&[0, 1][..], &tail(77)].concat(), b"velue");
    let second = crate::state_tests::open(&other_path);
    let (here, there) = (at_marker(&first, 2), at_marker(&second, 2));
    let differing = here.published.differing(&there.published);
    let span = here.published.span(*differing.first().unwrap()).unwrap();
    assert!(differing.len() == 1 && span.contains(&[&[0, 1][..], &tail(77)].concat()));
    assert_eq!(private(&here), private(&there));
    drop((second, there));
    change("private", &[&[0x80, 0][..], &tail(7)].concat(), b"nute");
    let second = crate::state_tests::open(&other_path);
    assert_ne!(private(&at_marker(&first, 3)), private(&at_marker(&second, 3)));
}

#[test]
fn what_is_behind_a_marker_is_not_summed_up_and_a_marker_within_a_write_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let state = voter(folder.path());
    let mut slice = state.apply();
    slice.command(&command(&marker(1)).to_bytes()).unwrap();
    assert!(slice.is_at_marker());
    let later = command(&one(ZONE, put(ZONE, b"later", b"value")));
    slice.command(&later.to_bytes()).unwrap();
    assert!(!slice.is_at_marker());
    slice.commit().unwrap();
    assert!(state.checks().present().is_none(), "it stands beyond the marker");
    let before = at_marker(&state, 2);
    apply(&state, &[later]);
    let after = at_marker(&state, 3);
    assert_ne!(before.published.root(), after.published.root(), "the marker itself is another");
    assert_eq!((before.keys, after.keys), (5_002, 5_002));
}

#[test]
fn a_marker_ends_the_one_before_and_so_does_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let state = voter(folder.path());
    // At the slowest rate: it would take longer than anybody waits.
    let large: Vec<Op> = (0..200).map(|number| put(NOTES, &tail(number), &[7; 19_000])).collect();
    apply(&state, &[command(&Batch { preconditions: vec![], sections: vec![Section { id: NOTES, ops: large }] })]);
    let slow = Batch {
        sections: vec![Section { id: VERIFICATION, ops: vec![Marker::new(1, 1, 1).put()] }],
        preconditions: vec![],
    };
    apply(&state, &[command(&slow)]);
    assert!(matches!(state.checks().present().unwrap().progress, CheckProgress::Hashing));
    at_marker(&state, 2);
    apply(&state, &[command(&slow)]);
    let began = Instant::now();
    drop(state);
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for it");
}

struct Copy {
    store: EdgeStore,
    published: Published,
}

/// An edge with these keys, and the version of a marker behind them.
fn edge(folder: &Path, keys: &MemoryView) -> Copy {
    let store = EdgeStore::open(folder, SMALL).unwrap();
    let origin = Position::origin(StoreId::new(7));
    let mut load = store.begin_snapshot(None).unwrap();
    for (key, value) in keys.entries() {
        load.add(&encode_entries(&[(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))])).unwrap();
    }
    load.finish(&origin).unwrap();
    let sections = marker(1).encode().unwrap().sections;
    Copy { store, published: Published::after(&origin, 5, sections).unwrap() }
}

#[test]
fn an_edge_finds_a_flipped_byte_a_missing_and_an_extra_key() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = MemoryView::new();
    let key = |number: u32| [&[0, 1][..], &tail(number * 2)].concat();
    (0..5_000).for_each(|number| keys.insert(&key(number), b"value"));
    let sums = |keys: &MemoryView, name: &str| {
        let Copy { store, published } = edge(&folder.path().join(name), keys);
        assert!(store.checks().present().is_none());
        let version = ReceivedVersion::from(published);
        let position = store.apply(&[version]).unwrap();
        let (checked, at) = checked(store.checks(), 1);
        assert_eq!((at, &checked.private), (position, &None));
        (checked.published.clone(), checked.keys)
    };
    let (agreed, count) = sums(&keys, "agreed");
    assert_eq!((sums(&keys, "equal").0.root(), count), (agreed.root(), 5_001));
    let changed = |name: &str, change: &dyn Fn(&mut MemoryView)| {
        let mut other = keys.clone();
        change(&mut other);
        let (own, _) = sums(&other, name);
        assert_ne!(own.root(), agreed.root(), "{name}");
        let differing = agreed.differing(&own);
        let spans: Vec<_> = differing.iter().map(|number| agreed.span(*number).unwrap()).collect();
        assert!((1..=2).contains(&spans.len()), "{name}: {spans:?}");
        spans
    };
    let flipped = changed("flipped", &|other| other.insert(&key(1_234), b"vblue"));
    assert!(flipped[0].contains(&key(1_234)));
    let missing = changed("missing", &|other| other.apply_op(&Op::Delete { key: Key::new(key(4_000)).unwrap() }));
    assert!(missing.iter().any(|span| span.contains(&key(4_000))));
    let between = [&key(77)[..], &[1]].concat();
    let extra = changed("extra", &|other| other.insert(&between, b"extra"));
    assert!(extra.iter().any(|span| span.contains(&between)));
}

#[test]
fn a_copy_that_is_replaced_has_come_to_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = MemoryView::new();
    keys.insert(&[0, 1, 1], b"value");
    let Copy { store, published } = edge(folder.path(), &keys);
    store.apply(&[published.into()]).unwrap();
    checked(store.checks(), 1);
    store.start_anew("a test").unwrap();
    assert!(store.checks().present().is_none());
}

#[test]
fn commands_of_a_slice_are_all_applied_with_a_marker_among_them() {
    let folder = tempfile::tempdir().unwrap();
    let state = voter(folder.path());
    let commands: Vec<Command> = vec![command(&marker(1)), command(&one(ZONE, put(ZONE, b"x", b"y")))];
    apply(&state, &commands);
    assert_eq!(state.position().version.get(), 3);
}

#[test]
fn a_voter_gives_ranges_and_entries_whose_hashes_they_are_as_they_were_at_the_marker() {
    let folder = tempfile::tempdir().unwrap();
    let state = voter(folder.path());
    let checked = at_marker(&state, 1);
    let all = Op::DeleteRange { start: Key::new(vec![0, 1]).unwrap(), end: Key::new(vec![0, 2]).unwrap() };
    apply(&state, &[command(&one(ZONE, all))]);
    let ask = |number, from, entries| state.ranges(&RangesWant { number, from, entries }).unwrap();
    let page = ask(1, 1, None);
    assert!(page.is_there && page.of == checked.published.ranges().len() as u64);
    assert_eq!(page.ranges, checked.published.ranges()[1..]);
    for (number, range) in checked.published.ranges().iter().enumerate() {
        let given = ask(1, 0, checked.published.span(number));
        assert!(given.is_there && given.ranges.is_empty());
        assert_eq!(RangeHash::of_entries(&given.entries), range.hash);
    }
    assert!(ask(1, 1_000_000, None).ranges.is_empty());
    assert!(!ask(2, 0, None).is_there);
}
