//! An object store between cores and new edges: a folder here, which anybody may spoil.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use zonecast_tests::{System, poll_until};

use crate::api::DEADLINE;
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

fn metric(node: SocketAddr, sample: &str) -> f64 {
    Http::new(node).metric(sample).unwrap_or(0.0)
}

fn table_files(store: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(store.join("tables")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "sst")).collect()
}

/// A core whose newest snapshot is in a folder, and edges that read it there.
fn system(store: &Path) -> System {
    let mut system = System::new(2).unwrap();
    system.core.start_ready().unwrap();
    assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    assert!(system.core.stop().unwrap().success());
    let section = format!("[snapshots]\nstore = \"file://{}\"\n", store.display());
    system.core.http_lines.push_str(&section);
    system.edges.iter_mut().for_each(|edge| edge.http_lines.push_str(&section));
    system.core.start_ready().unwrap();
    let published =
        || (metric(system.core.http, "zonecast_store_published_total{result=\"done\"}") > 0.0).then_some(());
    poll_until(Instant::now() + DEADLINE, published).expect("the core publishes nothing");
    system
}

#[test]
fn new_edges_take_their_snapshot_from_the_store_and_from_the_core_if_it_is_spoilt() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("snapshots");
    let mut system = system(&store);
    let core = system.core.http;
    let sent = || {
        let all =
            ["zonecast_store_snapshots_total", "zonecast_sent_snapshots_total", "zonecast_sent_table_bytes_total"];
        all.map(|name| metric(core, name))
    };
    let took = |edge: SocketAddr| {
        ["done", "failed"]
            .map(|result| metric(edge, &format!("zonecast_edge_store_snapshots_total{{result=\"{result}\"}}")))
    };
    system.edges[0].start_ready().unwrap();
    assert_eq!((took(system.edges[0].http), sent()), ([1.0, 0.0], [1.0, 0.0, 0.0]));

    let files = table_files(&store);
    assert!(!files.is_empty());
    for file in &files {
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(file, bytes).unwrap();
    }
    system.edges[1].start_ready().unwrap();
    assert_eq!(took(system.edges[1].http), [0.0, 1.0]);
    let [from_store, by_core, bytes] = sent();
    assert!(from_store == 1.0 && by_core == 1.0 && bytes > 0.0, "{:?}", sent());
    // Both follow all the same.
    let changed = Http::new(core).call("PUT", "/v1/zones/two.test?wait=all", Some(ZONE)).unwrap();
    assert_eq!(changed.0, 200, "{}", changed.1);
}
