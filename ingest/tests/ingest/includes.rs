//! `$INCLUDE`: what it restores, what it may not reach, and how the digest follows it.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use zonecast_ingest::{FileReport, Location, ZoneRoot, digest_zone_file, format_rdata, read_zone_file};

use super::support::apex;

struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        fs::create_dir_all(folder.root().folder().join("sub")).unwrap();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn root(&self) -> ZoneRoot {
        let zones = self.0.path().join("zones");
        fs::create_dir_all(&zones).unwrap();
        ZoneRoot::open(&zones).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.root().folder().join(name), text).unwrap();
    }

    fn read(&self, file: &str) -> (Vec<String>, Result<FileReport, Vec<String>>) {
        let mut records: Vec<(String, Location)> = Vec::new();
        let result = read_zone_file(&self.root(), Path::new(file), &apex(), &mut |record, location| {
            let data = format_rdata(record.rtype, record.rdata);
            records.push((format!("{} {} {data}", record.owner, record.ttl), location));
            ControlFlow::Continue(())
        });
        let lines = records.iter().map(|(text, location)| match &result {
            Ok(report) => format!("{}: {text}", report.place(*location)),
            Err(_) => text.clone(),
        });
        let lines = lines.collect();
        (lines, result.map_err(|errors| errors.iter().map(ToString::to_string).collect()))
    }

    fn errors(&self, file: &str) -> Vec<String> {
        self.read(file).1.unwrap_err()
    }

    fn digest(&self) -> zonecast_ingest::SourceDigest {
        digest_zone_file(&self.root(), Path::new("main"), &apex()).unwrap()
    }
}

#[test]
fn origin_and_owner_come_back_and_ttl_stays() {
    let folder = Folder::new(&[
        ("main", "$TTL 1\na A 192.0.2.1\n$INCLUDE sub/b deep\n A 192.0.2.4\nc A 192.0.2.5\n"),
        ("sub/b", "b A 192.0.2.2\n$INCLUDE \"sub/c d\"\n$TTL 2\n$ORIGIN other\nb A 192.0.2.3\n"),
        ("sub/c d", "; nothing\n"),
    ]);
    let (records, report) = folder.read("main");
    assert_eq!(
        records,
        [
            "main:2: a.example. 1 192.0.2.1",
            "sub/b:1: b.deep.example. 1 192.0.2.2",
            "sub/b:5: b.other.deep.example. 2 192.0.2.3",
            "main:4: a.example. 2 192.0.2.4",
            "main:5: c.example. 2 192.0.2.5",
        ]
    );
    assert_eq!(report.unwrap().files, ["main", "sub/b", "sub/c d"]);
}

#[test]
fn a_blank_first_owner_is_that_of_the_including_file() {
    let folder = Folder::new(&[("main", "a 1 A 192.0.2.1\n$INCLUDE b\n"), ("b", " 1 A 192.0.2.2\n")]);
    let (records, report) = folder.read("main");
    assert_eq!(records[1], "b:1: a.example. 1 192.0.2.2");
    let warnings = report.unwrap().warnings;
    assert!(warnings[0].to_string().starts_with("b:1: an included file begins without an owner"), "{warnings:?}");
    let folder = Folder::new(&[("main", "$INCLUDE b\n"), ("b", " 1 A 192.0.2.2\n")]);
    assert!(folder.errors("main")[0].starts_with("b:1: no owner"));
}

#[test]
fn a_path_may_be_beside_the_including_file() {
    let folder = Folder::new(&[("sub/main", "$INCLUDE b\n"), ("sub/b", "b 1 A 192.0.2.2\n")]);
    assert_eq!(folder.read("sub/main").0, ["sub/b:1: b.example. 1 192.0.2.2"]);
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let folder = Folder::new(&[]);
    let outside = folder.0.path().join("secret");
    fs::write(&outside, "b 1 TXT secret\n").unwrap();
    let zones = folder.root().folder().to_owned();
    symlink(&outside, zones.join("link")).unwrap();
    symlink(folder.0.path(), zones.join("up")).unwrap();
    fs::write(zones.join("inner"), "b 1 A 192.0.2.1\n").unwrap();
    symlink("inner", zones.join("good")).unwrap();
    let absolute = zones.join("inner").display().to_string();
    for (path, refusal) in [
        ("../secret", Some("has a .. in it")),
        ("sub/../inner", Some("has a .. in it")),
        ("link", Some("is outside the zones folder")),
        ("up/secret", Some("is outside the zones folder")),
        (outside.to_str().unwrap(), Some("is outside the zones folder")),
        ("/etc/hostname", Some("is outside the zones folder")),
        ("/dev/zero", Some("is outside the zones folder")),
        ("missing", Some("cannot read missing")),
        ("sub", Some("is not a regular file")),
        (absolute.as_str(), None),
        ("good", None),
    ] {
        folder.write("main", &format!("$INCLUDE {path}\n"));
        let (records, result) = folder.read("main");
        match (refusal, result) {
            (Some(refusal), Err(errors)) => {
                assert!(errors[0].starts_with("main:1: $INCLUDE") && errors[0].contains(refusal), "{path}: {errors:?}");
                assert!(records.is_empty());
            }
            (None, Ok(_)) => assert_eq!(records.len(), 1),
            (_, other) => panic!("{path}: {other:?}"),
        }
    }
    assert!(folder.errors("../secret")[0].contains("has a .. in it"), "nor does the zone's own file");
    assert!(folder.errors("link")[0].contains("is outside the zones folder"));
}

#[test]
fn cycles_and_depth_are_bounded() {
    let folder = Folder::new(&[
        ("self", "$INCLUDE self\n"),
        ("main", "$INCLUDE b\n"),
        ("b", "a 1 A 192.0.2.1\n$INCLUDE main\n"),
        ("twice", "$INCLUDE leaf\n$INCLUDE leaf x\n"),
        ("leaf", "a 1 A 192.0.2.1\n"),
    ]);
    assert!(folder.errors("self")[0].starts_with("self:1: $INCLUDE \"self\": this file is being read already"));
    assert!(folder.errors("main")[0].starts_with("b:2: $INCLUDE \"main\": this file is being read already"));
    assert_eq!(folder.read("twice").0.len(), 2, "one file may be included twice");
    for depth in 0..=zonecast_ingest::MAX_INCLUDE_DEPTH {
        folder.write(&format!("d{depth}"), &format!("$INCLUDE d{}\n", depth + 1));
    }
    let last = zonecast_ingest::MAX_INCLUDE_DEPTH + 1;
    folder.write(&format!("d{last}"), "a 1 A 192.0.2.1\n");
    assert!(folder.errors("d0")[0].contains("deeper than"));
    assert_eq!(folder.read("d1").0.len(), 1);
}

#[test]
fn a_file_that_is_included_again_and_again_is_bounded() {
    let includes = "$INCLUDE large\n".repeat(600);
    let folder = Folder::new(&[("main", &includes), ("large", &format!(";{}\n", "x".repeat(1 << 20)))]);
    let errors = folder.errors("main");
    // The first time counts as its own size, 255 more fit into the limit.
    assert!(errors[0].starts_with("main:257: $GENERATE lines and files that are included again"), "{errors:?}");
    assert_eq!(errors.len(), 1, "nothing is read after that");
}

#[test]
fn the_digest_changes_with_every_file_and_with_nothing_else() {
    let folder = Folder::new(&[
        ("main", "$include sub/b\na 1 TXT \"\\\n$INCLUDE not-one\n\"\n"),
        ("sub/b", "a 1 A 192.0.2.1\n $INCLUDE indented\n$INCLUDE c ; comment\n"),
        ("c", "; c\n"),
    ]);
    let first = folder.digest();
    assert_eq!(folder.digest(), first);
    folder.write("unrelated", "x");
    folder.write("indented", "x");
    assert_eq!(folder.digest(), first);
    folder.write("c", "; d\n");
    let second = folder.digest();
    assert_ne!(second, first);
    fs::remove_file(folder.root().folder().join("c")).unwrap();
    assert!(![first, second].contains(&folder.digest()));
    folder.write("c", "; c\n");
    assert_eq!(folder.digest(), first);
    let other = digest_zone_file(&folder.root(), Path::new("main"), &"other".parse().unwrap()).unwrap();
    assert_ne!(other, first, "the apex is the first origin");
}

#[test]
fn reading_reports_the_digest_of_what_it_read() {
    let folder =
        Folder::new(&[("main", "\u{feff}$INCLUDE b\n$INCLUDE b\n"), ("b", "a 1 A 192.0.2.1\n$INCLUDE c\n"), ("c", "")]);
    let (_, report) = folder.read("main");
    let report = report.unwrap();
    assert_eq!(report.digest, folder.digest());
    assert_eq!((report.records, report.files.len()), (2, 3));
}
