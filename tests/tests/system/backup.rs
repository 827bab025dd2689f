//! A backup that is taken while the core runs, and the restore page of docs/operations.md, followed word for word.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use zonecast_tests::{Node, System, run, run_any, zonecast_binary};

use crate::api::addresses;
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

/// Where the page finds things, and where they are here.
struct Places<'s> {
    system: &'s mut System,
    backup: &'s Path,
}

/// Commands of the block that follows a heading in docs/operations.md.
fn commands(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("\n### {heading}\n")).unwrap();
    let block = section.split("```").nth(1).unwrap();
    block.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

impl Places<'_> {
    /// Does what a line of the page says; what it prints. Services are processes here, and the user of the service is who runs this test.
    fn follow(&mut self, line: &str) -> String {
        match line {
            "systemctl stop zonecast-core" => {
                assert!(self.system.core.stop().unwrap().success());
                String::new()
            }
            "systemctl start zonecast-core" => {
                self.system.core.start_ready().unwrap();
                String::new()
            }
            line => {
                let url = format!("http://{}", self.system.core.http);
                let line = line
                    .replace("/var/lib/zonecast/core", self.system.core.data.to_str().unwrap())
                    .replace("/srv/backup", self.backup.to_str().unwrap())
                    .replace("sudo -u zonecast ", "");
                let mut words = line.split_whitespace();
                let program = match words.next().unwrap() {
                    "zonecast" => zonecast_binary().unwrap(),
                    other => other.into(),
                };
                let output = Command::new(program).args(words).env("ZONECAST_CORE", url).output().unwrap();
                assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8_lossy(&output.stdout).into_owned()
            }
        }
    }
}

fn set_waiting(core: &Http, address: &str, edges: &str) -> Value {
    let body = json!({"ttl": 60, "data": [address]}).to_string();
    let path = format!("/v1/zones/one.test/records/www/A?wait={edges}&timeout=30s");
    let (status, written) = core.call("PUT", &path, Some(&body)).unwrap();
    assert_eq!(status, 200, "{written}");
    written
}

/// Waits until these edges have all that the core has.
fn follow(core: &Node, edges: &[&Node]) -> u64 {
    let at = Http::new(core.http).get("/v1/status");
    for edge in edges {
        let here = Http::new(edge.http).wait_status(edge, "back", |status| {
            status["following"] == "streaming" && status["version"] == at["version"] && status["epoch"] == at["epoch"]
        });
        assert_eq!(here["chain"], at["chain"], "{here}");
        assert!(edge.log_lines(&["panicked"]).is_empty(), "{}", edge.log());
    }
    at["epoch"].as_u64().unwrap()
}

fn snapshots(edge: &Node) -> f64 {
    Http::new(edge.http).metric("zonecast_loaded_snapshots_total").unwrap()
}

#[test]
fn edges_beyond_a_restore_take_a_snapshot_by_themselves_and_others_follow_on() {
    let mut system = System::start(3).unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);
    set_waiting(&core, "192.0.2.2", "all");
    let backups = system.folder().join("backups");
    let url = format!("http://{}", system.core.http);
    let at = core.get("/v1/status");
    let said = run(&["--json", "--core", &url, "backup", backups.to_str().unwrap()]).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["store"], &said["version"]), (&at["store"], &at["version"]), "{said}");
    assert!(said["warning"].is_null() && said["new_bytes"] == said["bytes"], "{said}");
    let lacks = said["lacks"].as_array().unwrap();
    assert!(lacks.iter().any(|what| what.as_str().unwrap().contains("authority")), "{said}");

    // The third sleeps from here on; what comes after the backup is lost, and the others have it. The second sleeps then.
    system.edges[2].stop().unwrap();
    (3..=6).for_each(|last| drop(set_waiting(&core, &format!("192.0.2.{last}"), "2")));
    system.edges[1].stop().unwrap();
    let mut epochs = vec![0];
    for round in 0..2 {
        let _ = std::fs::remove_dir_all(system.core.data.join("core.before"));
        let mut places = Places { system: &mut system, backup: &backups };
        let said: Vec<String> = commands("Restore").iter().map(|line| places.follow(line)).collect();
        assert!(said.iter().any(|said| said.contains("take a snapshot by themselves")), "{said:?}");
        let edge = &system.edges[0];
        epochs.push(follow(&system.core, &[edge]));
        assert_eq!(addresses(edge.service, "www.one.test"), ["192.0.2.2"]);
        assert_eq!(edge.log_lines(&["WARN", "it answers what it has"]).len(), round + 1, "{}", edge.log());
        set_waiting(&core, &format!("192.0.2.{}", 7 + round), "1");
    }
    assert!(epochs.is_sorted_by(|one, other| one < other), "a second restore of one backup is a later one: {epochs:?}");
    let forks = core.get("/v1/status")["forks"].clone();
    assert_eq!((forks.as_array().unwrap().len(), &forks[0]["epoch"]), (1, &json!(epochs[2])), "{forks}");
    assert!(run(&["status", "--core", &url]).unwrap().contains(&format!("epoch {} begins at version", epochs[2])));

    for slept in [1, 2] {
        let edge = &mut system.edges[slept];
        edge.start_ready().unwrap();
        let before = if slept == 1 { "192.0.2.6" } else { "192.0.2.2" };
        assert!([before, "192.0.2.8"].contains(&addresses(edge.service, "www.one.test")[0].as_str()));
        follow(&system.core, &[&system.edges[slept]]);
        assert_eq!(addresses(system.edges[slept].service, "www.one.test"), ["192.0.2.8"]);
    }
    assert_eq!(snapshots(&system.edges[1]), 1.0, "it was beyond both forks");
    assert_eq!(snapshots(&system.edges[2]), 0.0, "it was before both");
    let written = set_waiting(&core, "192.0.2.9", "all");
    assert_eq!((&written["receipt"]["reached"], &written["receipt"]["of"]), (&json!(true), &json!(3)), "{written}");
    // A restart is no restore.
    system.core.stop().unwrap();
    system.core.start_ready().unwrap();
    assert_eq!(follow(&system.core, &system.edges.iter().collect::<Vec<_>>()), epochs[2]);
}

#[test]
fn a_backup_while_changes_flow_is_whole_and_a_damaged_one_is_known() {
    let mut system = System::new(0).unwrap();
    system.core.lines.push_str("\nraft_log_bytes = 65536");
    system.core.start_ready().unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    let (url, address) = (format!("http://{}", system.core.http), system.core.http);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let backups = system.folder().join("backups");
    let (least, most) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (core, mut last) = (Http::new(address), 0);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                last += 1;
                let (status, _) = core.set("one.test", "count", "TXT", &last.to_string()).unwrap();
                assert_eq!(status, 200);
            }
            last
        });
        // Some before, so that the log has given some up.
        let count = || {
            let held = core.get("/v1/zones/one.test/records/count/TXT");
            let text = held["rrsets"][0]["data"][0].as_str().unwrap_or("0").trim_matches('"').to_owned();
            text.parse::<u64>().unwrap()
        };
        let deadline = std::time::Instant::now() + crate::api::DEADLINE * 6;
        assert!(zonecast_tests::poll_until(deadline, || (count() > 300).then_some(())).is_some());
        let least = count();
        back_up(&url, &backups);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (least, writer.join().unwrap())
    });
    run(&["backup", "verify", backups.to_str().unwrap()]).unwrap();
    let mut places = Places { system: &mut system, backup: &backups };
    commands("Restore").iter().for_each(|line| drop(places.follow(line)));
    let held = core.get("/v1/zones/one.test/records/count/TXT");
    let found: u64 = held["rrsets"][0]["data"][0].as_str().unwrap().trim_matches('"').parse().unwrap();
    assert!((least..=most).contains(&found), "{found} of {least} to {most}");

    // What has not changed since is linked, and not to a live file.
    let [first, second, third] = [(); 3].map(|()| back_up(&url, &backups));
    assert!(second["new_bytes"].as_u64() < second["bytes"].as_u64(), "{second}");
    let folders = [&first, &second, &third].map(|said| PathBuf::from(said["folder"].as_str().unwrap()));
    let kept = |folder: &Path| -> Vec<(u64, u64)> {
        tables(folder).iter().map(|path| path.metadata().unwrap()).map(|file| (file.ino(), file.nlink())).collect()
    };
    let shared = kept(&folders[2]);
    assert!(shared.iter().any(|(_, names)| *names == 3), "{shared:?}");
    let live = tables(&system.core.data.join("core/state")).into_iter().map(|path| path.metadata().unwrap().ino());
    let live: Vec<u64> = live.collect();
    assert!(!live.is_empty() && shared.iter().all(|(file, _)| !live.contains(file)), "{live:?} {shared:?}");

    // A damaged one is no backup, whichever way it is looked at.
    std::fs::remove_dir_all(&folders[0]).unwrap();
    run(&["backup", "verify", folders[1].to_str().unwrap()]).unwrap();
    let table = tables(&folders[2]).remove(0);
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[10] ^= 1;
    std::fs::remove_file(&table).unwrap();
    std::fs::write(&table, bytes).unwrap();
    let (backups, empty) = (backups.to_str().unwrap(), system.folder().join("empty"));
    let refused = [&["backup", "verify", backups][..], &["restore", backups, "--data", empty.to_str().unwrap()]];
    for refused in refused.map(|command| run_any(command).unwrap()) {
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("is damaged"), "{refused:?}");
    }
    assert!(!empty.join("core").exists());
    // Nor is one restored over a core.
    let data = system.core.data.to_str().unwrap().to_owned();
    let running = run_any(&["restore", folders[1].to_str().unwrap(), "--data", &data]).unwrap();
    assert_eq!(running.status.code(), Some(3), "{running:?}");
    system.core.stop().unwrap();
    let refused = run_any(&["restore", folders[1].to_str().unwrap(), "--data", &data]).unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is not empty"), "{refused:?}");
}

/// What a client sees of everything that the store holds: what it says of itself, every zone as text, history and keys.
#[derive(Debug)]
struct Seen {
    at: [Value; 2],
    zones: Vec<(String, u16, Value)>,
    rest: Vec<(String, u16, Value)>,
}

impl Seen {
    fn of(core: &Http) -> Self {
        let answers = |paths: &[&str]| -> Vec<(String, u16, Value)> {
            let answer = |path: &&str| {
                let (status, mut body) = core.call("GET", path, None).unwrap();
                // Of the answer, not of what it shows: a fork is a version of its own.
                body.as_object_mut().and_then(|body| body.remove("version"));
                ((*path).to_owned(), status, body)
            };
            paths.iter().map(answer).collect()
        };
        let status = core.get("/v1/status");
        Self {
            at: ["store", "version"].map(|what| status[what].clone()),
            zones: answers(&[
                "/v1/zones",
                "/v1/zones/one.test/file",
                "/v1/zones/two.test/file",
                "/v1/zones/three.test/file",
            ]),
            rest: answers(&[
                "/v1/zones/one.test/log",
                "/v1/zones/two.test/log",
                "/v1/deleted-zones",
                "/v1/kv",
                "/v1/kv/rules/keys",
                "/v1/kv/hidden/keys",
            ]),
        }
    }

    fn version(&self) -> u64 {
        self.at[1].as_u64().unwrap()
    }

    fn is_what_is_there_with_a_fork(&self, core: &Http) {
        let now = Self::of(core);
        assert_eq!((&now.at[0], now.version()), (&self.at[0], self.version() + 1));
        assert_eq!((now.zones, now.rest), (self.zones.clone(), self.rest.clone()));
    }
}

/// One change of each kind: what the core is asked for.
const CHANGES: [(&str, &str, &str); 8] = [
    ("PUT", "/v1/zones/one.test/records/www/A", r#"{"ttl": 60, "data": ["192.0.2.7"]}"#),
    ("PUT", "/v1/zones/three.test", ZONE),
    ("PUT", "/v1/kv/rules/keys/first", "walnut"),
    ("DELETE", "/v1/zones/two.test?allow_shrink=true", ""),
    ("PUT", "/v1/kv/hidden/keys/first", "hazel"),
    ("PUT", "/v1/zones/one.test/records/www/A", r#"{"ttl": 60, "data": ["192.0.2.8"]}"#),
    ("DELETE", "/v1/kv/rules/keys/first", ""),
    ("PUT", "/v1/kv/hidden/keys/first", "maple"),
];

#[test]
fn a_version_between_two_backups_is_restored_as_it_was() {
    let mut system = System::start(0).unwrap();
    let core = Http::new(system.core.http);
    let url = format!("http://{}", system.core.http);
    let backups = system.folder().join("backups");
    let done = |(method, path, body): (&str, &str, &str)| {
        let (status, answer) = core.call(method, path, (!body.is_empty()).then_some(body)).unwrap();
        assert!([200, 201].contains(&status), "{method} {path}: {answer}");
    };
    done(("PUT", "/v1/zones/one.test", ZONE));
    done(("PUT", "/v1/zones/two.test", ZONE));
    done(("PUT", "/v1/kv/rules", "{}"));
    done(("PUT", "/v1/kv/hidden", r#"{"private": true}"#));
    back_up(&url, &backups);
    // What was there before each next version.
    let mut seen = vec![Seen::of(&core)];
    for change in CHANGES {
        done(change);
        let now = Seen::of(&core);
        if seen.last().unwrap().version() == now.version() {
            seen.pop();
        }
        seen.push(now);
    }
    let second = back_up(&url, &backups);
    assert_eq!((&second["since"], &second["warning"]), (&json!(seen[0].version()), &Value::Null), "{second}");
    let dir = backups.to_str().unwrap().to_owned();
    let can_be = format!("versions {} to {} of epoch 0", seen[0].version(), second["version"]);
    assert!(run(&["backup", "list", &dir]).unwrap().contains(&format!("can be restored: {can_be}")));
    assert_eq!(seen.len(), 7, "two changes are private");

    system.core.stop().unwrap();
    let data = system.core.data.to_str().unwrap().to_owned();
    let restore =
        |version: u64| run_any(&["restore", &dir, "--data", &data, "--version", &version.to_string()]).unwrap();
    for before in &seen {
        std::fs::remove_dir_all(system.core.data.join("core")).unwrap();
        let said = restore(before.version());
        assert!(said.status.success(), "{said:?}");
        system.core.start_ready().unwrap();
        before.is_what_is_there_with_a_fork(&core);
        system.core.stop().unwrap();
    }
    std::fs::remove_dir_all(system.core.data.join("core")).unwrap();
    let refused = restore(second["version"].as_u64().unwrap() + 1);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains(&can_be), "{said}");
    // A flipped byte.
    let log = Path::new(second["folder"].as_str().unwrap()).join("log");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let refused = restore(seen[1].version());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("{} is damaged", log.display())), "{said}");
    assert!(!system.core.data.join("core").exists());
}

fn back_up(url: &str, backups: &Path) -> Value {
    let said = run(&["--json", "--core", url, "backup", backups.to_str().unwrap()]).unwrap();
    serde_json::from_str(&said).unwrap()
}

/// Every table file below a folder.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => found.extend(tables(&entry)),
            false => found.extend(entry.extension().is_some_and(|kind| kind == "sst").then_some(entry)),
        }
    }
    found
}
