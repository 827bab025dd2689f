//! What peers with and without a certificate can make a publisher hold.

use std::net::UdpSocket;

use zonecast_kv_proto::{EdgeNews, MAX_REPORTED};

use super::*;

/// A store whose snapshots never end.
struct Endless(u64);

impl BatchSource for Endless {
    fn position(&self) -> Position {
        origin()
    }

    fn chain_at(&self, _: Version) -> Result<Option<Chain>, SourceError> {
        Ok(None)
    }

    fn began(&self) -> Version {
        Version::ZERO
    }

    fn read_after(&self, _: Version, _: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        Ok(None)
    }

    fn snapshot(&self, _: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        Ok(Box::new(Self(0)))
    }
}

impl SnapshotSource for Endless {
    fn position(&self) -> Position {
        origin()
    }

    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError> {
        self.0 += 1;
        let key = [&[0, 1][..], &self.0.to_be_bytes()].concat();
        Ok(zonecast_kv_proto::encode_entries(&[(key.into(), vec![7; max_bytes / 2].into())]))
    }
}

async fn subscribed(world: &World, name: &str) -> (Connection, crate::FrameSender, crate::FrameReceiver) {
    let connection = world.connect(&world.ca.issue(Role::Edge, name).unwrap()).await;
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    sender.send(&subscribe(name, Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
    (connection, sender, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_cannot_take_all_connections() {
    let world = World::new();
    let identity = world.ca.issue(Role::Edge, "greedy").unwrap();
    let mut open = Vec::new();
    while world.metrics.refused.with_label_values(&["too_many"]).get() == 0 {
        assert!(open.len() < 100, "nothing stops it");
        // One that was refused is counted when its dialler knows of it, or soon after.
        if let Ok(connection) = Endpoint::client(world.address, &identity).unwrap().connect(world.address).await {
            open.push(connection);
        }
    }
    assert!(world.metrics.connections.get() <= 8);
    subscribed(&world, "modest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_snapshot_behind_those_who_do_not_read_keeps_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_create(folder.path()).unwrap();
    let identity = ca.issue(Role::Core, "core-1").unwrap();
    let world = World::over(Arc::new(Endless(0)), folder, ca, &identity);
    let mut slow = Vec::new();
    for number in 0..PublisherOptions::default().max_snapshots {
        let name = format!("slow-{number}");
        let connection = world.connect(&world.ca.issue(Role::Edge, &name).unwrap()).await;
        let (mut sender, mut receiver) = connection.open().await.unwrap();
        sender.send(&subscribe(&name, None)).await.unwrap();
        assert_eq!(receiver.next().await.unwrap(), Some(Frame::SnapshotFollows(origin())));
        // It reads no more, and stays.
        slow.push((connection, sender, receiver));
    }
    let waiting = world.connect(&world.ca.issue(Role::Edge, "waiting").unwrap()).await;
    let (mut sender, mut receiver) = waiting.open().await.unwrap();
    sender.send(&subscribe("waiting", None)).await.unwrap();
    for _ in 0..2 {
        let heard = tokio::time::timeout(PATIENCE, receiver.next()).await.expect("it is left in silence").unwrap();
        let is_waiting = matches!(&heard, Some(Frame::Heartbeat(heartbeat)) if heartbeat.head.is_none());
        assert!(is_waiting || matches!(heard, Some(Frame::Path(_))), "{heard:?}");
    }
    slow.pop();
    let turn = async {
        loop {
            match receiver.next().await.unwrap() {
                Some(Frame::Heartbeat(_) | Frame::Path(_)) => {}
                other => return other,
            }
        }
    };
    let turn = tokio::time::timeout(PATIENCE, turn).await.expect("its turn never comes");
    assert_eq!(turn, Some(Frame::SnapshotFollows(origin())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_sends_a_large_message_is_closed_at_its_first_bytes() {
    let world = World::new();
    let (connection, mut sender, _receiver) = subscribed(&world, "edge-1").await;
    // The length and the kind of a fragment that is within the limit of what a downstream reads.
    let head = [&200_000_u32.to_be_bytes()[..], &[0x93, 8, 0xc3]].concat();
    sender.send_encoded(&mut [Bytes::from(head)]).await.unwrap();
    ended(&connection).await;
    world.until_refused("malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_handshakes_keep_nobody_out() {
    const DIALS: usize = 200;
    let world = World::new();
    let edge = world.ca.issue(Role::Edge, "edge-1").unwrap();
    // The first packets of many dials, each caught on its way and sent on by someone who never answers.
    let trap = UdpSocket::bind("127.0.0.2:0").unwrap();
    trap.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut caught = Vec::new();
    for _ in 0..DIALS {
        let endpoint = Endpoint::client(world.address, &edge).unwrap();
        let to = trap.local_addr().unwrap();
        let dial = tokio::spawn(async move { endpoint.connect(to).await.is_ok() });
        let mut packet = vec![0; 2000];
        let len = tokio::task::block_in_place(|| trap.recv(&mut packet)).unwrap();
        dial.abort();
        packet.truncate(len);
        caught.push(packet);
    }
    let strangers: Vec<UdpSocket> = caught.iter().map(|_| UdpSocket::bind("127.0.0.2:0").unwrap()).collect();
    for (stranger, packet) in strangers.iter().zip(&caught) {
        stranger.send_to(packet, world.address).unwrap();
    }
    // Far more than the places there are for handshakes of one address; a node from elsewhere gets in.
    let (_connection, _sender, _receiver) = subscribed(&world, "edge-2").await;
    assert_eq!(world.metrics.connections.get(), 1);
}

/// A node of this role that is served, and says this of edges below it.
async fn reports(world: &World, role: Role, name: &str, reports: Vec<Bytes>) -> Connection {
    let connection = world.connect(&world.ca.issue(role, name).unwrap()).await;
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    sender.send(&subscribe(name, Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
    // It may be closed before it has said all of it.
    for some in reports.chunks(100) {
        let _ = sender.send(&Frame::Reports(some.to_vec())).await;
    }
    tokio::spawn(async move {
        let _kept = sender;
        while let Ok(Some(_)) = receiver.next().await {}
    });
    connection
}

fn news(number: usize) -> Bytes {
    let peer = Peer::edge(&format!("edge-{number}"));
    let (session, connection, incarnation) = (number as u64, 0, 1);
    let (goal, is_gone, is_unseen, via, ack) = (Version::ZERO, false, false, None, None);
    let is_in_step = false;
    EdgeNews { peer, session, connection, incarnation, goal, is_gone, is_unseen, via, ack, is_in_step }.to_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_relay_speaks_of_edges_and_only_what_makes_sense() {
    let world = World::new();
    ended(&reports(&world, Role::Edge, "edge-9", vec![news(1)]).await).await;
    ended(&reports(&world, Role::Relay, "relay-1", vec![Bytes::from_static(b"junk")]).await).await;
    assert!(world.publisher.edges().iter().all(|edge| edge.report.peer != Peer::edge("edge-1")));
    let _honest = reports(&world, Role::Relay, "relay-2", vec![news(1)]).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while world.publisher.edges().iter().all(|edge| edge.report.peer != Peer::edge("edge-1")) {
        assert!(std::time::Instant::now() < deadline, "it is not heard");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_names_no_end_of_edges_leaves_room_for_others() {
    let world = World::new();
    let _flood = reports(&world, Role::Relay, "relay-1", (0..MAX_REPORTED + 500).map(news).collect()).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while world.publisher.edges().len() < MAX_REPORTED {
        assert!(std::time::Instant::now() < deadline, "only {} are known", world.publisher.edges().len());
        tokio::task::yield_now().await;
    }
    let edge = world.connect(&world.ca.issue(Role::Edge, "honest").unwrap()).await;
    let (mut sender, mut receiver) = edge.open().await.unwrap();
    sender.send(&subscribe("honest", Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
    // Those that it named, itself, and the honest one.
    assert!(world.publisher.edges().len() <= MAX_REPORTED + 2);
}
