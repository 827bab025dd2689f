//! `zonecast zone check` says of a folder exactly what an import of it says.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// File, line, record, rule and message.
type Said = (String, u64, String, String, String);

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn zonecast(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonecast"));
    command.args(args).env_remove("ZONECAST_CORE").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// What the log of a start says of files.
fn imported(folder: &Path, log: &Path, choices: &[&str]) -> BTreeSet<Said> {
    let fixed = ["dev", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-format", "json", "--zones"];
    let mut command = zonecast(&fixed);
    command.arg(folder).args(choices).stdout(Stdio::piped()).stderr(File::create(log).unwrap());
    let mut running = Running(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert!(ready.contains("ready"), "{ready}{log}");
    drop(running);
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = lines.filter(|line| line["rule"].is_string());
    lines.map(|line| said(&line, &["zone refused: ", "left out: "])).collect()
}

/// What a check says, errors and warnings, and with which exit code.
fn checked(files: &[&Path], choices: &[&str]) -> (BTreeSet<Said>, Option<i32>) {
    let output = zonecast(&["zone", "check", "--json"]).args(choices).args(files).output().unwrap();
    let reports = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let reports: Vec<Value> = reports.map(Result::unwrap).collect();
    let findings =
        reports.iter().flat_map(|report| ["errors", "warnings"].map(|kind| report[kind].as_array().unwrap()));
    (findings.flatten().map(|finding| said(finding, &[])).collect(), output.status.code())
}

fn said(value: &Value, prefixes: &[&str]) -> Said {
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let message = text("message");
    let message = prefixes.iter().find_map(|prefix| message.strip_prefix(prefix)).unwrap_or(&message).to_owned();
    (text("file"), value["line"].as_u64().unwrap_or(0), text("record"), text("rule"), message)
}

fn zone(more: &str) -> String {
    format!("$TTL 1h\n@ SOA ns1 hostmaster 1 2h 15m 1w 5m\n@ NS ns1\nns1 A 192.0.2.1\n{more}")
}

/// Whether some finding is of this file and rule and has these words.
#[track_caller]
fn assert_said(said: &BTreeSet<Said>, file: &str, rule: &str, words: &str) {
    let is = |(name, _, _, its, message): &&Said| name.ends_with(file) && its == rule && message.contains(words);
    assert!(said.iter().any(|said| is(&said)), "no {rule} of {file} with {words:?}: {said:#?}");
}

#[test]
fn a_check_of_a_folder_says_what_its_import_says() {
    let all = tempfile::tempdir().unwrap();
    let folder = all.path().join("zones");
    fs::create_dir_all(folder.join("sub")).unwrap();
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    write("good.test.zone", &zone(""));
    write("odd.test.zone", &zone("d DNAME o.\nx.d A 192.0.2.2\nb\u{fc}cher A 192.0.2.3\na\\032b A 192.0.2.4\n"));
    write("in.good.test.zone", &zone(""));
    write("test.zone", &zone("www.good A 192.0.2.1\nwww.in.good A 192.0.2.1\nother A 192.0.2.1\n"));
    write("panel.test.zone", &zone("www.elsewhere.test. A 192.0.2.1\n").replace("@ NS ns1\n", ""));
    write("broken.test.zone", &zone("www A 192.0.2.256\nwww CNAME\n"));
    write("include.test.zone", &zone("$INCLUDE sub/first\n"));
    // Relative to the folder of zones, not to that of the including file.
    write("sub/first", "$INCLUDE sub/second\n");
    write("sub/second", "www A 192.0.2.1\nwww A 192.0.2.1\n");
    write("missing.test.zone", &zone("$INCLUDE nowhere\n"));
    write("Twice.test.zone", &zone(""));
    write("twice.test.zone", &zone(""));
    write("b\u{fc}cher.zone", &zone(""));
    write("no zone at all", "");
    symlink("nowhere", folder.join("dangling.test.zone")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe.test.zone")).status().unwrap().success());

    let log = all.path().join("log");
    let (check, code) = checked(&[&folder], &[]);
    assert_eq!(code, Some(1));
    assert_eq!(imported(&folder, &log, &[]), check);
    for (file, rule, words) in [
        ("zones/odd.test.zone", "occluded", "DNAME"),
        ("zones/odd.test.zone", "not-ascii", "write xn--bcher-kva.odd.test."),
        ("zones/odd.test.zone", "blank", "white space"),
        ("zones/test.zone", "in-another-zone", "hosted here"),
        ("zones/panel.test.zone", "out-of-zone", "not in the zone"),
        ("zones/panel.test.zone", "no-ns", "no NS"),
        ("zones/broken.test.zone", "rdata", "address"),
        ("zones/sub/second", "duplicate", "twice"),
        ("zones/missing.test.zone", "include", "nowhere"),
        ("zones/Twice.test.zone", "twice", "twice.test.zone"),
        ("zones/b\u{fc}cher.zone", "u-label", "xn--bcher-kva"),
        ("zones/no zone at all", "odd", "rename"),
        ("zones/dangling.test.zone", "unreadable", "cannot be read"),
        ("zones/pipe.test.zone", "not-a-file", "regular"),
    ] {
        assert_said(&check, file, rule, words);
    }
    let elsewhere = check.iter().filter(|said| said.3 == "in-another-zone").map(|said| said.2.as_str());
    assert_eq!(elsewhere.collect::<Vec<_>>(), ["www.good.test. A", "www.in.good.test. A"]);

    // What was chosen otherwise is a warning, in both.
    let choices = ["--out-of-zone", "drop", "--without-ns", "serve"];
    let (check, _) = checked(&[&folder], &choices);
    assert_eq!(imported(&folder, &log, &choices), check);
    assert_said(&check, "zones/panel.test.zone", "out-of-zone", "left out");
    assert_said(&check, "zones/panel.test.zone", "no-ns", "nobody");
}

#[test]
fn a_check_of_files_goes_on_after_a_bad_one_and_prints_whole_paths() {
    let all = tempfile::tempdir().unwrap();
    let path = |file: &str| all.path().join(file);
    fs::create_dir(path("sub")).unwrap();
    fs::write(path("sub/a.test.zone"), zone("$INCLUDE shared\n")).unwrap();
    fs::write(path("shared"), "www A 192.0.2.1\nwww A 192.0.2.1\n").unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe.test.zone")).status().unwrap().success());
    let (missing, pipe, good) = (path("missing.zone"), path("pipe.test.zone"), path("sub/a.test.zone"));
    let folder = all.path().to_str().unwrap();
    let (said, code) = checked(&[&missing, &pipe, &good], &["--folder", folder]);
    assert_eq!(code, Some(1));
    assert_said(&said, &missing.display().to_string(), "unreadable", "cannot read");
    assert_said(&said, "/pipe.test.zone", "source", "not a regular file");
    assert_said(&said, "/shared", "duplicate", "twice");
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said.iter().all(|said| said.0.starts_with('/')), "{said:#?}");
    let (said, code) = checked(&[&good], &[]);
    assert_eq!((said.len(), code), (1, Some(1)), "without its folder the file is not found: {said:#?}");
    assert_eq!(checked(&[&good], &["--folder", folder]).1, Some(0));
}
