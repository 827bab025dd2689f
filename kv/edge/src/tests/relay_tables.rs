//! Table files through relays: what a core has made and signed once serves the edges below a relay.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use zonecast_kv_proto::{BatchSource as _, Key, KeyspaceId, SignedManifest, TableManifest, Value};

use super::relays::{below, core as of_core, until};
use super::tables::{Core, MIB, everything, noise, publish, relayed};
use super::*;

const PRIVATE: &[u8] = b"known to cores alone";
const PUBLIC: &[u8] = b"known to everybody";

/// What a core has sent of snapshots.
fn sent(metrics: &TransportMetrics) -> (u64, u64, u64) {
    (metrics.snapshots.get(), metrics.table_snapshots.get(), metrics.table_bytes.get())
}

/// The table files that a relay keeps.
fn kept_files(folder: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| {
        let found = std::fs::read_dir(path).into_iter().flatten();
        found.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let sets = entries(&folder.join("tables"));
    sets.iter().filter(|path| path.is_dir()).flat_map(|set| entries(set)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_below_a_relay_gets_the_files_of_the_core_and_the_core_sends_nothing_for_it() {
    let world = World::new();
    let core = Core::new(3, everything());
    core.write(0x70, PUBLIC);
    let secret =
        Op::Put { key: Key::new(b"\xff\xfesecret".to_vec()).unwrap(), value: Value::new(PRIVATE.to_vec()).unwrap() };
    core.write_in(KeyspaceId::new(0xfffe), secret);
    let mut value = Vec::new();
    assert!(core.state.view().get(b"\xff\xfesecret", &mut value).unwrap() && value == PRIVATE);
    let (publisher, served) = publish(&world, &core);
    let (upper, upper_at, passed_on) = world.counted_relay("upper", "127.0.0.1:0", vec![of_core(&publisher)]);
    upper.until_at(core.state.position()).await;
    let (lower, lower_at, _) = world.counted_relay("lower", "127.0.0.1:0", vec![below(upper_at)]);
    lower.until_at(core.state.position()).await;
    let before = sent(&served);
    assert_eq!((before.0, before.1), (1, 1), "the upper relay");
    let (version, position) = core.write(0x71, b"later");
    publisher.publish(&version, position);
    let edges = [("edge-1", upper_at), ("edge-2", lower_at)].map(|(name, at)| world.edge_below(name, vec![below(at)]));
    for edge in &edges {
        edge.until_at(position).await;
        assert_eq!(edge.content(), core.content());
    }
    assert_eq!((sent(&served), core.gate.made.load(Ordering::Relaxed)), (before, 1), "the core had to do with it");
    assert_eq!((passed_on.snapshots.get(), passed_on.table_snapshots.get()), (2, 2));
    assert_eq!(passed_on.table_bytes.get(), 2 * before.2);

    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    let files: Vec<Vec<u8>> =
        kept_files(&world.folder_of("lower")).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(files.iter().any(|bytes| holds(bytes, PUBLIC)), "the files are not in clear");
    assert!(!files.iter().any(|bytes| holds(bytes, PRIVATE) || holds(bytes, b"secret")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_comes_back_without_its_core_still_has_the_files() {
    let world = World::new();
    let core = Core::new(1, everything());
    let (publisher, _) = publish(&world, &core);
    let (relay, _) = world.relay("relay-1", "127.0.0.1:0", vec![of_core(&publisher)]);
    relay.until_at(core.state.position()).await;
    relay.edge.shutdown().await.unwrap();
    let upstreams = vec![of_core(&publisher)];
    publisher.shutdown().await;
    let (_relay, relay_at, passed_on) = world.counted_relay("relay-1", "127.0.0.1:0", upstreams);
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!(passed_on.table_snapshots.get(), 1);
}

/// A relay whose disk changes what a core has signed, and another one that has it as it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_file_of_a_relay_is_refused_and_the_edge_goes_on_with_another() {
    let world = World::new();
    let core = Core::new(2, everything());
    let (publisher, _) = publish(&world, &core);
    let start = async |name| {
        let (relay, at) = world.relay(name, "127.0.0.1:0", vec![of_core(&publisher)]);
        relay.until_at(core.state.position()).await;
        (relay, at)
    };
    let ((_hostile, hostile_at), (_honest, honest_at)) = (start("hostile").await, start("honest").await);
    let files = kept_files(&world.folder_of("hostile"));
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "sst")) {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let edge = world.edge_below("edge-1", vec![below(hostile_at), below(honest_at)]);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!(edge.metrics.left.with_label_values(&["snapshot"]).get(), 1);
    until("counted", || edge.edge.status().path.to_string().contains("honest")).await;
}

/// A relay whose log has gone past the files that it began with, and how far that is.
async fn past_its_files(
    world: &World,
    core: &Arc<Core>,
    publisher: &Publisher,
) -> (Running, SocketAddr, TransportMetrics) {
    let few = EdgeOptions { batch_log_bytes: 64_000, ..SMALL };
    let (relay, at, passed_on) = world.relay_with("relay-1", "127.0.0.1:0", vec![of_core(publisher)], few);
    relay.until_at(core.state.position()).await;
    for number in 0..40 {
        let (version, position) = core.write(number, &noise(number, 8000));
        publisher.publish(&version, position);
        relay.until_at(position).await;
    }
    (relay, at, passed_on)
}

fn fetched(relay: &Running) -> [u64; 2] {
    ["done", "failed"].map(|result| relay.metrics.fetched_tables.with_label_values(&[result]).get())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_files_are_too_old_fetches_others_once_for_all_below_it() {
    let world = World::new();
    let core = Core::new(2, everything());
    let (publisher, served) = publish(&world, &core);
    let (relay, relay_at, passed_on) = past_its_files(&world, &core, &publisher).await;
    let (before, made) = (sent(&served), core.gate.made.load(Ordering::Relaxed));
    let names = ["edge-1", "edge-2", "edge-3"];
    let edges = names.map(|name| world.edge_below(name, vec![below(relay_at)]));
    for edge in &edges {
        edge.until_at(core.state.position()).await;
        assert_eq!(edge.content(), core.content());
    }
    assert_eq!((sent(&served).1, core.gate.made.load(Ordering::Relaxed)), (before.1 + 1, made + 1));
    assert_eq!((passed_on.table_snapshots.get(), fetched(&relay)), (3, [1, 0]));
    assert_eq!(relay.metrics.fetched_table_bytes.get(), sent(&served).2 - before.2);
    // The relay has them now, and itself goes on as before.
    let (version, position) = core.write(1, b"later");
    publisher.publish(&version, position);
    let late = world.edge_below("edge-4", vec![below(relay_at)]);
    for edge in edges.iter().chain([&late, &relay]) {
        edge.until_at(position).await;
    }
    assert_eq!((relay.metrics.snapshots.get(), fetched(&relay), sent(&served).1), (1, [1, 0], before.1 + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_goes_on_where_it_was_after_a_restart_of_the_relay() {
    let world = World::new();
    let core = Core::new(4, everything());
    let (publisher, _) = publish(&world, &core);
    let (relay, relay_at, _) = past_its_files(&world, &core, &publisher).await;
    core.open_to(MIB + 1000);
    core.gate.reads.lock().unwrap().clear();
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    let folder = world.folder_of("relay-1");
    until("cut in the middle", || come(&folder) == MIB + 1000).await;
    // First, or the relay would send it entries when nothing comes of the files.
    edge.edge.shutdown().await.unwrap();
    relay.edge.shutdown().await.unwrap();
    core.open_to(u64::MAX);
    let few = EdgeOptions { batch_log_bytes: 64_000, ..SMALL };
    let (relay, _, passed_on) = world.relay_with("relay-1", &relay_at.to_string(), vec![of_core(&publisher)], few);
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!((passed_on.table_snapshots.get(), fetched(&relay), come(&folder)), (1, [1, 0], 0));
    let reads = core.gate.reads.lock().unwrap().clone();
    assert!(reads.is_sorted() && reads.iter().filter(|at| **at == 0).count() == 1, "bytes came twice: {reads:?}");
}

/// Bytes of files that a relay is fetching.
fn come(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join("tables/incoming")).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_come_wrong_are_given_to_nobody_and_entries_do() {
    let world = World::new();
    let core = Core::new(1, everything());
    let (publisher, _) = publish(&world, &core);
    let (relay, relay_at, passed_on) = past_its_files(&world, &core, &publisher).await;
    core.gate.lies.store(1, Ordering::Relaxed);
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!((passed_on.snapshots.get(), passed_on.table_snapshots.get(), fetched(&relay)), (1, 0, [0, 1]));
    // For a while it does not ask again: nobody has to wait for it.
    let another = world.edge_below("edge-2", vec![below(relay_at)]);
    another.until_at(core.state.position()).await;
    assert_eq!(fetched(&relay), [0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_manifest_is_refused_and_the_edge_goes_on_with_another_upstream() {
    let world = World::new();
    let core = Core::new(1, everything());
    let (publisher, _) = publish(&world, &core);
    let manifest = core.state.make_tables().unwrap().unwrap().manifest().clone();
    let signed = world.core.sign_manifest(manifest.to_bytes().unwrap()).unwrap();
    let more = TableManifest { entries: manifest.entries + 1, ..manifest };
    let altered = SignedManifest { manifest: more.to_bytes().unwrap(), ..signed };
    let hostile = world.ca.issue(Role::Relay, "hostile").unwrap();
    let hostile = Endpoint::server("127.0.0.1:0".parse().unwrap(), &hostile).unwrap();
    let upstreams = vec![hostile.local_addr().unwrap().into(), of_core(&publisher)];
    let edge = world.edge_below("edge-1", upstreams);
    let _refused = relayed(&hostile, &altered).await;
    edge.until_at(core.state.position()).await;
    assert_eq!(edge.content(), core.content());
    assert_eq!(edge.metrics.left.with_label_values(&["snapshot"]).get(), 1);
}
