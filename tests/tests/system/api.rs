//! The HTTP API and DNS as a client sees them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use domain::base::iana::Rtype;
use serde_json::{Value, json};
use zonecast_tests::{Asker, Mode, Question, Recursion, Reply, Zonecast, poll_until};

/// How long a test waits for anything before it fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Calls the API; status and body.
pub(crate) fn call(server: &Zonecast, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let url = format!("http://{}{path}", server.http);
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request = ureq::http::Request::builder().method(method).uri(url);
    let response = match body {
        Some(body) => agent.run(request.header("content-type", "application/json").body(body.to_string()).unwrap()),
        None => agent.run(request.body(()).unwrap()),
    };
    let mut response = response.unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Sets an A record set and waits as `wait` says; the whole answer.
pub(crate) fn set_address(server: &Zonecast, zone: &str, name: &str, address: &str, wait: &str) -> Value {
    let path = format!("/v1/zones/{zone}/records/{name}/A{wait}");
    let (status, written) = call(server, "PUT", &path, Some(&json!({"ttl": 60, "data": [address]})));
    assert_eq!(status, 200, "{written}");
    written
}

pub(crate) fn ask(server: SocketAddr, name: &str, rtype: Rtype) -> Reply {
    let question = Question { name: name.parse().unwrap(), rtype };
    Asker::new(server, Recursion::Off).ask(&question, Mode::Edns(1232)).unwrap()
}

/// Addresses in the answer, as text.
pub(crate) fn addresses(server: SocketAddr, name: &str) -> Vec<String> {
    let reply = ask(server, name, Rtype::A);
    reply.answer.iter().map(|rr| rr.to_string().rsplit(' ').next().unwrap().to_owned()).collect()
}

/// Waits until every edge answers with exactly this address.
pub(crate) fn wait_for_address(server: &Zonecast, name: &str, address: &str) {
    for edge in &server.dns {
        let seen = poll_until(Instant::now() + DEADLINE, || (addresses(*edge, name) == [address]).then_some(()));
        assert!(seen.is_some(), "{edge} says {:?} for {name}, not {address}", addresses(*edge, name));
    }
}
