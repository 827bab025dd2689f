//! Snapshots as table files, from the state of a core into the copy of an edge, over real disks.

use std::path::{Path, PathBuf};

use zonecast_kv_proto::{
    BatchSource as _, KeyspaceId, OfferedTables, Position, RestoreId, SectionId, SignedManifest, TableCourse,
    TableFile, TableManifest, TablePiece, TableSource as _, Version,
};

use crate::edge_tables::TablesLoad;
use crate::state_tables::StateTables;
use crate::state_tests::{NOTES, ZONE, apply, command, entries, founded, one, open, open_with, put};
use crate::{EdgeOptions, EdgeStore, StateStore, StoreError};

pub(crate) const SMALL: EdgeOptions =
    EdgeOptions { cache_bytes: 8 << 20, write_buffer_bytes: 1 << 20, batch_log_bytes: 0 };
/// A table file holds no less than one block.
pub(crate) const FILE: u64 = 1;
const PRIVATE: &[u8] = b"known to cores alone";
const PUBLIC: &[u8] = b"known to everybody";

/// Bytes that LZ4 leaves as they are.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// A state with some 400 KiB in it, in several table files.
pub(crate) fn filled(folder: &Path) -> StateStore {
    let state = founded(folder);
    for number in 0..20_u8 {
        apply(&state, &[command(&one(ZONE, put(ZONE, &[number], &noise(number.into(), 20_000))))]);
    }
    apply(&state, &[command(&one(NOTES, put(NOTES, b"secret", PRIVATE)))]);
    apply(&state, &[command(&one(ZONE, put(ZONE, b"last", PUBLIC)))]);
    state
}

pub(crate) fn equal(edge: &EdgeStore, state: &StateStore) {
    let copy = edge.snapshot().unwrap();
    assert_eq!(copy.position(), Some(state.position()));
    let published = entries(&state.view(), &[], &[0x80, 0]);
    assert!(!published.is_empty() && entries(&copy.view(), &[], &[0xff; 3]) == published);
}

/// As an edge gets it; who has signed it is not for the store.
pub(crate) fn offered(manifest: &TableManifest) -> OfferedTables {
    let bytes = manifest.to_bytes().unwrap();
    let signed = SignedManifest::new(bytes, b"certificate".as_slice().into(), 1, b"signature".as_slice().into());
    OfferedTables { signed, manifest: manifest.clone() }
}

/// Sends up to so many pieces of so many bytes; says how many bytes went, and what came of the last piece.
pub(crate) fn send(
    tables: &StateTables,
    load: &mut TablesLoad<'_>,
    piece: usize,
    most: usize,
) -> (usize, Result<(), StoreError>) {
    let manifest = tables.manifest();
    let mut course = TableCourse::new(manifest.lens(), load.want()).expect("it wants what there is");
    let mut sent = 0;
    for _ in 0..most {
        let Some(place) = course.place() else { break };
        let hash = &manifest.files[usize::try_from(place.file).unwrap()].hash;
        let bytes = tables.read(hash, place.offset, piece).unwrap();
        sent += bytes.len();
        assert!(course.advance(bytes.len()));
        if let Err(error) = load.write(&TablePiece { file: place.file, offset: place.offset, bytes }) {
            return (sent, Err(error));
        }
    }
    (sent, Ok(()))
}

fn total(tables: &StateTables) -> usize {
    usize::try_from(tables.manifest().total_len()).unwrap()
}

fn incoming(edge: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(edge.join("tables-incoming")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn folders() -> [tempfile::TempDir; 2] {
    [(); 2].map(|()| tempfile::tempdir().unwrap())
}

#[test]
fn a_copy_of_table_files_is_what_is_published_and_goes_on_from_there() {
    let [core, edge] = folders();
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let TableManifest { position, entries: count, files } = tables.manifest().clone();
    assert_eq!((position, count), (state.position(), 21));
    assert!(files.len() > 5, "{} files", files.len());
    assert_eq!(TableManifest::from_bytes(&tables.manifest().to_bytes().unwrap()).unwrap(), *tables.manifest());

    let store = EdgeStore::open(edge.path(), SMALL).unwrap();
    let mut load = store.begin_tables(offered(tables.manifest())).unwrap();
    let (sent, written) = send(&tables, &mut load, 4096, usize::MAX);
    written.unwrap();
    assert_eq!(sent, total(&tables));
    load.finish(&position).unwrap();
    equal(&store, &state);
    assert!(!store.keeps_tables() && incoming(edge.path()).is_empty(), "they were moved");

    // It goes on with versions, and a restart changes nothing.
    apply(&state, &[command(&one(ZONE, put(ZONE, b"more", PUBLIC)))]);
    let versions = state.read_after(position.version, 1 << 20).unwrap().unwrap();
    let versions: Vec<_> =
        versions.iter().map(|bytes| zonecast_kv_proto::Published::from_bytes(bytes).unwrap()).collect();
    store.apply(&versions.into_iter().map(Into::into).collect::<Vec<_>>()).unwrap();
    drop(store);
    equal(&EdgeStore::open(edge.path(), SMALL).unwrap(), &state);
}

#[test]
fn an_empty_store_is_a_snapshot_without_files() {
    let [core, edge] = folders();
    let state = founded(core.path());
    let tables = state.write_tables(FILE).unwrap();
    assert_eq!((tables.manifest().entries, tables.manifest().files.len()), (0, 0));
    let store = EdgeStore::open(edge.path(), SMALL).unwrap();
    let load = store.begin_tables(offered(tables.manifest())).unwrap();
    load.finish(&state.position()).unwrap();
    assert_eq!(store.snapshot().unwrap().position(), Some(state.position()));
    assert!(entries(&store.snapshot().unwrap().view(), &[], &[0xff; 3]).is_empty());
}

#[test]
fn nothing_private_is_in_a_table_file() {
    let core = tempfile::tempdir().unwrap();
    let state = filled(core.path());
    let tables = state.write_tables(1 << 20).unwrap();
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    let mut files = Vec::new();
    for TableFile { hash, len, .. } in &tables.manifest().files {
        let bytes = tables.read(hash, 0, usize::try_from(*len).unwrap()).unwrap();
        assert_eq!(bytes.len() as u64, *len);
        files.push(bytes);
    }
    // Only of what is found in clear can it be said that it is not there.
    assert!(files.iter().any(|bytes| holds(bytes, PUBLIC)), "the files are not in clear");
    for secret in [PRIVATE, b"secret"] {
        assert!(!files.iter().any(|bytes| holds(bytes, secret)));
    }
    let manifest = tables.manifest().to_bytes().unwrap();
    assert!(!holds(&manifest, b"secret") && !holds(&manifest, PRIVATE));
    let last = &tables.manifest().files.last().unwrap().last;
    assert!(**last < KeyspaceId::CORE.get().to_be_bytes()[..]);
}

#[test]
fn files_go_with_their_last_user_and_what_a_crash_leaves_goes_at_the_next_start() {
    let core = tempfile::tempdir().unwrap();
    let state = filled(core.path());
    let count = || {
        let names = std::fs::read_dir(core.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("state-")).count()
    };
    let tables = state.write_tables(FILE).unwrap();
    assert_eq!(count(), 2);
    drop(tables);
    assert_eq!(count(), 1);
    drop(state);
    let left = core.path().join("state-9/tables");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("unnamed"), b"half of a file").unwrap();
    drop(open(core.path()));
    assert_eq!(count(), 1);
}

#[test]
fn a_transfer_that_is_cut_anywhere_goes_on_where_it_was() {
    let [core, edge] = folders();
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let mut all = 0;
    for connection in 0.. {
        // Every other time the process ends, too.
        let store = EdgeStore::open(edge.path(), SMALL).unwrap();
        for _ in 0..2 {
            let mut load = store.begin_tables(offered(tables.manifest())).unwrap();
            let (sent, written) = send(&tables, &mut load, 7_001, 2);
            written.unwrap();
            all += sent;
            if sent == 0 {
                load.finish(&state.position()).unwrap();
                assert_eq!(all, total(&tables), "nothing came twice");
                assert!(connection > 10);
                return equal(&store, &state);
            }
        }
        assert!(store.keeps_tables());
    }
}

#[test]
fn a_kept_file_that_is_damaged_is_fetched_again_and_no_other() {
    let [core, edge] = folders();
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = EdgeStore::open(edge.path(), SMALL).unwrap();
    let mut load = store.begin_tables(offered(tables.manifest())).unwrap();
    send(&tables, &mut load, 1 << 20, usize::MAX).1.unwrap();
    drop(load);
    let [victim, longer] = [2, 4].map(|at: usize| incoming(edge.path()).remove(at));
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&victim, &bytes).unwrap();
    let lost = std::fs::metadata(&longer).unwrap().len() + bytes.len() as u64;
    std::fs::write(&longer, [std::fs::read(&longer).unwrap(), vec![0]].concat()).unwrap();

    let mut load = store.begin_tables(offered(tables.manifest())).unwrap();
    let (sent, written) = send(&tables, &mut load, 1 << 20, usize::MAX);
    written.unwrap();
    assert_eq!(sent as u64, lost);
    load.finish(&state.position()).unwrap();
    equal(&store, &state);
}

#[test]
fn a_file_that_comes_with_a_wrong_hash_is_named_dropped_and_fetched_again() {
    let [core, edge] = folders();
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = EdgeStore::open(edge.path(), SMALL).unwrap();
    let manifest = tables.manifest();
    let mut load = store.begin_tables(offered(manifest)).unwrap();
    let mut whole = tables.read(&manifest.files[0].hash, 0, 1 << 20).unwrap().to_vec();
    let piece = |bytes: &[u8]| TablePiece { file: 0, offset: 0, bytes: bytes.to_vec().into() };
    whole[5] ^= 1;
    let error = load.write(&piece(&whole)).unwrap_err();
    assert!(matches!(&error, StoreError::BadTables(what) if what.contains("file 0")), "{error}");
    assert_eq!(store.position(), None);

    // The beginning of it is wrong, and that shows at its end.
    let mut load = store.begin_tables(offered(manifest)).unwrap();
    load.write(&piece(&whole[..1000])).unwrap();
    drop(load);
    let mut load = store.begin_tables(offered(manifest)).unwrap();
    assert_eq!(load.want().offset, 1000);
    assert!(matches!(send(&tables, &mut load, 1 << 20, usize::MAX).1, Err(StoreError::BadTables(_))));
    let mut load = store.begin_tables(offered(manifest)).unwrap();
    assert_eq!(load.want().offset, 0);
    send(&tables, &mut load, 1 << 20, usize::MAX).1.unwrap();
    load.finish(&state.position()).unwrap();
    equal(&store, &state);
}

#[test]
fn files_that_do_not_hold_what_their_manifest_says_become_no_copy() {
    let [core, edge] = folders();
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = EdgeStore::open(edge.path(), SMALL).unwrap();
    let changes: [fn(&mut TableManifest); 2] =
        [|manifest| manifest.entries += 1, |manifest| manifest.files[1].first = vec![0, 1, 0, 7].into()];
    for change in changes {
        let mut manifest = tables.manifest().clone();
        change(&mut manifest);
        let mut load = store.begin_tables(offered(&manifest)).unwrap();
        send(&tables, &mut load, 1 << 20, usize::MAX).1.unwrap();
        let refused = load.finish(&state.position());
        assert!(matches!(refused, Err(StoreError::BadTables(_))), "{refused:?}");
        assert_eq!((store.position(), store.keeps_tables()), (None, false));
    }
}

#[test]
fn another_snapshot_begins_anew_and_nobody_begins_one_that_has_no_room() {
    let [core, edge] = folders();
    let state = filled(core.path());
    let [first, second] = [(); 2].map(|()| state.write_tables(FILE).unwrap());
    let store = EdgeStore::open(edge.path(), SMALL).unwrap();
    let mut load = store.begin_tables(offered(first.manifest())).unwrap();
    send(&first, &mut load, 1 << 20, 5).1.unwrap();
    drop(load);
    let mut load = store.begin_tables(offered(second.manifest())).unwrap();
    assert_eq!(send(&second, &mut load, 1 << 20, usize::MAX).0, total(&second));
    assert_eq!(incoming(edge.path()).len(), second.manifest().files.len());
    drop(load);
    store.forget_tables().unwrap();
    assert!(!store.keeps_tables());

    let mut huge = second.manifest().clone();
    huge.files[0].len = u64::MAX / 2;
    let refused = store.begin_tables(offered(&huge)).err();
    assert!(matches!(refused, Some(StoreError::NoRoom { .. })), "{refused:?}");
}

#[test]
fn a_snapshot_is_recent_while_the_batch_log_goes_on_from_it_and_not_too_far() {
    let core = tempfile::tempdir().unwrap();
    let state = open_with(core.path(), 32_000);
    apply(&state, &[zonecast_kv_proto::Command::Found { store: zonecast_kv_proto::StoreId::new(7) }]);
    let write = |number: u8| apply(&state, &[command(&one(ZONE, put(ZONE, &[number], &[7; 900])))]);
    write(0);
    let position = state.position();
    let files = |position: &Position| TableManifest { position: *position, entries: 0, files: vec![] };
    let is_recent = |position: &Position| state.is_recent(&files(position)).unwrap();
    assert!(is_recent(&position));
    let other = Position { chain: zonecast_kv_proto::Chain::origin(zonecast_kv_proto::StoreId::new(8)), ..position };
    assert!(!is_recent(&other) && !is_recent(&Position { version: Version::new(9), ..position }));
    (0..10).for_each(|number| drop(write(number)));
    assert!(is_recent(&position));
    (0..10).for_each(|number| drop(write(number)));
    assert!(!is_recent(&position), "more than half of the log follows");
    (0..40).for_each(|number| drop(write(number)));
    assert!(!is_recent(&position) && is_recent(&state.position()), "it is trimmed");
    let before = state.position();
    apply(
        &state,
        &[zonecast_kv_proto::Command::Fork {
            time_us: 1,
            epoch: zonecast_kv_proto::Epoch::new(5),
            restore: RestoreId::new(1),
        }],
    );
    assert!(!is_recent(&before), "who stands in an earlier epoch is sent away");
}

#[test]
fn small_files_with_much_of_the_log_behind_them_are_not_recent() {
    let core = tempfile::tempdir().unwrap();
    let state = founded(core.path());
    let tables = state.write_tables(FILE).unwrap();
    assert!(state.is_recent(tables.manifest()).unwrap());
    let mib = 1 << 20;
    let write =
        |number: u8| apply(&state, &[command(&one(ZONE, put(ZONE, &[number], &noise(number.into(), mib - 200))))]);
    (0..8).for_each(|number| drop(write(number)));
    assert!(state.is_recent(tables.manifest()).unwrap());
    write(8);
    assert!(!state.is_recent(tables.manifest()).unwrap());
    let large =
        TableManifest { position: tables.manifest().position, ..state.write_tables(FILE).unwrap().manifest().clone() };
    assert!(state.is_recent(&large).unwrap());
}

#[test]
fn a_section_beside_dns_is_in_the_files_too() {
    let core = tempfile::tempdir().unwrap();
    let state = filled(core.path());
    let beside = SectionId { keyspace: KeyspaceId::new(0x4000), partition: 0 };
    apply(&state, &[command(&one(beside, put(beside, b"k", b"v")))]);
    let tables = state.write_tables(FILE).unwrap();
    assert_eq!(tables.manifest().files.last().unwrap().last, [&[0x40, 0][..], b"k"].concat());
}
