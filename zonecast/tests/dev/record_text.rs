//! The text of the API over HTTP: what comes back is what was sent, what cannot be is refused, what is odd is said.

use zonecast_api::types::{Action, ChangeRequest, RecordChange};
use zonecast_api::{ClientError, OutOfZone, Patience, PutOptions, Tolerance, WithoutNs};

use super::{System, ZONE, folder, set};

#[test]
fn every_character_of_a_text_is_stored_or_refused() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let write = |rtype: &str, text: &str| {
        let request = ChangeRequest { changes: vec![set("x", rtype, Some(60), &[text])] };
        system.client.change("example.com", &request, Patience::default())
    };
    let stored =
        |rtype: &str| system.client.records("example.com", Some("x"), Some(rtype)).unwrap().rrsets[0].data[0].clone();
    for (rtype, text, expected) in [
        ("CAA", "0 issue ca.example;x=1", r#"0 issue "ca.example;x=1""#),
        ("CAA", r#"0 issue "ca.example; x=1""#, r#"0 issue "ca.example; x=1""#),
        ("URI", "1 2 http://example/;a(b)", r#"1 2 "http://example/;a(b)""#),
        ("TXT", r"a\065b", r#""aAb""#),
        ("TXT", r"a \065b ; c", r#""a Ab ; c""#),
        ("TXT", "(caf\u{e9})", r#""(caf\195\169)""#),
    ] {
        write(rtype, text).unwrap();
        assert_eq!(stored(rtype), expected, "{rtype} {text}");
        assert!(!write(rtype, expected).unwrap().changed, "what comes back is the same record: {rtype} {text}");
    }
    for (rtype, text) in [
        ("A", "192.0.2.1;home"),
        ("A", "192.0.2.1 ; home"),
        ("A", "192.0.2.1\n"),
        ("MX", "( 10 mail )"),
        ("HTTPS", "1 . alpn=h2 ; port=1"),
        ("TXT", "say \"hi\""),
        ("TXT", "two\nlines"),
        ("TXT", "nul\0"),
        ("TXT", "\\"),
    ] {
        let refused = write(rtype, text);
        assert!(matches!(refused, Err(ClientError::Refused { status: 400, .. })), "{rtype} {text:?}: {refused:?}");
    }
    system.stop();
}

#[test]
fn names_that_nobody_reaches_and_what_is_tolerated_come_as_warnings() {
    let folder = folder(&[("example.com.zone", ZONE), ("in.example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let warned = |name: &str| {
        let change = RecordChange { action: Action::Add, ..set(name, "A", Some(60), &["192.0.2.1"]) };
        let request = ChangeRequest { changes: vec![change] };
        let written = system.client.change("example.com", &request, Patience::default()).unwrap();
        written.warnings.into_iter().map(|warning| (warning.rule, warning.message)).collect::<Vec<_>>()
    };
    let [(rule, message)] = &warned("b\u{fc}cher")[..] else { panic!("one warning") };
    assert_eq!(rule, "not-ascii");
    assert!(message.ends_with("write xn--bcher-kva.example.com."), "{message}");
    assert_eq!(warned("a b")[0].0, "blank");
    assert_eq!(warned("www.in")[0].0, "in-another-zone");
    assert_eq!(warned("plain"), []);

    let text = b"$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.1\nwww.other.example. A 192.0.2.1\n";
    let put = |out_of_zone, without_ns| {
        let options = PutOptions { tolerance: Tolerance { out_of_zone, without_ns }, ..PutOptions::default() };
        system.client.put_zone_choosing("panel.test", text, "file", &options, Patience::default())
    };
    let refused = put(OutOfZone::Drop, WithoutNs::Refuse);
    assert!(matches!(refused, Err(ClientError::Refused { status: 422, .. })), "{refused:?}");
    let refused = put(OutOfZone::Refuse, WithoutNs::Serve);
    assert!(matches!(refused, Err(ClientError::Refused { status: 422, .. })), "{refused:?}");
    let written = put(OutOfZone::Drop, WithoutNs::Serve).unwrap();
    let rules: Vec<&str> = written.warnings.iter().map(|warning| warning.rule.as_str()).collect();
    assert!(rules.contains(&"out-of-zone") && rules.contains(&"no-ns") && rules.len() == 2, "{rules:?}");
    let rrsets = system.client.records("panel.test", None, None).unwrap().rrsets;
    assert_eq!(rrsets.iter().map(|rrset| rrset.rtype.as_str()).collect::<Vec<_>>(), ["SOA", "A"]);
    // Changes take it as it is, and every edge answers.
    system.change("panel.test", set("www", "A", None, &["192.0.2.9"]));
    let address = ["192.0.2.9".to_owned()];
    assert!(system.ask("www.panel.test", super::Rtype::A).iter().all(|(_, answer)| *answer == address));
    assert!(
        system
            .ask("panel.test", super::Rtype::NS)
            .iter()
            .all(|(rcode, answer)| *rcode == super::Rcode::NOERROR && answer.is_empty())
    );
    system.stop();
}
