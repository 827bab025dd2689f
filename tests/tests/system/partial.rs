//! Edges and relays that hold some of the published keyspaces only, with whole processes.

use std::time::{Duration, Instant};

use serde_json::json;
use zonecast_tests::{Node, System, poll_until};

use crate::dig::dig;
use crate::http::Http;
use crate::operator::hang_up;

/// For what comes at once, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

#[track_caller]
fn done(http: &Http, method: &str, path: &str, body: &str) {
    let (status, answer) = http.call(method, path, Some(body)).unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// Waits until a node holds what it is to hold, at the version of the core.
#[track_caller]
fn wait_settled(node: &Node, core: &Http, zones: u64) {
    let version = core.get("/v1/status")["version"].clone();
    let settled = |status: &serde_json::Value| {
        (&status["version"], &status["holds_others"], &status["zones"]) == (&version, &json!(false), &json!(zones))
    };
    Http::new(node.http).wait_status(node, "settled", settled);
}

fn reads(node: &Node, keyspace: &str) -> u16 {
    Http::new(node.http).call("GET", &format!("/v1/kv/{keyspace}/keys/a"), None).unwrap().0
}

#[test]
fn an_edge_below_a_relay_holds_the_keyspaces_of_its_file_and_sighup_changes_them() {
    let mut system = System::new(1).unwrap();
    let mut relay = system.relay("relay-1").unwrap();
    relay.lines = r#"keyspaces = ["dns", "rules", "later"]"#.into();
    system.core.start_ready().unwrap();
    let core = Http::new(system.core.http);
    done(&core, "PUT", "/v1/zones/one.test", ZONE);
    for keyspace in ["rules", "flags"] {
        done(&core, "PUT", &format!("/v1/kv/{keyspace}"), "{}");
        done(&core, "PUT", &format!("/v1/kv/{keyspace}/keys/a"), "one");
    }
    relay.start_ready().unwrap();
    let edge = &mut system.edges[0];
    edge.upstreams = vec![relay.service];
    edge.lines = r#"keyspaces = ["rules", "later"]"#.into();
    edge.start_ready().unwrap();
    wait_settled(&relay, &core, 1);
    wait_settled(edge, &core, 0);
    assert_eq!((reads(edge, "rules"), reads(edge, "flags"), reads(&relay, "flags")), (200, 404, 404));
    let said = dig(edge.service, &["www.one.test"]);
    assert!(said.contains("status: REFUSED"), "it does not hold the zone, so it says nothing about its names: {said}");
    assert_eq!(Http::new(edge.http).get("/v1/status")["keyspaces"], json!(["later", "rules"]));

    // A keyspace that was chosen before it was there comes by itself; what is not held makes versions all the same.
    done(&core, "PUT", "/v1/kv/later", "{}");
    done(&core, "PUT", "/v1/kv/later/keys/a", "two");
    done(&core, "PUT", "/v1/zones/two.test?wait=all", ZONE);
    let there = poll_until(Instant::now() + PATIENCE, || (reads(edge, "later") == 200).then_some(()));
    assert!(there.is_some(), "{}", edge.log());
    wait_settled(edge, &core, 0);

    // More than the relay holds is at the core; and what is held goes on being served meanwhile.
    edge.upstreams = vec![relay.service, system.core.service];
    assert!(edge.stop().unwrap().success());
    edge.lines = r#"keyspaces = ["rules"]"#.into();
    edge.start_ready().unwrap();
    edge.lines = r#"keyspaces = ["dns", "rules", "flags"]"#.into();
    edge.write_config().unwrap();
    hang_up(edge, &["keyspaces=\"read again\""]);
    let more = poll_until(Instant::now() + PATIENCE, || {
        assert_eq!(reads(edge, "rules"), 200, "what it held is gone while it loads more");
        (reads(edge, "flags") == 200).then_some(())
    });
    assert!(more.is_some(), "{}", edge.log());
    wait_settled(edge, &core, 2);
    let said = dig(edge.service, &["www.one.test"]);
    assert!(said.contains("192.0.2.1"), "{said}");
    edge.lines = r#"keyspaces = ["no name"]"#.into();
    edge.write_config().unwrap();
    hang_up(edge, &["keyspaces=\"not used", "no name"]);
    wait_settled(edge, &core, 2);
}
