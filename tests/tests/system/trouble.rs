//! Bad input and a bad world: one clear line and a documented exit code (docs/operations.md).

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use domain::base::iana::{OptRcode, Rtype};
use serde_json::json;
use zonecast_tests::{DevOptions, Zonecast, free_port};

use crate::api::{addresses, ask};
use crate::pipeline::write_zone;

/// Ends with `code`, and the last line of the log has all of `words`.
fn assert_fails(options: &DevOptions, code: i32, words: &[&str]) {
    let (status, log) = Zonecast::start_and_fail(options).unwrap();
    assert_eq!(status.code(), Some(code), "{log}");
    let line = log.lines().last().unwrap_or_default();
    for word in words {
        assert!(line.contains(word), "no {word:?} in {line:?}");
    }
}

#[test]
fn a_bad_zone_is_refused_and_the_others_load() {
    let zones = tempfile::tempdir().unwrap();
    write_zone(zones.path(), "good.test");
    std::fs::write(
        zones.path().join("bad.test.zone"),
        "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nns 300 CNAME other\n",
    )
    .unwrap();
    std::fs::write(
        zones.path().join("broken.test.zone"),
        "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 A x\n",
    )
    .unwrap();
    let server = Zonecast::start(&DevOptions::new(zones.path())).unwrap();
    assert_eq!((&server.ready["zones"], &server.ready["refused"]), (&json!(1), &json!(2)), "{}", server.ready);
    assert_eq!(addresses(server.dns[0], "www.good.test"), ["192.0.2.1"]);
    // It is listed, so nobody else is to be asked for it.
    assert_eq!(ask(server.dns[0], "ns.bad.test", Rtype::A).rcode, OptRcode::SERVFAIL);
    let log = server.log();
    assert!(log.contains("bad.test.zone") && log.contains("CNAME"), "{log}");
    assert!(log.contains("/broken.test.zone\" line=2"), "{log}");
}

#[test]
fn a_port_in_use_is_said() {
    let zones = tempfile::tempdir().unwrap();
    write_zone(zones.path(), "one.test");
    let options = DevOptions::new(zones.path());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let http = taken.local_addr().unwrap().to_string();
    assert_fails(&DevOptions { http: http.clone(), ..options.clone() }, 4, &[&http, "in use"]);
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, free_port())).unwrap();
    let dns = taken.local_addr().unwrap().to_string();
    assert_fails(&DevOptions { dns: dns.clone(), ..options }, 4, &[&dns, "in use"]);
}

#[test]
fn a_second_process_on_the_same_data_is_turned_away() {
    let zones = tempfile::tempdir().unwrap();
    write_zone(zones.path(), "one.test");
    let data = tempfile::tempdir().unwrap();
    let options = DevOptions { data: Some(data.path().to_owned()), ..DevOptions::new(zones.path()) };
    let server = Zonecast::start(&options).unwrap();
    assert_fails(&options, 3, &[&data.path().display().to_string()]);
    assert_eq!(addresses(server.dns[0], "www.one.test"), ["192.0.2.1"], "the first one is not disturbed");
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_fails(&DevOptions::new(&missing), 5, &["missing"]);
    write_zone(folder.path(), "one.test");
    let manifest = Some(folder.path().join("no.manifest"));
    assert_fails(&DevOptions { manifest, ..DevOptions::new(folder.path()) }, 5, &["no.manifest"]);
    // A file where the data folder should be: an error for root, too, whom permissions do not stop.
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert_fails(&DevOptions { data: Some(file), ..DevOptions::new(folder.path()) }, 5, &["file"]);
}

#[test]
fn nothing_is_left_without_a_data_folder() {
    let zones = tempfile::tempdir().unwrap();
    write_zone(zones.path(), "one.test");
    let server = Zonecast::start(&DevOptions::new(zones.path())).unwrap();
    let data = std::path::PathBuf::from(server.ready["data"].as_str().unwrap());
    assert!(data.is_dir());
    assert!(server.stop().unwrap().success());
    assert!(!data.exists(), "{} is left", data.display());
}
