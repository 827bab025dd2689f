//! Idempotency keys, over the death of a leader: what is asked for again is done once, by clients that ask themselves and
//! by the command line.

use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use zonecast_kv_proto::RequestKey;
use zonecast_tests::{Node, System, poll_until, zonecast_binary};

use crate::cluster::{PATIENCE, ZONE, let_in, url};
use crate::http::Http;

const RRSET: &str = "/v1/zones/one.test/records/www/A";

/// A key that was made just now.
fn key(number: u128) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    RequestKey::made_at(since.as_millis().try_into().unwrap(), number).to_string()
}

fn http(core: &Node) -> Http {
    Http::new(core.http)
}

/// Waits until this core reads that address of `www`.
fn wait_for(core: &Node, address: &str) {
    let has = || {
        let (status, read) = http(core).call("GET", RRSET, None).ok()?;
        (status == 200 && read["rrsets"][0]["data"] == json!([address])).then_some(())
    };
    assert!(poll_until(Instant::now() + PATIENCE, has).is_some(), "{}", core.log());
}

/// Asks for the address under a key, until a core leads.
fn set(core: &Node, key: &str, address: &str) -> (u16, Value) {
    let body = json!({"ttl": 60, "data": [address]}).to_string();
    let ask = || {
        let (status, said) = http(core).once(key, "PUT", RRSET, Some(&body)).ok()?;
        (said["error"]["code"] != "no_leader" && said["error"]["code"] != "unknown").then_some((status, said))
    };
    poll_until(Instant::now() + PATIENCE, ask).unwrap_or_else(|| panic!("nobody answers: {}", core.log()))
}

fn changes(core: &Node) -> usize {
    http(core).get("/v1/zones/one.test/log")["changes"].as_array().unwrap().len()
}

/// Three cores with a zone, of which the first leads, and an edge that is waited for and not started.
fn three_cores() -> (System, Node, Node) {
    let mut system = System::new(1).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    system.core.start_ready().unwrap();
    assert_eq!(http(&system.core).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    let_in(&system, [&mut second, &mut third]);
    (system, second, third)
}

#[test]
fn a_write_is_done_once_though_its_leader_dies_between_commit_and_answer() {
    let _alone = crate::heavy::alone();
    let (mut system, second, third) = three_cores();
    let (first, body) = (key(1), json!({"ttl": 60, "data": ["192.0.2.2"]}).to_string());
    // It is committed, and waits for an edge that is not there.
    let (asked, leader) = (first.clone(), http(&system.core));
    let waiting =
        std::thread::spawn(move || leader.once(&asked, "PUT", &format!("{RRSET}?wait=1&timeout=10m"), Some(&body)));
    wait_for(&second, "192.0.2.2");
    let (status, then) = set(&second, &key(2), "192.0.2.3");
    assert_eq!(status, 200, "{then}");
    system.core.kill();
    let cut_off = waiting.join().unwrap();
    assert!(cut_off.is_err(), "{cut_off:?}");

    for core in [&second, &third] {
        let (status, again) = set(core, &first, "192.0.2.2");
        assert_eq!((status, &again["repeated"]), (200, &json!(true)), "{again}");
        assert_eq!(again["version"].as_u64().map(|version| version + 1), then["version"].as_u64(), "{again} {then}");
    }
    wait_for(&third, "192.0.2.3");
    assert_eq!(changes(&third), 2);

    let (status, reused) = set(&third, &first, "192.0.2.9");
    assert_eq!((status, &reused["error"]["code"]), (422, &json!("key_reused")), "{reused}");
    let (status, old) = set(&second, &RequestKey::made_at(1, 1).to_string(), "192.0.2.9");
    assert_eq!((status, &old["error"]["code"]), (422, &json!("key_time")), "{old}");
    assert_eq!(http(&third).once(&key(3), "POST", "/v1/backup", Some("{}")).unwrap().0, 400);
    wait_for(&second, "192.0.2.3");
    assert_eq!(changes(&third), 2);
}

#[test]
fn two_requests_under_one_key_have_one_outcome_whichever_core_they_ask() {
    let _alone = crate::heavy::alone();
    let (system, second, third) = three_cores();
    let names: String = (0..20_000).map(|number| format!("host{number} 60 A 192.0.2.1\n")).collect();
    let (one, text) = (key(1), format!("{ZONE}{names}"));
    let put = |core| Http::new(core).once(&one, "PUT", "/v1/zones/large.test", Some(&text)).unwrap();
    let answers = std::thread::scope(|scope| {
        let asked = [system.core.http, second.http, third.http].map(|core| scope.spawn(move || put(core)));
        asked.map(|asked| asked.join().unwrap())
    });
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    assert!(answers.iter().all(|(_, said)| said["version"] == answers[0].1["version"]), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, said)| said["repeated"] == true).count(), 2, "{answers:?}");
}

#[test]
fn the_command_line_asks_the_other_cores_when_the_leader_dies_and_its_write_is_done_once() {
    let _alone = crate::heavy::alone();
    let (mut system, second, third) = three_cores();
    let cores = [&system.core, &second, &third].map(url).join(",");
    let command = ["--json", "--core", &cores, "record", "set", "one.test", "www", "A", "60", "192.0.2.2"];
    let running = Command::new(zonecast_binary().unwrap())
        .args(command)
        .args(["--wait", "1", "--timeout", "10m"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&second, "192.0.2.2");
    system.core.kill();
    let edge = &mut system.edges[0];
    edge.upstreams = vec![second.service, third.service];
    edge.start().unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{} {output:?}", edge.log());
    let written: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(written["repeated"] == true && written["receipt"]["reached"] == true, "{written}");
    assert_eq!(changes(&second), 1);
}
