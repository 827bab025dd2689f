//! What a zone was can be seen and had again, and a zone that was replaced wholesale too.

use std::fmt::Write as _;

use domain::base::iana::Rtype;
use zonecast_api::types::{Action, ChangeRequest, RecordChange, RollbackRequest, SettingsChange, Written, ZoneInfo};
use zonecast_api::{ClientError, Patience, PutOptions, WaitFor};

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

fn to(system: &System, to: u64) -> Result<Written, ClientError> {
    system.client.roll_back(APEX, &RollbackRequest { to: Some(to), undo: None }, all())
}

fn undo(system: &System, undo: u64) -> Result<Written, ClientError> {
    system.client.roll_back(APEX, &RollbackRequest { to: None, undo: Some(undo) }, all())
}

fn refused(result: Result<(), ClientError>) -> (u16, String) {
    match result.unwrap_err() {
        ClientError::Refused { status, detail } => (status, detail.message),
        other => panic!("{other}"),
    }
}

fn diff(system: &System, from: Option<u64>, to: Option<u64>) -> (Vec<String>, Vec<String>) {
    let diff = system.client.zone_diff(APEX, from, to).unwrap();
    assert!(!diff.truncated);
    let show = |records: Vec<zonecast_api::types::DiffRecord>| -> Vec<String> {
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
    assert!(!to(&system, 0).unwrap().changed);
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

    // The same request twice, as by a client that has heard no answer.
    for changed in [true, false] {
        let written = undo(&system, 3).unwrap();
        assert_eq!((written.changed, written.serial), (changed, Some(21)));
        assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.20"]);
    }
    for (request, said) in [(undo(&system, 2), "change 4 is"), (undo(&system, 9), "change 4 is")] {
        let (status, message) = refused(request.map(|_| ()));
        assert!(status == 400 && message.contains(said), "{message}");
    }
    let both = RollbackRequest { to: Some(1), undo: Some(4) };
    for request in [RollbackRequest::default(), both] {
        assert_eq!(refused(system.client.roll_back(APEX, &request, all()).map(|_| ())).0, 400);
    }
    let written = to(&system, 0).unwrap();
    assert_eq!(written.serial, Some(22));
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.10"]);
    assert_eq!(system.client.records(APEX, Some("new"), None).unwrap().rrsets.len(), 0);
    assert_eq!(system.client.zone_log(APEX, 1).unwrap().changes[0].kind, "rolled-back");
    let written = to(&system, 3).unwrap();
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.99"]);
    assert_eq!(written.serial, Some(23));

    let (status, message) = refused(to(&system, 99).map(|_| ()));
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
    let back = to(&system, 0).unwrap();
    assert_eq!(back.serial, Some(9));
    let old = system.client.zone(APEX).unwrap();
    assert!(old.generation < new.generation && old.id == new.id);
    assert_eq!(addresses(&system, "old29999.example.com"), ["192.0.2.1"]);
    assert!(addresses(&system, "new29999.example.com").is_empty());
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.10"]);

    to(&system, 2).unwrap();
    assert_eq!(addresses(&system, "new29999.example.com"), ["192.0.2.1"]);
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.20"]);

    // Each is kept for a while.
    let options = PutOptions { allow_shrink: true, ..PutOptions::default() };
    let third = large("third");
    system.client.put_zone_choosing(APEX, third.as_bytes(), "third", &options, all()).unwrap();
    to(&system, 0).unwrap();
    assert_eq!(addresses(&system, "old29999.example.com"), ["192.0.2.1"]);
    to(&system, 5).unwrap();
    assert_eq!(addresses(&system, "third29999.example.com"), ["192.0.2.1"]);
    system.stop();
}

/// More than one batch holds with what takes it back, and what one batch holds by itself.
#[test]
fn a_change_of_any_size_can_be_taken_back() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    let deep = |hosts: u16, address: &str| {
        (0..hosts).fold(ZONE.to_owned(), |text, number| text + &format!("host{number}.deep A {address}\n"))
    };
    let all_hosts = deep(30_000, "192.0.2.1");
    system.client.put_zone(APEX, all_hosts.as_bytes(), "deep", all()).unwrap();
    let whole = system.client.export_zone(APEX).unwrap().len();
    let delete = RecordChange { action: Action::Delete, name: "deep".into(), subtree: true, ..RecordChange::default() };
    let delete = ChangeRequest { changes: vec![delete] };
    let (status, message) = refused(system.client.change(APEX, &delete, all()).map(|_| ()));
    assert!(status == 422 && message.contains("30000 of its 30004 records"), "{message}");
    let gone = system.client.change_allowing(APEX, &delete, true, all()).unwrap();
    assert!(gone.changed);
    assert!(addresses(&system, "host7.deep.example.com").is_empty());
    let told: Vec<_> = system.client.zone_log(APEX, 9).unwrap().changes;
    assert_eq!((told.len(), told[0].kind.as_str(), told[0].can_be_undone), (1, "records", true));

    for changed in [true, false] {
        assert_eq!(undo(&system, 1).unwrap().changed, changed);
        assert_eq!(addresses(&system, "host7.deep.example.com"), ["192.0.2.1"]);
    }
    assert_eq!(system.client.export_zone(APEX).unwrap().len(), whole);
    // By a file whose difference fits a batch, and what takes it back does not.
    let options = PutOptions { allow_shrink: true, ..PutOptions::default() };
    let few = deep(10_000, "192.0.2.1");
    system.client.put_zone_choosing(APEX, few.as_bytes(), "few", &options, all()).unwrap();
    assert!(addresses(&system, "host10000.deep.example.com").is_empty());
    assert!(undo(&system, 3).unwrap().changed);
    assert_eq!(addresses(&system, "host29999.deep.example.com"), ["192.0.2.1"]);
    // In steps that only together are too large for a batch, there and back again.
    for start in [0, 9_000, 18_000] {
        let changes =
            (start..start + 9_000).map(|number| set(&format!("host{number}.deep"), "A", None, &["192.0.2.4"]));
        system.client.change(APEX, &ChangeRequest { changes: changes.collect() }, all()).unwrap();
    }
    assert_eq!(addresses(&system, "host26999.deep.example.com"), ["192.0.2.4"]);
    to(&system, 4).unwrap();
    assert_eq!(addresses(&system, "host0.deep.example.com"), ["192.0.2.1"]);
    assert_eq!(addresses(&system, "host26999.deep.example.com"), ["192.0.2.1"]);
    to(&system, 7).unwrap();
    assert_eq!(addresses(&system, "host26999.deep.example.com"), ["192.0.2.4"]);
    assert_eq!(addresses(&system, "host29999.deep.example.com"), ["192.0.2.1"]);
    system.stop();
}

#[test]
fn a_deleted_zone_comes_back_with_its_history_also_after_a_restart() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    system.client.put_zone(APEX, ZONE.as_bytes(), "file", all()).unwrap();
    system.change(APEX, set("www", "A", None, &["192.0.2.20"]));
    let settings = SettingsChange { serial_policy: Some("keep".into()), ..SettingsChange::default() };
    system.client.change_settings(APEX, &settings).unwrap();
    let before = (system.client.zone(APEX).unwrap(), system.client.export_zone(APEX).unwrap());

    let (status, message) = refused(system.client.delete_zone(APEX, false, all()).map(|_| ()));
    assert!(status == 422 && message.contains("4 of its 4 records") && message.contains("allow-shrink"), "{message}");
    assert_eq!(refused(system.client.undelete_zone(APEX, all()).map(|_| ())).0, 422, "it is there");
    system.client.delete_zone(APEX, true, all()).unwrap();
    assert_eq!(system.ask("www.example.com", Rtype::A)[0].0, domain::base::iana::Rcode::REFUSED);
    system.stop();

    let system = System::start(folder.path());
    let deleted = system.client.deleted_zones(None).unwrap().zones;
    assert_eq!((deleted.len(), deleted[0].zone.as_str()), (1, "example.com."));
    assert_eq!(deleted[0].kept_until - deleted[0].deleted, 3600);
    assert_eq!(refused(system.client.undelete_zone("example.org", all()).map(|_| ())).0, 404);
    let written = system.client.undelete_zone(APEX, all()).unwrap();
    assert!(written.changed && written.serial == Some(8), "{written:?}");
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.20"]);
    let after = system.client.zone(APEX).unwrap();
    assert_eq!((before.0.change, after.change), (Some(2), Some(4)), "deletion and return are changes of it");
    let after = (ZoneInfo { change: before.0.change, ..after }, system.client.export_zone(APEX).unwrap());
    assert_eq!(after, before);
    let log = system.client.zone_log(APEX, 9).unwrap().changes;
    let kinds: Vec<_> = log.iter().map(|change| (change.number, change.kind.as_str())).collect();
    assert_eq!(kinds, [(4, "undeleted"), (3, "deleted"), (2, "settings"), (1, "records")]);
    assert!(system.client.deleted_zones(None).unwrap().zones.is_empty());
    to(&system, 0).unwrap();
    assert_eq!(addresses(&system, "www.example.com"), ["192.0.2.10"]);
    assert_eq!(system.client.settings(APEX).unwrap().serial_policy, "increment");
    system.stop();
}
