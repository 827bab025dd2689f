//! Clients that hang up: what they asked for is done whole or not at all, and every zone is what its writes, in some
//! order, come to.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::base::iana::{Rcode, Rtype};
use zonecast_api::types::SettingsChange;
use zonecast_api::{Patience, PutOptions};
use zonecast_builder::{Diff, Layer, Location, Settings, ZoneSource, export, zone_info};
use zonecast_kv_proto::MAX_BATCH_LEN;
use zonecast_kv_store::{StateOptions, StateStore, StateView, StoreMetrics};
use zonecast_records::Name;

use super::{DEADLINE, System, ZONE, ask, both, folder, set};
use crate::aliases::says;

/// Each costs some milliseconds; one in ten went wrong when the lock of a zone was let go with the client.
const ROUNDS: usize = 60;
const ADDS: usize = 6;

/// Sends a request and hangs up.
fn ask_and_go(system: &System, method: &str, path: &str, body: &str) {
    let mut stream = TcpStream::connect(&system.ready.http).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
}

fn apex(round: usize) -> String {
    format!("z{round}.example")
}

#[test]
fn adds_whose_clients_are_gone_and_a_zone_file_come_to_one_of_the_orders_they_may_have_had() {
    let folder = folder(&[]);
    let system = System::start(folder.path());
    for round in 0..ROUNDS {
        let zone = apex(round);
        system.client.put_zone(&zone, ZONE.as_bytes(), "file", Patience::default()).unwrap();
        for number in 0..ADDS {
            let path = format!("/v1/zones/{zone}/records/%2A.q{number}/A");
            ask_and_go(&system, "POST", &path, r#"{"ttl": 60, "data": ["192.0.2.7"]}"#);
        }
        // Other than the one before, so that it is planned and committed.
        let file = ZONE.replace("192.0.2.10", "192.0.2.11");
        let meant = PutOptions { allow_shrink: true, ..PutOptions::default() };
        system.client.put_zone_choosing(&zone, file.as_bytes(), "file", &meant, Patience::default()).unwrap();
    }
    system.stop();

    let added: Vec<BTreeSet<usize>> = {
        let view = state(folder.path());
        (0..ROUNDS).map(|round| added_after_the_file(&view, &apex(round).parse().unwrap())).collect()
    };
    let system = System::start(folder.path());
    for (round, added) in added.iter().enumerate() {
        for number in 0..ADDS {
            let name = format!("x.q{number}.{}", apex(round));
            let wanted = match added.contains(&number) {
                true => (Rcode::NOERROR, vec!["192.0.2.7".to_owned()]),
                false => (Rcode::NXDOMAIN, vec![]),
            };
            assert_eq!(ask(system.ready.dns[0].parse().unwrap(), &name, Rtype::A), wanted, "{name}");
        }
    }
    system.stop();
}

/// The store of a core that has ended.
fn state(folder: &Path) -> StateView {
    let metrics = StoreMetrics::register(&prometheus::Registry::new()).unwrap();
    StateStore::open(&folder.join("data/core/state"), &StateOptions::default(), metrics).unwrap().view()
}

/// Which of the wildcards the zone has, once it is sure that it is what a full build of its records is, and that these
/// are those of the file and of changes that came after it.
fn added_after_the_file(view: &StateView, apex: &Name) -> BTreeSet<usize> {
    let info = zone_info(view, apex).unwrap().unwrap();
    let mut source = ZoneSource::new(info.apex);
    let (mut added, mut serial, mut others) = (BTreeSet::new(), 0, 0);
    export(view, apex, |layer, record| {
        assert_eq!(layer, Layer::Source);
        source.push(record, Location::new(0));
        match record.owner.to_string().strip_prefix("*.q").and_then(|rest| rest.split_once('.')) {
            Some((number, _)) => assert!(added.insert(number.parse().unwrap())),
            None => others += 1,
        }
        if record.rtype == Rtype::SOA {
            let at = record.rdata.len() - 20;
            serial = u32::from_be_bytes(record.rdata[at..at + 4].try_into().unwrap());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((others, serial as usize), (4, 7 + added.len()), "{apex} with {added:?}");
    let settings = Settings::with_origin(info.origin).with_zone(info.settings);
    let build = source.build(info.identity, &settings).unwrap();
    let Diff::Batch(differs, _) = build.diff(view, MAX_BATCH_LEN).unwrap() else { panic!("{apex} differs in all") };
    assert!(differs.is_empty(), "{apex} with {added:?} is not what its records come to: {differs:?}");
    added
}

#[test]
fn an_alias_follows_its_target_though_whoever_changed_that_is_gone() {
    let folder = folder(&[("example.com.zone", ZONE), ("cdn.example.zone", ZONE)]);
    let system = System::start(folder.path());
    let flatten = SettingsChange { flatten_apex: Some(true), ..SettingsChange::default() };
    system.client.change_settings("example.com", &flatten).unwrap();
    system.change("example.com", set("@", "CNAME", None, &["www.cdn.example."]));
    let target_is = |answer: &[&str]| system.ask("www.cdn.example", Rtype::A) == both(Rcode::NOERROR, answer);
    for round in 1..=20 {
        let address = format!("192.0.2.{}", 20 + round);
        let body = format!(r#"{{"data": ["{address}"]}}"#);
        let set = ("PUT", "/v1/zones/cdn.example/records/www/A", body.as_str());
        until(&system, set, || target_is(&[&address]));
        says(&system, "example.com", &[&address]);
    }
    // A whole zone, and its end.
    let replaced = ZONE.replace("192.0.2.10", "192.0.2.99");
    until(&system, ("PUT", "/v1/zones/cdn.example", &replaced), || target_is(&["192.0.2.99"]));
    says(&system, "example.com", &["192.0.2.99"]);
    until(&system, ("DELETE", "/v1/zones/cdn.example?allow_shrink=true", ""), || {
        system.client.zone("cdn.example").is_err()
    });
    says(&system, "example.com", &[]);
    system.stop();
}

/// A request that was read is done by then.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks and goes, and again until it is done: whoever goes before the server has read the request was never there.
fn until(system: &System, (method, path, body): (&str, &str, &str), done: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        ask_and_go(system, method, path, body);
        let again = Instant::now() + PATIENCE;
        while Instant::now() < again {
            if done() {
                return;
            }
            std::thread::yield_now();
        }
        assert!(Instant::now() < deadline, "{method} {path} is never done");
    }
}
