//! An edge as an embedder runs it, against a core over loopback.

#![cfg(test)]

mod core_side;

use std::time::Duration;

use core_side::{CoreSide, config, issue};
use prometheus::Registry;
use zonecast_edge::{AnswerClass, DnsEdge, DnsEdgeConfig, DnsEdgeError, Found, Reading, Rtype, Scratch, Transport};
use zonecast_kv_transport::Role;

const PATIENCE: Duration = Duration::from_secs(20);

/// Addresses of a name under `example.com`, from a lookup.
fn addresses(reading: &Reading, name: &str) -> Vec<[u8; 4]> {
    let mut scratch = Scratch::new();
    let name = format!("{name}.example.com").parse().unwrap();
    match reading.lookup(&mut scratch, &name, Rtype::A).unwrap().map(|lookup| lookup.found) {
        Some(Found::Data { rrset, .. }) => rrset.fixed(4).map(|address| address.try_into().unwrap()).collect(),
        Some(Found::NoName { .. }) | None => vec![],
        other => panic!("{name}: {other:?}"),
    }
}

/// What a query for `www.example.com A` gets: class, and the end of the message.
fn ask(reading: &Reading) -> (AnswerClass, Vec<u8>) {
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let outcome = reading.answer(&mut scratch, query, Transport::UDP, &mut out);
    (outcome.class, out.split_off(out.len() - 4))
}

async fn catch_up(edge: &DnsEdge) {
    tokio::time::timeout(PATIENCE, edge.caught_up()).await.expect("in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_readers_and_leave_a_burst_alone() {
    let folder = tempfile::tempdir().unwrap();
    let core = CoreSide::start(folder.path(), "www 60 A 192.0.2.1\n").await;
    let edge = DnsEdge::open(config(folder.path(), "edge-1", core.address()), &Registry::new()).unwrap();
    catch_up(&edge).await;
    let before = edge.read();
    assert_eq!(ask(&before), (AnswerClass::Positive, vec![192, 0, 2, 1]));
    assert_eq!((before.position(), edge.position()), (Some(core.position()), Some(core.position())));

    core.put("www 60 A 192.0.2.2\nnew 60 A 192.0.2.3\n").await;
    let there = core.position();
    let mut watch = edge.watch();
    let arrived = watch.wait_for(|status| status.position == Some(there));
    tokio::time::timeout(PATIENCE, arrived).await.expect("in time").unwrap();

    // From another thread, as servers answer.
    let states = edge.states().clone();
    let after = std::thread::spawn(move || {
        let reading = states.read();
        (reading.position(), ask(&reading), addresses(&reading, "new"))
    });
    let expected = (Some(there), (AnswerClass::Positive, vec![192, 0, 2, 2]), vec![[192, 0, 2, 3]]);
    assert_eq!(after.join().unwrap(), expected);
    assert_eq!((ask(&before).1, addresses(&before, "new")), (vec![192, 0, 2, 1], vec![]));
    drop(before);
    edge.shutdown().await.unwrap();
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_thread_keeps_is_never_from_before_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let core = CoreSide::start(folder.path(), "www 60 A 192.0.2.0\n").await;
    let edge = DnsEdge::open(config(folder.path(), "edge-1", core.address()), &Registry::new()).unwrap();
    catch_up(&edge).await;
    let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    let nobody = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x03new\x07example\x03com\0\0\x01\0\x01";
    let (mut keeping, mut other) = (Scratch::with_cache(1 << 20), Scratch::new());
    let (mut kept, mut read) = (Vec::new(), Vec::new());
    let mut watch = edge.watch();
    for number in 1..=40_u8 {
        let new = if number % 3 == 0 { "new 60 A 192.0.2.200\n" } else { "" };
        core.put(&format!("www 60 A 192.0.2.{number}\n{new}")).await;
        let there = core.position();
        let arrived = watch.wait_for(|status| status.position == Some(there));
        tokio::time::timeout(PATIENCE, arrived).await.expect("in time").unwrap();
        let reading = edge.read();
        // Twice: once it is read, once it is kept.
        for query in [query, nobody, query, nobody] {
            reading.answer(&mut keeping, query, Transport::UDP, &mut kept);
            reading.answer(&mut other, query, Transport::UDP, &mut read);
            assert_eq!(kept, read, "change {number}");
        }
        assert_eq!(ask(&reading).1, [192, 0, 2, number]);
    }
    let counts = keeping.take_cache_counts();
    assert!(counts.hits >= 80, "{counts:?}");
    edge.shutdown().await.unwrap();
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_answers_without_a_core() {
    let folder = tempfile::tempdir().unwrap();
    let core = CoreSide::start(folder.path(), "www 60 A 192.0.2.1\n").await;
    let config = config(folder.path(), "edge-1", core.address());
    let edge = DnsEdge::open(config.clone(), &Registry::new()).unwrap();
    catch_up(&edge).await;
    let position = core.position();
    edge.shutdown().await.unwrap();
    core.stop().await;

    let edge = DnsEdge::open(config, &Registry::new()).unwrap();
    assert_eq!((edge.position(), edge.status().position), (Some(position), Some(position)));
    assert_eq!(ask(&edge.read()), (AnswerClass::Positive, vec![192, 0, 2, 1]));
    assert!(!edge.status().has_caught_up());
    let states = edge.states().clone();
    edge.shutdown().await.unwrap();
    assert_eq!(ask(&states.read()).0, AnswerClass::Positive, "readers that are left go on");
}

/// The files are as they were written, and a value in them is none: a query is the first to see it.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_an_answer_or_a_lookup_runs_into_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let core = CoreSide::start(folder.path(), "www 60 A 192.0.2.1\n").await;
    core.damage().await;
    let open = |name| DnsEdge::open(config(folder.path(), name, core.address()), &Registry::new()).unwrap();
    let [answers, looks_up] = ["edge-1", "edge-2"].map(open);
    for edge in [&answers, &looks_up] {
        catch_up(edge).await;
        assert_eq!(edge.status().damage, None);
    }
    // Nobody is there to fetch another copy from.
    core.stop().await;
    assert_eq!(ask(&answers.read()).0, AnswerClass::Failed);
    let name = "www.example.com".parse().unwrap();
    assert!(looks_up.read().lookup(&mut Scratch::new(), &name, Rtype::A).is_err());
    for edge in [answers, looks_up] {
        let mut watch = edge.watch();
        let told = tokio::time::timeout(PATIENCE, watch.wait_for(|status| status.damage.is_some()));
        assert!(told.await.is_ok_and(|told| told.is_ok()), "it answers SERVFAIL and tells nobody");
        edge.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = "127.0.0.1:9".parse().unwrap();
    let (config, registry) = (config(folder.path(), "edge-1", nobody), Registry::new());

    let missing = DnsEdgeConfig { identity: folder.path().join("none"), ..config.clone() };
    let refused = DnsEdge::open(missing, &Registry::new());
    assert!(matches!(refused, Err(DnsEdgeError::Identity(_))), "{refused:?}");

    let identity = issue(folder.path(), Role::Client, "tool");
    let refused = DnsEdge::open(DnsEdgeConfig { identity, ..config.clone() }, &Registry::new());
    assert!(matches!(refused, Err(DnsEdgeError::Role(..))), "{refused:?}");

    let refused = DnsEdge::open(DnsEdgeConfig { upstreams: vec![], ..config.clone() }, &Registry::new());
    assert!(matches!(refused, Err(DnsEdgeError::Edge(_))), "{refused:?}");

    let edge = DnsEdge::open(config.clone(), &registry).unwrap();
    let other = DnsEdge::open(config.clone(), &registry);
    assert!(matches!(other, Err(DnsEdgeError::Metrics(_))), "{other:?}");
    let same_folder = DnsEdge::open(config, &Registry::new());
    assert!(matches!(same_folder, Err(DnsEdgeError::Edge(_))), "{same_folder:?}");
    edge.shutdown().await.unwrap();
}
