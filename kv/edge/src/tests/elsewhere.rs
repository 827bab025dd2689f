//! Snapshots from an object store, which is a map in memory that the test can spoil.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use zonecast_kv_proto::{MirrorError, MirrorFuture, OfferedTables, TableHash, TableMirror};

use super::relays::{below, core as of_core};
use super::tables::{Core, everything, noise, publish};
use super::*;

/// An object store.
#[derive(Debug, Default)]
struct Objects {
    manifest: Mutex<Option<OfferedTables>>,
    files: Mutex<HashMap<TableHash, Bytes>>,
    reads: AtomicUsize,
}

impl TableMirror for Objects {
    fn manifest(&self) -> MirrorFuture<'_, Option<OfferedTables>> {
        let manifest = self.manifest.lock().unwrap().clone();
        Box::pin(async move { Ok(manifest) })
    }

    fn read<'a>(&'a self, file: &'a TableHash, offset: u64, len: usize) -> MirrorFuture<'a, Bytes> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = self.files.lock().unwrap().get(file).cloned();
        let offset = usize::try_from(offset).unwrap();
        Box::pin(async move {
            found.map(|bytes| bytes.slice(offset..offset + len)).ok_or(MirrorError("no such file".into()))
        })
    }
}

/// A store with the newest files of this publisher.
async fn filled(publisher: &Publisher) -> Arc<Objects> {
    let newest = publisher.newer_tables(None).await.unwrap().unwrap();
    let manifest = newest.tables.manifest().clone();
    let read = |file: &zonecast_kv_proto::TableFile| {
        (file.hash, newest.tables.read(&file.hash, 0, usize::try_from(file.len).unwrap()).unwrap())
    };
    let files = manifest.files.iter().map(read).collect();
    assert!(publisher.newer_tables(Some(manifest.clone())).await.unwrap().is_none(), "they are recent");
    let manifest = Mutex::new(Some(OfferedTables { signed: newest.signed, manifest }));
    Arc::new(Objects { manifest, files: Mutex::new(files), reads: AtomicUsize::new(0) })
}

fn edge_with(world: &World, name: &str, publisher: &Publisher, objects: &Arc<Objects>) -> Running {
    let mirror = Some(Arc::clone(objects) as Arc<dyn TableMirror>);
    start(EdgeConfig { mirror, upstreams: vec![of_core(publisher)], ..world.config(name, publisher) })
}

fn results(edge: &Running) -> [u64; 2] {
    ["done", "failed"].map(|result| edge.metrics.store_snapshots.with_label_values(&[result]).get())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_edges_take_their_snapshot_from_the_store_and_the_core_sends_none() {
    let world = World::new();
    let core = Core::new(3, everything());
    let (publisher, served) = publish(&world, &core);
    let objects = filled(&publisher).await;
    let (version, position) = core.write(1, b"later");
    publisher.publish(&version, position);
    let edges = ["edge-1", "edge-2"].map(|name| edge_with(&world, name, &publisher, &objects));
    for edge in &edges {
        edge.until_at(position).await;
        assert_eq!(edge.content(), core.content());
        assert_eq!((results(edge), edge.metrics.snapshots.get()), ([1, 0], 1));
    }
    assert_eq!((served.snapshots.get(), served.table_bytes.get(), served.store_snapshots.get()), (0, 0, 2));
    // Who comes back soon needs nothing of it.
    let [edge, _] = edges;
    edge.edge.shutdown().await.unwrap();
    let (version, position) = core.write(2, b"meanwhile");
    publisher.publish(&version, position);
    let reads = objects.reads.load(Ordering::Relaxed);
    let edge = edge_with(&world, "edge-1", &publisher, &objects);
    edge.until_at(position).await;
    assert_eq!((results(&edge), objects.reads.load(Ordering::Relaxed)), ([0, 0], reads));
}

/// Whatever is wrong with a store, the edge gets the snapshot from its upstream at once.
async fn falls_back(spoil: impl FnOnce(&Objects), failures: u64) {
    let world = World::new();
    let core = Core::new(2, everything());
    let (publisher, served) = publish(&world, &core);
    let objects = filled(&publisher).await;
    spoil(&objects);
    let edge = edge_with(&world, "edge-1", &publisher, &objects);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!((results(&edge), served.snapshots.get(), served.store_snapshots.get()), ([0, failures], 1, 0));
    assert_eq!(edge.metrics.left.with_label_values(&["snapshot"]).get(), 0, "the upstream is not to blame");
}

fn a_file(objects: &Objects) -> TableHash {
    objects.manifest.lock().unwrap().as_ref().unwrap().manifest.files.last().unwrap().hash
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_the_store_is_refused_and_the_upstream_gives_the_snapshot() {
    let flip = |objects: &Objects| {
        let hash = a_file(objects);
        let mut files = objects.files.lock().unwrap();
        let mut bytes = files[&hash].to_vec();
        bytes[1000] ^= 1;
        files.insert(hash, bytes.into());
    };
    falls_back(flip, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_missing_in_the_store_comes_from_the_upstream() {
    falls_back(|objects| drop(objects.files.lock().unwrap().remove(&a_file(objects))), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_of_the_store_that_no_core_has_signed_is_refused() {
    let alter = |objects: &Objects| {
        let mut manifest = objects.manifest.lock().unwrap();
        let offered = manifest.as_mut().unwrap();
        offered.manifest.entries += 1;
        offered.signed.manifest = offered.manifest.to_bytes().unwrap();
    };
    falls_back(alter, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_has_nothing_or_is_too_old_is_passed_over() {
    falls_back(|objects| *objects.manifest.lock().unwrap() = None, 0).await;
    let world = World::new();
    let core = Core::new(1, everything());
    core.write(9, b"here");
    let objects = {
        let (publisher, _) = publish(&world, &core);
        filled(&publisher).await
    };
    // Another history with the same version in it: what the store has leads nowhere.
    let other = Core::new(1, everything());
    other.write(9, b"elsewhere");
    other.write(9, b"later");
    let (publisher, served) = publish(&world, &other);
    let edge = edge_with(&world, "edge-1", &publisher, &objects);
    edge.until_at(other.state.position()).await;
    assert_eq!((edge.content() == other.content(), served.store_snapshots.get(), results(&edge)), (true, 0, [0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_fetches_from_the_store_too_for_edges_that_know_none() {
    let world = World::new();
    let core = Core::new(2, everything());
    let (publisher, served) = publish(&world, &core);
    let few = EdgeOptions { batch_log_bytes: 64_000, ..SMALL };
    let objects = Arc::<Objects>::default();
    let mirror = Some(Arc::clone(&objects) as Arc<dyn TableMirror>);
    let upstreams = vec![of_core(&publisher)];
    let (relay, relay_at, passed_on) = world.relay_of("relay-1", "127.0.0.1:0", upstreams, few, mirror);
    relay.until_at(core.state.position()).await;
    for number in 0..40 {
        let (version, position) = core.write(number, &noise(number, 8000));
        publisher.publish(&version, position);
        relay.until_at(position).await;
    }
    // Of one that has none yet: the files of the other are too old for the relay.
    let newest = filled(&publish(&world, &core).0).await;
    *objects.manifest.lock().unwrap() = newest.manifest.lock().unwrap().take();
    *objects.files.lock().unwrap() = std::mem::take(&mut *newest.files.lock().unwrap());
    let before = served.table_bytes.get();
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!((served.table_bytes.get(), passed_on.table_snapshots.get()), (before, 1));
    assert!(relay.metrics.fetched_table_bytes.get() > 0 && objects.reads.load(Ordering::Relaxed) > 0);
}
