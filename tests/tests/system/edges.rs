//! Who is waited for, and what receipts say: after a restore, over restarts of the core, of edges that are gone, and of
//! two processes with one certificate.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonecast_tests::{Node, NodeRole, System, copy_folder, poll_until, run, run_any};

use crate::api::DEADLINE;
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

fn make_zone(core: &Http) {
    let (status, written) = core.call("PUT", "/v1/zones/one.test?wait=all&timeout=60s", Some(ZONE)).unwrap();
    assert_eq!((status, &written["receipt"]["reached"]), (200, &json!(true)), "{written}");
}

/// A change that waits; the receipt.
fn set(core: &Http, address: &str, wait: &str) -> Value {
    let path = format!("/v1/zones/one.test/records/www/A?wait={wait}");
    let body = json!({"ttl": 60, "data": [address]}).to_string();
    let (status, written) = core.call("PUT", &path, Some(&body)).unwrap();
    assert_eq!(status, 200, "{written}");
    written["receipt"].clone()
}

fn edge<'a>(status: &'a Value, name: &str) -> &'a Value {
    let edges = status["edges"].as_array().unwrap();
    edges.iter().find(|edge| edge["edge"] == name).unwrap_or(&Value::Null)
}

fn missing(receipt: &Value) -> Vec<&str> {
    let edges = receipt["edges"].as_array().unwrap();
    edges.iter().filter(|edge| edge["applied"] == false).filter_map(|edge| edge["edge"].as_str()).collect()
}

/// Waits until the log says that this edge is written down.
fn wait_expected(core: &Node, name: &str) {
    let told = core.wait_log(&["the edge is expected from now on", &format!("edge {name}")], DEADLINE * 3);
    assert!(told.is_some(), "{name} is not expected: {}", core.log());
}

fn command(core: &Node, arguments: &[&str]) -> Value {
    let url = format!("http://{}", core.http);
    serde_json::from_str(&run(&[&["--json", "--core", &url], arguments].concat()).unwrap()).unwrap()
}

#[test]
fn after_a_restore_nobody_is_said_to_have_what_it_refuses() {
    let _alone = crate::heavy::alone();
    let mut system = System::start(2).unwrap();
    let core = Http::new(system.core.http);
    make_zone(&core);
    let old = system.folder().join("old copy");
    system.core.stop().unwrap();
    copy_folder(&system.core.data, &old).unwrap();
    system.core.start_ready().unwrap();
    for round in 1..=5 {
        let receipt = set(&core, &format!("192.0.2.{}", 10 + round), "all&timeout=60s");
        assert_eq!(receipt["reached"], true, "{receipt}");
    }
    system.core.stop().unwrap();
    std::fs::remove_dir_all(&system.core.data).unwrap();
    std::fs::rename(&old, &system.core.data).unwrap();
    system.core.start_ready().unwrap();

    let moved = core.get("/v1/status")["moved_from"].clone();
    assert!(moved.as_str().is_some_and(|from| from.contains("core-1")), "it says that it is a copy: {moved}");

    // At once, and when both have been refused.
    let receipt = set(&core, "192.0.2.99", "all&timeout=1s");
    assert_eq!((&receipt["reached"], &receipt["applied"]), (&json!(false), &json!(0)), "{receipt}");
    core.wait_status(&system.core, "refusing both", |status| {
        let version = status["version"].as_u64();
        let edges = status["edges"].as_array().unwrap();
        assert!(edges.iter().all(|edge| edge["applied"].as_u64() <= version), "beyond the core: {status}");
        let refused = |edge: &&Value| edge["trouble"].as_str().is_some_and(|trouble| trouble.starts_with("refused:"));
        edges.iter().filter(refused).count() == 2
    });
    let receipt = set(&core, "192.0.2.98", "1&timeout=1s");
    assert_eq!((&receipt["reached"], missing(&receipt)), (&json!(false), vec!["edge-1", "edge-2"]), "{receipt}");
}

#[test]
fn a_restart_of_the_core_changes_nothing_about_who_is_waited_for() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(3).unwrap();
    // One is named, the others come by themselves.
    system.core.lines = "edges = [\"edge-3\"]".into();
    system.core.start_ready().unwrap();
    system.edges.iter_mut().for_each(|edge| _ = edge.start_ready().unwrap());
    let core = Http::new(system.core.http);
    ["edge-1", "edge-2", "edge-3"].iter().for_each(|name| wait_expected(&system.core, name));
    make_zone(&core);

    system.core.kill();
    system.edges[1].kill();
    system.edges[2].kill();
    system.core.start_ready().unwrap();
    core.wait_status(&system.core, "followed by one", |status| edge(status, "edge-1")["connected"] == true);
    let receipt = set(&core, "192.0.2.2", "all&timeout=1s");
    assert_eq!((&receipt["reached"], &receipt["of"]), (&json!(false), &json!(3)), "{receipt}");
    assert!(missing(&receipt).contains(&"edge-2") && missing(&receipt).contains(&"edge-3"), "{receipt}");
    assert!(edge(&receipt, "edge-2")["away_s"].is_f64(), "{receipt}");

    // Whoever waits is told as soon as the others are forgotten.
    let address = system.core.http;
    let waiting = std::thread::spawn(move || set(&Http::new(address), "192.0.2.3", "all&timeout=25s"));
    assert_eq!(command(&system.core, &["edges", "forget", "edge-2"])["expected"], false);
    let connected = run_any(&["--core", &format!("http://{address}"), "edges", "forget", "edge-1"]).unwrap();
    assert!(String::from_utf8_lossy(&connected.stderr).contains("is connected"), "{connected:?}");
    assert_eq!(command(&system.core, &["edges", "forget", "edge-3"])["expected"], false);
    let receipt = waiting.join().unwrap();
    assert_eq!((&receipt["reached"], &receipt["of"]), (&json!(true), &json!(1)), "{receipt}");

    // Neither comes back by a restart, though the configuration names one; only by itself, or when it is named again.
    system.core.kill();
    system.core.start_ready().unwrap();
    let list = command(&system.core, &["edges", "list"]);
    assert_eq!((&edge(&list, "edge-2")["expected"], &edge(&list, "edge-3")["expected"]), (&Value::Null, &Value::Null));
    assert_eq!(edge(&list, "edge-1")["expected"], true, "{list}");
    assert_eq!(command(&system.core, &["edges", "expect", "edge-3"])["connected"], false);
    system.edges[1].start_ready().unwrap();
    core.wait_status(&system.core, "followed by two", |status| {
        edge(status, "edge-1")["connected"] == true && edge(status, "edge-2")["expected"] == true
    });
    let receipt = set(&core, "192.0.2.4", "all&timeout=5s");
    assert_eq!(missing(&receipt), ["edge-3"], "{receipt}");
}

/// An edge that has just caught up, and a core that is killed at the moment at which a receipt counts it.
#[test]
fn whom_a_receipt_counts_is_waited_for_after_the_core_was_killed() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(2).unwrap();
    system.core.lines = String::new();
    system.core.start_ready().unwrap();
    system.edges[0].start_ready().unwrap();
    let core = Http::new(system.core.http);
    wait_expected(&system.core, "edge-1");
    make_zone(&core);
    system.edges[1].start().unwrap();
    let counted = poll_until(Instant::now() + DEADLINE, || {
        let receipt = set(&core, "192.0.2.2", "all&timeout=5s");
        (receipt["reached"] == true && receipt["of"] == 2).then_some(())
    });
    system.core.kill();
    assert!(counted.is_some(), "{}", system.core.log());
    system.edges[1].kill();
    system.core.start_ready().unwrap();
    let receipt = set(&core, "192.0.2.3", "all&timeout=1s");
    assert_eq!((&receipt["reached"], &receipt["of"]), (&json!(false), &json!(2)), "{receipt}");
}

#[test]
fn an_edge_retires_when_its_certificate_is_over_and_others_are_said_to_be_away_for_long() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(2).unwrap();
    system.core.lines = "edge_away_minutes = 0".into();
    system.issue(&system.edges[1], &["--role", "edge", "--valid", "40s"]).unwrap();
    system.core.start_ready().unwrap();
    system.edges.iter_mut().for_each(|edge| _ = edge.start_ready().unwrap());
    let core = Http::new(system.core.http);
    ["edge-1", "edge-2"].iter().for_each(|name| wait_expected(&system.core, name));
    make_zone(&core);
    system.edges.iter_mut().for_each(Node::kill);
    let status = core.wait_status(&system.core, "without the one", |status| edge(status, "edge-2")["edge"].is_null());
    assert!(system.core.wait_log(&["edge edge-2", "its certificate is no longer valid"], DEADLINE).is_some());
    let away = edge(&status, "edge-1");
    assert!(away["trouble"].as_str().unwrap().starts_with("away for "), "{status}");
    assert_eq!((&away["expected"], &status["away_after_s"]), (&json!(true), &json!(0)), "{status}");
    let doctor = run_any(&["doctor", "--core", &format!("http://{}", system.core.http)]).unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("away for ") && said.contains("zonecast edges forget edge-1"), "{said}");
}

#[test]
fn two_processes_with_one_certificate_are_told_apart_on_both_sides() {
    let _alone = crate::heavy::alone();
    let system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    make_zone(&core);
    // A copied machine: the same certificate, a folder of its own, other ports.
    let mut twin = Node::new(NodeRole::Edge, "edge-1", &system.folder().join("twin"));
    twin.identity.clone_from(&system.edges[0].identity);
    twin.upstreams.clone_from(&system.edges[0].upstreams);
    twin.start().unwrap();

    let status = core.wait_status(&system.core, "told of both", |status| {
        edge(status, "edge-1")["trouble"].as_str().is_some_and(|trouble| trouble.starts_with("two processes"))
    });
    assert_eq!(status["edges"].as_array().unwrap().len(), 1, "one name is one edge: {status}");
    assert!(core.metric("zonecast_twin_connections_total") >= Some(1.0));
    let told = system.core.log_lines(&["ERROR", "two processes use this identity", "127.0.0.1"]);
    assert_eq!(told.len(), 1, "{told:#?}");
    for node in [&system.edges[0], &twin] {
        let said = |status: &Value| status["twin"].as_str().is_some_and(|twin| twin.contains("from 127.0.0.1:"));
        Http::new(node.http).wait_status(node, "told of the other", said);
        assert!(node.wait_log(&["ERROR", "another process uses this identity"], DEADLINE).is_some(), "{}", node.log());
    }
    let [at_core, at_edge] = [system.core.http, system.edges[0].http].map(|address| format!("http://{address}"));
    let doctor = run_any(&["doctor", "--core", &at_core, "--node", &at_edge]).unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("two processes use this identity") && said.contains("another process uses"), "{said}");

    // With one of them gone the other goes on.
    twin.kill();
    let goes_on = poll_until(Instant::now() + DEADLINE * 2, || {
        let receipt = set(&core, "192.0.2.7", "all&timeout=5s");
        std::thread::park_timeout(Duration::from_millis(20));
        (receipt["reached"] == true).then_some(())
    });
    assert!(goes_on.is_some(), "{}", core.get("/v1/status"));
}

#[test]
fn a_core_that_stops_in_order_knows_afterwards_how_long_an_edge_has_been_away() {
    let mut system = System::new(1).unwrap();
    // It comes by itself, with its certificate: nothing else about it is news at the stop.
    system.core.lines = String::new();
    system.core.start_ready().unwrap();
    system.edges[0].start_ready().unwrap();
    let core = Http::new(system.core.http);
    wait_expected(&system.core, "edge-1");
    let begun = Instant::now();
    make_zone(&core);
    // Longer than what the times are rounded to, so that the stop is told from the day it was expected.
    core.wait_status(&system.core, "up for long enough", |_| begun.elapsed() > Duration::from_secs(3));
    let stopped = Instant::now();
    system.core.stop().unwrap();
    system.edges[0].kill();
    system.core.start_ready().unwrap();
    let status = core.get("/v1/status");
    let away = Duration::try_from_secs_f64(edge(&status, "edge-1")["away_s"].as_f64().unwrap()).unwrap();
    assert!(away <= stopped.elapsed() + Duration::from_secs(1), "{status}");
    assert!(edge(&status, "edge-1")["trouble"].as_str().unwrap().contains("since this core started"), "{status}");
}
