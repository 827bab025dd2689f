//! An edge and its core whose histories do not fit: the edge answers its last good version, and says what to do.

use std::path::Path;

use serde_json::Value;
use zonecast_tests::{Node, System, copy_folder, run};

use crate::api::{DEADLINE, addresses};
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

fn set(core: &Http, address: &str) {
    let (status, written) = core.set("one.test", "www", "A", address).unwrap();
    assert_eq!(status, 200, "{written}");
}

/// Waits until the edge has what the core has.
fn caught_up(system: &System) {
    let at = Http::new(system.core.http).get("/v1/status");
    let edge = &system.edges[0];
    let here = Http::new(edge.http).wait_status(edge, &format!("at {}", at["version"]), |status| {
        status["following"] == "streaming" && status["chain"] == at["chain"] && status["version"] == at["version"]
    });
    assert_eq!((&here["store"], &here["trouble"]), (&at["store"], &Value::Null), "{here}");
}

/// The edge follows no more, and says so: in its status, metrics, and one line that has these words.
fn assert_in_trouble(edge: &Node, words: &[&str], answer: &str) {
    let http = Http::new(edge.http);
    let status = http.wait_status(edge, &format!("in trouble: {words:?}"), |status| {
        status["trouble"].as_str().is_some_and(|trouble| words.iter().all(|word| trouble.contains(word)))
    });
    assert_eq!(status["following"], "away", "{status}");
    let line = edge.wait_log(&[&["following has stopped"], words].concat(), DEADLINE);
    assert!(line.is_some(), "no such line:\n{}", edge.log());
    assert_eq!(http.metric(&format!("zonecast_edge_connected{{edge=\"{}\"}}", edge.name)), Some(0.0));
    assert!(http.metric("zonecast_edge_left_upstream_total{reason=\"refused\"}") > Some(0.0));
    assert_eq!(addresses(edge.service, "www.one.test"), [answer], "its last good version");
}

/// What the line says: take the copy of the edge away and start it again.
fn follow_the_advice(edge: &mut Node) {
    edge.kill();
    std::fs::remove_dir_all(&edge.data).unwrap();
    edge.start_ready().unwrap();
}

fn replace(data: &Path, by: &Path) {
    std::fs::remove_dir_all(data).unwrap();
    copy_folder(by, data).unwrap();
}

#[test]
fn an_edge_waits_for_its_core_loses_it_and_gets_it_back() {
    let mut system = System::new(1).unwrap();
    // Without a core it runs, answers that nothing is its own, and is not ready.
    system.edges[0].start().unwrap();
    let edge = Http::new(system.edges[0].http);
    let status = edge.wait_status(&system.edges[0], "away", |status| status["trouble"].is_string());
    assert_eq!((&status["following"], &status["ready"]), (&"away".into(), &false.into()), "{status}");
    assert_eq!(edge.call("GET", "/readyz", None).unwrap().0, 503);
    assert_eq!(edge.call("GET", "/healthz", None).unwrap().0, 200);

    system.core.start_ready().unwrap();
    system.edges[0].wait_ready().unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);

    system.core.kill();
    let heard = |status: &Value| status["following"] == "away" && status["silent_s"].as_f64() > Some(0.5);
    edge.wait_status(&system.edges[0], "alone", heard);
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.1"]);
    // Started anew without its core it still answers.
    system.edges[0].kill();
    system.edges[0].start().unwrap();
    edge.wait_status(&system.edges[0], "alone", |status| status["zones"] == 1);
    let answered = zonecast_tests::poll_until(std::time::Instant::now() + DEADLINE, || {
        (addresses(system.edges[0].service, "www.one.test") == ["192.0.2.1"]).then_some(())
    });
    assert!(answered.is_some());

    system.core.start_ready().unwrap();
    set(&core, "192.0.2.2");
    caught_up(&system);
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.2"]);
    assert!(system.edges[0].log_lines(&["ERROR"]).is_empty(), "{}", system.edges[0].log());
}

#[test]
fn a_core_restored_to_an_older_state_or_replaced_is_not_followed() {
    let mut system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    caught_up(&system);
    let backup = system.folder().join("backup");
    system.core.stop().unwrap();
    copy_folder(&system.core.data, &backup).unwrap();
    system.core.start_ready().unwrap();
    (2..=5).for_each(|last| set(&core, &format!("192.0.2.{last}")));
    caught_up(&system);

    // Behind the edge.
    system.core.kill();
    replace(&system.core.data, &backup);
    system.core.start_ready().unwrap();
    assert_in_trouble(&system.edges[0], &["ahead", "cluster recover"], "192.0.2.5");
    let known = core.get("/v1/status");
    assert!(known["edges"].as_array().unwrap().iter().all(|edge| edge["connected"] == false), "{known}");

    // If that is to hold, as the line says.
    system.core.stop().unwrap();
    let aside = system.folder().join("aside");
    copy_folder(&system.core.data, &aside).unwrap();
    let (data, store) = (system.core.data.to_str().unwrap(), known["store"].as_str().unwrap());
    run(&["cluster", "recover", "--data", data, "--confirm", store]).unwrap();
    system.core.start_ready().unwrap();
    caught_up(&system);
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.1"]);
    // A later epoch than that of the core is ahead, too.
    system.core.kill();
    replace(&system.core.data, &aside);
    system.core.start_ready().unwrap();
    assert_in_trouble(&system.edges[0], &["ahead", "cluster recover"], "192.0.2.1");
    follow_the_advice(&mut system.edges[0]);
    caught_up(&system);

    // It overtakes the edge with other changes: the chains differ at the edge's version.
    (2..=5).for_each(|last| set(&core, &format!("192.0.2.{last}")));
    caught_up(&system);
    system.core.kill();
    replace(&system.core.data, &backup);
    system.core.start_ready().unwrap();
    (12..=20).for_each(|last| set(&core, &format!("192.0.2.{last}")));
    assert_in_trouble(&system.edges[0], &["chain"], "192.0.2.5");
    follow_the_advice(&mut system.edges[0]);
    caught_up(&system);
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.20"]);

    // Another store altogether.
    system.core.kill();
    std::fs::remove_dir_all(&system.core.data).unwrap();
    system.core.start_ready().unwrap();
    let other = ZONE.replace("192.0.2.1\n", "192.0.2.77\n");
    assert_eq!(core.call("PUT", "/v1/zones/one.test", Some(&other)).unwrap().0, 200);
    assert_in_trouble(&system.edges[0], &["store"], "192.0.2.20");
    // Also when it is started anew.
    system.edges[0].kill();
    system.edges[0].start().unwrap();
    Http::new(system.edges[0].http).wait_status(&system.edges[0], "up", |status| status["zones"] == 1);
    assert_in_trouble(&system.edges[0], &["store"], "192.0.2.20");
    follow_the_advice(&mut system.edges[0]);
    caught_up(&system);
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.77"]);
}
