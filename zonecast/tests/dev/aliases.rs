//! A CNAME at an apex is answered with the addresses of its target, which stay current.

use domain::base::iana::{Rcode, Rtype};
use zonecast_api::types::{Action, RecordChange, RollbackRequest, SettingsChange};
use zonecast_api::{ClientError, Patience, PutOptions};

use super::{DEADLINE, System, ZONE, both, folder, set};

/// Waits until every edge answers so.
pub(super) fn says(system: &System, name: &str, answer: &[&str]) {
    let wanted = both(Rcode::NOERROR, answer);
    let deadline = std::time::Instant::now() + DEADLINE;
    while system.ask(name, Rtype::A) != wanted {
        assert!(std::time::Instant::now() < deadline, "{name}: {:?}", system.ask(name, Rtype::A));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn an_apex_follows_its_target_through_changes_replacements_and_restarts() {
    let folder = folder(&[("example.com.zone", ZONE), ("cdn.example.zone", ZONE), ("more.example.zone", ZONE)]);
    let system = System::start(folder.path());
    let flatten = |system: &System, zone: &str, flatten| {
        let change = SettingsChange { flatten_apex: Some(flatten), ..SettingsChange::default() };
        system.client.change_settings(zone, &change)
    };
    let alias = |system: &System, zone: &str, target: &str| {
        system.change(zone, RecordChange { ..set("@", "CNAME", None, &[target]) });
    };
    assert!(flatten(&system, "example.com", true).unwrap().flatten_apex);
    flatten(&system, "more.example", true).unwrap();
    alias(&system, "example.com", "www.cdn.example.");
    assert_eq!(system.ask("example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.10"]));
    assert_eq!(system.ask("example.com", Rtype::CNAME), both(Rcode::NOERROR, &[]), "it is not there");
    // Through another apex that is flattened itself.
    alias(&system, "more.example", "example.com.");
    assert_eq!(system.ask("more.example", Rtype::A), both(Rcode::NOERROR, &["192.0.2.10"]));

    system.change("cdn.example", set("www", "A", None, &["192.0.2.20"]));
    for zone in ["example.com", "more.example"] {
        says(&system, zone, &["192.0.2.20"]);
    }
    let log = system.client.zone_log("example.com", 10).unwrap().changes;
    let kinds: Vec<_> = log.iter().map(|change| change.kind.as_str()).collect();
    assert_eq!(kinds, ["records", "settings"], "nobody changed it since");
    let replaced = ZONE.replace("192.0.2.10", "192.0.2.30");
    system.client.put_zone("cdn.example", replaced.as_bytes(), "file", Patience::default()).unwrap();
    says(&system, "more.example", &["192.0.2.30"]);
    system.client.delete_zone("cdn.example", true, Patience::default()).unwrap();
    says(&system, "example.com", &[]);
    system.client.put_zone("cdn.example", replaced.as_bytes(), "file", Patience::default()).unwrap();
    // Nobody hosted the target, but its name is known.
    says(&system, "example.com", &["192.0.2.30"]);

    let refused = flatten(&system, "example.com", false);
    assert!(matches!(refused, Err(ClientError::Refused { status: 422, .. })), "{refused:?}");
    let layers = system.client.records("example.com", Some("@"), None).unwrap().rrsets;
    let layer = |rtype: &str| layers.iter().find(|rrset| rrset.rtype == rtype).unwrap().layer.clone();
    assert_eq!((layer("CNAME").as_deref(), layer("A").as_deref()), (Some("flattened"), Some("address")));
    system.stop();

    let system = System::start(folder.path());
    system.change("cdn.example", set("www", "A", None, &["192.0.2.40"]));
    says(&system, "more.example", &["192.0.2.40"]);
    let delete = RecordChange { action: Action::Delete, ..set("@", "CNAME", None, &[]) };
    system.change("example.com", delete);
    assert_eq!(system.ask("example.com", Rtype::A), both(Rcode::NOERROR, &[]));
    flatten(&system, "example.com", false).unwrap();
    system.stop();
}

#[test]
fn a_new_zone_comes_with_an_alias_where_its_settings_come_with_it() {
    let folder = folder(&[("cdn.example.zone", ZONE)]);
    let system = System::start(folder.path());
    let text = format!("{ZONE}@ CNAME www.cdn.example.\n");
    let put = |settings: &SettingsChange| {
        let options = PutOptions { settings: settings.clone(), ..PutOptions::default() };
        system.client.put_zone_choosing("new.example", text.as_bytes(), "file", &options, Patience::default())
    };
    let refused = put(&SettingsChange::default());
    assert!(matches!(refused, Err(ClientError::Refused { status: 422, .. })), "{refused:?}");
    let settings = SettingsChange {
        serial_policy: Some("keep".into()),
        default_ttl: Some(60),
        flatten_apex: Some(true),
        ..SettingsChange::default()
    };
    put(&settings).unwrap();
    says(&system, "new.example", &["192.0.2.10"]);
    let chosen = system.client.settings("new.example").unwrap();
    assert_eq!((chosen.serial_policy.as_str(), chosen.default_ttl, chosen.flatten_apex), ("keep", 60, true));

    // What is not named stays; the same text with something else chosen is a change.
    put(&SettingsChange { default_ttl: Some(90), ..SettingsChange::default() }).unwrap();
    let chosen = system.client.settings("new.example").unwrap();
    assert_eq!((chosen.serial_policy.as_str(), chosen.default_ttl, chosen.flatten_apex), ("keep", 90, true));
    let off = put(&SettingsChange { flatten_apex: Some(false), ..SettingsChange::default() });
    assert!(matches!(off, Err(ClientError::Refused { status: 422, .. })), "{off:?}");
    system.stop();
}

#[test]
fn an_apex_that_is_rolled_back_follows_its_target_again() {
    let folder = folder(&[("example.com.zone", ZONE), ("cdn.example.zone", ZONE)]);
    let system = System::start(folder.path());
    let flatten = |flatten| {
        let change = SettingsChange { flatten_apex: Some(flatten), ..SettingsChange::default() };
        system.client.change_settings("example.com", &change).unwrap()
    };
    flatten(true);
    system.change("example.com", set("@", "CNAME", None, &["www.cdn.example."]));
    system.change("cdn.example", set("www", "A", None, &["192.0.2.20"]));
    says(&system, "example.com", &["192.0.2.20"]);
    let alias = system.client.zone_log("example.com", 1).unwrap().changes[0].number;
    system.change("example.com", RecordChange { action: Action::Delete, ..set("@", "CNAME", None, &[]) });
    flatten(false);
    system.change("cdn.example", set("www", "A", None, &["192.0.2.30"]));

    let request = RollbackRequest { to: Some(alias), undo: None };
    system.client.roll_back("example.com", &request, Patience::default()).unwrap();
    assert!(system.client.settings("example.com").unwrap().flatten_apex, "what is flattened is looked after");
    says(&system, "example.com", &["192.0.2.30"]);
    system.change("cdn.example", set("www", "A", None, &["192.0.2.40"]));
    says(&system, "example.com", &["192.0.2.40"]);
    system.stop();
}
