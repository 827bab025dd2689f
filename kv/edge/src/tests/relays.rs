//! Relays between a core and edges: the same versions, who has them, and what happens when one of them goes.

use std::net::SocketAddr;
use std::time::Duration;

use zonecast_kv_proto::{EdgeLink, Peer, Published, Role, TableMirror};
use zonecast_kv_transport::{Publisher, PublisherOptions};

use super::*;
use crate::{DownstreamConfig, Upstream};

fn relay_peer(name: &str) -> Peer {
    Peer { role: Role::Relay, name: name.into() }
}

pub(super) fn core(publisher: &Publisher) -> Upstream {
    publisher.local_addr().unwrap().into()
}

pub(super) fn below(relay: SocketAddr) -> Upstream {
    relay.into()
}

impl World {
    /// A relay that listens there, and where that is.
    pub(super) fn relay(&self, name: &str, listen: &str, upstreams: Vec<Upstream>) -> (Running, SocketAddr) {
        let (running, address, _) = self.counted_relay(name, listen, upstreams);
        (running, address)
    }

    /// The same, and what it counts of its downstreams.
    pub(super) fn counted_relay(
        &self,
        name: &str,
        listen: &str,
        upstreams: Vec<Upstream>,
    ) -> (Running, SocketAddr, TransportMetrics) {
        self.relay_with(name, listen, upstreams, SMALL.of_relay())
    }

    /// A relay that holds this.
    pub(super) fn relay_holding(&self, holds: Holds, upstreams: Vec<Upstream>) -> (Running, SocketAddr) {
        let config = EdgeConfig { holds, store: SMALL.of_relay(), ..self.config_of("relay-1", upstreams) };
        let (running, address, _) = self.start_relay("relay-1", "127.0.0.1:0", config);
        (running, address)
    }

    pub(super) fn relay_with(
        &self,
        name: &str,
        listen: &str,
        upstreams: Vec<Upstream>,
        store: EdgeOptions,
    ) -> (Running, SocketAddr, TransportMetrics) {
        self.start_relay(name, listen, EdgeConfig { store, ..self.config_of(name, upstreams) })
    }

    pub(super) fn relay_of(
        &self,
        name: &str,
        listen: &str,
        upstreams: Vec<Upstream>,
        store: EdgeOptions,
        mirror: Option<Arc<dyn TableMirror>>,
    ) -> (Running, SocketAddr, TransportMetrics) {
        self.start_relay(name, listen, EdgeConfig { store, mirror, ..self.config_of(name, upstreams) })
    }

    fn start_relay(&self, name: &str, listen: &str, config: EdgeConfig) -> (Running, SocketAddr, TransportMetrics) {
        let identity = self.ca.issue(Role::Relay, name).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let endpoint = loop {
            match Endpoint::server(listen.parse().unwrap(), &identity) {
                Err(EndpointError::Bind { .. }) if Instant::now() < deadline => std::thread::yield_now(),
                bound => break bound.unwrap(),
            }
        };
        let address = endpoint.local_addr().unwrap();
        let metrics = TransportMetrics::register(&prometheus::Registry::new()).unwrap();
        let options = PublisherOptions::default();
        let downstream = DownstreamConfig { endpoint, options, metrics: metrics.clone() };
        let running = start(EdgeConfig { identity, downstream: Some(downstream), ..config });
        (running, address, metrics)
    }

    pub(super) fn edge_below(&self, name: &str, upstreams: Vec<Upstream>) -> Running {
        start(self.config_of(name, upstreams))
    }
}

/// Waits until this is so.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never {what}");
        tokio::task::yield_now().await;
    }
}

pub(super) fn link_of(publisher: &Publisher, peer: &Peer) -> Option<(EdgeLink, Option<Version>)> {
    let edges = publisher.edges();
    edges.into_iter().find(|edge| edge.report.peer == *peer).map(|edge| (edge.report.link, edge.report.applied))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_go_through_relays_and_acks_come_back() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, metrics) = world.publisher(&source);
    let (bytes, first) = source.commit(vec![put(b"a", b"1")]);
    publisher.publish(&bytes, first);
    let (upper, upper_at) = world.relay("upper", "127.0.0.1:0", vec![core(&publisher)]);
    let (lower, lower_at) = world.relay("lower", "127.0.0.1:0", vec![below(upper_at)]);
    let edge = world.edge_below("edge-1", vec![below(lower_at)]);
    edge.until_at(first).await;
    let mut last = first;
    for number in 0..50_u8 {
        let (bytes, position) = source.commit(vec![put(&[number], b"value")]);
        publisher.publish(&bytes, position);
        last = position;
    }
    edge.until_at(last).await;
    assert_eq!(edge.content(), source.content());
    assert_eq!(upper.edge.position(), Some(last), "a downstream is never ahead of its relay");
    edge.until("told of its path", |status| status.path.nodes().len() == 3).await;
    assert_eq!(edge.edge.status().path.to_string(), "core core-1 > relay upper > relay lower");
    // The core has one connection, and knows of all three.
    let all = [relay_peer("upper"), relay_peer("lower"), Peer::edge("edge-1")];
    for peer in &all {
        let has_it = || link_of(&publisher, peer) == Some((EdgeLink::Connected, Some(last.version)));
        until(&format!("{peer} counted"), has_it).await;
    }
    assert_eq!(metrics.connections.get(), 1);
    edge.edge.shutdown().await.unwrap();
    until("away", || matches!(link_of(&publisher, &all[2]), Some((EdgeLink::Away(_), _)))).await;
    lower.edge.shutdown().await.unwrap();
    upper.edge.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_below_a_lost_relay_is_last_known_until_it_is_heard_of_again() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, _) = world.publisher(&source);
    let (bytes, first) = source.commit(vec![put(b"a", b"1")]);
    publisher.publish(&bytes, first);
    let (relay, relay_at) = world.relay("relay-1", "127.0.0.1:0", vec![core(&publisher)]);
    let edge = world.edge_below("edge-1", vec![below(relay_at), core(&publisher)]);
    edge.until_at(first).await;
    let peer = Peer::edge("edge-1");
    until("counted", || link_of(&publisher, &peer) == Some((EdgeLink::Connected, Some(first.version)))).await;
    // The edge is there, and cannot go anywhere else for a moment: the relay does not come back.
    relay.edge.shutdown().await.unwrap();
    let seen = || link_of(&publisher, &peer).map(|(link, _)| link);
    until("lost or back", || !matches!(seen(), None | Some(EdgeLink::Refused(..)))).await;
    until("back", || seen() == Some(EdgeLink::Connected)).await;
    let (bytes, second) = source.commit(vec![put(b"a", b"2")]);
    publisher.publish(&bytes, second);
    until("counted", || link_of(&publisher, &peer) == Some((EdgeLink::Connected, Some(second.version)))).await;
    edge.edge.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_serves_from_its_disk_while_the_core_is_down() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, _) = world.publisher(&source);
    let (bytes, first) = source.commit(vec![put(b"a", b"1")]);
    publisher.publish(&bytes, first);
    let (relay, relay_at) = world.relay("relay-1", "127.0.0.1:0", vec![core(&publisher)]);
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    edge.until_at(first).await;
    edge.edge.shutdown().await.unwrap();
    let mut last = first;
    for number in 0..20_u8 {
        let (bytes, position) = source.commit(vec![put(&[number], b"value")]);
        publisher.publish(&bytes, position);
        last = position;
    }
    relay.until_at(last).await;
    relay.edge.shutdown().await.unwrap();
    publisher.shutdown().await;
    let (relay, relay_at) = world.relay("relay-1", &relay_at.to_string(), vec![below(([127, 0, 0, 1], 9).into())]);
    let edge = world.edge_below("edge-1", vec![below(relay_at)]);
    edge.until_at(last).await;
    assert_eq!(edge.metrics.snapshots.get(), 0, "its log had what was missing");
    assert_eq!(edge.content(), source.content());
    let new = world.edge_below("edge-2", vec![below(relay_at)]);
    new.until_at(last).await;
    assert_eq!((new.metrics.snapshots.get(), new.content()), (1, source.content()));
    for running in [edge, new, relay] {
        running.edge.shutdown().await.unwrap();
    }
}

/// The same version, as a later release might write it.
fn with_something_appended(version: &[u8]) -> bytes::Bytes {
    let (&array, rest) = version.split_first().unwrap();
    assert_eq!(array, 0x96, "an array of six: the id of a restore and what a filter omits are left out");
    bytes::Bytes::from([&[0x99], rest, &[0xc4, 16], &[0; 16], &[0x90, 0xa3], b"new"].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_later_release_appended_is_passed_on() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, _) = world.publisher(&source);
    let (bytes, first) = source.commit(vec![put(b"a", b"1")]);
    publisher.publish(&bytes, first);
    let (relay, relay_at) = world.relay("relay-1", "127.0.0.1:0", vec![core(&publisher)]);
    relay.until_at(first).await;
    let (bytes, second) = source.commit(vec![put(b"a", b"2")]);
    let appended = with_something_appended(&bytes);
    assert_eq!(Published::from_bytes(&appended).unwrap(), Published::from_bytes(&bytes).unwrap());
    publisher.publish(&appended, second);
    relay.until_at(second).await;
    // From the tail, and after a restart from the log.
    let (edge, edge_at) = world.relay("relay-2", "127.0.0.1:0", vec![below(relay_at)]);
    edge.until_at(second).await;
    relay.edge.shutdown().await.unwrap();
    edge.edge.shutdown().await.unwrap();
    let _ = edge_at;
    let store = Arc::new(zonecast_kv_store::EdgeStore::open(&world.folder_of("relay-1"), SMALL.of_relay()).unwrap());
    let kept = zonecast_kv_store::EdgeSource::new(store).unwrap();
    let kept = zonecast_kv_proto::BatchSource::read_after(&kept, first.version, 1 << 20).unwrap().unwrap();
    assert_eq!(kept, [appended]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_follow_each_other_notice_it() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, _) = world.publisher(&source);
    let (bytes, first) = source.commit(vec![put(b"a", b"1")]);
    publisher.publish(&bytes, first);
    // The upper one may follow the lower one, whose address it must know beforehand.
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (upper, upper_at) = world.relay("upper", "127.0.0.1:0", vec![core(&publisher), below(free)]);
    upper.until_at(first).await;
    let (lower, _) = world.relay("lower", &free.to_string(), vec![below(upper_at)]);
    lower.until_at(first).await;
    let edge = world.edge_below("edge-1", vec![below(free)]);
    edge.until("below both", |status| status.path.nodes().len() == 3).await;
    let confirmed = edge.edge.status().confirmed;
    publisher.shutdown().await;
    let stopped = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let circles = || upper.metrics.left.with_label_values(&["circle"]).get();
    until("in a circle", || circles() > 0).await;
    // Nobody makes the edge believe that what it has is confirmed.
    let told = edge.edge.status().heard;
    // Hearing the same again is no change of the status that wakes anybody.
    let is_told = || edge.edge.status().heard > told.map(|told| told + Duration::from_secs(1));
    until("told more", is_told).await;
    let latest = edge.edge.status().confirmed;
    // News count without the time that they were on the way.
    assert!(latest <= Some(stopped + Duration::from_secs(2)), "{confirmed:?} {stopped:?} {latest:?}");
    for running in [edge, lower, upper] {
        running.edge.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_relay_is_followed() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, _) = world.publisher(&source);
    let identity = world.ca.issue(Role::Edge, "edge-1").unwrap();
    let endpoint = Endpoint::server("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
    let metrics = TransportMetrics::register(&prometheus::Registry::new()).unwrap();
    let downstream = Some(DownstreamConfig { endpoint, options: PublisherOptions::default(), metrics });
    let config = EdgeConfig { downstream, identity, ..world.config("edge-1", &publisher) };
    let index = Table { table: MemoryView::new(), seen: Arc::default() };
    let metrics = EdgeMetrics::register(&prometheus::Registry::new()).unwrap();
    let error = Edge::start(config, Box::new(index), metrics).unwrap_err();
    assert!(matches!(error, EdgeError::NoRelay(_)), "{error}");
}
