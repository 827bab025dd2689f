//! What is hardly meant is not done unless a request says that it is.

use std::fmt::Write as _;

use domain::base::iana::{Rcode, Rtype};
use zonecast_api::types::{SettingsChange, Severity, StoreSettingsChange, Written};
use zonecast_api::{ClientError, Patience, PutOptions};

use super::{System, ZONE, both, config, folder};

const APEX: &str = "example.com";

/// Of a serial, with so many hosts.
fn zone(serial: u32, hosts: usize) -> String {
    let mut text = ZONE.replace(" 7 ", &format!(" {serial} "));
    (0..hosts).for_each(|number| writeln!(text, "host{number} A 192.0.2.1").unwrap());
    text
}

fn put(system: &System, text: &str, allow_shrink: bool, dry_run: bool) -> Result<Written, ClientError> {
    let options = PutOptions { allow_shrink, dry_run, ..PutOptions::default() };
    system.client.put_zone_choosing(APEX, text.as_bytes(), "file", &options, Patience::default())
}

/// Why it is held.
fn held(result: Result<Written, ClientError>) -> String {
    match result.unwrap_err() {
        ClientError::Refused { status: 422, detail } if detail.code == "held" => detail.message,
        other => panic!("{other}"),
    }
}

#[test]
fn a_truncated_file_does_not_empty_a_zone_unless_that_is_meant() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    put(&system, &zone(1, 96), false, false).unwrap();
    put(&system, &zone(2, 46), false, false).unwrap();
    put(&system, &zone(3, 96), false, false).unwrap();
    let version = system.client.status().unwrap().version;
    let message = held(put(&system, &zone(4, 45), false, false));
    for part in ["example.com.", "51 of its 100 records", "50%", "allow_shrink=true", "--allow-shrink"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(system.client.status().unwrap().version, version);

    // Of the zone, else of the store.
    let store = |share: &str| {
        let max_shrink = Some(share.to_owned());
        system.client.change_store_settings(&StoreSettingsChange { max_shrink, ..Default::default() }).unwrap()
    };
    assert_eq!(system.client.store_settings().unwrap().max_shrink, "50%");
    assert_eq!(store("60%").max_shrink, "60%");
    assert!(put(&system, &zone(4, 45), false, true).unwrap().warnings.is_empty());
    let chosen = SettingsChange { max_shrink: Some("0%".into()), ..SettingsChange::default() };
    assert_eq!(system.client.change_settings(APEX, &chosen).unwrap().max_shrink, "0%");
    assert!(held(put(&system, &zone(4, 95), false, false)).contains("1 of its 100 records"));
    let chosen = SettingsChange { max_shrink: Some("default".into()), ..SettingsChange::default() };
    assert_eq!(system.client.change_settings(APEX, &chosen).unwrap().max_shrink, "default");
    assert_eq!(store("default").max_shrink, "50%");
    for nonsense in ["101%", "half", "50"] {
        let chosen = SettingsChange { max_shrink: Some(nonsense.into()), ..SettingsChange::default() };
        let refused = system.client.change_settings(APEX, &chosen);
        assert!(matches!(refused, Err(ClientError::Refused { status: 400, .. })), "{refused:?}");
    }
    put(&system, &zone(4, 0), true, false).unwrap();
    assert_eq!(system.client.zone(APEX).unwrap().serial, 4);
    system.stop();
}

#[test]
fn a_dry_run_shows_what_would_change_and_changes_nothing() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    let new = put(&system, &zone(1, 1), false, true).unwrap();
    assert_eq!((new.changed, new.records, new.diff.as_ref().unwrap().added.len()), (true, Some(5), 5));
    assert!(system.client.zone(APEX).is_err(), "it was not made");
    put(&system, &zone(1, 1), false, false).unwrap();
    let same = put(&system, &zone(1, 1), false, true).unwrap();
    assert!(!same.changed && same.diff.unwrap().added.is_empty());

    let changed = zone(0, 0).replace("192.0.2.10", "192.0.2.77");
    let written = put(&system, &changed, false, true).unwrap();
    let diff = written.diff.unwrap();
    let show = |records: &[zonecast_api::types::DiffRecord]| -> Vec<String> {
        records.iter().map(|record| format!("{} {}", record.name, record.rtype)).collect()
    };
    assert_eq!(show(&diff.removed), ["example.com. SOA", "host0.example.com. A", "www.example.com. A"]);
    assert_eq!(show(&diff.added), ["example.com. SOA", "www.example.com. A"]);
    let told: Vec<_> = written.warnings.iter().map(|finding| (finding.severity, finding.rule.as_str())).collect();
    assert_eq!(told, [(Severity::Warning, "older-serial")]);
    assert_eq!(system.client.zone(APEX).unwrap().serial, 1);
    assert!(system.client.zone_log(APEX, 9).unwrap().changes.is_empty());

    put(&system, &zone(2, 40), false, false).unwrap();
    let written = put(&system, &zone(3, 0), false, true).unwrap();
    let told: Vec<_> = written.warnings.iter().map(|finding| (finding.severity, finding.rule.as_str())).collect();
    assert_eq!((told, written.diff.unwrap().removed.len()), (vec![(Severity::Error, "held")], 41));
    assert!(put(&system, &zone(3, 0), true, true).unwrap().warnings.is_empty());
    system.stop();
}

#[test]
fn a_lower_serial_is_a_warning_or_is_refused() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    put(&system, &zone(7, 0), false, false).unwrap();
    let written = put(&system, &zone(6, 1), false, false).unwrap();
    assert_eq!(written.warnings[0].rule, "older-serial");
    let chosen = SettingsChange { older_serial: Some("refuse".into()), ..SettingsChange::default() };
    system.client.change_settings(APEX, &chosen).unwrap();
    for allow_shrink in [false, true] {
        let message = held(put(&system, &zone(5, 2), allow_shrink, false));
        assert!(message.contains("serial 5 is not after 6"), "{message}");
    }
    let soa = super::set("@", "SOA", None, &["ns1 hostmaster 3 7200 900 604800 300"]);
    let request = zonecast_api::types::ChangeRequest { changes: vec![soa] };
    let message = held(system.client.change(APEX, &request, Patience::default()));
    assert!(message.contains("serial 3 is not after 6"), "{message}");
    assert!(put(&system, &zone(8, 2), false, false).unwrap().warnings.is_empty());
    system.stop();
}

#[test]
fn a_folder_with_truncated_files_keeps_its_zones_and_says_so() {
    let folder = folder(&[("example.com.zone", &zone(1, 20)), ("example.org.zone", ZONE)]);
    System::start(folder.path()).stop();
    let write = |file: &str, text: &str| std::fs::write(folder.path().join("zones").join(file), text).unwrap();
    write("example.com.zone", &zone(2, 0));
    write("example.org.zone", &ZONE.replace("192.0.2.10", "192.0.2.11"));

    let system = System::start(folder.path());
    assert_eq!((system.ready.held, system.ready.refused), (1, 0));
    assert_eq!(system.ask("host19.example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.1"]));
    assert_eq!(system.ask("www.example.org", Rtype::A), both(Rcode::NOERROR, &["192.0.2.11"]), "others load");
    let metrics = system.client.metrics().unwrap();
    assert!(metrics.contains("zonecast_zone_imports_total{result=\"held\"} 1"), "{metrics}");
    system.stop();

    let allowing = zonecast::roles::dev::DevConfig { allow_shrink: true, ..config(folder.path()) };
    let system = System::try_start(allowing).unwrap();
    assert_eq!(system.ready.held, 0);
    assert_eq!(system.ask("host19.example.com", Rtype::A), both(Rcode::NXDOMAIN, &[]));
    system.stop();
}

#[test]
fn whoever_makes_a_zone_is_told_what_it_hides_of_the_zone_above() {
    let folder = folder(&[("example.com.zone", &zone(1, 3))]);
    let system = System::start(folder.path());
    let (delegation, address) = (super::set("sub", "NS", None, &["ns.elsewhere."]), &["192.0.2.9"]);
    system.change(APEX, delegation);
    system.change(APEX, super::set("a.deep.www", "A", None, address));
    let make = |apex: &str, dry_run| {
        let options = PutOptions { dry_run, ..PutOptions::default() };
        system.client.put_zone_choosing(apex, ZONE.as_bytes(), "file", &options, Patience::default()).unwrap()
    };
    let told = |written: Written| -> Vec<String> {
        written.warnings.iter().map(|finding| format!("{}: {}", finding.rule, finding.message)).collect()
    };
    let hides = "hides-names: hides 2 names of zone example.com., which were answered from there until now";
    assert_eq!(told(make("www.example.com", true)), [hides]);
    assert_eq!(told(make("www.example.com", false)), [hides]);
    assert!(told(make("www.example.com", false)).is_empty(), "it is there already");
    for apex in ["sub.example.com", "new.example.com", "example.org"] {
        assert!(told(make(apex, false)).is_empty(), "{apex}");
    }
    assert_eq!(told(make("host0.example.com", false)), [hides.replace("2 names", "a name")]);
    system.client.delete_zone("www.example.com", true, Patience::default()).unwrap();
    assert_eq!(told(system.client.undelete_zone("www.example.com", Patience::default()).unwrap()), [hides]);
    system.stop();
}
