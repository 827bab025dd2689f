//! Disks and clocks that fail: answers go on, the state shows, and nobody needs to lend a hand.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonecast_tests::{Node, SmallDisk, System, WrongClock, or_skip, poll_until, set_read_only};

use crate::api::{DEADLINE, addresses};
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

/// Of a disk that is to be filled: RocksDB takes room for its logs beforehand, and that has to fit.
const DISK_MEBIBYTES: u32 = 400;

/// Names of a zone that fills what RocksDB has taken beforehand, some 35 MB for each database, in a few imports.
const FILLING: usize = 30_000;

fn make_zone(core: &Http) {
    let (status, written) = core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap();
    assert_eq!(status, 200, "{written}");
}

/// Imports a large zone of other text each time, until `failed` says that it is enough. The disk is full before each
/// and after the last: RocksDB gives room back when it removes what it has compacted or a copy that failed, and a node
/// that finds some goes on.
fn write_until(core: &Http, disk: &SmallDisk, mut failed: impl FnMut(u16) -> bool) {
    let deadline = Instant::now() + DEADLINE * 6;
    for round in 0.. {
        assert!(Instant::now() < deadline, "the disk does not fill");
        disk.fill().unwrap();
        let mut text = ZONE.to_owned();
        let padding = format!("{round:0>240}");
        (0..FILLING).for_each(|name| text.push_str(&format!("t{name} 60 TXT {padding}\n")));
        let status = core.call("PUT", "/v1/zones/filling.test", Some(&text)).map_or(0, |(status, _)| status);
        if failed(status) {
            disk.fill().unwrap();
            return;
        }
    }
}

/// A node that can write no more says so wherever one looks.
fn assert_shows_fault(node: &Node, why: &str) {
    let http = Http::new(node.http);
    let status = http.wait_status(node, "at fault", |status| status["fault"].is_string());
    assert!(status["fault"].as_str().unwrap().contains(why), "{status}");
    for path in ["/healthz", "/readyz"] {
        let (status, body) = http.call("GET", path, None).unwrap();
        assert_eq!(status, 503, "{path}: {body}");
    }
    assert_eq!(http.metric("zonecast_fault "), Some(1.0));
    assert!(!node.log_lines(&["writing has stopped", why]).is_empty(), "{}", node.log());
}

/// The node has begun anew by itself, and everybody stands where the core does.
fn assert_recovered(system: &mut System, address: &str) {
    let core = Http::new(system.core.http);
    let at = core.wait_status(&system.core, "ready", |status| status["ready"] == true && status["fault"].is_null());
    let (status, written) = core.set("one.test", "www", "A", address).unwrap();
    assert_eq!(status, 200, "{written}");
    assert!(written["version"].as_u64() > at["version"].as_u64(), "{written} after {at}");
    let at = core.get("/v1/status");
    for edge in &mut system.edges {
        let http = Http::new(edge.http);
        let here = http.wait_status(edge, "caught up", |status| {
            status["fault"].is_null() && status["ready"] == true && status["version"] == at["version"]
        });
        assert_eq!((&here["store"], &here["chain"]), (&at["store"], &at["chain"]));
        assert_eq!(addresses(edge.service, "www.one.test"), [address]);
        assert_eq!(http.metric("zonecast_fault "), Some(0.0));
        assert!(edge.ended().is_none(), "it has not ended, but replaced itself");
    }
    assert!(system.core.ended().is_none());
}

fn small_disk() -> Option<SmallDisk> {
    or_skip(SmallDisk::mount(DISK_MEBIBYTES), "no small disk here")
}

#[test]
fn a_core_whose_disk_is_full_goes_on_by_itself_when_there_is_room() {
    let _alone = crate::heavy::alone();
    let Some(disk) = small_disk() else { return };
    let mut system = System::new(1).unwrap();
    system.core.data = disk.path().join("data");
    system.core.start_ready().unwrap();
    system.edges[0].start_ready().unwrap();
    let core = Http::new(system.core.http);
    make_zone(&core);
    let (_, acknowledged) = core.set("one.test", "www", "A", "192.0.2.2").unwrap();
    write_until(&core, &disk, |status| status != 200);

    assert_shows_fault(&system.core, "No space left");
    let (status, refused) = core.set("one.test", "www", "A", "192.0.2.3").unwrap();
    assert_eq!((status, &refused["error"]["code"]), (503, &json!("unavailable")), "{refused}");
    assert_eq!(refused["error"]["fault"], "disk", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("No space left") && message.contains("data"), "{refused}");
    for _ in 0..20 {
        assert_eq!(core.set("one.test", "www", "A", "192.0.2.3").unwrap().0, 503);
    }
    let said = system.core.log_lines(&["ERROR"]);
    assert!(said.len() < 10, "told once, not with every request: {said:#?}");
    let url = format!("http://{}", system.core.http);
    let command = ["record", "set", "one.test", "www", "A", "60", "192.0.2.3", "--core", &url];
    let told = zonecast_tests::run_any(&command).unwrap();
    let text = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.code() == Some(6) && text.contains("No space left"), "{text}");
    // What was acknowledged is answered, at the edge and at the core.
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.2"]);
    let held = core.get("/v1/zones/one.test/records/www/A");
    assert_eq!(held["rrsets"][0]["data"], json!(["192.0.2.2"]), "{held}");

    disk.make_room().unwrap();
    system.core.wait_ready().unwrap();
    let at = core.get("/v1/status");
    assert!(at["version"].as_u64() >= acknowledged["version"].as_u64(), "{at}");
    assert_recovered(&mut system, "192.0.2.9");
}

#[test]
fn an_edge_whose_disk_is_full_answers_what_it_has_and_catches_up_by_itself() {
    let _alone = crate::heavy::alone();
    let Some(disk) = small_disk() else { return };
    let mut system = System::new(2).unwrap();
    system.edges[0].data = disk.path().join("data");
    system.core.start_ready().unwrap();
    system.edges.iter_mut().for_each(|edge| _ = edge.start_ready().unwrap());
    let core = Http::new(system.core.http);
    make_zone(&core);
    let edge = Http::new(system.edges[0].http);
    write_until(&core, &disk, |status| {
        assert_eq!(status, 200, "a full edge does not hold up the core");
        edge.call("GET", "/healthz", None).unwrap().0 == 503
    });
    assert_shows_fault(&system.edges[0], "No space left");
    let (_, written) = core.set("one.test", "www", "A", "192.0.2.3").unwrap();
    // The other edge has it; this one answers its last good version, and the core knows.
    let other = poll_until(Instant::now() + DEADLINE, || {
        (addresses(system.edges[1].service, "www.one.test") == ["192.0.2.3"]).then_some(())
    });
    assert!(other.is_some(), "{written}");
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.1"]);
    let receipt = core.get(&format!("/v1/receipts/{}", written["version"]));
    assert_eq!((&receipt["applied"], &receipt["of"]), (&json!(1), &json!(2)), "{receipt}");

    disk.make_room().unwrap();
    system.edges[0].wait_ready().unwrap();
    assert_recovered(&mut system, "192.0.2.9");
}

#[test]
fn disks_that_went_read_only_are_used_again_when_they_can_be() {
    let _alone = crate::heavy::alone();
    let mut system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    make_zone(&core);
    let folders = [system.core.data.clone(), system.edges[0].data.clone()];
    let Some(()) = or_skip(set_read_only(&folders[1], true), "files cannot be made read-only here") else { return };
    let (status, _) = core.set("one.test", "www", "A", "192.0.2.2").unwrap();
    assert_eq!(status, 200);
    assert_shows_fault(&system.edges[0], "cannot write in data folder");
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.1"], "its last good version");
    set_read_only(&folders[1], false).unwrap();
    system.edges[0].wait_ready().unwrap();
    assert_recovered(&mut system, "192.0.2.9");

    set_read_only(&folders[0], true).unwrap();
    let refused = core.set("one.test", "www", "A", "192.0.2.4").unwrap();
    let shown = std::panic::catch_unwind(|| assert_shows_fault(&system.core, "cannot write in data folder"));
    let answered = addresses(system.edges[0].service, "www.one.test");
    // Before anything is asserted, so that the folder can be removed.
    set_read_only(&folders[0], false).unwrap();
    assert_eq!(refused.0, 503, "{refused:?}");
    assert!(shown.is_ok());
    assert_eq!(answered, ["192.0.2.9"], "what was not acknowledged is not answered");
    system.core.wait_ready().unwrap();
    assert_recovered(&mut system, "192.0.2.10");
}

/// Hours by which the clocks of core and edge are wrong, one after the other. A certificate is good from 24 hours before
/// it was made, and this one for five years.
const JUMPS: [(i64, i64); 5] = [(3, -20), (-10, -20), (-10, 720), (7_200, -1), (-22, 0)];

#[test]
fn wrong_clocks_change_nothing_but_the_latency_of_two_clocks() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(2).unwrap();
    let core_clock = WrongClock::new(system.folder(), "core").unwrap();
    let edge_clock = WrongClock::new(system.folder(), "edge").unwrap();
    core_clock.set(3).unwrap();
    edge_clock.set(-20).unwrap();
    system.core.environment = core_clock.environment();
    system.edges[0].environment = edge_clock.environment();
    system.core.start_ready().unwrap();
    system.edges.iter_mut().for_each(|edge| _ = edge.start_ready().unwrap());
    let core = Http::new(system.core.http);
    make_zone(&core);
    let mut last = 0;
    // Both clocks jump, forth and back, while changes flow; then the core starts again in the past.
    for (number, (core_at, edge_at)) in JUMPS.into_iter().enumerate() {
        core_clock.set(core_at).unwrap();
        edge_clock.set(edge_at).unwrap();
        if number + 1 == JUMPS.len() {
            system.core.kill();
            system.core.start_ready().unwrap();
        }
        let until = Instant::now() + Duration::from_millis(1200);
        while Instant::now() < until {
            let address = format!("192.0.2.{}", 10 + last % 200);
            let path = "/v1/zones/one.test/records/www/A?wait=all&timeout=60s";
            let body = json!({"ttl": 60, "data": [address]}).to_string();
            let (status, written) = core.call("PUT", path, Some(&body)).unwrap();
            let receipt = &written["receipt"];
            assert_eq!((status, &receipt["reached"]), (200, &Value::Bool(true)), "{core_at} {edge_at}: {written}");
            assert!(written["version"].as_u64() > Some(last), "{written} after {last}");
            last = written["version"].as_u64().unwrap();
            for edge in receipt["edges"].as_array().unwrap() {
                let took = edge["ms"].as_f64();
                assert!(took.is_none_or(|ms| (0.0..60_000.0).contains(&ms)), "by one clock: {edge}");
            }
            for edge in &system.edges {
                assert_eq!(addresses(edge.service, "www.one.test"), [address.as_str()]);
            }
        }
    }
    let two_clocks = "zonecast_propagation_seconds_sum{stage=\"commit_to_applied\"} ";
    let shown = Http::new(system.edges[0].http).metric(two_clocks);
    assert!(shown > Some(3600.0), "the clocks were not wrong after all: {shown:?}");
    let at = core.get("/v1/status");
    for edge in &system.edges {
        let here = Http::new(edge.http).get("/v1/status");
        assert_eq!((&here["version"], &here["chain"]), (&at["version"], &at["chain"]));
    }
}
