//! The state of a voter that another one receives: it is the same in everything, takes the place of the present one in
//! one step, and an end of the process at any instant leaves one of the two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use prometheus::Registry;
use rocksdb::IteratorMode;
use zonecast_kv_proto::{
    BatchSource, Command, Head, MAX_STATE_FILES, Position, StateFile, StateManifest, StatePlace, StoreId, Version, View,
};

use crate::state_keys::FAMILIES;
use crate::state_tests::{
    NOTES, ZONE, add_versions, apply, command, done_once, entries, follow, founded, one, open, open_with, put,
};
use crate::{ReceiveState, ReceivedState, SendState, StateOptions, StateStore, StateView, StoreError, StoreMetrics};

/// A few pieces for each file of a small state.
const PIECE: usize = 700;
/// Few for a large one.
const LARGE_PIECE: usize = 1 << 20;

/// All that a database holds, private families and all.
fn content(state: &StateStore) -> BTreeMap<&'static str, Vec<(Vec<u8>, Vec<u8>)>> {
    let live = state.live();
    let family = |name: &'static str| {
        let all = live.db.iterator_cf(live.family(name), IteratorMode::Start).map(Result::unwrap);
        (name, all.map(|(key, value)| (key.into_vec(), value.into_vec())).collect())
    };
    FAMILIES.map(family).into()
}

/// A state with something in every family, in tables and in the log.
fn full(folder: &Path) -> StateStore {
    let state = founded(folder);
    add_versions(&state, 10);
    drop(state);
    let state = open(folder);
    let mut slice = state.apply();
    slice.command(&command(&one(NOTES, put(NOTES, b"n", b"note"))).to_bytes()).unwrap();
    slice.command(&done_once(1, 1, 1).to_bytes()).unwrap();
    slice.log_id(Bytes::from_static(b"id"));
    slice.membership(Bytes::from_static(b"members"));
    slice.commit().unwrap();
    state
}

/// Another one, with keys and editions that the first has not.
fn other(folder: &Path) -> StateStore {
    let state = founded(folder);
    apply(&state, &[command(&one(ZONE, put(ZONE, b"goes", b"1"))), Command::Allocate { count: 5 }]);
    apply(&state, &[command(&one(NOTES, put(NOTES, b"goes", b"1")))]);
    state
}

/// Moves one piece, or ends a file; whether there was anything left.
fn step(sent: &SendState, receive: &mut ReceiveState) -> bool {
    step_of(PIECE, sent, receive)
}

fn step_of(bytes: usize, sent: &SendState, receive: &mut ReceiveState) -> bool {
    let place = receive.progress();
    let Some(file) = sent.files().get(usize::try_from(place.file).unwrap()) else { return false };
    if place.offset < file.len {
        receive.write(place, &sent.read(place.file, place.offset, bytes).unwrap()).unwrap();
    } else {
        receive.end_file(place.file, sent.hash(place.file).unwrap()).unwrap();
    }
    true
}

fn receive(sent: &SendState, to: &StateStore) -> ReceivedState {
    let mut receive = to.receive(sent.manifest(1)).unwrap();
    while step_of(LARGE_PIECE, sent, &mut receive) {}
    receive.finish().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file below a folder, and its length.
fn listing(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, u64>> {
    let mut files = BTreeMap::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files.extend(listing(&entry.path())?),
            false => drop(files.insert(entry.path(), entry.metadata()?.len())),
        }
    }
    Ok(files)
}

/// As the folder is at one moment: RocksDB removes files that it does not need in the background, so it is copied until
/// nothing has changed meanwhile.
fn copy(from: &Path, to: &Path) {
    let once = || {
        let before = listing(from)?;
        for path in before.keys() {
            let to = to.join(path.strip_prefix(from).unwrap());
            std::fs::create_dir_all(to.parent().unwrap())?;
            std::fs::copy(path, to)?;
        }
        Ok::<_, std::io::Error>(listing(from)? == before)
    };
    while !once().unwrap_or(false) {
        std::fs::remove_dir_all(to).unwrap();
        std::fs::create_dir_all(to).unwrap();
    }
}

#[test]
fn an_installed_state_is_the_other_one_in_every_family_and_goes_on_like_it() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let sent = state.snapshot_files().unwrap();
    assert_eq!((sent.head(), sent.applied(), sent.membership()), (state.head(), state.applied(), state.membership()));
    let received = receive(&sent, &other);
    assert_eq!(
        (received.head(), received.applied(), received.membership()),
        (state.head(), state.applied(), state.membership())
    );
    other.install(received).unwrap();
    let same = |other: &StateStore| {
        assert_eq!((other.head(), other.applied()), (state.head(), state.applied()));
        let (found, expected) = (content(other), content(&state));
        for name in FAMILIES {
            assert!(!expected[name].is_empty(), "{name} has nothing to compare");
            assert_eq!(found[name], expected[name], "{name}");
        }
        assert_eq!(follow(other, Position::origin(StoreId::new(7)), 1000), state.position());
    };
    same(&other);
    let later = [
        command(&one(ZONE, put(ZONE, b"later", b"2"))),
        command(&one(NOTES, put(NOTES, b"later", b"2"))),
        Command::Allocate { count: 3 },
    ];
    assert_eq!(apply(&state, &later), apply(&other, &later));
    same(&other);
    drop(other);
    let other = open(other_folder.path());
    same(&other);
    assert_eq!(apply(&state, &later), apply(&other, &later));
    same(&other);
}

#[test]
fn a_switch_is_seen_by_all_clones_and_views_of_before_stay_until_they_go() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let (clone, view, before) = (other.clone(), other.view(), other.head());
    let held = entries(&view, &[], &[0xff; 8]);
    let pin = BatchSource::pin(&other, before.position.version);
    let mut snapshot = BatchSource::snapshot(&other, None).unwrap();
    other.install(receive(&state.snapshot_files().unwrap(), &other)).unwrap();
    assert_eq!(clone.head(), state.head());
    assert_eq!(entries(&clone.view(), &[], &[0xff; 8]), entries(&state.view(), &[], &[0xff; 8]));
    assert_eq!((view.head().unwrap(), entries(&view, &[], &[0xff; 8])), (before, held));
    assert!(!snapshot.next_message(1000).unwrap().is_empty());
    assert_eq!(names(other_folder.path()), ["current", "lock", "state-1", "state-2"]);
    drop((view, snapshot));
    assert_eq!(names(other_folder.path()), ["current", "lock", "state-2"], "the last view has gone");
    drop(pin);
    // A checkpoint is the live one, wherever it is.
    let checkpoint = tempfile::tempdir().unwrap();
    crate::state_tests::copy_state(&clone, &checkpoint.path().join("state")).unwrap();
    assert_eq!(content(&open(&checkpoint.path().join("state"))), content(&state));
}

#[test]
fn the_batch_log_that_was_received_is_the_one_that_goes_on() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(founded(folder.path()));
    let state = open_with(folder.path(), 64_000);
    add_versions(&state, 200);
    drop(other(other_folder.path()));
    let other = open_with(other_folder.path(), 64_000);
    other.install(receive(&state.snapshot_files().unwrap(), &other)).unwrap();
    for _ in 0..20 {
        for after in 0..=state.position().version.get() {
            let [here, there] = [&state, &other].map(|state| state.read_after(Version::new(after), 1).unwrap());
            assert_eq!(here.is_none(), there.is_none(), "after {after}");
        }
        assert!(other.read_after(Version::ZERO, 1).unwrap().is_none());
        [&state, &other].iter().for_each(|state| add_versions(state, 1));
    }
    assert_eq!(other.head(), state.head());
}

#[test]
fn what_is_sent_stays_as_it_was_and_goes_when_nobody_sends_it() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), founded(other_folder.path()));
    let before = (state.head(), content(&state));
    let [sent, second] = [(); 2].map(|()| state.snapshot_files().unwrap());
    add_versions(&state, 30);
    other.install(receive(&sent, &other)).unwrap();
    assert_eq!((other.head(), content(&other)), before);
    assert_eq!(names(folder.path()).len(), 5);
    drop((sent, second));
    assert_eq!(names(folder.path()), ["current", "lock", "state-1"]);
    // A process that is killed drops nothing.
    std::mem::forget(state.snapshot_files().unwrap());
    let killed = tempfile::tempdir().unwrap();
    copy(folder.path(), killed.path());
    assert_eq!(names(killed.path()), ["current", "lock", "state-1", "state-2"]);
    let after = open(killed.path());
    assert_eq!(
        (names(killed.path()), content(&after)),
        (vec!["current".into(), "lock".into(), "state-1".into()], content(&state))
    );
}

/// The version that the view says it is at, and the one that wrote what it holds.
fn standing(view: &StateView) -> (Head, Vec<u8>) {
    let mut value = Vec::new();
    assert!(view.get(&[0, 1, b'v'], &mut value).unwrap());
    (view.head().unwrap(), value)
}

fn numbered(version: u64, mark: u8) -> Command {
    command(&one(ZONE, put(ZONE, b"v", &[&[mark], &version.to_be_bytes()[..]].concat())))
}

/// What is sent while commands are applied stands at one of them, and what is installed while commands are applied is one
/// state or the other.
#[test]
fn snapshots_and_switches_while_commands_are_applied_never_mix_two_states() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (founded(folder.path()), founded(other_folder.path()));
    let is_done = AtomicBool::new(false);
    let write = |state: &StateStore, mark: u8| {
        while !is_done.load(Ordering::Relaxed) {
            // One slice, so that it stands on the state that it says it does.
            let mut slice = state.apply();
            assert_eq!(*slice.head(), state.head(), "it applies to what is not live");
            let version = slice.head().position.version.get() + 1;
            slice.command(&numbered(version, mark).to_bytes()).unwrap();
            slice.commit().unwrap();
        }
    };
    let whole = |view: &StateView| {
        let (head, value) = standing(view);
        assert_eq!(value[1..], head.position.version.get().to_be_bytes(), "of another version");
    };
    apply(&state, &[numbered(1, b'a')]);
    apply(&other, &[numbered(1, b'b')]);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&state, b'a'));
        scope.spawn(|| write(&other, b'b'));
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                whole(&other.view());
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..5 {
                let sent = state.snapshot_files().unwrap();
                let received = receive(&sent, &other);
                assert_eq!((received.head(), received.applied()), (sent.head(), sent.applied()));
                other.install(received).unwrap();
                whole(&other.view());
            }
        }));
        is_done.store(true, Ordering::Relaxed);
        ended.unwrap();
    });
    let (head, all) = (other.head(), content(&other));
    let origin = Position::origin(StoreId::new(7));
    assert_eq!(follow(&other, origin, usize::MAX), head.position, "every version follows the one before");
    drop(other);
    let other = open(other_folder.path());
    assert_eq!((other.head(), content(&other)), (head, all));
}

/// Opens a copy of the folder, as it would be found if the process were killed now.
fn killed(folder: &Path) -> (tempfile::TempDir, StateStore) {
    let copied = tempfile::tempdir().unwrap();
    copy(folder, copied.path());
    let state = open(copied.path());
    (copied, state)
}

#[test]
fn an_end_of_the_process_at_any_step_leaves_the_state_before_or_the_new_one() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let [before, after] = [&other, &state].map(|state| (state.head(), content(state)));
    let is = |expected: &(Head, BTreeMap<&'static str, Vec<_>>), step: &str| {
        let (copied, found) = killed(other_folder.path());
        assert_eq!(found.head(), expected.0, "{step}");
        assert_eq!(content(&found), expected.1, "{step}");
        let generations = names(copied.path()).into_iter().filter(|name| name.starts_with("state-")).count();
        assert_eq!(generations, 1, "{step}");
        // Whatever it is, it can receive and switch.
        found.install(receive(&state.snapshot_files().unwrap(), &found)).unwrap();
        assert_eq!(content(&found), after.1, "{step}");
    };
    let sent = state.snapshot_files().unwrap();
    let mut receive = other.receive(sent.manifest(1)).unwrap();
    is(&before, "begun");
    let mut steps = 0;
    while step(&sent, &mut receive) {
        steps += 1;
        // Each is the same but for where it is.
        if steps < 4 || steps % 13 == 0 {
            is(&before, &format!("{steps} pieces"));
        }
    }
    assert!(steps > 20, "{steps}");
    is(&before, "all pieces");
    let received = receive.finish().unwrap();
    is(&before, "received and open");
    other.install(received).unwrap();
    is(&after, "switched");
    let view = other.view();
    drop(view);
    is(&after, "and later");
}

#[test]
fn a_transfer_goes_on_where_it_ended_and_one_of_another_snapshot_begins_anew() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let sent = state.snapshot_files().unwrap();
    assert_eq!(other.incoming(), None);
    let mut part = other.receive(sent.manifest(1)).unwrap();
    assert_eq!(other.incoming(), Some(Bytes::from_static(b"id")));
    assert_eq!(part.progress(), StatePlace::default());
    assert!(other.receive(sent.manifest(1)).is_err(), "two at a time");
    assert!(other.forget_incoming().is_err());
    let mut seen = vec![];
    while step(&sent, &mut part) {
        let place = part.progress();
        seen.push(place);
        // The connection is lost, and now and then the process is killed in the middle of a hash.
        drop(part);
        if seen.len() % 9 == 0 {
            let (copied, found) = killed(other_folder.path());
            let ended = copied.path().join("incoming/ended");
            let hashes = std::fs::read(&ended).unwrap();
            std::fs::write(&ended, [&hashes[..], b"half"].concat()).unwrap();
            let mut part = found.receive(sent.manifest(1)).unwrap();
            assert_eq!(part.progress(), place, "of another process");
            while step(&sent, &mut part) {
                let place = part.progress();
                drop(part);
                part = found.receive(sent.manifest(1)).unwrap();
                assert_eq!(part.progress(), place, "of another process");
            }
            found.install(part.finish().unwrap()).unwrap();
            assert_eq!(content(&found), content(&state));
        }
        part = other.receive(sent.manifest(1)).unwrap();
        assert_eq!(part.progress(), place);
    }
    assert!(seen.is_sorted() && seen.len() > 20);
    drop(part);
    // Whatever differs, it is another snapshot.
    for manifest in [sent.manifest(2), StateManifest { applied: None, ..sent.manifest(2) }] {
        let mut part = other.receive(manifest.clone()).unwrap();
        assert_eq!(part.progress(), StatePlace::default());
        assert_eq!(names(&other_folder.path().join("incoming/files")).len(), 1, "nothing of the one before");
        step(&sent, &mut part);
    }
    // So is one whose files are not there any more.
    let mut part = other.receive(sent.manifest(3)).unwrap();
    while part.progress().file < 2 {
        step(&sent, &mut part);
    }
    drop(part);
    std::fs::remove_file(other_folder.path().join("incoming/files").join(&sent.files()[0].name)).unwrap();
    assert_eq!(other.receive(sent.manifest(3)).unwrap().progress(), StatePlace::default());
    std::fs::write(other_folder.path().join("incoming/manifest"), b"harmed").unwrap();
    assert_eq!(other.incoming(), Some(Bytes::new()));
    other.forget_incoming().unwrap();
    assert_eq!(other.incoming(), None);
    assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"]);
    other.install(receive(&sent, &other)).unwrap();
    assert_eq!(content(&other), content(&state));
}

#[test]
fn a_damaged_file_is_named_and_nothing_of_the_transfer_is_left() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let before = content(&other);
    let sent = state.snapshot_files().unwrap();
    let harms: [fn(&Path); 4] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, [&std::fs::read(path).unwrap()[..], b"x"].concat()).unwrap(),
        |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(path, bytes).unwrap();
        },
    ];
    for (file, harm) in sent.files().iter().filter(|file| file.len > 0).flat_map(|file| harms.map(|harm| (file, harm)))
    {
        let mut part = other.receive(sent.manifest(1)).unwrap();
        while step(&sent, &mut part) {}
        harm(&other_folder.path().join("incoming/files").join(&file.name));
        let error = part.finish().unwrap_err();
        assert!(matches!(error, StoreError::BadState(_)) && error.to_string().contains(&file.name), "{error}");
        assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"]);
    }
    assert_eq!(content(&other), before);
    other.install(receive(&sent, &other)).unwrap();
}

#[test]
fn files_that_are_no_database_are_refused_though_their_hashes_are_right() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let before = content(&other);
    let sent = state.snapshot_files().unwrap();
    let good = sent.manifest(1);
    for missing in ["CURRENT", "MANIFEST", ".sst"] {
        let mut manifest = good.clone();
        manifest.files.retain(|file| !file.name.contains(missing));
        let mut part = other.receive(manifest.clone()).unwrap();
        for (number, file) in (0..).zip(&manifest.files) {
            let bytes = std::fs::read(sent_path(folder.path(), &file.name)).unwrap();
            part.write(part.progress(), &bytes).unwrap();
            part.end_file(number, blake3::hash(&bytes).into()).unwrap();
        }
        let error = part.finish().unwrap_err();
        assert!(error.is_damage(), "{missing}: {error}");
        assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"], "{missing}");
    }
    // Nor is a state that stands elsewhere than was announced.
    for manifest in
        [StateManifest { applied: None, ..good.clone() }, StateManifest { head: other.head(), ..good.clone() }]
    {
        let mut part = other.receive(manifest).unwrap();
        while step(&sent, &mut part) {}
        assert!(matches!(part.finish(), Err(StoreError::BadState(_))));
        assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"]);
    }
    assert_eq!(content(&other), before);
}

fn sent_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("state-2/checkpoint").join(name)
}

#[test]
fn what_cannot_be_received_is_refused_before_anything_is_written() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let sent = state.snapshot_files().unwrap();
    let with = |name: &str, len| {
        let mut manifest = sent.manifest(1);
        manifest.files.push(StateFile { name: name.to_owned(), len });
        manifest
    };
    for name in ["../../current", "/etc/passwd", "LOCK", "sub/000001.sst", "CURRENT", ""] {
        assert!(matches!(other.receive(with(name, 1)), Err(StoreError::BadState(_))), "{name:?}");
    }
    let many = (0..=MAX_STATE_FILES).map(|number| StateFile { name: format!("{number}.sst"), len: 1 }).collect();
    assert!(other.receive(StateManifest { files: many, ..sent.manifest(1) }).is_err());
    assert!(matches!(other.receive(with("999999.sst", u64::MAX)), Err(StoreError::BadState(_))));
    assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"]);
    let error = other.receive(with("999999.sst", 1 << 60)).unwrap_err();
    let StoreError::NoRoom { path, needed, free } = &error else { panic!("{error}") };
    assert!(*needed > 1 << 60 && free < needed, "{error}");
    let text = error.to_string();
    assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"]);
    assert!(text.contains(&path.display().to_string()) && text.contains(&needed.to_string()), "{text}");
}

#[test]
fn a_state_that_lacks_files_does_not_open_as_another_one() {
    let folder = tempfile::tempdir().unwrap();
    drop(full(folder.path()));
    for name in names(&folder.path().join("state-1")) {
        if !crate::state_files::is_database_file(&name) || name.starts_with("OPTIONS") || name.ends_with(".log") {
            continue;
        }
        let copied = tempfile::tempdir().unwrap();
        copy(folder.path(), copied.path());
        std::fs::remove_file(copied.path().join("state-1").join(&name)).unwrap();
        let metrics = StoreMetrics::register(&Registry::new()).unwrap();
        let error = StateStore::open(copied.path(), &StateOptions::default(), metrics).unwrap_err();
        assert!(error.is_damage(), "{name}: {error}");
    }
}

#[test]
fn a_piece_that_does_not_follow_is_refused() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (state, other) = (full(folder.path()), other(other_folder.path()));
    let sent = state.snapshot_files().unwrap();
    let mut part = other.receive(sent.manifest(1)).unwrap();
    let len = sent.files()[0].len;
    part.write(StatePlace { file: 0, offset: 0 }, &sent.read(0, 0, 2).unwrap()).unwrap();
    for (file, offset, bytes) in [(0, 0, 1), (0, 1, 1), (0, 3, 1), (1, 0, 1), (1, 2, 1), (0, 2, len)] {
        let bytes = vec![0; usize::try_from(bytes).unwrap()];
        assert!(part.write(StatePlace { file, offset }, &bytes).is_err(), "{file} {offset}");
    }
    assert!(part.end_file(0, [0; 32]).is_err() && part.end_file(1, [0; 32]).is_err());
    assert_eq!(part.progress(), StatePlace { file: 0, offset: 2 });
    assert!(sent.read(99, 0, 1).is_err() && sent.hash(99).is_err());
    assert!(matches!(part.finish(), Err(StoreError::BadState(_))), "nothing is whole");
    // A state that was received here is installed here.
    let received = receive(&sent, &other);
    assert!(matches!(state.install(received), Err(StoreError::BadState(_))));
    assert_eq!(names(other_folder.path()), ["current", "lock", "state-1"]);
}
