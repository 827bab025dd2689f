//! Which zones there are.

use std::fs;

use tempfile::TempDir;
use zonecast_ingest::Manifest;

fn parse(text: &str) -> Result<Vec<String>, Vec<String>> {
    Manifest::parse(text.as_bytes())
        .map(|manifest| {
            manifest.entries.iter().map(|entry| format!("{} {}", entry.apex, entry.file.display())).collect()
        })
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[test]
fn lines_name_zones() {
    let text = "# zones\n\n.\troot.zone\nExample.com.\tsub/a file\r\nexample.net\ta\nexample.org\ta\n   \n";
    assert_eq!(parse(text).unwrap(), [". root.zone", "Example.com. sub/a file", "example.net. a", "example.org. a"]);
    assert_eq!(parse("").unwrap(), Vec::<String>::new());
}

#[test]
fn bad_lines_are_all_named() {
    let text = "a b\na\tb\tc\n\tb\na\t\na..b\tc\nx\ty\nX.\tz\na\t b\n";
    let errors = parse(text).unwrap_err();
    let lines: Vec<&str> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 1", "line 2", "line 3", "line 4", "line 5", "line 7", "line 8"]);
    assert_eq!(errors[5], "line 7: zone X. stands on line 6 already");
    assert_eq!(Manifest::parse(b"\xff\tb\n").unwrap_err()[0].to_string(), "line 1: not UTF-8");
    assert_eq!(parse(&"x\n".repeat(1000)).unwrap_err().len(), 20, "errors are bounded");
}

#[test]
fn without_a_manifest_every_file_is_a_zone() {
    let folder = TempDir::new().unwrap();
    for name in ["b.zone", "a", "example.com.", ".zone", ".hidden.zone", "root.zone"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join("sub")).unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("link.zone")).unwrap();
    let zones = Manifest::of_folder(folder.path()).unwrap();
    let zones: Vec<String> =
        zones.entries.iter().map(|entry| format!("{} {}", entry.apex, entry.file.display())).collect();
    assert_eq!(zones, ["a. a", "b. b.zone", "example.com. example.com.", "link. link.zone", "root. root.zone"]);

    fs::write(folder.path().join("B"), "").unwrap();
    fs::write(folder.path().join("a..b"), "").unwrap();
    let errors: Vec<String> = Manifest::of_folder(folder.path()).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(errors, ["a..b: not the name of a zone", "B and b.zone are both zone b."]);
    assert!(Manifest::of_folder(&folder.path().join("missing")).is_err());
    assert!(Manifest::read(&folder.path().join("missing")).is_err());
}
