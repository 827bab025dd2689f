//! What a zone was can be seen and had again, and a zone that was replaced wholesale too.

use std::fmt::Write as _;

use domain::base::iana::Rtype;
use zonecast::{ClientError, Patience, WaitFor};

use super::{DEADLINE, System, ZONE, folder, set};

const APEX: &str = "example.com";

/// What every edge answers.
fn addresses(system: &System, name: &str) -> Vec<String> {
    let mut answers = system.ask(name, Rtype::A).into_iter().map(|(_, answer)| answer);
    let first = answers.next().unwrap();
    assert!(answers.all(|other| other == first), "edges differ in {name}");
    first
}

/// Everywhere, so that the next question sees it.
fn all() -> Patience {
    Patience { wait: Some(WaitFor::All), timeout: DEADLINE }
}

fn diff(system: &System, from: Option<u64>, to: Option<u64>) -> (Vec<String>, Vec<String>) {
    let diff = system.client.zone_diff(APEX, from, to).unwrap();
    assert!(!diff.truncated);
    let show = |records: Vec<zonecast::api::types::DiffRecord>| -> Vec<String> {
        let others = records.into_iter().filter(|record| record.rtype != "SOA");
        others.map(|record| format!("{} {} {}", record.name, record.rtype, record.data)).collect()
    };
    (show(diff.removed), show(diff.added))
}

#[test]
fn changes_are_listed_shown_and_taken_back() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    assert!(system.client.zone_log(APEX, 10).unwrap().changes.is_empty());
    let nothing = system.client.roll_back(APEX, None, all()).unwrap();
    assert!(!nothing.changed);
    system.change(APEX, set("www", "A", None, &["192.0.2.20"]));
    system.change(APEX, set("new", "TXT", None, &["hello"]));
    let replaced = ZONE.replace("192.0.2.10", "192.0.2.99").replace(" 7 ", " 20 ");
    system.client.put_zone(APEX, replaced.as_bytes(), "file", all()).unwrap();
    let log = system.client.zone_log(APEX, 10).unwrap().changes;
    let told: Vec<_> = log.iter().map(|change| (change.number, change.kind.as_str(), change.serial)).collect();
    assert_eq!(told, [(3, "replaced", 20), (2, "records", 9), (1, "records", 8)]);
    assert!(log.iter().all(|change| change.can_be_undone && change.time > 1_700_000_000));

    let (removed, added) = diff(&system, None, None);
    assert_eq!(removed, ["new.example.com. TXT \"hello\"", "www.example.com. A 192.0.2.20"]);
    assert_eq!(added, ["www.example.com. A 192.0.2.99"]);
    assert_eq!(diff(&system, Some(0), Some(1)).1, ["www.example.com. A 192.0.2.20"]);

    let written = system.client.roll_back(APEX, None, all()).unwrap();
    assert_eq!((written.changed, written.serial), (true, Some(21)));
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.20"]);
    let written = system.client.roll_back(APEX, Some(0), all()).unwrap();
    assert_eq!(written.serial, Some(22));
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.10"]);
    assert_eq!(system.client.records(APEX, Some("new"), None).unwrap().rrsets.len(), 0);
    assert_eq!(system.client.zone_log(APEX, 1).unwrap().changes[0].kind, "rolled-back");
    let written = system.client.roll_back(APEX, Some(3), all()).unwrap();
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.99"]);
    assert_eq!(written.serial, Some(23));

    let refused = |result: Result<_, ClientError>| match result.unwrap_err() {
        ClientError::Refused { status, detail } => (status, detail.message),
        other => panic!("{other}"),
    };
    let (status, message) = refused(system.client.roll_back(APEX, Some(99), all()).map(|_| ()));
    assert_eq!(status, 400);
    assert!(message.contains("from 0 to 6"), "{message}");
    assert_eq!(refused(system.client.zone_diff(APEX, Some(7), None).map(|_| ())).0, 400);
    assert_eq!(refused(system.client.zone_log("example.org", 1).map(|_| ())).0, 404);
    system.stop();
}

/// Large enough for a generation of its own.
fn large(host: &str) -> String {
    let mut text = ZONE.to_owned();
    for number in 0..30_000 {
        writeln!(text, "{host}{number} A 192.0.2.1").unwrap();
    }
    text
}

#[test]
fn a_large_zone_that_was_replaced_comes_back_at_once_also_after_a_restart() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    for host in ["old", "new"] {
        system.client.put_zone(APEX, large(host).as_bytes(), host, all()).unwrap();
    }
    let new = system.client.zone(APEX).unwrap();
    system.change(APEX, set("www", "A", None, &["192.0.2.20"]));
    system.stop();

    let system = System::start(folder.path());
    assert_eq!(addresses(&system, "new29999.example.com"), ["192.0.2.1"]);
    assert_eq!(diff(&system, Some(1), None).1, ["www.example.com. A 192.0.2.20"]);
    assert!(system.client.zone_diff(APEX, Some(0), None).unwrap().truncated);
    let back = system.client.roll_back(APEX, Some(0), all()).unwrap();
    assert_eq!(back.serial, Some(9));
    let old = system.client.zone(APEX).unwrap();
    assert!(old.generation < new.generation && old.id == new.id);
    assert_eq!(addresses(&system, "old29999.example.com"), ["192.0.2.1"]);
    assert!(addresses(&system, "new29999.example.com").is_empty());
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.10"]);

    system.client.roll_back(APEX, Some(2), all()).unwrap();
    assert_eq!(addresses(&system, "new29999.example.com"), ["192.0.2.1"]);
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.20"]);

    // Only one is kept.
    system.client.put_zone(APEX, large("third").as_bytes(), "third", all()).unwrap();
    system.client.roll_back(APEX, Some(3), all()).unwrap_err();
    system.client.delete_zone(APEX, all()).unwrap();
    system.stop();
}
