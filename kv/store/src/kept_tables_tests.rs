//! Table files that a relay keeps, over real disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zonecast_kv_proto::{
    BatchSource as _, Published, TableCourse, TableHash, TablePiece, TablePlace, TableSource, TablesWant,
};

use crate::state_tables::StateTables;
use crate::state_tests::{ZONE, apply, command, one, put};
use crate::table_tests::{FILE, SMALL, equal, filled, noise, offered, send};
use crate::{EdgeOptions, EdgeSource, EdgeStore, StateStore, StoreError, TablesFetch};

const LOG: u64 = 64_000;
const RELAY: EdgeOptions = EdgeOptions { batch_log_bytes: LOG, ..SMALL };

fn load(store: &EdgeStore, tables: &StateTables) {
    let mut load = store.begin_tables(offered(tables.manifest())).unwrap();
    send(tables, &mut load, 1 << 20, usize::MAX).1.unwrap();
    load.finish(&tables.manifest().position).unwrap();
}

/// A relay that has loaded a snapshot.
fn relay(folder: &Path, tables: &StateTables) -> Arc<EdgeStore> {
    let store = Arc::new(EdgeStore::open(folder, RELAY).unwrap());
    load(&store, tables);
    store
}

fn kept(store: &Arc<EdgeStore>) -> Option<Box<dyn TableSource>> {
    EdgeSource::new(Arc::clone(store)).unwrap().kept_tables().unwrap()
}

fn sets(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder.join("tables")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    paths
}

/// One more version at the core and at the relay.
fn follow(state: &StateStore, store: &EdgeStore, seed: u64) {
    let before = state.position().version;
    apply(state, &[command(&one(ZONE, put(ZONE, b"more", &noise(seed, 3000))))]);
    let versions = state.read_after(before, 1 << 20).unwrap().unwrap();
    let versions: Vec<_> = versions.iter().map(|bytes| Published::from_bytes(bytes).unwrap().into()).collect();
    store.apply(&versions).unwrap();
}

fn same_bytes(kept: &dyn TableSource, tables: &StateTables) {
    assert_eq!(kept.manifest(), tables.manifest());
    assert_eq!(*kept.signed().unwrap(), offered(tables.manifest()).signed);
    for file in &tables.manifest().files {
        let bytes = kept.read(&file.hash, 0, 1 << 20).unwrap();
        assert_eq!(TableHash::new(blake3::hash(&bytes).into()), file.hash, "RocksDB has changed it");
    }
}

#[test]
fn a_relay_keeps_the_files_as_they_came_and_an_edge_takes_them_while_the_log_goes_on_from_there() {
    let [core, relay_folder, edge] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = relay(relay_folder.path(), &tables);
    same_bytes(&*kept(&store).unwrap(), &tables);
    (0..5).for_each(|seed| follow(&state, &store, seed));
    let given = kept(&store).unwrap();

    let copy = EdgeStore::open(edge.path(), SMALL).unwrap();
    load(&copy, &tables);
    let source = EdgeSource::new(Arc::clone(&store)).unwrap();
    let versions = source.read_after(given.manifest().position.version, 1 << 20).unwrap().unwrap();
    let versions: Vec<_> = versions.iter().map(|bytes| Published::from_bytes(bytes).unwrap().into()).collect();
    copy.apply(&versions).unwrap();
    equal(&copy, &state);
    assert_eq!(sets(edge.path()), Vec::<PathBuf>::new(), "nobody follows an edge");

    // Beyond the log, and gone when its last reader is.
    (0..30).for_each(|seed| follow(&state, &store, seed));
    assert!(kept(&store).is_none() && !source.is_recent(given.manifest()).unwrap());
    source.tidy();
    assert_eq!(sets(relay_folder.path()).len(), 1, "it is still read");
    same_bytes(&*given, &tables);
    drop(given);
    assert_eq!(sets(relay_folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn what_still_connects_is_not_tidied_away_and_the_next_set_replaces_the_one_before() {
    let [core, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = relay(folder.path(), &tables);
    follow(&state, &store, 1);
    EdgeSource::new(Arc::clone(&store)).unwrap().tidy();
    assert_eq!(sets(folder.path()).len(), 1);
    let second = state.write_tables(FILE).unwrap();
    load(&store, &second);
    same_bytes(&*kept(&store).unwrap(), &second);
    assert_eq!(sets(folder.path()).len(), 1);
}

#[test]
fn a_restart_keeps_a_whole_set_and_a_damaged_one_is_given_to_nobody() {
    let [core, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    drop(relay(folder.path(), &tables));
    let open = || Arc::new(EdgeStore::open(folder.path(), RELAY).unwrap());
    let store = open();
    same_bytes(&*kept(&store).unwrap(), &tables);
    drop(store);

    let file = std::fs::read_dir(&sets(folder.path())[0]).unwrap().map(|entry| entry.unwrap().path());
    let victim = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "sst")).unwrap();
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[100] ^= 1;
    // Not in the file of the copy, which is the same.
    std::fs::remove_file(&victim).unwrap();
    std::fs::write(&victim, bytes).unwrap();
    let store = open();
    assert!(kept(&store).is_none());
    assert_eq!(sets(folder.path()), Vec::<PathBuf>::new());
    drop(store);

    // What a crash has left is swept, and a manifest that makes no sense is no set.
    for content in [None, Some("nonsense")] {
        let left = folder.path().join("tables/set-9");
        std::fs::create_dir_all(&left).unwrap();
        if let Some(content) = content {
            std::fs::write(left.join("manifest"), content).unwrap();
            std::fs::write(folder.path().join("tables/current"), "set-9\n").unwrap();
        }
        let store = open();
        assert!(kept(&store).is_none());
        assert_eq!(sets(folder.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_log_that_was_not_kept_in_between_leads_nowhere() {
    let [core, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    drop(relay(folder.path(), &tables));
    // It was no relay for a version, and removed the set; somebody has put it back.
    let beside = folder.path().join("beside");
    std::fs::rename(folder.path().join("tables"), &beside).unwrap();
    let store = EdgeStore::open(folder.path(), SMALL).unwrap();
    follow(&state, &store, 1);
    drop(store);
    std::fs::rename(&beside, folder.path().join("tables")).unwrap();
    let store = Arc::new(EdgeStore::open(folder.path(), RELAY).unwrap());
    assert!(kept(&store).is_none(), "the version after it is nowhere");
    follow(&state, &store, 2);
    assert!(kept(&store).is_none());
    assert!(!EdgeSource::new(store).unwrap().is_recent(tables.manifest()).unwrap());
}

/// As the fetching of a relay does it, up to so many pieces.
fn fetch(store: &Arc<EdgeStore>, tables: &StateTables, most: usize) -> TablesFetch {
    let mut fetch = store.fetch_tables(offered(tables.manifest())).unwrap().unwrap();
    let mut course = TableCourse::new(tables.manifest().lens(), fetch.want()).unwrap();
    for _ in 0..most {
        let Some(TablePlace { file, offset }) = course.place() else { break };
        let hash = &tables.manifest().files[usize::try_from(file).unwrap()].hash;
        let bytes = tables.read(hash, offset, 1 << 16).unwrap();
        assert!(course.advance(bytes.len()));
        fetch.write(&TablePiece { file, offset, bytes }).unwrap();
    }
    fetch
}

#[test]
fn files_that_are_fetched_replace_those_that_were_kept_and_the_copy_stays_as_it_is() {
    let [core, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let store = relay(folder.path(), &state.write_tables(FILE).unwrap());
    follow(&state, &store, 1);
    let tables = state.write_tables(FILE).unwrap();
    drop(fetch(&store, &tables, 3));
    let rest = fetch(&store, &tables, usize::MAX);
    assert!(rest.want().offset == 0 && rest.want() != TablesWant::all(tables.manifest().files.len()));
    assert_ne!(kept(&store).unwrap().manifest(), tables.manifest());
    rest.finish().unwrap();
    same_bytes(&*kept(&store).unwrap(), &tables);
    assert_eq!((sets(folder.path()).len(), store.position()), (1, Some(state.position())));
    drop(store);
    let store = Arc::new(EdgeStore::open(folder.path(), RELAY).unwrap());
    same_bytes(&*kept(&store).unwrap(), &tables);
    let edge = EdgeStore::open(core.path().join("edge").as_path(), SMALL).unwrap();
    assert!(Arc::new(edge).fetch_tables(offered(tables.manifest())).unwrap().is_none(), "nobody follows an edge");
}

#[test]
fn parts_with_which_nobody_goes_on_are_removed_after_a_while() {
    let [core, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = relay(folder.path(), &tables);
    let source = EdgeSource::new(Arc::clone(&store)).unwrap();
    let part = fetch(&store, &tables, 3);
    let incoming = folder.path().join("tables/incoming");
    let make_old = || {
        let old = std::time::SystemTime::now() - std::time::Duration::from_mins(11);
        let files = std::fs::read_dir(&incoming).unwrap().map(|file| file.unwrap().path());
        files.chain([incoming.clone()]).for_each(|path| std::fs::File::open(path).unwrap().set_modified(old).unwrap());
    };
    make_old();
    source.tidy();
    assert!(incoming.exists(), "it is under way");
    drop(part);
    drop(fetch(&store, &tables, 1));
    source.tidy();
    assert!(incoming.exists(), "somebody may go on");
    make_old();
    source.tidy();
    assert!(!incoming.exists());
}

#[test]
fn files_that_become_no_copy_are_not_kept() {
    let [core, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let state = filled(core.path());
    let tables = state.write_tables(FILE).unwrap();
    let store = Arc::new(EdgeStore::open(folder.path(), RELAY).unwrap());
    let mut manifest = tables.manifest().clone();
    manifest.entries += 1;
    let mut load = store.begin_tables(offered(&manifest)).unwrap();
    send(&tables, &mut load, 1 << 20, usize::MAX).1.unwrap();
    assert!(matches!(load.finish(&state.position()), Err(StoreError::BadTables(_))));
    assert_eq!((sets(folder.path()), store.position()), (Vec::new(), None));
}
