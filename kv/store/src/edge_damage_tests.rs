//! Every file of a copy, damaged in every way: never a wrong answer, and a new copy takes its place.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use zonecast_kv_proto::{
    Batch, Key, KeyspaceId, MemoryView, Op, Position, Published, Section, SectionId, StoreId, Value, View, ViewError,
    encode_entries,
};

use crate::{EdgeOptions, EdgeSnapshot, EdgeStore};

const SMALL: EdgeOptions = EdgeOptions { cache_bytes: 8 << 20, write_buffer_bytes: 1 << 20, batch_log_bytes: 0 };

/// What disks and people do to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Remove,
    Empty,
    Halve,
    Zero,
    ZeroMiddle,
}

const HARMS: [Harm; 5] = [Harm::Remove, Harm::Empty, Harm::Halve, Harm::Zero, Harm::ZeroMiddle];

impl Harm {
    fn to(self, path: &Path) {
        let length = std::fs::metadata(path).unwrap().len();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let zero = |from: u64, to: u64| {
            let mut file = &file;
            file.seek(SeekFrom::Start(from)).unwrap();
            file.write_all(&vec![0; usize::try_from(to - from).unwrap()]).unwrap();
        };
        match self {
            Self::Remove => std::fs::remove_file(path).unwrap(),
            Self::Empty => file.set_len(0).unwrap(),
            Self::Halve => file.set_len(length / 2).unwrap(),
            Self::Zero => zero(0, length),
            Self::ZeroMiddle => zero(length / 2, (length / 2 + 200).min(length)),
        }
    }
}

/// What the copy holds at every position that it ever stood at.
struct Written {
    states: BTreeMap<u64, MemoryView>,
    last: Position,
}

fn value(byte: u8) -> Vec<u8> {
    // Does not compress to nothing.
    (0..2000_u32).map(|at| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24).unwrap() ^ byte).collect()
}

fn snapshot_of(byte: u8) -> MemoryView {
    let mut data = MemoryView::new();
    (0..200).for_each(|key| data.insert(&[0, 1, key], &value(key ^ byte)));
    data
}

fn load(store: &EdgeStore, data: &MemoryView, position: &Position) {
    let mut load = store.begin_snapshot(None).unwrap();
    for (key, value) in data.entries() {
        load.add(&encode_entries(&[(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value))])).unwrap();
    }
    load.finish(position).unwrap();
}

fn apply(store: &EdgeStore, model: &mut MemoryView, byte: u8) -> Position {
    let key = Key::new([0, 1, byte].to_vec()).unwrap();
    let ops = vec![Op::Put { key, value: Value::new(value(!byte)).unwrap() }];
    let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
    let batch = Batch { preconditions: Vec::new(), sections: vec![Section { id, ops }] };
    let before = store.position().unwrap();
    let published = Published::after(&before, 0, batch.encode().unwrap().sections).unwrap();
    model.apply(&batch);
    store.apply(&[published.into()]).unwrap()
}

/// A copy with table files of a snapshot and of versions, and a log with more of these.
fn write(folder: &Path) -> Written {
    let mut model = snapshot_of(0);
    let origin = Position::origin(StoreId::new(9));
    let mut written = Written { states: BTreeMap::from([(0, model.clone())]), last: origin };
    load(&EdgeStore::open(folder, SMALL).unwrap(), &model, &origin);
    for round in 0..3_u8 {
        // What the log holds becomes table files when it is opened again.
        let store = EdgeStore::open(folder, SMALL).unwrap();
        for byte in 0..10 {
            written.last = apply(&store, &mut model, round * 10 + byte);
            written.states.insert(written.last.version.get(), model.clone());
        }
        store.sync().unwrap();
    }
    written
}

/// As a version leaves the copy, each of which wrote one key.
fn numbered(version: u64) -> MemoryView {
    let mut data = snapshot_of(0);
    for number in version.saturating_sub(199).max(1)..=version {
        let Op::Put { key, value } = write_of(number) else { panic!("a put") };
        data.insert(key.as_bytes(), value.as_bytes());
    }
    data
}

fn write_of(version: u64) -> Op {
    let byte = u8::try_from(version % 200).unwrap();
    let value = [&value(byte)[..], &version.to_be_bytes()].concat();
    Op::Put { key: Key::new([0, 1, byte].to_vec()).unwrap(), value: Value::new(value).unwrap() }
}

/// Writes versions of a session after those that are there, over several table files; where they led.
fn write_many(folder: &Path, positions: &mut Vec<Position>) {
    let store = EdgeStore::open(folder, SMALL).unwrap();
    for _ in 0..2_500 {
        let before = store.position().unwrap();
        let ops = vec![write_of(before.version.get() + 1)];
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let batch = Batch { preconditions: Vec::new(), sections: vec![Section { id, ops }] };
        let published = Published::after(&before, 0, batch.encode().unwrap().sections).unwrap();
        positions.push(store.apply(&[published.into()]).unwrap());
    }
    store.sync().unwrap();
}

/// Where the records of a manifest end: blocks of 32 KiB with records of checksum, length, kind and data.
fn record_ends(bytes: &[u8]) -> Vec<usize> {
    const BLOCK: usize = 32 * 1024;
    let (mut ends, mut at) = (vec![0], 0);
    while at < bytes.len() {
        let left = BLOCK - at % BLOCK;
        if left < 7 {
            at += left;
            continue;
        }
        let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let is_end = matches!(bytes[at + 6], 1 | 4);
        at += 7 + length;
        ends.extend(is_end.then_some(at));
    }
    assert_eq!(ends.last(), Some(&bytes.len()));
    ends
}

/// RocksDB reads such a manifest as one that was just written; what tables it lacks were in no log any more.
#[test]
fn a_manifest_that_lost_its_last_records_leads_to_a_version_or_to_none() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("good");
    let origin = Position::origin(StoreId::new(9));
    load(&EdgeStore::open(&good, SMALL).unwrap(), &snapshot_of(0), &origin);
    let mut positions = vec![origin];
    let (mut cuts, mut older, mut noticed) = (0, 0, 0);
    // As the snapshot left it, and what two processes made of it.
    for session in 0..3 {
        if session > 0 {
            write_many(&good, &mut positions);
        }
        let manifest = files(&good).into_iter().find(|path| path.to_string_lossy().contains("/MANIFEST-")).unwrap();
        for end in record_ends(&std::fs::read(&manifest).unwrap()) {
            let (folder, case) = (home.path().join("cut"), format!("session {session}, {end} bytes"));
            copy(&good, &folder);
            let cut = folder.join(manifest.strip_prefix(&good).unwrap());
            OpenOptions::new().write(true).open(&cut).unwrap().set_len(end as u64).unwrap();
            let store = EdgeStore::open(&folder, SMALL).unwrap_or_else(|error| panic!("{case}: {error}"));
            match store.position() {
                Some(position) => {
                    let version = position.version.get();
                    assert_eq!(positions.get(usize::try_from(version).unwrap()), Some(&position), "{case}");
                    let content = content(&store.snapshot().unwrap()).unwrap();
                    assert!(content == numbered(version), "{case}: at {position}");
                    older += u32::from(Some(&position) != positions.last());
                }
                None => noticed += 1,
            }
            cuts += 1;
            drop(store);
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
    println!("{cuts} cuts: {older} led to an older version, {noticed} to none");
    assert!(cuts > 20 && noticed > 5, "{cuts} cuts, {noticed} noticed");
}

fn content(snapshot: &EdgeSnapshot) -> Result<MemoryView, ViewError> {
    let mut data = MemoryView::new();
    let visit = &mut |key: &[u8], value: &[u8]| {
        data.insert(key, value);
        ControlFlow::Continue(())
    };
    snapshot.view().scan(&[], &[0xff; 3], visit)?;
    let mut found = Vec::new();
    for key in 0..200 {
        assert!(snapshot.view().get(&[0, 1, key], &mut found)?, "key {key} is gone");
    }
    Ok(data)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(self::files(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, &target).unwrap();
    }
}

#[test]
fn whatever_is_damaged_a_copy_answers_rightly_or_says_so_and_a_new_one_takes_its_place() {
    let home = tempfile::tempdir().unwrap();
    let good = home.path().join("good");
    let written = write(&good);
    let names: Vec<String> =
        files(&good).iter().map(|path| path.strip_prefix(&good).unwrap().display().to_string()).collect();
    for kind in ["current", "/CURRENT", "/MANIFEST-", ".sst", ".log"] {
        assert!(names.iter().any(|name| name.contains(kind)), "no {kind} among {names:?}");
    }
    let mut repaired = 0;
    for (number, name) in names.iter().enumerate() {
        for harm in HARMS {
            let folder = home.path().join(format!("{number}-{harm:?}"));
            copy(&good, &folder);
            harm.to(&folder.join(name));
            let case = format!("{name} {harm:?}");
            let store = EdgeStore::open(&folder, SMALL).unwrap_or_else(|error| panic!("{case}: {error}"));
            if let Some(position) = store.position() {
                match content(&store.snapshot().unwrap()) {
                    Ok(content) => {
                        assert!(written.states.get(&position.version.get()) == Some(&content), "{case}: at {position}");
                    }
                    Err(_) => assert!(store.damage().is_some() && store.read_errors().0 > 0, "{case}"),
                }
            }
            repaired += u32::from(store.damage().is_some());
            let mut fresh = snapshot_of(77);
            load(&store, &fresh, &written.last);
            assert_eq!(store.damage(), None, "{case}");
            let position = apply(&store, &mut fresh, 5);
            assert!(content(&store.snapshot().unwrap()).unwrap() == fresh, "{case}");
            drop(store);
            let store = EdgeStore::open(&folder, SMALL).unwrap();
            assert_eq!((store.position(), store.damage()), (Some(position), None), "{case}");
            drop(store);
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
    assert!(repaired > 10, "only {repaired} were noticed: nothing was tried");
}

#[test]
fn what_keeps_a_file_from_being_read_is_no_damage_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let written = write(folder.path());
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    assert!(matches!(EdgeStore::open(folder.path(), SMALL), Err(crate::StoreError::Locked { .. })));
    std::fs::write(folder.path().join("current"), "junk").unwrap();
    let second = EdgeStore::open(folder.path(), SMALL);
    assert!(matches!(second, Err(crate::StoreError::Locked { .. })), "nor may it be given up by another process");
    assert!(content(&store.snapshot().unwrap()).unwrap() == written.states[&written.last.version.get()]);
}
