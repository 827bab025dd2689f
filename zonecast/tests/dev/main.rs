//! `zonecast dev` in this process, driven through its API and its DNS ports.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that finds something missing has failed")]

mod aliases;
mod conditions;
mod doctor;
mod guard;
mod hang_up;
mod history;
mod record_text;
mod relays;
mod secured;
mod voters;
mod zone_check;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};
use tokio::runtime::Runtime;
use zonecast::roles::Stop;
use zonecast::roles::dev::{Dev, DevConfig};
use zonecast_api::types::{Action, ChangeRequest, Ready, RecordChange, RollbackRequest, SettingsChange};
use zonecast_api::{Client, ClientError, Patience, Tolerance, WaitFor};
use zonecast_service::exit::{Code, Failure};

const ZONE: &str = "$TTL 1h
@ SOA ns1 hostmaster 7 2h 15m 1w 5m
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.10
";

/// Everything in these tests is done long before.
const DEADLINE: Duration = Duration::from_secs(30);

/// A system on free ports.
struct System {
    runtime: Runtime,
    dev: Option<Dev>,
    ready: Ready,
    client: Client,
}

impl System {
    fn try_start(config: DevConfig) -> Result<Self, Failure> {
        let runtime = Runtime::new().unwrap();
        let dev = runtime.block_on(Dev::start(config, Instant::now(), &Stop::new()))?;
        let ready = dev.ready().unwrap().clone();
        let client = Client::new(&format!("http://{}", ready.http));
        Ok(Self { runtime, dev: Some(dev), ready, client })
    }

    fn start(folder: &Path) -> Self {
        Self::try_start(config(folder)).unwrap()
    }

    fn stop(mut self) {
        let begin = Instant::now();
        self.runtime.block_on(self.dev.take().unwrap().stop());
        assert!(begin.elapsed() < Duration::from_secs(10), "stopping took {:?}", begin.elapsed());
    }

    fn change(&self, zone: &str, change: RecordChange) -> u64 {
        let all = Patience { wait: Some(WaitFor::All), timeout: DEADLINE };
        let written = self.client.change(zone, &ChangeRequest { changes: vec![change] }, all).unwrap();
        let receipt = written.receipt.unwrap();
        assert!(receipt.reached && receipt.applied == 2 && receipt.of == 2, "{receipt:?}");
        assert!(receipt.edges.iter().all(|edge| edge.applied && edge.ms.is_some()), "{receipt:?}");
        written.version
    }

    /// What each edge answers.
    fn ask(&self, name: &str, rtype: Rtype) -> Vec<(Rcode, Vec<String>)> {
        self.ready.dns.iter().map(|edge| ask(edge.parse().unwrap(), name, rtype)).collect()
    }
}

fn config(folder: &Path) -> DevConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (zones, data) = (folder.join("zones"), Some(folder.join("data")));
    let (manifest, tolerance) = (None, Tolerance::default());
    DevConfig {
        zones,
        manifest,
        data,
        dns: any,
        http: any,
        edges: 2,
        relays: 0,
        voters: 1,
        allow_shrink: false,
        tolerance,
    }
}

fn folder(zones: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("zones")).unwrap();
    for (file, text) in zones {
        std::fs::write(folder.path().join("zones").join(file), text).unwrap();
    }
    folder
}

fn set(name: &str, rtype: &str, ttl: Option<u32>, data: &[&str]) -> RecordChange {
    let data = data.iter().map(|data| (*data).to_owned()).collect();
    RecordChange {
        action: Action::Set,
        name: name.into(),
        rtype: Some(rtype.into()),
        ttl,
        data,
        ..RecordChange::default()
    }
}

fn ask(edge: SocketAddr, name: &str, rtype: Rtype) -> (Rcode, Vec<String>) {
    let mut query = MessageBuilder::new_vec().question();
    query.push((name.parse::<Name<Vec<u8>>>().unwrap(), rtype)).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send_to(&query.finish(), edge).unwrap();
    let mut buffer = [0; 4096];
    let len = socket.recv(&mut buffer).unwrap();
    let message = Message::from_octets(&buffer[..len]).unwrap();
    let answers = message.answer().unwrap().map(|record| {
        let record = record.unwrap().into_any_record::<domain::rdata::AllRecordData<_, _>>().unwrap();
        record.data().to_string()
    });
    (message.header().rcode(), answers.collect())
}

fn both(rcode: Rcode, answer: &[&str]) -> Vec<(Rcode, Vec<String>)> {
    vec![(rcode, answer.iter().map(|answer| (*answer).to_owned()).collect()); 2]
}

#[test]
fn a_change_is_answered_by_every_edge_once_its_receipt_says_so() {
    let folder = folder(&[("example.com.zone", ZONE), ("bad.example.zone", "@ NS ns\n")]);
    let system = System::start(folder.path());
    let Ready { zones, records, refused, version: ready, .. } = system.ready;
    assert_eq!((zones, records, refused), (1, 4, 1));
    // The zone, and the mark of the other one: of two threads, or of one.
    assert!((1..=2).contains(&ready), "{ready}");
    assert_eq!(system.ask("www.example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.10"]));
    assert_eq!(system.ask("www.bad.example", Rtype::A), both(Rcode::SERVFAIL, &[]));

    let version = system.change("example.com", set("www", "A", None, &["192.0.2.11"]));
    assert_eq!(version, ready + 1);
    assert_eq!(system.ask("WWW.example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.11"]));
    let page = system.client.records("example.com", Some("www"), Some("A")).unwrap();
    assert_eq!((page.rrsets[0].ttl, page.rrsets[0].data.as_slice()), (3600, &["192.0.2.11".to_owned()][..]));
    assert_eq!(system.client.zone("example.com").unwrap().serial, 8, "a change raises the serial");

    // The same again changes nothing, and says so.
    let request = ChangeRequest { changes: vec![set("www", "A", None, &["192.0.2.11"])] };
    let again = system.client.change("example.com", &request, Patience::default()).unwrap();
    assert!(!again.changed && again.version == version, "{again:?}");

    let new = system.change("example.com", set("new", "TXT", None, &["two words"]));
    assert_eq!(system.ask("new.example.com", Rtype::TXT), both(Rcode::NOERROR, &["\"two words\""]));
    assert_eq!(system.client.records("example.com", Some("new"), None).unwrap().rrsets[0].ttl, 300);
    let receipt = system.client.receipt(new, Patience::default()).unwrap();
    assert_eq!((receipt.applied, receipt.of), (2, 2));
    system.stop();
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let refused = |zone: &str, change: RecordChange| {
        let request = ChangeRequest { changes: vec![change] };
        match system.client.change(zone, &request, Patience::default()) {
            Err(ClientError::Refused { status, detail }) => (status, detail.code, detail.findings.len()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused("example.org", set("www", "A", None, &["192.0.2.1"])), (404, "no_zone".into(), 0));
    let forgotten_dot = set("www.example.com", "A", None, &["192.0.2.1"]);
    assert_eq!(refused("example.com", forgotten_dot), (400, "bad_request".into(), 0));
    assert_eq!(refused("example.com", set("www", "A", None, &["nonsense"])), (400, "bad_request".into(), 0));
    assert_eq!(refused("example.com", set("www", "CNAME", None, &["ns1"])), (422, "refused".into(), 1));
    assert_eq!(refused("example.com", set("www", "A", None, &[])), (400, "bad_request".into(), 0));
    assert_eq!(system.client.status().unwrap().version, 1);
    system.stop();
}

#[test]
fn names_move_and_subtrees_go() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    system.change("example.com", set("a.sub", "TXT", None, &["below"]));
    system.change("example.com", set("sub", "TXT", None, &["top"]));
    let rename = |name: &str, to: &str| RecordChange {
        action: Action::Rename,
        name: name.into(),
        to: Some(to.into()),
        ..RecordChange::default()
    };
    system.change("example.com", rename("sub", "moved"));
    assert_eq!(system.ask("moved.example.com", Rtype::TXT), both(Rcode::NOERROR, &["\"top\""]));
    assert_eq!(system.ask("sub.example.com", Rtype::TXT), both(Rcode::NOERROR, &[]), "a.sub is still beneath");
    let delete = RecordChange { action: Action::Delete, name: "sub".into(), subtree: true, ..RecordChange::default() };
    system.change("example.com", delete.clone());
    assert_eq!(system.ask("a.sub.example.com", Rtype::TXT), both(Rcode::NXDOMAIN, &[]));

    let bad = |change: RecordChange| {
        let request = ChangeRequest { changes: vec![change] };
        match system.client.change("example.com", &request, Patience::default()) {
            Err(ClientError::Refused { status, detail }) => (status, detail.message),
            other => panic!("{other:?}"),
        }
    };
    let (status, message) = bad(RecordChange { name: "@".into(), ..delete.clone() });
    assert!(status == 422, "{message}");
    for change in [
        RecordChange { rtype: Some("A".into()), ..delete.clone() },
        RecordChange { action: Action::Set, ..delete.clone() },
        RecordChange { to: Some("x".into()), ..delete },
        RecordChange { to: None, ..rename("www", "x") },
        RecordChange { ttl: Some(1), ..rename("www", "x") },
        rename("www", "elsewhere.org."),
    ] {
        let (status, message) = bad(change.clone());
        assert!(matches!(status, 400 | 422), "{change:?}: {message}");
    }
    system.stop();
}

#[test]
fn what_is_chosen_for_a_zone_decides_serial_and_ttl_and_outlives_its_replacement() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let info = system.client.settings("example.com").unwrap();
    assert_eq!((info.serial_policy.as_str(), info.default_ttl), ("increment", 300));
    let choose = |policy: &str, ttl| {
        let change =
            SettingsChange { serial_policy: Some(policy.into()), default_ttl: ttl, ..SettingsChange::default() };
        system.client.change_settings("example.com", &change)
    };
    let before = system.client.status().unwrap().version;
    assert_eq!(choose("keep", Some(77)).unwrap().default_ttl, 77);
    assert_eq!(system.client.status().unwrap().version, before, "edges do not see it");
    system.change("example.com", set("new", "A", None, &["192.0.2.1"]));
    assert_eq!(system.client.records("example.com", Some("new"), None).unwrap().rrsets[0].ttl, 77);
    assert_eq!(system.client.zone("example.com").unwrap().serial, 7);

    system.client.put_zone("example.com", ZONE.as_bytes(), "file", Patience::default()).unwrap();
    assert_eq!(choose("date", None).unwrap().default_ttl, 77, "what is not named stays");
    system.change("example.com", set("new", "A", None, &["192.0.2.2"]));
    let serial = system.client.zone("example.com").unwrap().serial;
    assert!((2_026_010_100..2_100_010_100).contains(&serial), "{serial}");
    let bad = |result: Result<_, ClientError>| matches!(result, Err(ClientError::Refused { status: 400, .. }));
    assert!(bad(choose("yearly", None)) && bad(choose("unix", Some(0))) && bad(choose("unix", Some(u32::MAX))));
    assert!(matches!(system.client.settings("example.org"), Err(ClientError::Refused { status: 404, .. })));
    system.stop();
}

#[test]
fn zones_come_and_go_through_the_api() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    let all = Patience { wait: Some(WaitFor::All), timeout: DEADLINE };
    // The root zone has a path of its own in URLs.
    for (zone, name) in [(".", "www."), ("0/25.2.0.192.in-addr.arpa", "www.0/25.2.0.192.in-addr.arpa.")] {
        let written = system.client.put_zone(zone, ZONE.as_bytes(), "file", all).unwrap();
        assert_eq!((written.records, written.serial), (Some(4), Some(7)));
        assert!(written.receipt.unwrap().reached);
        assert_eq!(system.ask(name, Rtype::A), both(Rcode::NOERROR, &["192.0.2.10"]));
        let file = String::from_utf8(system.client.export_zone(zone).unwrap()).unwrap();
        assert_eq!(file.lines().count(), 5, "{file}");
        let again = system.client.put_zone(zone, file.as_bytes(), "file", all).unwrap();
        assert!(!again.changed, "an export is the zone: {again:?}");
    }
    assert_eq!(system.client.zones(None).unwrap().zones.len(), 2);
    match system.client.put_zone(".", b"@ NS ns", "file", all) {
        Err(ClientError::Refused { status: 422, detail }) => assert!(!detail.findings.is_empty(), "{detail:?}"),
        other => panic!("{other:?}"),
    }
    system.client.delete_zone(".", true, all).unwrap();
    assert_eq!(system.ask("www.", Rtype::A), both(Rcode::REFUSED, &[]));
    system.stop();
}

#[test]
fn a_large_zone_is_replaced_in_one_step() {
    let zone = |address: &str| {
        use std::fmt::Write as _;
        (0..40_000).fold(ZONE.to_owned(), |mut text, number| {
            writeln!(text, "host-{number} A {address}").unwrap();
            text
        })
    };
    let folder = folder(&[("big.example.zone", &zone("192.0.2.3"))]);
    let system = System::start(folder.path());
    assert_eq!(system.ready.records, 40_004);
    let before = system.client.zone("big.example").unwrap();
    let all = Patience { wait: Some(WaitFor::All), timeout: DEADLINE };
    system.client.put_zone("big.example", zone("192.0.2.4").as_bytes(), "file", all).unwrap();
    let after = system.client.zone("big.example").unwrap();
    assert!(after.id == before.id && after.generation > before.generation, "{before:?} {after:?}");
    for host in ["host-0.big.example", "host-39999.big.example"] {
        assert_eq!(system.ask(host, Rtype::A), both(Rcode::NOERROR, &["192.0.2.4"]));
    }
    system.stop();
}

#[test]
fn a_restart_serves_what_it_held_and_imports_what_differs() {
    let folder = folder(&[("a.example.zone", ZONE), ("b.example.zone", ZONE), ("c.example.zone", ZONE)]);
    let system = System::start(folder.path());
    system.change("a.example", set("www", "A", None, &["192.0.2.77"]));
    system.stop();

    let zones = folder.path().join("zones");
    std::fs::write(zones.join("b.example.zone"), ZONE.replace("192.0.2.10", "192.0.2.88")).unwrap();
    std::fs::remove_file(zones.join("c.example.zone")).unwrap();
    let system = System::start(folder.path());
    assert_eq!((system.ready.zones, system.ready.records), (3, 12));
    let www = |zone: &str| system.ask(&format!("www.{zone}"), Rtype::A);
    assert_eq!(www("a.example"), both(Rcode::NOERROR, &["192.0.2.77"]), "its file is the same: the change stays");
    assert_eq!(www("b.example"), both(Rcode::NOERROR, &["192.0.2.88"]), "its file differs");
    assert_eq!(www("c.example"), both(Rcode::NOERROR, &["192.0.2.10"]), "no longer listed: kept");
    let metrics = system.client.metrics().unwrap();
    assert!(metrics.contains("zonecast_zone_imports_total{result=\"unchanged\"} 1"), "{metrics}");
    for name in ["zonecast_propagation_seconds", "zonecast_edge_lag_versions", "zonecast_committed_version"] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    system.stop();
}

#[test]
fn a_zone_replaced_through_the_api_stays_so_while_its_file_does_not_change() {
    let folder = folder(&[("a.example.zone", ZONE), ("b.example.zone", ZONE)]);
    let system = System::start(folder.path());
    let put = |zone: &str, address| {
        let text = ZONE.replace("192.0.2.10", address);
        system.client.put_zone(zone, text.as_bytes(), "test", Patience::default()).unwrap()
    };
    put("a.example", "192.0.2.66");
    system.change("b.example", set("www", "A", None, &["192.0.2.77"]));
    put("b.example", "192.0.2.66");
    let back = RollbackRequest { to: None, undo: Some(2) };
    system.client.roll_back("b.example", &back, Patience::default()).unwrap();
    system.stop();

    let system = System::start(folder.path());
    let www = |zone: &str| system.ask(&format!("www.{zone}"), Rtype::A);
    assert_eq!(www("a.example"), both(Rcode::NOERROR, &["192.0.2.66"]));
    assert_eq!(www("b.example"), both(Rcode::NOERROR, &["192.0.2.77"]), "what was rolled back stays so, too");
    system.stop();
    let file = folder.path().join("zones").join("a.example.zone");
    std::fs::write(file, ZONE.replace("192.0.2.10", "192.0.2.88")).unwrap();
    let system = System::start(folder.path());
    assert_eq!(system.ask("www.a.example", Rtype::A), both(Rcode::NOERROR, &["192.0.2.88"]), "a file that did change");
    system.stop();
}

#[test]
fn lookups_show_the_same_entry_at_the_core_and_at_an_edge() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let core = system.client.lookup("www.example.com", Some("A"), Some("core")).unwrap();
    let edge = system.client.lookup("www.example.com", Some("A"), Some("edge-2")).unwrap();
    assert_eq!(core.entries.len(), 1);
    assert_eq!((core.version, &core.entries), (edge.version, &edge.entries));
    assert_eq!(core.entries[0].decoded["a"]["data"][0], "192.0.2.10");
    assert!(system.client.lookup("www.example.com", None, Some("edge-9")).is_err());
    system.stop();
}

#[test]
fn trouble_at_the_start_has_its_code() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let code = |config: DevConfig| System::try_start(config).err().map(|failure| failure.code);
    assert_eq!(code(config(folder.path())), Some(Code::Locked));
    let elsewhere = DevConfig { data: None, ..config(folder.path()) };
    let dns = system.ready.dns[0].parse().unwrap();
    assert_eq!(code(DevConfig { dns, edges: 1, ..elsewhere.clone() }), Some(Code::Port));
    let http = system.ready.http.parse().unwrap();
    assert_eq!(code(DevConfig { http, ..elsewhere.clone() }), Some(Code::Port));
    let zones = folder.path().join("nowhere");
    assert_eq!(code(DevConfig { zones, ..elsewhere.clone() }), Some(Code::Unreadable));
    let manifest = Some(folder.path().join("nowhere"));
    assert_eq!(code(DevConfig { manifest, ..elsewhere }), Some(Code::Unreadable));
    system.stop();
}

#[test]
fn what_is_laid_over_a_zone_answers_and_outlives_its_replacement() {
    let folder = folder(&[("example.com.zone", ZONE)]);
    let system = System::start(folder.path());
    let change = |action: Action, name: &str, rtype: &str, data: &[&str]| {
        system.change("example.com", RecordChange { action, ..set(name, rtype, None, data) })
    };
    change(Action::Override, "www", "A", &["192.0.2.77"]);
    change(Action::Override, "maintenance", "TXT", &["closed"]);
    change(Action::Override, "ns1", "A", &[]);
    change(Action::Add, "www", "TXT", &["one"]);
    change(Action::Add, "www", "TXT", &["two"]);
    change(Action::Disable, "www", "TXT", &["one"]);
    let as_laid_over = || {
        assert_eq!(system.ask("www.example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.77"]));
        assert_eq!(system.ask("www.example.com", Rtype::TXT), both(Rcode::NOERROR, &["\"two\""]));
        assert_eq!(system.ask("maintenance.example.com", Rtype::TXT), both(Rcode::NOERROR, &["\"closed\""]));
        assert_eq!(system.ask("ns1.example.com", Rtype::A), both(Rcode::NXDOMAIN, &[]));
    };
    as_laid_over();
    let listed = system.client.records("example.com", Some("www"), None).unwrap().rrsets;
    let listed: Vec<_> =
        listed.iter().map(|rrset| (rrset.rtype.as_str(), rrset.layer.as_deref(), rrset.data[0].as_str())).collect();
    let expected = [
        ("A", Some("override"), "192.0.2.77"),
        ("TXT", None, "\"two\""),
        ("A", Some("overridden"), "192.0.2.10"),
        ("TXT", Some("disabled"), "\"one\""),
    ];
    assert_eq!(listed, expected);
    let exported = String::from_utf8(system.client.export_zone("example.com").unwrap()).unwrap();
    assert!(exported.contains("\n; disabled: www.example.com."), "{exported}");

    // A change beneath an override is made, and warned about.
    let request = ChangeRequest { changes: vec![set("www", "A", None, &["192.0.2.11"])] };
    let written = system.client.change("example.com", &request, Patience::default()).unwrap();
    assert_eq!(written.warnings[0].rule, "overridden");

    // Replaced by a zone that has the disabled record, in this generation and in a new one.
    let again = format!("{ZONE}www TXT one\nwww TXT two\n");
    let all = Patience { wait: Some(WaitFor::All), timeout: DEADLINE };
    system.client.put_zone("example.com", again.as_bytes(), "again", all).unwrap();
    as_laid_over();
    let large: String = (0..30_000).map(|number| format!("host{number} A 192.0.2.1\n")).collect();
    system.client.put_zone("example.com", format!("{again}{large}").as_bytes(), "large", all).unwrap();
    as_laid_over();

    change(Action::Restore, "www", "A", &[]);
    change(Action::Restore, "ns1", "A", &[]);
    change(Action::Enable, "www", "TXT", &["one"]);
    assert_eq!(system.ask("www.example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.10"]));
    assert_eq!(system.ask("ns1.example.com", Rtype::A), both(Rcode::NOERROR, &["192.0.2.1"]));
    assert_eq!(system.ask("www.example.com", Rtype::TXT), both(Rcode::NOERROR, &["\"one\"", "\"two\""]));
    for bad in [
        RecordChange { action: Action::Override, ..set("@", "SOA", None, &["ns1 h 1 2 3 4 5"]) },
        RecordChange { action: Action::Disable, ..set("www", "A", None, &[]) },
        RecordChange { action: Action::Restore, ..set("www", "A", None, &["192.0.2.1"]) },
        RecordChange { action: Action::Override, ..set("www", "CNAME", None, &["ns1"]) },
    ] {
        let request = ChangeRequest { changes: vec![bad.clone()] };
        let refused = system.client.change("example.com", &request, Patience::default());
        assert!(matches!(refused, Err(ClientError::Refused { status: 400 | 422, .. })), "{bad:?}");
    }
    system.stop();
}
