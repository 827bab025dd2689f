//! `zonecast compare` between two servers that are the same, and two that are not.

use serde_json::Value;
use zonecast_tests::{DevOptions, HostedZone, Peer, Software, Zonecast, run_any};

const ZONE: &str = "$TTL 300\n@ SOA ns admin 7 3600 600 86400 300\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.10\n\
    *.wild TXT \"made\"\nsub NS ns.sub\nns.sub A 192.0.2.54\nmail MX 10 www\nalias CNAME www\n";

/// What it prints, and whether it found the servers the same.
fn compare(arguments: &[&str]) -> (bool, Value) {
    let output = run_any(&[&["compare", "--json"], arguments].concat()).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.success(), result)
}

#[test]
fn what_is_the_same_and_what_is_not_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str, text: &str| {
        let zones = folder.path().join(name);
        std::fs::create_dir(&zones).unwrap();
        std::fs::write(zones.join("example.com.zone"), text).unwrap();
        let server = Zonecast::start(&DevOptions::new(&zones)).unwrap();
        (server, zones.join("example.com.zone").to_str().unwrap().to_owned())
    };
    let (one, file) = start("one", ZONE);
    let changed = ZONE.replace("192.0.2.10", "192.0.2.11").replace(" 7 ", " 8 ");
    let (other, _) = start("other", &changed);
    let [a, b] = [&one, &other].map(|server| server.dns[0].to_string());

    let (same, result) = compare(&[&a, &a, "--zone", "example.com", "--file", &file, "--dnssec", "--tcp"]);
    assert!(same && result["different"] == 0 && result["unanswered"] == 0, "{result}");
    assert!(result["questions"].as_u64() > Some(500), "{result}");

    let (same, result) = compare(&[&a, &b, "--zone", "example.com", "--file", &file]);
    assert!(!same && result["different"].as_u64() > Some(0), "{result}");
    let kinds: Vec<&str> =
        result["kinds"].as_array().unwrap().iter().map(|kind| kind["what"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["answer"], "the serial does not count: {result}");
    let example = result["kinds"][0]["examples"][0].to_string();
    assert!(example.contains("192.0.2.10") && example.contains("192.0.2.11"), "{example}");
    let (_, strict) = compare(&[&a, &b, "--zone", "example.com", "--file", &file, "--strict"]);
    assert!(strict["different"].as_u64() > result["different"].as_u64(), "{strict}");

    // A captured list, types as numbers too.
    let list = folder.path().join("queries");
    std::fs::write(&list, "www.example.com A\nns.example.com 1\nnowhere.example.org A\n").unwrap();
    let (same, result) = compare(&[&a, &b, "--queries", list.to_str().unwrap()]);
    assert!(!same && result["questions"] == 3 && result["different"] == 1, "{result}");

    // The core has the records, whoever is asked.
    let core = format!("http://{}", one.http);
    let (same, result) = compare(&[&a, &a, "--all", "--core", &core]);
    assert!(same && result["zones"] == 1, "{result}");

    let refused = run_any(&["compare", &a, &b, "--zone", "example.com"]).unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("--from-core"), "{said}");
}

#[test]
fn another_server_with_the_same_zone_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.com.zone");
    std::fs::write(&file, ZONE).unwrap();
    let zonecast = Zonecast::start(&DevOptions::new(folder.path())).unwrap();
    let zone = HostedZone { apex: "example.com".parse().unwrap(), file: file.clone() };
    let (ours, file) = (zonecast.dns[0].to_string(), file.to_str().unwrap().to_owned());
    let from_file = &["--file", file.as_str()][..];
    // NSD and PowerDNS are told to transfer to nobody.
    for (software, source) in [
        (Software::Nsd, from_file),
        (Software::Knot, from_file),
        (Software::Knot, &[]),
        (Software::Bind, &[]),
        (Software::StockBind, from_file),
        (Software::PowerDns, from_file),
    ] {
        let peer = Peer::start(software, std::slice::from_ref(&zone)).unwrap();
        let theirs = peer.address().to_string();
        let arguments = [&[ours.as_str(), &theirs, "--zone", "example.com", "--dnssec"][..], source].concat();
        let (same, result) = compare(&arguments);
        assert!(same, "{}: {result}", software.name());
        if software == Software::StockBind {
            let (same, result) = compare(&[arguments.as_slice(), &["--strict"]].concat());
            assert!(!same, "the TTL of a SOA that says that there is none: {result}");
        }
    }
}
