//! Which zones there are.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use zonecast_ingest::{Manifest, Place};

/// Apex and file of each zone.
fn listed(manifest: &Manifest) -> Vec<String> {
    manifest.entries.iter().map(|entry| format!("{} {}", entry.apex, entry.file.display())).collect()
}

/// Place and reason of what is none.
fn left_out(manifest: &Manifest) -> Vec<String> {
    let place = |place: &Place| match place {
        Place::Line(line) => format!("line {line}"),
        Place::File(file) => file.display().to_string(),
    };
    manifest.left_out.iter().map(|left_out| format!("{}: {}", place(&left_out.place), left_out.rule)).collect()
}

#[test]
fn lines_name_zones() {
    let text = "# zones\n\n.\troot.zone\nExample.com.\tsub/a file\r\nexample.net\ta\nexample.org\ta\n   \n";
    let manifest = Manifest::parse(text.as_bytes());
    assert_eq!(listed(&manifest), [". root.zone", "Example.com. sub/a file", "example.net. a", "example.org. a"]);
    assert!(left_out(&manifest).is_empty() && listed(&Manifest::parse(b"")).is_empty());
}

#[test]
fn a_bad_line_keeps_no_other_out() {
    let text = "a b\na\tb\tc\n\tb\na\t\na..b\tc\nx\ty\nX.\tz\na\t b\ngood\tg\nb\u{fc}cher\tb\n\\120\tx\n";
    let manifest = Manifest::parse(text.as_bytes());
    assert_eq!(listed(&manifest), ["good. g"]);
    let reasons = left_out(&manifest);
    let lines: Vec<&str> = reasons.iter().map(|reason| reason.split(':').next().unwrap()).collect();
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11].map(|line| format!("line {line}"));
    assert_eq!(lines, expected);
    assert_eq!(reasons[5], "line 6: zone X. is listed twice, the other is line 7: neither is read");
    assert_eq!(reasons[6], "line 7: zone X. is listed twice, the other is line 6: neither is read");
    assert!(reasons[8].ends_with("write xn--bcher-kva"), "{reasons:?}");
    assert!(reasons[9].contains("the other is line 6"), "{reasons:?}");
    assert_eq!(left_out(&Manifest::parse(b"\xff\tb\n")), ["line 1: not UTF-8"]);
    let many = Manifest::parse("x\n".repeat(1500).as_bytes());
    assert_eq!((many.left_out.len(), many.more_left_out), (1000, 500), "what is kept is bounded");
}

#[test]
fn without_a_manifest_every_file_is_a_zone() {
    let folder = TempDir::new().unwrap();
    for name in ["b.zone", "a", "example.com.", ".zone", ".hidden.zone", "root.zone", "0\\04725.in-addr.arpa"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join("sub")).unwrap();
    symlink("a", folder.path().join("link.zone")).unwrap();
    let manifest = Manifest::of_folder(folder.path()).unwrap();
    let zones = [
        "0/25.in-addr.arpa. 0\\04725.in-addr.arpa",
        "a. a",
        "b. b.zone",
        "example.com. example.com.",
        "link. link.zone",
        "root. root.zone",
    ];
    assert_eq!(listed(&manifest), zones);
    assert!(left_out(&manifest).is_empty());
    assert_eq!(manifest.hidden, 2);
    assert!(Manifest::of_folder(&folder.path().join("missing")).is_err());
    assert!(Manifest::read(&folder.path().join("missing")).is_err());
}

#[test]
fn an_odd_file_keeps_no_other_out() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in
        ["B", "b.zone", "\\098", "a..b", "good.zone", "my zone.zone", "copy.zone~", "b\u{fc}cher.zone", "..zone"]
    {
        fs::write(path(name), "").unwrap();
    }
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff.zone")), "").unwrap();
    symlink("missing", path("dangling.zone")).unwrap();
    symlink("loop.zone", path("loop.zone")).unwrap();
    fs::create_dir(path("folder.zone")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path("pipe.zone")).status().unwrap().success());
    let manifest = Manifest::of_folder(folder.path()).unwrap();
    assert_eq!(listed(&manifest), ["good. good.zone"]);
    let reasons = left_out(&manifest);
    let expected = [
        ("B: ", "the other is \\098"),
        ("\\098: ", "the other is B"),
        ("a..b: ", "is not the name of a zone"),
        ("b.zone: ", "the other is B"),
        ("b\u{fc}cher.zone: ", "write xn--bcher-kva"),
        ("copy.zone~: ", "unusual in the name"),
        ("dangling.zone: ", "cannot be read"),
        ("folder.zone: ", "not a regular file"),
        ("loop.zone: ", "cannot be read"),
        ("my zone.zone: ", "unusual in the name"),
        ("pipe.zone: ", "not a regular file"),
        ("\u{fffd}.zone: ", "not UTF-8"),
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:#?}");
    for (reason, (file, text)) in reasons.iter().zip(expected) {
        assert!(reason.starts_with(file) && reason.contains(text), "{reason}, not {file} {text}");
    }
    let apexes = manifest.left_out.iter().filter_map(|left_out| left_out.apex.as_deref());
    let apexes: Vec<String> = apexes.map(|apex| apex.to_string()).collect();
    assert_eq!(apexes, ["b.", "b.", "b.", "dangling.", "folder.", "loop.", "pipe."], "their zones stay as they are");
    assert_eq!(manifest.hidden, 1);
}
