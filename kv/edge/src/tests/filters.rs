//! Edges and relays that hold some of the keyspaces only.

use zonecast_kv_proto::{BatchSource as _, EdgeLink, Filter, Key, KeyspaceId, Peer, SectionId, Value};
use zonecast_kv_transport::Publisher;

use super::relays::{below, core, link_of, until};
use super::*;

const RULES: KeyspaceId = KeyspaceId::new(0x0100);
const OTHER: KeyspaceId = KeyspaceId::new(0x0101);

fn filter(keyspaces: impl IntoIterator<Item = KeyspaceId>) -> Filter {
    Filter::new(keyspaces).unwrap()
}

/// Commits a key in each of these keyspaces, as one version.
fn commit(source: &MemorySource, publisher: &Publisher, keyspaces: &[KeyspaceId], value: &str) -> Position {
    let section = |keyspace: &KeyspaceId| {
        let key = Key::new([&keyspace.get().to_be_bytes()[..], value.as_bytes()].concat()).unwrap();
        let ops = vec![Op::Put { key, value: Value::new(value.to_owned()).unwrap() }];
        zonecast_kv_proto::Section { id: SectionId { keyspace: *keyspace, partition: 1 }, ops }
    };
    let (bytes, position) = source.commit_sections(keyspaces.iter().map(section).collect());
    publisher.publish(&bytes, position);
    position
}

/// What a node with a filter must hold.
fn of(source: &MemorySource, filter: &Filter) -> MemoryView {
    let mut held = MemoryView::new();
    let content = source.content();
    let entries = content.entries().filter(|(key, _)| filter.holds_keyspace(Key::check(key).unwrap()));
    entries.for_each(|(key, value)| held.insert(key, value));
    held
}

fn config(world: &World, publisher: &Publisher, filter: &Filter) -> EdgeConfig {
    EdgeConfig { holds: Holds::Chosen(filter.clone()), ..world.config("edge-1", publisher) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_holds_what_its_filter_holds_and_stands_at_every_version() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, metrics) = world.publisher(&source);
    commit(&source, &publisher, &[RULES, OTHER, KeyspaceId::DNS], "before");
    source.trim();
    let rules = filter([RULES]);
    let edge = start(config(&world, &publisher, &rules));
    edge.until_following().await;
    let mut last = source.position();
    for number in 0..30 {
        let keyspaces: &[KeyspaceId] = [&[OTHER][..], &[RULES, KeyspaceId::DNS], &[KeyspaceId::DNS]][number % 3];
        last = commit(&source, &publisher, keyspaces, &number.to_string());
    }
    edge.until_at(last).await;
    assert_eq!(edge.content(), of(&source, &rules));
    assert_eq!((edge.seen.lock().unwrap().torn, metrics.snapshots.get()), (0, 1));
    edge.edge.shutdown().await.unwrap();

    // It goes on from where it was, because it is to hold the same.
    let edge = start(config(&world, &publisher, &rules));
    last = commit(&source, &publisher, &[KeyspaceId::DNS], "while it was away");
    edge.until_at(last).await;
    assert_eq!(metrics.snapshots.get(), 1);

    // And answers from what it has until a snapshot with more has come.
    let more = filter([RULES, KeyspaceId::DNS]);
    edge.edge.holder().hold(Some(more.clone()));
    until("with more", || edge.content() == of(&source, &more)).await;
    last = commit(&source, &publisher, &[KeyspaceId::DNS, OTHER], "after");
    edge.until_at(last).await;
    assert_eq!(edge.content(), of(&source, &more));
    let seen = edge.seen.lock().unwrap().positions.clone();
    assert!(seen.is_sorted_by_key(|position| position.order()), "an edge never goes back");
    edge.edge.holder().hold(None);
    until("whole", || edge.content() == source.content()).await;
    edge.edge.shutdown().await.unwrap();

    // What held everything when it ended is to hold a little.
    let edge = start(EdgeConfig { holds: Holds::Everything, ..config(&world, &publisher, &rules) });
    edge.until_at(last).await;
    edge.edge.holder().hold(Some(rules.clone()));
    until("with less", || edge.content() == of(&source, &rules)).await;
    edge.edge.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_serves_who_holds_no_more_than_it_does() {
    let (world, source) = (World::new(), MemorySource::new(1));
    let (publisher, _) = world.publisher(&source);
    commit(&source, &publisher, &[RULES, OTHER, KeyspaceId::DNS], "before");
    let wide = filter([RULES, OTHER]);
    let (relay, relay_at) = world.relay_holding(Holds::Chosen(wide), vec![core(&publisher)]);
    relay.until_following().await;
    let rules = filter([RULES]);
    let upstreams = vec![below(relay_at), core(&publisher)];
    let partial = start(EdgeConfig { upstreams: upstreams.clone(), ..config(&world, &publisher, &rules) });
    let whole = start(EdgeConfig { upstreams, ..world.config("edge-2", &publisher) });
    let last = commit(&source, &publisher, &[RULES, KeyspaceId::DNS], "more");
    partial.until_at(last).await;
    whole.until_at(last).await;
    assert_eq!((partial.content(), whole.content()), (of(&source, &rules), source.content()));
    let expected = |name: &str, via: Option<&str>| {
        let edges = publisher.edges();
        let edge = edges.into_iter().find(|edge| edge.report.peer == Peer::edge(name));
        edge.is_some_and(|edge| edge.report.link == EdgeLink::Connected && edge.report.via.as_deref() == via)
    };
    until("below the relay", || expected("edge-1", Some("relay-1"))).await;
    until("below the core", || expected("edge-2", None)).await;

    // The relay holds less than before: what it sends lacks something, so the edge goes elsewhere.
    relay.edge.holder().hold(Some(filter([OTHER])));
    let is_narrow = || relay.content().entries().all(|(key, _)| Key::check(key) == Ok(OTHER));
    until("with less", is_narrow).await;
    let last = commit(&source, &publisher, &[RULES], "last");
    until("below the core", || expected("edge-1", None)).await;
    partial.until_at(last).await;
    assert_eq!(partial.content(), of(&source, &rules));
    let counted = Some((EdgeLink::Connected, Some(last.version)));
    until("counted", || link_of(&publisher, &Peer::edge("edge-1")) == counted).await;
    for running in [partial, whole, relay] {
        running.edge.shutdown().await.unwrap();
    }
}
