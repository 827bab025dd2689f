//! A value that is flipped on the disk of an edge: `zonecast verify` finds it, with one core it is reported, and with three it
//! is put right.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use serde_json::Value;
use zonecast_kv_proto::{Span, View as _, put_entry};
use zonecast_kv_store::{EdgeOptions, EdgeStore, RangeContent};
use zonecast_tests::{Node, System, poll_until, run_any};

use crate::api::addresses;
use crate::cluster::{ZONE, let_in, url};
use crate::http::Http;

/// Far more than any of this takes, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address of `www` in the zone, and what becomes of it.
const RIGHT: [u8; 4] = [192, 0, 2, 1];
const WRONG: [u8; 4] = [192, 0, 2, 9];

/// Exit code and result of `zonecast verify` with these arguments.
fn verify(core: &Node, arguments: &[&str]) -> (Option<i32>, Value) {
    let said = run_any(&[&["--json", "--core", &url(core), "verify", "--wait"], arguments].concat()).unwrap();
    let said_twice = String::from_utf8_lossy(&said.stderr).into_owned();
    let first = said.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let result = serde_json::from_slice(first).unwrap_or_else(|error| panic!("{error}: {said_twice}"));
    (said.status.code(), result)
}

/// The states of all nodes, by role and name.
fn states(result: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let node =
        |node: &Value| (format!("{} {}", node["role"].as_str().unwrap(), text(&node["node"])), text(&node["state"]));
    result["nodes"].as_array().unwrap().iter().map(node).collect()
}

fn all_are(result: &Value, state: &str, count: usize) {
    let states = states(result);
    assert!(states.len() == count && states.iter().all(|(_, found)| found == state), "{result}");
}

/// The state of one node.
fn state(result: &Value, node: &str) -> String {
    let states = states(result);
    states.into_iter().find(|(name, _)| name == node).unwrap_or_else(|| panic!("no {node}: {result}")).1
}

/// Waits until a node shows this.
fn wait_for(node: &Node, sample: &str, value: f64) {
    let shows = || (Http::new(node.http).metric(sample) == Some(value)).then_some(());
    assert!(poll_until(Instant::now() + PATIENCE, shows).is_some(), "never {sample} {value}: {}", node.log());
}

/// Stops an edge, writes another address into its copy, and starts it again.
fn damage(edge: &mut Node) {
    assert!(edge.stop().unwrap().success());
    let store = EdgeStore::open(&edge.data.join("edges").join(&edge.name), EdgeOptions::default()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut found = None;
    let visit = &mut |key: &[u8], value: &[u8]| {
        let at = value.windows(4).position(|bytes| bytes == RIGHT);
        at.map_or(std::ops::ControlFlow::Continue(()), |at| {
            found = Some((key.to_vec(), value.to_vec(), at));
            std::ops::ControlFlow::Break(())
        })
    };
    snapshot.view().scan(&[0, 1], &[0, 2], visit).unwrap();
    let (key, mut value, at) = found.expect("the edge has the address");
    value[at..at + 4].copy_from_slice(&WRONG);
    let mut entries = BytesMut::new();
    put_entry(&mut entries, &key, &value);
    // From just before the key to the key.
    let mut before = key.clone();
    *before.last_mut().unwrap() -= 1;
    let span = Span { after: before.into(), up_to: Some(key.into()) };
    let damage = RangeContent { span, entries: entries.freeze() };
    assert_eq!(store.repair(&[damage], &[]).unwrap().keys, 1);
    store.sync().unwrap();
    drop(snapshot);
    drop(store);
    edge.start_ready().unwrap();
    assert_eq!(addresses(edge.service, "www.one.test"), ["192.0.2.9"], "it answers what it has");
    Http::new(edge.http).wait_status(edge, "following", |status| status["following"] == "streaming");
}

#[test]
fn a_flipped_value_is_reported_with_one_core_and_put_right_with_three_through_a_relay_too() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(2).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    let mut relay = system.relay("relay-1").unwrap();
    system.edges[1].upstreams = vec![relay.service];
    system.core.start_ready().unwrap();
    assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    relay.start_ready().unwrap();
    system.edges.iter_mut().for_each(|edge| drop(edge.start_ready().unwrap()));

    let (code, result) = verify(&system.core, &["--all"]);
    assert_eq!(code, Some(0), "{result}");
    all_are(&result, "equal", 4);
    damage(&mut system.edges[0]);
    let (code, result) = verify(&system.core, &["--all"]);
    assert_eq!((code, state(&result, "edge edge-1").as_str()), (Some(1), "differs"), "{result}");
    assert_eq!(state(&result, "edge edge-2"), "equal");
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.9"], "nobody can say who is right");
    wait_for(&system.core, "zonecast_verification_nodes{outcome=\"differs\"} ", 1.0);

    let_in(&system, [&mut second, &mut third]);
    damage(&mut system.edges[1]);
    let (code, result) = verify(&system.core, &["--all", "--timeout", "60s"]);
    let is_over = |result: &Value| ["edge edge-1", "edge edge-2"].iter().all(|edge| state(result, edge) == "repaired");
    // It was compared before it was put right.
    let last = poll_until(Instant::now() + PATIENCE, || {
        let last = Http::new(system.core.http).get("/v1/verifications");
        is_over(&last).then_some(last)
    });
    let last = last.unwrap_or_else(|| panic!("{code:?} {result}: {}", system.edges[1].log()));
    assert_eq!((last["agreed"]["agreeing"].as_u64(), last["agreed"]["voters"].as_u64()), (Some(3), Some(3)), "{last}");
    for edge in &system.edges {
        assert_eq!(addresses(edge.service, "www.one.test"), ["192.0.2.1"], "{}", edge.log());
        assert_eq!(Http::new(edge.http).metric("zonecast_edge_repaired_keys_total"), Some(1.0));
        let differs = format!("zonecast_edge_copy_differs{{edge=\"{}\"}} ", edge.name);
        assert_eq!(Http::new(edge.http).metric(&differs), Some(0.0));
    }
    let (code, result) = verify(&second, &["--all"]);
    assert_eq!(code, Some(0), "any core is asked: {result}");
    all_are(&result, "equal", 6);
}
