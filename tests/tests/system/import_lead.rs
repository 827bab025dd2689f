//! Large imports during which the lead changes: they end, say so, and leave nothing of a zone that is half there.

use std::time::Instant;

use serde_json::Value;
use zonecast_tests::{Node, System, poll_until, run};

use crate::cluster::{PATIENCE, ZONE, let_in, url};
use crate::http::Http;

/// Enough for many batches: the lead changes while some of them are not proposed yet.
const NAMES: usize = 400_000;

/// Three cores, of which the first leads.
struct Three {
    system: System,
    second: Node,
    _third: Node,
}

impl Three {
    fn start(prepare: impl FnOnce(&mut Node)) -> Self {
        let mut system = System::new(0).unwrap();
        let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
        prepare(&mut system.core);
        system.core.start_ready().unwrap();
        let_in(&system, [&mut second, &mut third]);
        Self { system, second, _third: third }
    }
}

fn large() -> String {
    let names = (0..NAMES).map(|number| format!("host{number} 60 A 192.0.2.1\n"));
    names.fold(ZONE.to_owned(), |text, name| text + &name)
}

fn version(core: &Node) -> Option<u64> {
    Http::new(core.http).status()?["version"].as_u64()
}

/// Waits until something of an import is committed, as this core sees it.
fn wait_begun(before: u64, seen_at: &Node) {
    let begun = || version(seen_at).filter(|version| *version > before);
    let patience = Instant::now() + PATIENCE * 3;
    assert!(poll_until(patience, begun).is_some(), "nothing is imported: {}", seen_at.log());
}

/// The core that gets the lead is asked, and hands that on to the busy one that gives it.
fn transfer(asked: &Node, to: &str) {
    run(&["--core", &url(asked), "cluster", "transfer", to]).unwrap();
}

fn zone(core: &Node) -> (u16, Value) {
    Http::new(core.http).call("GET", "/v1/zones/large.test", None).unwrap()
}

#[test]
fn an_import_that_loses_its_lead_ends_also_when_the_same_core_leads_again() {
    let _alone = crate::heavy::alone();
    let Three { system, second, .. } = Three::start(|_| {});
    let (text, before) = (large(), version(&system.core).unwrap());
    let (status, said) = std::thread::scope(|scope| {
        let address = system.core.http;
        let text = &text;
        let put = scope.spawn(move || {
            Http::patient(address, PATIENCE * 5).call("PUT", "/v1/zones/large.test", Some(text)).unwrap()
        });
        wait_begun(before, &second);
        transfer(&second, "core-2");
        transfer(&system.core, "core-1");
        put.join().unwrap()
    });
    assert_eq!((status, &said["error"]["code"]), (503, &"not_leader".into()), "{said}");
    assert_eq!([&system.core, &second].map(|core| zone(core).0), [404, 404], "nothing of it is there");
    let put = Http::patient(system.core.http, PATIENCE * 5).call("PUT", "/v1/zones/large.test", Some(&text)).unwrap();
    assert_eq!(put.0, 200, "{put:?}");
    assert_eq!(zone(&second).0, 200);
}

#[test]
fn an_import_of_zone_files_that_loses_its_lead_says_so_and_begins_anew() {
    let _alone = crate::heavy::alone();
    let mut three = Three::start(|core| {
        let folder = core.data.parent().unwrap().join("zones");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("one.test.zone"), ZONE).unwrap();
        core.zones = Some(folder);
    });
    let core = &mut three.system.core;
    core.patience = PATIENCE * 5;
    std::fs::write(core.zones.as_ref().unwrap().join("large.test.zone"), large()).unwrap();
    core.stop().unwrap();
    let before = version(&three.second).unwrap();
    core.start().unwrap();
    wait_begun(before, &three.second);
    transfer(&three.second, "core-2");
    core.wait_ready().unwrap();
    let told = core.log_lines(&["WARN", "another core took the lead during the import of zone files"]);
    assert_eq!(told.len(), 1, "{}", core.log());
    assert_eq!([&three.system.core, &three.second].map(|core| zone(core).0), [200, 200]);
}
