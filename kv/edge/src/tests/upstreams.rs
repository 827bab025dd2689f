//! Whom an edge follows, and whom it does not.

use zonecast_kv_proto::BatchSource as _;

use super::way::commit;
use super::*;

/// Nobody is there.
fn nobody() -> Upstream {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().into()
}

fn left(edge: &Running, why: &str) -> u64 {
    edge.metrics.left.with_label_values(&[why]).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_is_followed_as_a_core_is() {
    for role in [Role::Core, Role::Relay] {
        let world = World::new();
        let world = World { core: world.ca.issue(role, "node-1").unwrap(), ..world };
        let source = MemorySource::new(5);
        let (publisher, _) = world.publisher(&source);
        let edge = world.edge("edge-1", &publisher);
        edge.until_at(commit(&source, &publisher, 1, b"one")).await;
        assert_eq!(edge.content(), source.content());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_not_followed_whatever_it_serves() {
    let world = World::new();
    let source = MemorySource::new(5);
    let world = World { core: world.ca.issue(Role::Edge, "edge-9").unwrap(), ..world };
    let (publisher, _) = world.publisher(&source);
    source.commit(vec![put(&[1], b"poison")]);
    let edge = world.edge("edge-1", &publisher);
    edge.until("warned", |status| status.trouble.as_ref().is_some_and(|trouble| trouble.contains("role"))).await;
    assert_eq!(edge.edge.position(), None);
    assert!(exists(&world.folder_of("edge-1")));
    assert_eq!(publisher.edges(), []);
    assert!(left(&edge, "certificate") > 0);
    assert_eq!(source.position().version, Version::new(1));
}

/// It has the certificate that the other end has, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_follow_itself() {
    let mut world = World::new();
    let relay = world.ca.issue(Role::Relay, "relay-1").unwrap();
    let core = std::mem::replace(&mut world.core, relay.clone());
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    world.core = core;
    let (other, _) = world.publisher(&source);
    let alone = EdgeConfig { identity: relay, ..world.config("copy", &publisher) };
    let node = start(alone.clone());
    let advice = "this is this node itself; remove the address from `upstreams`";
    node.until("warned", |status| status.trouble.as_ref().is_some_and(|trouble| trouble.contains(advice))).await;
    assert_eq!(publisher.edges(), []);
    node.edge.shutdown().await.unwrap();

    let node = start(EdgeConfig { upstreams: vec![of(&publisher), of(&other)], ..alone });
    node.until_at(source.position()).await;
    assert_eq!(left(&node, "itself"), 1);
}

/// As when it comes from the core that had the last versions to one that has not got them yet.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_behind_is_passed_over_and_no_trouble() {
    let world = World::new();
    let (source, behind) = (MemorySource::new(5), MemorySource::new(5));
    let (publisher, _) = world.publisher(&source);
    let (late, _) = world.publisher(&behind);
    let config = world.config("edge-1", &publisher);
    let edge = start(config.clone());
    edge.until_at(commit(&source, &publisher, 1, b"one")).await;
    edge.edge.shutdown().await.unwrap();

    let edge = start(EdgeConfig { upstreams: vec![of(&late), of(&publisher)], ..config.clone() });
    let mut statuses = edge.edge.watch();
    let trouble = statuses.wait_for(|status| status.trouble.is_some() || status.state == FollowerState::Streaming);
    assert_eq!(tokio::time::timeout(PATIENCE, trouble).await.unwrap().unwrap().trouble, None);
    edge.until_at(commit(&source, &publisher, 2, b"two")).await;
    assert_eq!((left(&edge, "behind"), left(&edge, "refused")), (1, 0));
    edge.edge.shutdown().await.unwrap();

    // Nobody is left who could have more.
    let edge = start(EdgeConfig { upstreams: vec![of(&late)], ..config });
    edge.until("told", |status| status.trouble.as_ref().is_some_and(|trouble| trouble.contains("recover"))).await;
    assert_eq!(left(&edge, "behind"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_is_looked_up_and_followed() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let port = publisher.local_addr().unwrap().port();
    let names = [format!("nowhere.invalid:{port}"), format!("localhost:{port}")];
    let names = names.map(|name| name.parse::<Upstream>().unwrap());
    let upstreams = names.clone().into_iter().chain([nobody()]).collect();
    let edge = start(EdgeConfig { upstreams, ..world.config("edge-1", &publisher) });
    edge.until_at(commit(&source, &publisher, 1, b"one")).await;
    assert!(left(&edge, "resolve") > 0, "the first one leads nowhere");
    edge.edge.shutdown().await.unwrap();

    let only_names = EdgeConfig { upstreams: names.to_vec(), ..world.config("edge-2", &publisher) };
    let index = Table { table: MemoryView::new(), seen: Arc::default() };
    let metrics = EdgeMetrics::register(&prometheus::Registry::new()).unwrap();
    let refused = Edge::start(only_names, Box::new(index), metrics);
    assert!(matches!(refused, Err(EdgeError::OnlyNames)));
}
