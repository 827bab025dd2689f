//! Certificates and tokens that are not good enough, end to end: refused, counted, told once a minute, and mended
//! without a restart. Every single case has its test in `kv/transport` and in `zonecast/src/auth`.

use serde_json::Value;
use zonecast_tests::{Node, NodeRole, System, run};

use crate::api::{DEADLINE, addresses};
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

/// The edge is refused for this reason, answers what it has, and the core has counted it and told it once.
fn assert_refused(system: &System, edge: &Node, reason: &str, word: &str) {
    let status = Http::new(edge.http).wait_status(edge, &format!("refused: {word}"), |status| {
        status["following"] == "away" && status["trouble"].as_str().is_some_and(|trouble| trouble.contains(word))
    });
    assert!(status["trouble"].as_str().unwrap().contains("; "), "it says what to do: {status}");
    let core = Http::new(system.core.http);
    let count = |metric: &str| core.metric(&format!("{metric}{{reason=\"{reason}\"}}")).unwrap_or(0.0);
    let counted = count("zonecast_refused_connections_total") + count("zonecast_certificate_closed_connections_total");
    assert!(counted > 0.0, "{reason} is not counted: {}", core.get("/metrics"));
    // The connection may have been closed first, which says the reason; the line comes with the next try at the latest.
    assert!(edge.wait_log(&["WARN", "not followed", word], DEADLINE).is_some(), "{}", edge.log());
    let told = edge.log_lines(&["WARN", "not followed", word]);
    assert_eq!(told.len(), 1, "once a minute: {told:#?}");
}

fn wait_following(edge: &Node) -> Value {
    Http::new(edge.http).wait_status(edge, "following", |status| status["following"] == "streaming")
}

#[test]
fn certificates_that_expire_are_revoked_or_of_another_ca_are_refused_and_mended_while_all_run() {
    let mut system = System::new(2).unwrap();
    let ca = system.ca().display().to_string();
    system.issue(&system.edges[0], &["--role", "edge", "--valid", "9s"]).unwrap();
    system.core.start_ready().unwrap();
    system.edges.iter_mut().for_each(|edge| _ = edge.start_ready().unwrap());
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);

    // Expires while it runs; renewed it comes back by itself.
    assert_refused(&system, &system.edges[0], "expired", "expired");
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.1"]);
    system.issue(&system.edges[0], &["--role", "edge"]).unwrap();
    wait_following(&system.edges[0]);

    // Revoked: the core knows it once the list lies in its folder.
    run(&["ca", "revoke", &ca, "edge-2"]).unwrap();
    std::fs::copy(system.ca().join("crl.pem"), system.core.identity.join("crl.pem")).unwrap();
    assert_refused(&system, &system.edges[1], "revoked", "revoked");
    wait_following(&system.edges[0]);
    system.issue(&system.edges[1], &["--role", "edge"]).unwrap();
    wait_following(&system.edges[1]);

    // Of another authority that says the same names.
    let stranger = System::new(2).unwrap();
    let impostor = &mut system.edges[1];
    impostor.kill();
    for file in ["node.pem", "node.key", "ca.pem"] {
        std::fs::copy(stranger.edges[1].identity.join(file), impostor.identity.join(file)).unwrap();
    }
    let _ = std::fs::remove_file(impostor.identity.join("crl.pem"));
    impostor.start().unwrap();
    let status = Http::new(impostor.http).wait_status(impostor, "in trouble", |status| status["trouble"].is_string());
    assert_eq!((&status["following"], &status["version"]), (&"away".into(), &1.into()), "what it had before: {status}");

    // Of another role: it does not even start.
    let mut client = Node::new(NodeRole::Edge, "edge-3", &system.folder().join("edge-3"));
    client.upstreams = vec![system.core.service];
    system.issue(&client, &["--role", "client"]).unwrap();
    client.start().unwrap();
    assert_eq!(client.wait_ended().unwrap().code(), Some(2), "{}", client.log());
    assert!(client.log().contains("--role edge"), "{}", client.log());
}

#[test]
fn tokens_open_what_they_are_for_and_nothing_else() {
    let mut system = System::new(0).unwrap();
    system.core.http_lines = "tokens = true".into();
    system.core.start_ready().unwrap();
    let token = |name: &str, options: &[&str]| system.token(&system.core, name, options).unwrap();
    let admin = token("all", &["--role", "write"]);
    let scoped = token("one", &["--role", "write", "--zone", "one.test"]);
    let reading = token("eye", &["--role", "read"]);
    let with = |token: &str| Http::new(system.core.http).with_token(token);
    for zone in ["one.test", "two.test"] {
        let written = with(&admin).call("PUT", &format!("/v1/zones/{zone}"), Some(ZONE)).unwrap();
        assert_eq!(written.0, 200, "{written:?}");
    }
    let write = |http: &Http, zone: &str| http.set(zone, "www", "A", "192.0.2.2").unwrap().0;
    for _ in 0..20 {
        assert_eq!(write(&Http::new(system.core.http), "one.test"), 401, "no token");
        assert_eq!(write(&with("zonecast_nonsense"), "one.test"), 401, "a bad token");
        assert_eq!(write(&with(&reading), "one.test"), 403, "wrong role");
        assert_eq!(write(&with(&scoped), "two.test"), 403, "wrong scope");
    }
    assert_eq!(write(&with(&scoped), "one.test"), 200);
    assert_eq!(with(&reading).call("GET", "/v1/zones/two.test", None).unwrap().0, 200);
    // Health is for everybody, or nobody could watch it.
    assert_eq!(Http::new(system.core.http).call("GET", "/healthz", None).unwrap().0, 200);
    for (reason, least) in [("no_token", 20.0), ("bad_token", 20.0), ("forbidden", 40.0)] {
        let counted = with(&admin).metric(&format!("zonecast_api_refused_total{{reason=\"{reason}\"}}"));
        assert!(counted >= Some(least), "{reason}: {counted:?}");
    }
    let told = system.core.log_lines(&["the API refused requests"]);
    assert_eq!(told.len(), 1, "once a minute: {told:#?}");
    // Taken away while it runs.
    let first = system.core.data.join("first-token").display().to_string();
    let url = format!("http://{}", system.core.http);
    run(&["token", "revoke", "one", "--core", &url, "--token-file", &first]).unwrap();
    assert_eq!(write(&with(&scoped), "one.test"), 401);
}
