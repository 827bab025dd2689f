//! The way of a change through the real process: API, core, QUIC, edges, UDP; and what a restart keeps.

use std::path::Path;

use domain::base::iana::{OptRcode, Rtype};
use serde_json::{Value, json};
use zonecast_tests::{DevOptions, Zonecast};

use crate::api::{addresses, ask, call, set_address, wait_for_address};

/// A zone file of two names.
pub(crate) fn write_zone(folder: &Path, apex: &str) {
    let text = "$TTL 300\n@ SOA ns hostmaster 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\n";
    std::fs::write(folder.join(format!("{apex}.zone")), text).unwrap();
}

fn folder_with(apexes: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    apexes.iter().for_each(|apex| write_zone(folder.path(), apex));
    folder
}

#[test]
fn a_change_is_seen_on_every_edge() {
    let zones = folder_with(&["one.test", "two.test"]);
    let server = Zonecast::start(&DevOptions { edges: 3, ..DevOptions::new(zones.path()) }).unwrap();
    assert_eq!(server.dns.len(), 3);
    assert_eq!(server.ready_count("zones"), Some(2));
    for edge in &server.dns {
        assert_eq!(addresses(*edge, "www.one.test"), ["192.0.2.1"], "every edge serves once it is ready");
    }
    let written = set_address(&server, "one.test", "www", "192.0.2.2", "?wait=all");
    assert_eq!(written["changed"], json!(true), "{written}");
    for edge in &server.dns {
        assert_eq!(addresses(*edge, "www.one.test"), ["192.0.2.2"], "acknowledged by all, so live on all");
        assert_eq!(addresses(*edge, "www.two.test"), ["192.0.2.1"], "the other zone is untouched");
    }
    // The same again changes nothing; another record appears, and goes.
    let again = set_address(&server, "one.test", "www", "192.0.2.2", "");
    assert_eq!((&again["changed"], &again["version"]), (&json!(false), &written["version"]), "{again}");
    set_address(&server, "one.test", "new.deep", "192.0.2.3", "?wait=all");
    assert_eq!(addresses(server.dns[2], "new.deep.one.test"), ["192.0.2.3"]);
    assert_eq!(ask(server.dns[2], "deep.one.test", Rtype::A).rcode, OptRcode::NOERROR, "an empty non-terminal came");
    let (status, gone) = call(&server, "DELETE", "/v1/zones/one.test/records/new.deep/A?wait=all", None);
    assert_eq!(status, 200, "{gone}");
    assert_eq!(ask(server.dns[0], "deep.one.test", Rtype::A).rcode, OptRcode::NXDOMAIN, "and went");
    assert!(server.stop().unwrap().success());
}

#[test]
fn a_receipt_names_every_edge() {
    let zones = folder_with(&["one.test"]);
    let server = Zonecast::start(&DevOptions { edges: 2, ..DevOptions::new(zones.path()) }).unwrap();
    let written = set_address(&server, "one.test", "www", "192.0.2.2", "?wait=all");
    let (status, receipt) = call(&server, "GET", &format!("/v1/receipts/{}", written["version"]), None);
    assert_eq!((status, &receipt["applied"], &receipt["of"]), (200, &json!(2), &json!(2)), "{receipt}");
}

#[test]
fn many_changes_at_once_are_one_version() {
    let zones = folder_with(&["one.test"]);
    let server = Zonecast::start(&DevOptions::new(zones.path())).unwrap();
    let change =
        |name: &str, address: &str| json!({"action": "set", "name": name, "type": "A", "ttl": 60, "data": [address]});
    let changes =
        json!({"changes": [change("a", "192.0.2.2"), change("b", "192.0.2.3"), {"action": "delete", "name": "www"}]});
    let (status, written) = call(&server, "POST", "/v1/zones/one.test/changes?wait=all", Some(&changes));
    assert_eq!(status, 200, "{written}");
    assert_eq!(addresses(server.dns[0], "a.one.test"), ["192.0.2.2"]);
    assert_eq!(addresses(server.dns[0], "b.one.test"), ["192.0.2.3"]);
    assert_eq!(ask(server.dns[0], "www.one.test", Rtype::A).rcode, OptRcode::NXDOMAIN);
    let (_, status) = call(&server, "GET", "/v1/zones/one.test", None);
    assert_eq!(status["serial"], written["serial"], "{status}");
    // What cannot be served changes nothing.
    let wrong = json!({"changes": [change("c", "192.0.2.4"), {"action": "set", "name": "a", "type": "CNAME", "ttl": 60, "data": ["b"]}]});
    let (status, refused) = call(&server, "POST", "/v1/zones/one.test/changes", Some(&wrong));
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("refused")), "{refused}");
    assert_eq!(ask(server.dns[0], "c.one.test", Rtype::A).rcode, OptRcode::NXDOMAIN);
}

#[test]
fn a_restart_on_the_same_data_serves_without_importing_again() {
    let zones = folder_with(&["one.test", "two.test"]);
    let data = tempfile::tempdir().unwrap();
    let options = DevOptions { data: Some(data.path().join("data")), ..DevOptions::new(zones.path()) };
    let server = Zonecast::start(&options).unwrap();
    let written = set_address(&server, "one.test", "www", "192.0.2.2", "?wait=all");
    assert!(server.stop().unwrap().success());

    let server = Zonecast::start(&options).unwrap();
    assert_eq!(server.ready["version"], written["version"], "nothing was imported again");
    wait_for_address(&server, "www.one.test", "192.0.2.2");
    assert!(server.stop().unwrap().success());

    // Only the file that changed is imported.
    let file = zones.path().join("two.test.zone");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap().replace("192.0.2.1", "192.0.2.9")).unwrap();
    let server = Zonecast::start(&options).unwrap();
    wait_for_address(&server, "www.two.test", "192.0.2.9");
    wait_for_address(&server, "www.one.test", "192.0.2.2");
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let zones = folder_with(&["one.test"]);
    let data = tempfile::tempdir().unwrap();
    let options = DevOptions { data: Some(data.path().join("data")), ..DevOptions::new(zones.path()) };
    let mut last = (String::new(), Value::Null);
    for round in 1..=3_u8 {
        let server = Zonecast::start(&options).unwrap();
        if round > 1 {
            wait_for_address(&server, "www.one.test", &last.0);
            assert!(server.ready_count("version") >= last.1.as_u64(), "versions never go back");
        }
        for change in 1..=10_u8 {
            let address = format!("192.0.{round}.{change}");
            let written = set_address(&server, "one.test", "www", &address, "");
            last = (address, written["version"].clone());
        }
        server.kill();
    }
    let server = Zonecast::start(&options).unwrap();
    wait_for_address(&server, "www.one.test", &last.0);
}

#[test]
fn a_zone_comes_and_goes_through_the_api() {
    let zones = folder_with(&["one.test"]);
    let server = Zonecast::start(&DevOptions::new(zones.path())).unwrap();
    assert_eq!(ask(server.dns[0], "www.late.test", Rtype::A).rcode, OptRcode::REFUSED);
    let text =
        "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 300 A 192.0.2.7\n";
    let url = format!("http://{}/v1/zones/late.test?wait=all", server.http);
    let response = ureq::put(&url).send(text).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(addresses(server.dns[0], "www.late.test"), ["192.0.2.7"]);
    let (status, gone) = call(&server, "DELETE", "/v1/zones/late.test?wait=all&allow_shrink=true", None);
    assert_eq!(status, 200, "{gone}");
    assert_eq!(ask(server.dns[0], "www.late.test", Rtype::A).rcode, OptRcode::REFUSED);
}
