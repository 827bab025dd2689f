//! A voter that lacks what the raft log of the others does not hold any more gets the state of the leader.

use std::num::NonZeroU64;

use zonecast_kv_core::Outcome;
use zonecast_kv_proto::{Frame, Head, PROTOCOL, Subscribe};
use zonecast_kv_transport::{Connection, Endpoint, FrameReceiver, FrameSender};

use super::site::{Node, Site, WITHIN, leader, voters};
use super::*;

/// Little enough that a few dozen changes are more than the log keeps.
const RAFT_LOG_BYTES: usize = 20_000;
/// Bytes of a value.
const VALUE: usize = 4000;
const SENT: &str = "zonecast_snapshot_sent_bytes_total";
const RECEIVED: &str = "zonecast_snapshot_received_bytes_total";
const INSTALLED: &str = "zonecast_snapshots_received_total";

fn site() -> Site {
    let state = StateOptions { raft_log_bytes: RAFT_LOG_BYTES, ..StateOptions::default() };
    let mut site = Site::new();
    site.state = state;
    site
}

/// Bytes that do not compress.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    (0..VALUE / 8).flat_map(|_| next()).collect()
}

/// Writes so many values, published and private ones in turn.
async fn write_much(node: &Node, count: u64) {
    for number in 0..count {
        let id = if number % 4 == 0 { NOTES } else { ZONE };
        let batch = put(id, &format!("value-{number}"), noise(number));
        let ((), pending) = node.core.change(move |_, _| Ok::<_, ViewError>((batch, ()))).await.unwrap();
        assert!(matches!(pending.await, Outcome::Committed { .. }));
    }
}

/// What a state holds, all column families of it.
#[derive(Debug, PartialEq, Eq)]
struct Everything {
    head: Head,
    applied: Option<Vec<u8>>,
    membership: Option<Vec<u8>>,
    editions: [u64; 2],
    forks: Vec<Published>,
    /// Published and private.
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    versions: Vec<Vec<u8>>,
}

fn everything(core: &Core) -> Everything {
    let view = core.view();
    let mut entries = Vec::new();
    view.scan(&[], &[0xff; 300], &mut |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let versions = core.source().read_after(Version::ZERO, usize::MAX).unwrap().expect("it holds all of them");
    Everything {
        head: view.head().unwrap(),
        applied: view.applied().unwrap().map(|bytes| bytes.to_vec()),
        membership: view.membership().unwrap().map(|bytes| bytes.to_vec()),
        editions: [ZONE, NOTES].map(|id| view.edition(id).unwrap().get()),
        forks: core.forks().unwrap(),
        entries,
        versions: versions.iter().map(|version| version.to_vec()).collect(),
    }
}

/// Waits until two cores have applied the same, and compares all of it.
async fn are_equal(one: &Node, other: &Node) {
    let equal = async {
        while one.core.view().applied().unwrap() != other.core.view().applied().unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, equal).await.expect("they come to the same entry");
    let (one, other) = (everything(&one.core), everything(&other.core));
    assert!(one.entries.iter().any(|(key, _)| key.first().is_some_and(|first| *first >= 0x80)), "private keys too");
    assert_eq!(one.head, other.head);
    assert!(one == other, "something differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_joins_gets_the_state_where_the_log_is_gone_and_then_its_vote() {
    let site = site();
    let a = site.found("a").await;
    write_much(&a, 60).await;
    let b = site.add(&a, "b").await;
    let c = site.add(&a, "c").await;
    a.until(|cluster| voters(cluster) == ["a", "b", "c"]).await;
    assert_eq!(a.write("n").await, 1);
    for node in [&b, &c] {
        assert_eq!(node.read("n").await, 1);
        node.until_counted(INSTALLED, 1).await;
        are_equal(&a, node).await;
        follow(&node.core);
    }
    // One that was started again can help, too: with what it has applied, although nothing has made a snapshot of it.
    a.kill().await;
    let nodes = [b, c];
    let led = leader(&nodes).await;
    write_much(led, 60).await;
    let again = site.prepare("a").start(vec![]).await.unwrap();
    assert_eq!(again.read("n").await, 1);
    again.until_counted(INSTALLED, 1).await;
    are_equal(led, &again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_was_away_for_long_gets_the_state_and_goes_on_with_the_log() {
    let site = site();
    let [a, b, c] = site.three().await;
    a.write("n").await;
    c.kill().await;
    write_much(&a, 80).await;
    // Whoever leads then was just started.
    let address = a.address();
    a.kill().await;
    let a = site.prepare_at("a", &address).await.start(vec![]).await.unwrap();
    let nodes = [a, b];
    leader(&nodes).await;
    let c = site.prepare("c").start(vec![]).await.unwrap();
    assert_eq!(c.read("n").await, 1);
    c.until_counted(INSTALLED, 1).await;
    let sent: u64 = nodes.iter().map(|node| node.counter(SENT)).sum();
    assert_eq!(sent, c.counter(RECEIVED));
    let a = leader(&nodes).await;
    write_much(a, 5).await;
    a.write("n").await;
    assert_eq!(c.read("n").await, 2);
    are_equal(a, &c).await;
    assert_eq!(c.counter(INSTALLED), 1, "the rest came as entries of the log");
    // What was installed is there after a start.
    c.kill().await;
    let c = site.prepare("c").start(vec![]).await.unwrap();
    assert_eq!(c.read("n").await, 2);
    are_equal(a, &c).await;
    assert_eq!(c.counter(INSTALLED), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_was_cut_off_goes_on_where_it_was() {
    let mut site = site();
    site.state.snapshot_bytes_per_second = NonZeroU64::new(1024 * 1024).unwrap();
    let [a, b, c] = site.three().await;
    c.kill().await;
    let count = 1000;
    write_much(&a, count).await;
    // Three of four stand in the batch log, too.
    let least = count * VALUE as u64 * 7 / 4;
    let c = site.prepare("c").start(vec![]).await.unwrap();
    let under_way = async {
        while c.counter(RECEIVED) < least / 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, under_way).await.expect("it comes");
    let before = c.counter(RECEIVED);
    c.kill().await;
    let incoming = site.path("c").join("state/incoming");
    let part = site.path("part");
    let copied = std::process::Command::new("cp").arg("-r").args([&incoming, &part]).status().unwrap();
    assert!(copied.success());
    let c = site.prepare("c").start(vec![]).await.unwrap();
    a.write("n").await;
    assert_eq!(c.read("n").await, 1);
    c.until_counted(INSTALLED, 1).await;
    let after = c.counter(RECEIVED);
    println!("at least {least}, before the cut {before}, after it {after}");
    assert!(before + after >= least);
    assert!(after < least * 3 / 4, "it came as a whole once more: {after} of {least} after {before}");
    are_equal(&a, &c).await;
    // What had come lies there as if the log had led further than the rest.
    c.kill().await;
    std::fs::rename(&part, &incoming).unwrap();
    let c = site.prepare("c").start(vec![]).await.unwrap();
    a.write("n").await;
    assert_eq!(c.read("n").await, 2);
    let is_gone = async {
        while incoming.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, is_gone).await.expect("it is removed");
    assert_eq!(c.counter(INSTALLED), 0);
    drop(b);
}

/// What a subscriber is given, each version checked against the one before.
struct Subscriber {
    _connection: Connection,
    _sender: FrameSender,
    receiver: FrameReceiver,
    position: Position,
    /// The head of the publisher when it subscribed.
    head: Position,
}

impl Subscriber {
    /// From a position that the core has.
    async fn connect(site: &Site, node: &Node, position: Position) -> Self {
        let (address, identity) = (node.publisher.local_addr().unwrap(), site.edge("edge-1"));
        let endpoint = Endpoint::client(address, &identity).unwrap();
        let connection = endpoint.connect(address).await.unwrap();
        let (mut sender, mut receiver) = connection.open().await.unwrap();
        let subscribe = Subscribe {
            protocol: PROTOCOL,
            name: "edge-1".into(),
            incarnation: 1,
            position: Some(position),
            ..Subscribe::default()
        };
        sender.send(&Frame::Subscribe(subscribe)).await.unwrap();
        let Some(Frame::Stream(head)) = receiver.next().await.unwrap() else { panic!("it is not streamed") };
        Self { _connection: connection, _sender: sender, receiver, position, head }
    }

    /// Reads up to this version: every one once, in order.
    async fn follow(&mut self, version: Version) {
        let following = async {
            while self.position.version < version {
                match self.receiver.next().await.unwrap().expect("the stream goes on") {
                    Frame::Version(bytes) => {
                        self.position = Published::from_bytes(&bytes).unwrap().follow(&self.position).unwrap();
                    }
                    Frame::Heartbeat(_) | Frame::Path(_) => {}
                    other => panic!("{other:?} is no version"),
                }
            }
        };
        let followed = tokio::time::timeout(WITHIN, following).await;
        assert!(followed.is_ok(), "it ends at version {} of {version}", self.position.version);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_a_core_that_installs_a_state_gets_every_version_once() {
    let mut site = site();
    // It takes long enough for a subscription.
    site.state.snapshot_bytes_per_second = NonZeroU64::new(200_000).unwrap();
    let [a, _b, c] = site.three().await;
    a.write("n").await;
    c.read("n").await;
    let before = c.core.position();
    c.kill().await;
    write_much(&a, 120).await;
    let last = a.core.position();
    let c = site.prepare("c").start(vec![]).await.unwrap();
    let mut subscriber = Subscriber::connect(&site, &c, before).await;
    assert_eq!(subscriber.head, before, "the state is not there yet");
    // Nothing is written meanwhile: what has come with the state alone is what it learns of.
    subscriber.follow(last.version).await;
    assert_eq!(subscriber.position, last);
    c.until_counted(INSTALLED, 1).await;
    write_much(&a, 3).await;
    subscriber.follow(a.core.position().version).await;
    assert_eq!(subscriber.position, a.core.position());
}
