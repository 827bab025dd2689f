//! Certificates, roles, and what a publisher does with peers that are wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use zonecast_kv_proto::{
    Ack, BatchSource, Chain, EdgeLink, Filter, Frame, PROTOCOL, Peer, Position, SnapshotSource, SourceError, StoreId,
    Subscribe, SubscribeRefusal, Version,
};

use crate::credentials::Credentials;
use crate::publisher::Others;
use crate::{
    Ca, CaError, CertificateFault, Clock, Connection, Endpoint, Identity, Publisher, PublisherOptions, Role,
    TransportMetrics,
};

mod certificates;
mod cluster;
mod core_links;
mod core_streams;
mod folds;
mod hostile;
mod manifests;
mod snapshots;
mod tables;

const PATIENCE: Duration = Duration::from_secs(20);

/// A store with nothing in it.
struct Empty;

fn origin() -> Position {
    Position::origin(StoreId::new(5))
}

impl BatchSource for Empty {
    fn position(&self) -> Position {
        origin()
    }

    fn chain_at(&self, version: Version) -> Result<Option<Chain>, SourceError> {
        Ok((version == Version::ZERO).then(|| origin().chain))
    }

    fn began(&self) -> Version {
        Version::ZERO
    }

    fn read_after(&self, _: Version, _: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        Ok(Some(Vec::new()))
    }

    fn snapshot(&self, _: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        Err(SourceError("the disk of this test is broken".to_owned()))
    }
}

struct World {
    folder: tempfile::TempDir,
    ca: Ca,
    publisher: Publisher,
    metrics: TransportMetrics,
    address: SocketAddr,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = Ca::open_or_create(folder.path()).unwrap();
        let identity = ca.issue(Role::Core, "core-1").unwrap();
        Self::with(folder, ca, &identity)
    }

    fn with(folder: tempfile::TempDir, ca: Ca, identity: &Identity) -> Self {
        Self::over(Arc::new(Empty), folder, ca, identity)
    }

    fn over(source: Arc<dyn BatchSource>, folder: tempfile::TempDir, ca: Ca, identity: &Identity) -> Self {
        Self::at_speed(1, source, folder, ca, identity)
    }

    /// With a publisher whose clock runs so many times as fast.
    fn at_speed(
        speed: u32,
        source: Arc<dyn BatchSource>,
        folder: tempfile::TempDir,
        ca: Ca,
        identity: &Identity,
    ) -> Self {
        let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), identity).unwrap();
        let metrics = TransportMetrics::register(&prometheus::Registry::new()).unwrap();
        let options = PublisherOptions::default();
        let (others, clock) = (Others::default(), Clock::fast(speed));
        let publisher = Publisher::start_with(endpoint, source, options, metrics.clone(), others, clock);
        let address = publisher.local_addr().unwrap();
        Self { folder, ca, publisher, metrics, address }
    }

    async fn until_refused(&self, reason: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.metrics.refused.with_label_values(&[reason]).get() == 0 {
            assert!(Instant::now() < deadline, "nobody was refused for {reason}");
            tokio::task::yield_now().await;
        }
    }

    async fn connect(&self, identity: &Identity) -> Connection {
        let endpoint = Endpoint::client(self.address, identity).unwrap();
        endpoint.connect(self.address).await.unwrap()
    }
}

fn subscribe(name: &str, position: Option<Position>) -> Frame {
    Frame::Subscribe(Subscribe {
        protocol: PROTOCOL,
        name: name.into(),
        incarnation: 1,
        position,
        ..Subscribe::default()
    })
}

/// Waits for the end of a connection, which the other side must bring about.
async fn ended(connection: &Connection) -> String {
    tokio::time::timeout(PATIENCE, connection.closed()).await.expect("it is still open").to_string()
}

/// Else nobody would know why edges stay away.
#[tokio::test]
async fn whoever_watches_a_publisher_hears_when_nobody_can_connect_any_more() {
    let world = World::new();
    let mut ended = Box::pin(world.publisher.ended());
    let early = tokio::time::timeout(Duration::ZERO, &mut ended).await;
    assert!(early.is_err(), "it accepts");
    world.publisher.endpoint.close().await;
    tokio::time::timeout(PATIENCE, ended).await.expect("nobody is told");
}

#[test]
fn a_ca_is_made_once_and_its_key_is_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("ca");
    let first = Ca::open_or_create(&folder).unwrap().issue(Role::Edge, "edge-1").unwrap();
    let second = Ca::open_or_create(&folder).unwrap().issue(Role::Edge, "edge-1").unwrap();
    assert_eq!(first.root(), second.root());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("ca.key"))), (0o700, 0o600));

    let node = parent.path().join("node");
    first.save(&node).unwrap();
    assert_eq!((mode(&node), mode(&node.join("node.key"))), (0o700, 0o600));
    let loaded = Identity::load(&node).unwrap();
    assert_eq!((loaded.peer(), loaded.certificate()), (first.peer(), first.certificate()));
    assert!(!format!("{first:?}").contains("PRIVATE"));

    std::fs::remove_file(folder.join("ca.key")).unwrap();
    assert!(matches!(Ca::open_or_create(&folder), Err(CaError::Half { .. })));
}

#[test]
fn names_are_one_label() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::open_or_create(folder.path()).unwrap();
    for bad in ["", "a.b", "Edge", "-a", "a-", "ä", &"a".repeat(64), "*"] {
        assert!(ca.issue(Role::Edge, bad).is_err(), "{bad:?}");
    }
    let identity = ca.issue(Role::Relay, &"a".repeat(63)).unwrap();
    assert_eq!(identity.peer().role, Role::Relay);
    assert_eq!(identity.peer().name.len(), 63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_ca_is_refused_by_both_sides() {
    let (world, other) = (World::new(), World::new());
    let stranger = other.ca.issue(Role::Edge, "edge-1").unwrap();
    let endpoint = Endpoint::client(world.address, &stranger).unwrap();
    assert!(endpoint.connect(world.address).await.is_err(), "it trusts a core of another CA");
    // One that would trust this core, but shows a certificate of the other CA.
    let mut pem = stranger.present().pem.clone();
    pem.root.clone_from(&world.ca.issue(Role::Edge, "edge-1").unwrap().present().pem.root);
    let forged = Identity::fixed(Credentials::from_pem(pem).unwrap());
    let endpoint = Endpoint::client(world.address, &forged).unwrap();
    if let Ok(connection) = endpoint.connect(world.address).await {
        ended(&connection).await;
    }
    world.until_refused("wrong_ca").await;
    assert_eq!(world.publisher.edges(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_is_refused() {
    let world = World::new();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.ca.issue(Role::Edge, "edge-1").unwrap().root()).unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![crate::protocol::Protocol::FanOut.alpn().to_vec()];
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    if let Ok(connection) = endpoint.connect(world.address, "core.zonecast").unwrap().await {
        tokio::time::timeout(PATIENCE, connection.closed()).await.expect("it is still open");
    }
    world.until_refused("no_certificate").await;
    assert_eq!(world.metrics.connections.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_not_subscribe_and_an_edge_may_not_serve() {
    let world = World::new();
    let client = world.ca.issue(Role::Client, "acme").unwrap();
    let endpoint = Endpoint::client(world.address, &client).unwrap();
    if let Ok(connection) = endpoint.connect(world.address).await {
        assert!(ended(&connection).await.contains("role"));
    }
    world.until_refused("role").await;

    let edge = world.ca.issue(Role::Edge, "edge-1").unwrap();
    let server = Endpoint::server("127.0.0.1:0".parse().unwrap(), &edge).unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move { drop(server.accept(server.incoming().await.unwrap()).await) });
    let endpoint = Endpoint::client(address, &edge).unwrap();
    let connected = tokio::time::timeout(PATIENCE, endpoint.connect(address)).await.expect("it says nothing");
    let refused = connected.expect_err("an edge serves").refused();
    assert_eq!(refused.map(|refused| (refused.refusal, refused.by_peer)), Some((CertificateFault::Role, false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_dialled_like_a_core_and_says_who_it_is() {
    let world = World::new();
    let relay = world.ca.issue(Role::Relay, "relay-1").unwrap();
    let server = Endpoint::server("127.0.0.1:0".parse().unwrap(), &relay).unwrap();
    let address = server.local_addr().unwrap();
    let accepting = tokio::spawn(async move { drop(server.accept(server.incoming().await.unwrap()).await) });
    let endpoint = Endpoint::client(address, &world.ca.issue(Role::Edge, "edge-1").unwrap()).unwrap();
    let connection = endpoint.connect(address).await.unwrap();
    assert_eq!(*connection.peer(), Peer { role: Role::Relay, name: "relay-1".into() });
    accepting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_may_not_subscribe_under_another_name() {
    let world = World::new();
    let connection = world.connect(&world.ca.issue(Role::Edge, "edge-1").unwrap()).await;
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    sender.send(&subscribe("edge-2", Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Refused(SubscribeRefusal::NotAllowed)));
    world.until_refused("refused").await;
    let edges = world.publisher.edges();
    let [edge] = edges.as_slice() else { panic!("{edges:?}") };
    assert_eq!((edge.report.peer.label(), edge.report.is_expected), ("edge-1".into(), false));
    assert!(matches!(edge.report.link, EdgeLink::Refused(_, SubscribeRefusal::NotAllowed)), "{edge:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_closes_the_connection_and_nothing_else() {
    let world = World::new();
    let good = world.connect(&world.ca.issue(Role::Edge, "good").unwrap()).await;
    let (mut good_sender, mut good_receiver) = good.open().await.unwrap();
    good_sender.send(&subscribe("good", Some(origin()))).await.unwrap();
    assert_eq!(good_receiver.next().await.unwrap(), Some(Frame::Stream(origin())));

    let bad = world.connect(&world.ca.issue(Role::Edge, "bad").unwrap()).await;
    let (mut sender, _receiver) = bad.open().await.unwrap();
    sender.send_encoded(&mut [Bytes::from_static(&[0xff; 64])]).await.unwrap();
    ended(&bad).await;
    world.until_refused("malformed").await;

    // A lie is as bad as noise.
    let liar = world.connect(&world.ca.issue(Role::Edge, "liar").unwrap()).await;
    let (mut sender, mut receiver) = liar.open().await.unwrap();
    sender.send(&subscribe("liar", Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
    let ack = Ack { incarnation: 1, applied: Version::new(9), ..Ack::default() };
    sender.send(&Frame::Ack(ack)).await.unwrap();
    ended(&liar).await;
    world.until_refused("closed").await;

    let mut next = Position { version: Version::new(1), ..origin() };
    next.chain = Chain::origin(StoreId::new(7));
    world.publisher.publish(&Bytes::from_static(b"version one"), next);
    assert_eq!(after_signs_of_life(&mut good_receiver).await, Some(Frame::Version(Bytes::from_static(b"version one"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_of_an_edge_replaces_the_older() {
    let world = World::new();
    let identity = world.ca.issue(Role::Edge, "edge-1").unwrap();
    let older = world.connect(&identity).await;
    let (mut sender, mut receiver) = older.open().await.unwrap();
    sender.send(&subscribe("edge-1", Some(origin()))).await.unwrap();
    assert!(receiver.next().await.unwrap().is_some());
    let newer = world.connect(&identity).await;
    let (mut sender, mut receiver) = newer.open().await.unwrap();
    sender.send(&subscribe("edge-1", Some(origin()))).await.unwrap();
    assert!(receiver.next().await.unwrap().is_some());
    assert!(ended(&older).await.contains("replaced"));
    let edges = world.publisher.edges();
    assert!(matches!(edges.as_slice(), [edge] if edge.report.link == EdgeLink::Connected), "{edges:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_came_first_and_subscribes_last_is_ended() {
    let world = World::new();
    let identity = world.ca.issue(Role::Edge, "edge-1").unwrap();
    let older = world.connect(&identity).await;
    // The publisher numbers connections when they are up.
    let (mut older_sender, _older_receiver) = older.open().await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while world.metrics.connections.get() == 0 {
        assert!(Instant::now() < deadline, "it never came");
        tokio::task::yield_now().await;
    }
    let newer = world.connect(&identity).await;
    let (mut sender, mut receiver) = newer.open().await.unwrap();
    sender.send(&subscribe("edge-1", Some(origin()))).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(Frame::Stream(origin())));
    older_sender.send(&subscribe("edge-1", Some(origin()))).await.unwrap();
    assert!(ended(&older).await.contains("replaced"));
    let edges = world.publisher.edges();
    assert!(matches!(edges.as_slice(), [edge] if edge.report.link == EdgeLink::Connected), "{edges:?}");
    sender.send(&Frame::Ack(Ack { incarnation: 1, ..Ack::default() })).await.unwrap();
    world.publisher.expect(&Peer::edge("edge-1"), world.publisher.now());
    world.publisher.wait(Version::ZERO, zonecast_kv_proto::WaitFor::All, PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_ends_the_connection_and_says_so() {
    let world = World::new();
    let connection = world.connect(&world.ca.issue(Role::Edge, "edge-1").unwrap()).await;
    let (mut sender, _receiver) = connection.open().await.unwrap();
    sender.send(&subscribe("edge-1", None)).await.unwrap();
    ended(&connection).await;
    world.until_refused("source").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_says_goodbye() {
    let world = World::new();
    let connection = world.connect(&world.ca.issue(Role::Edge, "edge-1").unwrap()).await;
    let (mut sender, mut receiver) = connection.open().await.unwrap();
    sender.send(&subscribe("edge-1", Some(origin()))).await.unwrap();
    assert!(receiver.next().await.unwrap().is_some());
    world.publisher.shutdown().await;
    assert_eq!(after_signs_of_life(&mut receiver).await, Some(Frame::Goodbye));
}

/// The next frame that says more than that the publisher is there, and by which way versions come.
async fn after_signs_of_life(receiver: &mut crate::FrameReceiver) -> Option<Frame> {
    loop {
        match receiver.next().await.unwrap() {
            Some(Frame::Heartbeat(_) | Frame::Path(_)) => {}
            frame => return frame,
        }
    }
}
