//! An edge process killed while it applies: what it leaves is exactly one version.

use std::process::{Child, Command, Stdio};

use zonecast_kv_proto::{Batch, KeyspaceId, Peer, Section, SectionId, WaitFor};
use zonecast_kv_store::EdgeStore;

use super::*;

/// Set for the child: its folder and upstream, with a space between.
const CHILD: &str = "ZONECAST_TEST_EDGE_CHILD";

/// Every version writes its number under every key, so a mix of two versions shows.
fn numbered(number: u64) -> Vec<Op> {
    (0..30).map(|key| put(&[key], &number.to_be_bytes())).collect()
}

/// Not a test of its own: the process that is killed.
#[test]
fn child() {
    let Some(told) = std::env::var(CHILD).ok() else { return };
    let (folder, address) = told.split_once(' ').unwrap();
    let config = EdgeConfig {
        folder: Path::new(folder).join("copy"),
        upstreams: vec![address.parse().unwrap()],
        identity: Identity::load(&Path::new(folder).join("identity")).unwrap(),
        store: SMALL,
        holds: Holds::Everything,
        mirror: None,
        downstream: None,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut running = start(config);
        panic!("{}", running.edge.failed().await);
    });
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_time_leaves_exactly_one_version_and_the_edge_goes_on_from_there() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let folder = world.folder_of("edge-1");
    world.ca.issue(Role::Edge, "edge-1").unwrap().save(&folder.join("identity")).unwrap();
    publisher.expect(&Peer::edge("edge-1"), publisher.now());
    let mut number = 0;
    for round in 0..5_u64 {
        if round % 2 == 1 {
            // It cannot resume, so the kill may also hit a snapshot.
            source.trim();
        }
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::crash::child", "--nocapture"])
            .env(CHILD, format!("{} {}", folder.display(), publisher.local_addr().unwrap()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let child = Killed(child);
        let deadline = Instant::now() + PATIENCE;
        let mut more = 40 + 13 * round;
        while more > 0 {
            number += 1;
            let (bytes, position) = source.commit(numbered(number));
            publisher.publish(&bytes, position);
            // Once it applies, it is killed a number of versions later, in the middle of the stream.
            let applied = publisher.wait(position.version, WaitFor::Count(1), Duration::from_millis(2)).await;
            more -= u64::from(applied.is_ok());
            assert!(Instant::now() < deadline, "round {round}: the child never applied");
        }
        for _ in 0..30 {
            number += 1;
            let (bytes, position) = source.commit(numbered(number));
            publisher.publish(&bytes, position);
        }
        drop(child);
        let store = EdgeStore::open(&folder.join("copy"), SMALL).unwrap();
        let position = store.position().unwrap();
        let mut model = MemoryView::new();
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
        let ops = numbered(position.version.get());
        model.apply(&Batch { preconditions: Vec::new(), sections: vec![Section { id, ops }] });
        assert_eq!(content(&store.snapshot().unwrap()), model, "round {round} at {position}");
    }
}
