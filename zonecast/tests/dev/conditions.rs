//! Conditional writes: done when the zone is where the request wants it, refused when it is not, never done regardless.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use zonecast_api::types::{ChangeRequest, RollbackRequest, SettingsChange, StoreSettingsChange};
use zonecast_api::{ClientError, Patience};

use super::{DEADLINE, System, ZONE, folder, set};
use crate::aliases::says;

/// Status, headers and body of the answer to a request with these headers.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn tag(&self) -> String {
        let line = self.head.lines().find_map(|line| line.strip_prefix("etag: "));
        line.unwrap_or_else(|| panic!("no tag in {}", self.head)).to_owned()
    }
}

fn ask(system: &System, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = TcpStream::connect(&system.ready.http).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

const AT: &str = "/v1/zones/example.com";
const RRSET: &str = "/v1/zones/example.com/records/www/A";

/// Every way to write in a zone, with a body that would be done.
fn writes() -> Vec<(&'static str, String, String)> {
    let write = |method, rest: &str, body: &str| (method, format!("{AT}{rest}"), body.to_owned());
    vec![
        write("PUT", "/records/www/A", r#"{"data": ["192.0.2.99"]}"#),
        write("POST", "/records/www/A", r#"{"data": ["192.0.2.98"]}"#),
        write("DELETE", "/records/www/A", ""),
        write("POST", "/changes", r#"{"changes": [{"action": "delete", "name": "www"}]}"#),
        write("POST", "/rollback", r#"{"to": 0}"#),
        write("PATCH", "/settings", r#"{"default_ttl": 77}"#),
        write("PUT", "?dry_run=true", &ZONE.replace("192.0.2.10", "192.0.2.96")),
        write("PUT", "", &ZONE.replace("192.0.2.10", "192.0.2.97")),
        write("DELETE", "?allow_shrink=true", ""),
    ]
}

#[test]
fn a_write_is_done_only_where_the_zone_is_where_it_should_be() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let before = ask(&system, ("GET", AT), &[], "").tag();
    system.change("example.com", set("www", "A", None, &["192.0.2.11"]));
    let now = ask(&system, ("GET", AT), &[], "").tag();
    assert_ne!(before, now);
    for path in [RRSET, "/v1/zones/example.com/records", "/v1/zones/example.com/file"] {
        let read = ask(&system, ("GET", path), &[], "");
        assert_eq!((read.status, read.tag()), (200, now.clone()), "{path}");
        // Who has it already need not read it again.
        let again = ask(&system, ("GET", path), &[("if-none-match", &now)], "");
        assert_eq!((again.status, again.body.as_str(), again.tag()), (304, "", now.clone()), "{path}");
        assert_eq!(ask(&system, ("GET", path), &[("if-none-match", &before)], "").status, 200);
    }
    let version = system.client.status().unwrap().version;
    for (method, path, body) in writes() {
        for stale in [before.as_str(), "\"0\"", "\"x\"", &format!("W/{now}")] {
            let refused = ask(&system, (method, &path), &[("if-match", stale)], &body);
            assert_eq!(refused.status, 412, "{method} {path} at {stale}: {}", refused.body);
            assert!(refused.body.contains("\"moved\"") && refused.body.contains("nothing has changed"));
        }
        let date = "Sun, 29 Nov 2026 03:00:00 GMT";
        for odd in [
            ("if-match", "42"),
            ("if-match", ""),
            ("if-none-match", now.as_str()),
            ("if-unmodified-since", date),
            ("if-modified-since", date),
            ("if-range", now.as_str()),
        ] {
            let refused = ask(&system, (method, &path), &[odd], &body);
            assert_eq!(refused.status, 400, "{method} {path} {odd:?}: {}", refused.body);
        }
    }
    assert_eq!(system.client.status().unwrap().version, version, "something was done all the same");
    let settings = system.client.settings("example.com").unwrap();
    assert_eq!(settings.default_ttl, 300);

    // Each where it should be; the last deletes the zone.
    for (method, path, body) in writes() {
        let tag = ask(&system, ("GET", AT), &[], "").tag();
        let done = ask(&system, (method, &path), &[("if-match", &format!("\"1-1\", {tag}"))], &body);
        assert_eq!(done.status, 200, "{method} {path} at {tag}: {}", done.body);
    }
    let undelete = |headers: &[(&str, &str)]| ask(&system, ("POST", &format!("{AT}/undelete")), headers, "").status;
    for wanted in ["*", now.as_str()] {
        assert_eq!(undelete(&[("if-match", wanted)]), 400, "a deleted zone is at no change");
    }
    let put = |headers: &[(&str, &str)]| ask(&system, ("PUT", AT), headers, ZONE).status;
    assert_eq!(put(&[("if-match", "*")]), 412, "there is none");
    assert_eq!(put(&[("if-none-match", "*")]), 200);
    assert_eq!(put(&[("if-none-match", "*")]), 412, "there is one");
    // Made again it begins to count anew, and is not taken for the one before.
    assert_ne!(ask(&system, ("GET", AT), &[], "").tag(), before);
    system.stop();
}

/// An alias that follows its target is no change of its own, and yet other answers.
#[test]
fn what_an_alias_has_changed_is_read_again_and_keeps_no_write_out() {
    let folder = folder(&[("example.com.zone", ZONE), ("cdn.example.zone", ZONE)]);
    let system = System::start(folder.path());
    let flatten = SettingsChange { flatten_apex: Some(true), ..SettingsChange::default() };
    system.client.change_settings("example.com", &flatten).unwrap();
    system.change("example.com", set("@", "CNAME", None, &["www.cdn.example."]));
    says(&system, "example.com", &["192.0.2.10"]);
    let tag = ask(&system, ("GET", AT), &[], "").tag();
    system.change("cdn.example", set("www", "A", None, &["192.0.2.20"]));
    says(&system, "example.com", &["192.0.2.20"]);
    for path in ["/v1/zones/example.com/records", "/v1/zones/example.com/file"] {
        let read = ask(&system, ("GET", path), &[("if-none-match", &tag)], "");
        assert_eq!(read.status, 200, "{path}");
        assert!(read.body.contains("192.0.2.20"), "{}", read.body);
        assert_eq!(ask(&system, ("GET", path), &[("if-none-match", &read.tag())], "").status, 304, "{path}");
    }
    let body = r#"{"data": ["192.0.2.99"]}"#;
    assert_eq!(ask(&system, ("PUT", RRSET), &[("if-match", &tag)], body).status, 200, "nobody has changed it");
    assert_eq!(ask(&system, ("PUT", RRSET), &[("if-match", &tag)], body).status, 412);
    system.stop();
}

#[test]
fn of_two_who_read_the_same_one_writes() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let first = system.client.zone("example.com").unwrap().change.unwrap();
    let change = |last: u8| ChangeRequest { changes: vec![set("www", "A", None, &[&format!("192.0.2.{last}")])] };
    for round in 0..10_u8 {
        let at = system.client.zone("example.com").unwrap().change;
        assert_eq!(at, Some(first + u64::from(round)));
        let clients: Vec<_> = (0..4_u8)
            .map(|number| {
                let (client, change) = (system.client.only_at(at), change(100 + 10 * round + number));
                std::thread::spawn(move || client.change("example.com", &change, Patience::default()))
            })
            .collect();
        let outcomes: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        for outcome in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(matches!(outcome, ClientError::Refused { status: 412, .. }), "{outcome:?}");
        }
    }
    let stale = system.client.only_at(Some(3));
    assert!(stale.put_zone("example.com", ZONE.as_bytes(), "file", Patience::default()).is_err());
    assert!(stale.change_settings("example.com", &SettingsChange::default()).is_err());
    assert!(stale.roll_back("example.com", &RollbackRequest { to: Some(1), undo: None }, Patience::default()).is_err());
    assert!(stale.delete_zone("example.com", true, Patience::default()).is_err());
    assert!(stale.change_store_settings(&StoreSettingsChange::default()).is_err());
    system.stop();
}

#[test]
fn outside_a_zone_every_precondition_is_refused() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let before = system.client.store_settings().unwrap();
    let change = r#"{"max_shrink": "7%"}"#;
    let date = "Sun, 29 Nov 2026 03:00:00 GMT";
    for header in [
        ("if-match", "*"),
        ("if-match", "\"1\""),
        ("if-none-match", "*"),
        ("if-none-match", "\"1\""),
        ("if-modified-since", date),
        ("if-unmodified-since", date),
        ("if-range", "\"1\""),
    ] {
        let refused = ask(&system, ("PATCH", "/v1/settings"), &[header], change);
        assert_eq!(refused.status, 400, "{header:?}: {}", refused.body);
    }
    assert_eq!(system.client.store_settings().unwrap(), before);
    assert_eq!(ask(&system, ("PATCH", "/v1/settings"), &[], change).status, 200);
    system.stop();
}
