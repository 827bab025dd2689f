//! Certificates that the copy of an edge says are revoked.

use zonecast_kv_proto::{BatchSource as _, RevokedList};

use super::*;

/// The list with the certificate of this node.
fn list(number: u64, revoked: &Identity) -> RevokedList {
    RevokedList { number, serials: [revoked.serial().as_bytes().to_vec()].into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_in_force_from_a_version_from_a_snapshot_and_from_the_copy_at_a_start() {
    let world = World::new();
    let source = MemorySource::new(5);
    let (publisher, _) = world.publisher(&source);
    let [one, two] = ["core-8", "core-9"].map(|name| world.ca.issue(Role::Core, name).unwrap());
    // Each start of an edge has an identity of its own, which knows of nobody yet.
    let config = |name: &str| world.config(name, &publisher);
    let refuses = |config: &EdgeConfig| [&one, &two].map(|node| config.identity.is_over(&node.certificate()));

    let follows = config("edge-1");
    let edge = start(follows.clone());
    edge.until_following().await;
    assert_eq!(refuses(&follows), [false, false]);
    let (bytes, position) = source.commit_in(RevokedList::SECTION, list(1, &one).since(&RevokedList::default()));
    publisher.publish(&bytes, position);
    edge.until_at(position).await;
    assert_eq!((refuses(&follows), edge.metrics.applied_versions.get()), ([true, false], 1));

    let new = config("edge-2");
    let edge = start(new.clone());
    edge.until_at(source.position()).await;
    assert_eq!((refuses(&new), edge.metrics.applied_versions.get()), ([true, false], 0), "it came with a snapshot");
    edge.edge.shutdown().await.unwrap();

    let again = config("edge-2");
    publisher.shutdown().await;
    let edge = start(again.clone());
    assert_eq!((refuses(&again), edge.edge.position()), ([true, false], Some(position)), "nobody has told it anew");
}
