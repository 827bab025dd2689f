//! The whole way: what an edge gets, keeps and says.

use zonecast_kv_proto::{BatchSource as _, EdgeLink, Frame, Peer, Version, WaitFor};
use zonecast_kv_transport::{Connection, FrameReceiver, FrameSender};

use super::*;

pub(super) fn commit(source: &MemorySource, publisher: &Publisher, key: u8, value: &[u8]) -> Position {
    let (bytes, position) = source.commit(vec![put(&[key], value)]);
    publisher.publish(&bytes, position);
    position
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_edge_gets_everything_and_then_every_version() {
    let world = World::new();
    let source = MemorySource::new(5);
    (0..50).for_each(|key| drop(source.commit(vec![put(&[key], &[key; 100])])));
    let (publisher, served) = world.publisher(&source);
    let edge = world.edge("edge-1", &publisher);
    edge.until_at(source.position()).await;
    assert_eq!(edge.content(), source.content());
    publisher.expect(&Peer::edge("edge-1"), publisher.now());

    for round in 0..200 {
        let position = commit(&source, &publisher, round % 7, &[round; 10]);
        let receipt = publisher.wait(position.version, WaitFor::All, PATIENCE).await.unwrap();
        assert_eq!((receipt.applied, receipt.edges.len()), (1, 1));
        assert!(receipt.edges[0].took.is_some());
    }
    assert_eq!(edge.content(), source.content());
    let seen = edge.seen.lock().unwrap();
    assert_eq!((seen.resets, seen.torn), (1, 0));
    assert!(seen.positions.windows(2).all(|pair| pair[0].order() < pair[1].order()));
    assert_eq!(edge.metrics.snapshots.get(), 1);
    assert_eq!(served.commit_to_ack.get_sample_count(), 200);
    assert!(edge.metrics.commit_to_applied.get_sample_count() == 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_resumes_where_it_was_when_the_connection_comes_back() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let address = publisher.local_addr().unwrap().to_string();
    let edge = world.edge("edge-1", &publisher);
    edge.until_at(commit(&source, &publisher, 1, b"one")).await;
    publisher.shutdown().await;
    edge.until("away", |status| status.state == FollowerState::Away).await;
    assert_eq!(edge.content(), source.content(), "cut off from everything it keeps what it has");

    (0..9).for_each(|key| drop(source.commit(vec![put(&[key], b"while it was away")])));
    let (publisher, _) = world.publisher_at(&address, &source, PublisherOptions::default());
    edge.until_at(source.position()).await;
    edge.until_at(commit(&source, &publisher, 2, b"two")).await;
    assert_eq!(edge.content(), source.content());
    assert_eq!(edge.metrics.snapshots.get(), 1, "the log was enough");
    assert_eq!(edge.seen.lock().unwrap().torn, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_starts_again_shows_what_it_has_at_once() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let config = world.config("edge-1", &publisher);
    let edge = start(config.clone());
    let position = commit(&source, &publisher, 1, b"one");
    edge.until_at(position).await;
    edge.edge.shutdown().await.unwrap();
    publisher.shutdown().await;

    let edge = start(config);
    assert_eq!(edge.edge.position(), Some(position));
    assert_eq!(edge.seen.lock().unwrap().positions, [position]);
    assert_eq!(edge.content(), source.content());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_copy_is_ready_only_while_the_store_is_known_to_be_empty() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let config = world.config("edge-1", &publisher);
    let edge = start(config.clone());
    edge.until("ready", EdgeStatus::is_ready).await;
    assert_eq!(edge.edge.position().map(|position| position.version), Some(Version::ZERO));
    publisher.shutdown().await;
    edge.until("unready", |status| !status.is_ready()).await;
    edge.edge.shutdown().await.unwrap();

    // It has a copy, of which nobody says that it is all.
    let edge = start(config.clone());
    assert!(edge.edge.position().is_some() && !edge.edge.status().is_ready());
    let address = config.upstreams[0].to_string();
    let (publisher, _) = world.publisher_at(&address, &source, PublisherOptions::default());
    let position = commit(&source, &publisher, 1, b"one");
    edge.until_at(position).await;
    publisher.shutdown().await;
    edge.until("away", |status| status.state == FollowerState::Away).await;
    edge.edge.shutdown().await.unwrap();
    assert!(start(config).edge.status().is_ready(), "a copy with a version is, whatever its age");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_too_old_takes_a_snapshot_and_never_goes_back() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let config = world.config("edge-1", &publisher);
    let edge = start(config.clone());
    edge.until_at(commit(&source, &publisher, 1, &vec![1; 400_000])).await;
    edge.edge.shutdown().await.unwrap();
    for key in 0..40 {
        commit(&source, &publisher, key, &vec![key; 100_000]);
    }
    source.trim();
    publisher.shutdown().await;

    let (publisher, served) = world.publisher(&source);
    let edge = start(EdgeConfig { upstreams: world.config("edge-1", &publisher).upstreams, ..config });
    edge.until_at(source.position()).await;
    assert_eq!(edge.content(), source.content());
    assert_eq!(served.snapshots.get(), 1);
    let seen = edge.seen.lock().unwrap();
    assert_eq!((seen.resets, seen.torn, seen.positions.len()), (2, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_behind_the_tail_reads_the_log() {
    let world = World::new();
    let source = MemorySource::new(5);
    let options = PublisherOptions { tail_bytes: 1000, ..PublisherOptions::default() };
    let (publisher, served) = world.publisher_at("127.0.0.1:0", &source, options);
    let config = world.config("edge-1", &publisher);
    let edge = start(config.clone());
    edge.until_at(commit(&source, &publisher, 1, b"one")).await;
    edge.edge.shutdown().await.unwrap();
    for key in 0..100 {
        commit(&source, &publisher, key, &vec![key; 50_000]);
    }
    let edge = start(config);
    edge.until_at(source.position()).await;
    assert_eq!(edge.content(), source.content());
    assert!(served.log_reads.get() > 0);
    assert_eq!(served.snapshots.get(), 1, "only the first, of the new edge");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_does_not_belong_is_refused_and_keeps_what_it_has() {
    let world = World::new();
    let known = MemorySource::new(5);
    let (publisher, _) = world.publisher(&known);
    let config = world.config("edge-1", &publisher);
    let edge = start(config.clone());
    for value in 0..5 {
        edge.until_at(commit(&known, &publisher, 1, &[value])).await;
    }
    edge.edge.shutdown().await.unwrap();
    publisher.shutdown().await;

    let other_store = MemorySource::new(6);
    let behind = MemorySource::new(5);
    let other_data = MemorySource::new(5);
    (0..9).for_each(|value| drop(other_data.commit(vec![put(&[1], &[value, value])])));
    for (source, says) in [(other_store, "holds store"), (behind, "ahead"), (other_data, "chain")] {
        let (publisher, served) = world.publisher(&source);
        let edge = start(EdgeConfig { upstreams: world.config("edge-1", &publisher).upstreams, ..config.clone() });
        edge.until(says, |status| status.trouble.as_ref().is_some_and(|trouble| trouble.contains(says))).await;
        assert_eq!(edge.content(), known.content());
        assert_eq!(edge.edge.position(), Some(known.position()));
        assert!(edge.metrics.left.with_label_values(&["refused"]).get() > 0);
        let peer = Peer::edge("edge-1");
        assert_eq!(publisher.expected(), [], "it was never served");
        publisher.expect(&peer, publisher.now());
        let missing = publisher.wait(Version::ZERO, WaitFor::All, Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(missing.0.missing().collect::<Vec<_>>(), [&peer]);
        let edges = publisher.edges();
        let [known] = edges.as_slice() else { panic!("{edges:?}") };
        assert!(matches!(known.report.link, EdgeLink::Refused(..)), "{known:?}");
        assert_eq!(known.report.applied, None);
        edge.edge.shutdown().await.unwrap();
        publisher.shutdown().await;
        assert!(served.refused.with_label_values(&["refused"]).get() > 0);
        assert_eq!(served.acks.get(), 0, "what it says of another history is not booked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_name_the_missing_and_the_list_shows_everyone() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, served) = world.publisher(&source);
    let [one, two] = ["edge-1", "edge-2"].map(|name| world.edge(name, &publisher));
    let first = commit(&source, &publisher, 1, b"one");
    let mut caught_up = publisher.caught_up();
    caught_up.mark_changed();
    while publisher.expected().len() < 2 {
        caught_up.changed().await.unwrap();
    }
    one.until_at(first).await;
    two.until_at(first).await;
    let missing = publisher.wait(first.version, WaitFor::Count(1), Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(missing.0.missing().count(), 2, "that they are expected is not on record");
    let wait = publisher.wait(first.version, WaitFor::All, PATIENCE);
    let (receipt, ()) = tokio::join!(wait, async { publisher.recorded(&publisher.expected()) });
    assert_eq!(receipt.unwrap().applied, 2);
    two.edge.shutdown().await.unwrap();
    let second = commit(&source, &publisher, 1, b"two");
    one.until_at(second).await;
    let missing = publisher.wait(second.version, WaitFor::All, Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(missing.0.missing().collect::<Vec<_>>(), [&Peer::edge("edge-2")]);
    assert!(publisher.wait(second.version, WaitFor::Percent(50), PATIENCE).await.is_ok());
    let edges = publisher.edges();
    let lags: Vec<_> = edges.iter().map(|edge| (edge.report.peer.label(), edge.lag)).collect();
    assert_eq!(lags, [("edge-1".to_owned(), 0), ("edge-2".to_owned(), 1)]);
    assert!(edges.iter().all(|edge| edge.address.is_some() && edge.silent_for.is_some()));
    let page = prometheus::core::Collector::collect(&served.edge_lag);
    let lag_of_two = page[0].get_metric().iter().find(|metric| metric.get_label()[0].value() == "edge-2");
    assert_eq!(
        lag_of_two.map(|metric| metric.get_gauge().get_value()),
        Some(1.0),
        "read when asked, also of who is away"
    );
    assert!(publisher.forget(&Peer::edge("edge-2")));
    assert!(publisher.wait(second.version, WaitFor::All, PATIENCE).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_applied_becomes_durable() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let edge = world.edge("edge-1", &publisher);
    edge.until_following().await;
    publisher.expect(&Peer::edge("edge-1"), publisher.now());
    let position = commit(&source, &publisher, 1, b"one");
    edge.until("durable", |status| status.durable == Some(position)).await;
    let durable = async {
        while !publisher.receipt(position.version).edges[0].durable {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, durable).await.unwrap();
}

/// Subscribes and then reads nothing.
async fn stuck(world: &World, publisher: &Publisher) -> impl Sized {
    use zonecast_kv_proto::{Frame, PROTOCOL, Subscribe};
    let address = publisher.local_addr().unwrap();
    let endpoint = Endpoint::client(address, &world.ca.issue(Role::Edge, "stuck").unwrap()).unwrap();
    let connection = endpoint.connect(address).await.unwrap();
    let (mut sender, receiver) = connection.open().await.unwrap();
    let subscribe = Subscribe { protocol: PROTOCOL, name: "stuck".into(), incarnation: 1, ..Subscribe::default() };
    sender.send(&Frame::Subscribe(subscribe)).await.unwrap();
    (endpoint, connection, sender, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_reads_nothing_holds_up_nobody() {
    let world = World::new();
    let source = MemorySource::new(5);
    let options = PublisherOptions { tail_bytes: 8 << 20, ..PublisherOptions::default() };
    let (publisher, _) = world.publisher_at("127.0.0.1:0", &source, options);
    let _stuck = stuck(&world, &publisher).await;
    let edge = world.edge("edge-1", &publisher);
    edge.until_following().await;
    let mut last = source.position();
    for round in 0..60 {
        last = commit(&source, &publisher, round, &vec![round; 500_000]);
    }
    edge.until_at(last).await;
    assert_eq!(edge.content(), source.content());
    assert!(
        publisher
            .edges()
            .iter()
            .any(|edge| edge.report.peer.name == "stuck" && edge.report.link == EdgeLink::Connected)
    );
}

/// Longer than an edge waits for a word.
const DRIP: Duration = Duration::from_secs(8);

/// An edge that has loaded an empty snapshot from an upstream that a test plays.
struct Played {
    edge: Running,
    endpoint: Endpoint,
    sender: FrameSender,
    receiver: FrameReceiver,
    _connection: Connection,
}

async fn played(world: &World, source: &MemorySource) -> Played {
    let start_of_all = source.position();
    let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &world.core).unwrap();
    let upstreams = vec![endpoint.local_addr().unwrap().into()];
    let edge = start(world.config_of("edge-1", upstreams));
    let connection = endpoint.accept(endpoint.incoming().await.unwrap()).await.unwrap();
    let (mut sender, receiver) = connection.accept().await.unwrap();
    let check = zonecast_kv_proto::SnapshotCheck::new();
    let digest = serde_bytes::ByteBuf::from(check.digest());
    let end = zonecast_kv_proto::SnapshotEnd { position: Some(start_of_all), entries: 0, digest };
    sender.send(&Frame::SnapshotFollows(start_of_all)).await.unwrap();
    sender.send(&Frame::SnapshotEnd(end)).await.unwrap();
    edge.until_following().await;
    Played { edge, endpoint, sender, receiver, _connection: connection }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_takes_longer_than_silence_may_last_gets_through() {
    let world = World::new();
    let source = MemorySource::new(5);
    let Played { edge, mut sender, endpoint: _endpoint, receiver: _receiver, _connection } =
        played(&world, &source).await;
    let (bytes, position) = source.commit(vec![put(&[1], &vec![7; 200_000])]);
    // One frame over a link that is slow.
    let wire = Frame::Version(bytes).to_bytes();
    let pieces = u32::try_from(wire.len().div_ceil(30_000)).unwrap();
    let mut drip = tokio::time::interval(DRIP / pieces);
    for piece in wire.chunks(30_000) {
        drip.tick().await;
        sender.send_encoded(&mut [wire.slice_ref(piece)]).await.unwrap();
    }
    edge.until_at(position).await;
    assert_eq!(edge.content(), source.content());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_that_cannot_be_written_ends_the_connection() {
    let world = World::new();
    let source = MemorySource::new(5);
    let Played { edge, endpoint, mut sender, receiver, _connection } = played(&world, &source).await;
    // Nobody listens to it any more.
    drop(receiver);
    let (bytes, position) = source.commit(vec![put(&[1], b"one")]);
    sender.send(&Frame::Version(bytes)).await.unwrap();
    edge.until_at(position).await;
    let again = tokio::time::timeout(PATIENCE, endpoint.incoming()).await.expect("it stays where nobody hears it");
    assert!(again.is_some());
    let left = |why| edge.metrics.left.with_label_values(&[why]).get();
    assert_eq!((left("lost"), left("silent")), (1, 0), "it noticed by the ack");
}

/// An index with a bug.
struct Panics;

impl ReaderIndex for Panics {
    fn reset(&mut self, _: &dyn View) -> Result<(), ReaderIndexError> {
        panic!("a bug where versions are applied")
    }

    fn apply(&mut self, _: OpRef<'_>, _: Version) -> Result<(), ReaderIndexError> {
        Ok(())
    }

    fn publish(&mut self, _: EdgeSnapshot, _: Position) {}
}

/// Nothing more may ever come that would show it.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_panics_where_it_applies_says_so_by_itself() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    commit(&source, &publisher, 1, b"one");
    let metrics = EdgeMetrics::register(&prometheus::Registry::new()).unwrap();
    let mut edge = Edge::start(world.config("edge-1", &publisher), Box::new(Panics), metrics).unwrap();
    let failed = tokio::time::timeout(PATIENCE, edge.failed()).await.expect("nobody is told");
    assert!(matches!(failed, crate::EdgeError::WriterGone), "{failed}");
}
