//! Snapshots as table files: a real store, a real publisher and real edges.

use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use zonecast_kv_proto::{
    Batch, BatchSource, Chain, Command, Commit, Filter, Frame, KeyspaceId, LogPin, MAX_TABLE_PIECE, Section, SectionId,
    SignedManifest, SnapshotSource, SourceError, StoreId, TableCourse, TableHash, TableManifest, TablePiece,
    TableSource,
};
use zonecast_kv_store::{StateOptions, StateStore, StoreMetrics};
use zonecast_kv_transport::{Connection, FrameReceiver, FrameSender};

use super::*;

pub(super) const MIB: u64 = 1024 * 1024;

/// A state in a folder of its own, whose table files are given no further than the test wants.
pub(super) struct Core {
    pub(super) state: StateStore,
    pub(super) gate: Arc<Gate>,
    _folder: tempfile::TempDir,
}

#[derive(Default)]
pub(super) struct Gate {
    /// Bytes of all files together that may be read.
    pub(super) open: Mutex<u64>,
    opened: Condvar,
    pub(super) made: AtomicUsize,
    /// Where each read began, counted over all files.
    pub(super) reads: Mutex<Vec<u64>>,
    /// Reads from here on, one by one, that give a wrong byte.
    pub(super) lies: AtomicUsize,
    /// Nothing can be made.
    is_full: bool,
}

struct GatedTables {
    tables: Box<dyn TableSource>,
    gate: Arc<Gate>,
}

impl Core {
    pub(super) fn new(mebibytes: u8, gate: Gate) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let metrics = StoreMetrics::register(&prometheus::Registry::new()).unwrap();
        let state = StateStore::open(folder.path(), &StateOptions::default(), metrics).unwrap();
        let core = Arc::new(Self { state, gate: Arc::new(gate), _folder: folder });
        core.apply(&Command::Found { store: StoreId::new(5) });
        for number in 0..mebibytes {
            core.write(number, &noise(number, 1 << 19));
            core.write(number | 0x80, &noise(number | 0x80, 1 << 19));
        }
        core
    }

    fn apply(&self, command: &Command) -> Vec<(Bytes, Position)> {
        let mut slice = self.state.apply();
        slice.command(&command.to_bytes()).unwrap();
        slice.commit().unwrap().into_iter().map(|version| (version.bytes, version.position)).collect()
    }

    pub(super) fn write(&self, key: u8, value: &[u8]) -> (Bytes, Position) {
        self.write_in(KeyspaceId::DNS, put(&[key], value)).pop().unwrap()
    }

    pub(super) fn write_in(&self, keyspace: KeyspaceId, op: Op) -> Vec<(Bytes, Position)> {
        let id = SectionId { keyspace, partition: 1 };
        let batch = Batch { preconditions: vec![], sections: vec![Section { id, ops: vec![op] }] };
        let commit = Commit { time_us: 5, batch: batch.encode().unwrap(), once: None };
        self.apply(&Command::Batch(commit))
    }

    pub(super) fn content(&self) -> MemoryView {
        let mut data = MemoryView::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            data.insert(key, value);
            std::ops::ControlFlow::Continue(())
        };
        self.state.view().scan(&[], &[0x80, 0], visit).unwrap();
        data
    }

    pub(super) fn open_to(&self, bytes: u64) {
        *self.gate.open.lock().unwrap() = bytes;
        self.gate.opened.notify_all();
    }
}

impl BatchSource for Core {
    fn position(&self) -> Position {
        self.state.position()
    }

    fn chain_at(&self, version: Version) -> Result<Option<Chain>, SourceError> {
        self.state.chain_at(version)
    }

    fn began(&self) -> Version {
        self.state.began()
    }

    fn read_after(&self, after: Version, max_bytes: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        self.state.read_after(after, max_bytes)
    }

    fn pin(&self, after: Version) -> Box<dyn LogPin> {
        self.state.pin(after)
    }

    fn snapshot(&self, filter: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        self.state.snapshot(filter)
    }

    fn make_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
        self.gate.made.fetch_add(1, Ordering::Relaxed);
        if self.gate.is_full {
            return Err(SourceError("the disk of this test is full".to_owned()));
        }
        let tables = self.state.make_tables()?.expect("it makes some");
        Ok(Some(Box::new(GatedTables { tables, gate: Arc::clone(&self.gate) })))
    }

    fn is_recent(&self, tables: &TableManifest) -> Result<bool, SourceError> {
        self.state.is_recent(tables)
    }
}

impl TableSource for GatedTables {
    fn manifest(&self) -> &TableManifest {
        self.tables.manifest()
    }

    fn read(&self, file: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, SourceError> {
        let before = self.manifest().files.iter().take_while(|one| one.hash != *file).map(|one| one.len);
        let at = before.sum::<u64>() + offset;
        let mut open = self.gate.open.lock().unwrap();
        while *open <= at {
            open = self.gate.opened.wait(open).unwrap();
        }
        let some = usize::try_from(*open - at).unwrap().min(max_bytes);
        drop(open);
        self.gate.reads.lock().unwrap().push(at);
        let bytes = self.tables.read(file, offset, some)?;
        let is_lie = self.gate.lies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lies| lies.checked_sub(1));
        Ok(if is_lie.is_ok() { bytes.iter().map(|byte| byte ^ 1).collect() } else { bytes })
    }
}

/// Bytes that LZ4 leaves as they are.
pub(super) fn noise(seed: u8, bytes: usize) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

pub(super) fn publish(world: &World, core: &Arc<Core>) -> (Publisher, TransportMetrics) {
    let metrics = TransportMetrics::register(&prometheus::Registry::new()).unwrap();
    let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &world.core).unwrap();
    let source = Arc::clone(core) as Arc<dyn BatchSource>;
    (Publisher::start(endpoint, source, PublisherOptions::default(), metrics.clone()), metrics)
}

pub(super) fn everything() -> Gate {
    Gate { open: Mutex::new(u64::MAX), ..Gate::default() }
}

pub(super) fn kept(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join("tables-incoming")).into_iter().flatten().flatten();
    files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
}

/// Waits until so much of a snapshot has come.
pub(super) async fn until_kept(folder: &Path, bytes: u64) {
    let deadline = Instant::now() + PATIENCE;
    while kept(folder) < bytes {
        assert!(Instant::now() < deadline, "{} of {bytes} bytes came", kept(folder));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_cut_at_every_mebibyte_resumes_and_ends_equal_while_changes_go_on() {
    let world = World::new();
    let core = Core::new(6, Gate::default());
    let (publisher, _) = publish(&world, &core);
    let config = world.config("edge-1", &publisher);
    let mut edge = start(config.clone());
    for mebibyte in 1..=6 {
        core.open_to(mebibyte * MIB);
        until_kept(&config.folder, mebibyte * MIB).await;
        // What is in the middle of a piece is cut, too.
        core.open_to(mebibyte * MIB + 1000);
        until_kept(&config.folder, mebibyte * MIB + 1000).await;
        let (version, position) = core.write(0x7f, &[u8::try_from(mebibyte).unwrap()]);
        publisher.publish(&version, position);
        edge.edge.shutdown().await.unwrap();
        assert_eq!(kept(&config.folder), mebibyte * MIB + 1000);
        edge = start(config.clone());
    }
    core.open_to(u64::MAX);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!((edge.metrics.snapshots.get(), edge.seen.lock().unwrap().torn), (1, 0));
    assert_eq!(core.gate.made.load(Ordering::Relaxed), 1, "all went on with the same files");
    assert!(!exists(&config.folder.join("tables-incoming")));
    let (version, position) = core.write(1, b"after it");
    publisher.publish(&version, position);
    edge.until_at(position).await;
    assert_eq!(edge.content(), core.content());
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_need_a_snapshot_share_one_and_a_later_one_follows_it_with_the_log() {
    let world = World::new();
    let core = Core::new(2, everything());
    let (publisher, served) = publish(&world, &core);
    let edges = ["edge-1", "edge-2", "edge-3"].map(|name| world.edge(name, &publisher));
    for edge in &edges {
        edge.until_at(core.state.position()).await;
    }
    let (version, position) = core.write(1, b"later");
    publisher.publish(&version, position);
    let late = world.edge("edge-4", &publisher);
    late.until_at(position).await;
    for edge in edges.iter().chain([&late]) {
        edge.until_at(position).await;
        assert_eq!(edge.content(), core.content());
    }
    assert_eq!((core.gate.made.load(Ordering::Relaxed), served.snapshots.get()), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_cannot_make_table_files_sends_entries() {
    let world = World::new();
    let core = Core::new(1, Gate { is_full: true, ..everything() });
    let (publisher, _) = publish(&world, &core);
    let edge = world.edge("edge-1", &publisher);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!(core.gate.made.load(Ordering::Relaxed), 1);
}

/// It is tried again only after a while, as whatever comes and is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_what_was_signed_become_no_copy_and_are_fetched_again() {
    let world = World::new();
    let core = Core::new(1, Gate { lies: AtomicUsize::new(1), ..everything() });
    let (publisher, _) = publish(&world, &core);
    let edge = world.edge("edge-1", &publisher);
    let is_named = |status: &EdgeStatus| status.trouble.as_ref().is_some_and(|trouble| trouble.contains("hash"));
    edge.until("told", is_named).await;
    assert_eq!(edge.edge.position(), None);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!(edge.metrics.left.with_label_values(&["snapshot"]).get(), 1);
    let firsts = core.gate.reads.lock().unwrap().iter().filter(|at| **at == 0).count();
    assert_eq!(firsts, 2, "the file was fetched again");
}

/// Answers one subscription at a relay with this manifest.
pub(super) async fn relayed(relay: &Endpoint, manifest: &SignedManifest) -> (Connection, FrameSender, FrameReceiver) {
    let connection = relay.accept(relay.incoming().await.unwrap()).await.unwrap();
    let (mut sender, mut receiver) = connection.accept().await.unwrap();
    assert!(matches!(receiver.next().await.unwrap(), Some(Frame::Subscribe(_))));
    sender.send(&Frame::TablesFollow(manifest.to_bytes())).await.unwrap();
    (connection, sender, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_can_pass_on_what_a_core_has_signed_and_change_nothing_of_it() {
    let world = World::new();
    let core = Core::new(1, everything());
    let tables = core.state.make_tables().unwrap().unwrap();
    let manifest = tables.manifest();
    let signed = world.core.sign_manifest(manifest.to_bytes().unwrap()).unwrap();
    let more = TableManifest { entries: manifest.entries + 1, ..manifest.clone() };
    let changed = SignedManifest { manifest: more.to_bytes().unwrap(), ..signed.clone() };

    let relay = Endpoint::server("127.0.0.1:0".parse().unwrap(), &world.ca.issue(Role::Relay, "relay-1").unwrap());
    let relay = relay.unwrap();
    let upstreams = vec![relay.local_addr().unwrap().into()];
    let edge = start(world.config_of("edge-1", upstreams));
    let _refused = relayed(&relay, &changed).await;
    let is_named = |status: &EdgeStatus| status.trouble.as_ref().is_some_and(|trouble| trouble.contains("signature"));
    edge.until("told", is_named).await;
    assert_eq!((edge.edge.position(), kept(&world.folder_of("edge-1"))), (None, 0));

    let (_connection, mut sender, mut receiver) = relayed(&relay, &signed).await;
    let Some(Frame::TablesWant(want)) = receiver.next().await.unwrap() else { panic!("it wants nothing") };
    let mut course = TableCourse::new(manifest.lens(), want).unwrap();
    while let Some(place) = course.place() {
        let hash = &manifest.files[usize::try_from(place.file).unwrap()].hash;
        let bytes = tables.read(hash, place.offset, MAX_TABLE_PIECE).unwrap();
        assert!(course.advance(bytes.len()));
        let piece = TablePiece { file: place.file, offset: place.offset, bytes };
        sender.send(&Frame::TablePiece(piece)).await.unwrap();
    }
    sender.send(&Frame::TablesEnd(manifest.position)).await.unwrap();
    edge.until_at(manifest.position).await;
    assert_eq!(edge.content(), core.content());
}
