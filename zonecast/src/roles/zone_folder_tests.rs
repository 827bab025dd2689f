//! Folders in which some file is odd, imported into a core: the others are served, and a zone whose file turned bad
//! stays as it was.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use zonecast_builder::marked_zones;

use super::Stop;
use super::http_tests::Api;
use super::zone_folder::ZoneFolder;
use zonecast_service::{ImportChoices, ImportReport, Scope};

/// Zone text with this serial.
fn text(serial: u32) -> String {
    format!("$TTL 1h\n@ SOA ns1 hostmaster {serial} 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n")
}

fn import(api: &Api, folder: &Path) -> ImportReport {
    let zones = ZoneFolder::open(folder, None, ImportChoices::default()).unwrap();
    let ended = api.runtime().block_on(zones.import(api.service(), &Stop::new())).unwrap();
    let Some(report) = ended else { panic!("it was not asked to stop") };
    report
}

/// Zones of the store with their serials.
fn stored(api: &Api) -> Vec<(String, u32)> {
    let page = api.runtime().block_on(api.service().zones(Scope::All, None, 100)).unwrap();
    page.zones.into_iter().map(|zone| (zone.zone, zone.serial)).collect()
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn odd_files_keep_no_zone_out_and_take_none_away() {
    let api = Api::start(false, None);
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let zones = |list: &[(&str, u32)]| -> Vec<(String, u32)> {
        list.iter().map(|(apex, serial)| ((*apex).to_owned(), *serial)).collect()
    };
    for name in ["a.test.zone", "b.test.zone", "c.test.zone", "d.test.zone"] {
        fs::write(path(name), text(1)).unwrap();
    }
    // On a fresh store.
    fs::write(path("broken.test.zone"), "no zone\n").unwrap();
    fs::write(path("Twice.TEST.zone"), text(1)).unwrap();
    fs::write(path("twice.test.zone"), text(2)).unwrap();
    fs::write(path("no..name.zone"), text(1)).unwrap();
    fs::write(path("a copy.zone"), text(1)).unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.zone")), text(1)).unwrap();
    fs::write(path(".hidden.zone"), text(1)).unwrap();
    fs::write(elsewhere.path().join("outside"), text(1)).unwrap();
    symlink(elsewhere.path().join("outside"), path("outside.test.zone")).unwrap();
    symlink("missing", path("dangling.test.zone")).unwrap();
    pipe(&path("pipe.test.zone"));
    fs::create_dir(path("folder.test.zone")).unwrap();
    let report = import(&api, folder.path());
    assert_eq!((report.changed, report.unchanged, report.refused), (4, 0, 10), "{report:?}");
    let is_counted = |count: u64| {
        let line = format!("\nzonecast_zone_imports_total{{result=\"refused\"}} {count}\n");
        api.metrics().contains(&line)
    };
    assert!(is_counted(10), "{}", api.metrics());
    let all = zones(&[("a.test.", 1), ("b.test.", 1), ("c.test.", 1), ("d.test.", 1)]);
    assert_eq!(stored(&api), all);
    // They are listed and could not be loaded: not for a zone above to answer.
    let marks = marked_zones(&api.service().core().view()).unwrap();
    let marked: Vec<String> = marks.iter().map(|mark| mark.apex.to_string().to_lowercase()).collect();
    let unloadable = ["broken", "dangling", "folder", "outside", "pipe", "twice"].map(|label| format!("{label}.test."));
    assert_eq!(marked, unloadable);

    // On a full one: what turned bad keeps what it had, what is new and changed comes.
    fs::write(path("a.test.zone"), text(2)).unwrap();
    fs::write(path("b.test.zone"), "no zone\n").unwrap();
    fs::write(path("C.test.zone"), text(9)).unwrap();
    fs::remove_file(path("d.test.zone")).unwrap();
    pipe(&path("d.test.zone"));
    fs::write(path("e.test.zone"), text(1)).unwrap();
    let report = import(&api, folder.path());
    assert_eq!((report.changed, report.unchanged, report.refused), (2, 0, 14), "{report:?}");
    assert!(is_counted(10 + 14), "{}", api.metrics());
    let all = zones(&[("a.test.", 2), ("b.test.", 1), ("c.test.", 1), ("d.test.", 1), ("e.test.", 1)]);
    assert_eq!(stored(&api), all);
    api.stop();
}
