//! A backup that is taken while the core runs, and the restore page of docs/operations.md, followed word for word.

use std::path::Path;
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
                let user = rustix::process::getuid().as_raw();
                let line = line
                    .replace("/var/lib/zonecast/core", self.system.core.data.to_str().unwrap())
                    .replace("/srv/backup", self.backup.to_str().unwrap())
                    .replace("zonecast:", &user.to_string());
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

fn set_waiting(core: &Http, address: &str) -> Value {
    let body = json!({"ttl": 60, "data": [address]}).to_string();
    let path = "/v1/zones/one.test/records/www/A?wait=all&timeout=30s";
    let (status, written) = core.call("PUT", path, Some(&body)).unwrap();
    assert_eq!(status, 200, "{written}");
    written
}

fn refuses(edge: &Node, answer: &str) {
    let status = Http::new(edge.http).wait_status(edge, "refused", |status| {
        status["trouble"].as_str().is_some_and(|trouble| trouble.contains("accept-restore"))
    });
    assert_eq!((&status["following"], &status["ready"]), (&json!("away"), &json!(true)), "{status}");
    assert_eq!(addresses(edge.service, "www.one.test"), [answer], "it answers what it has");
}

fn follows(system: &System, epoch: u64) {
    let at = Http::new(system.core.http).get("/v1/status");
    assert_eq!(at["epoch"], epoch, "{at}");
    for edge in &system.edges {
        let here = Http::new(edge.http).wait_status(edge, "back", |status| {
            status["following"] == "streaming" && status["version"] == at["version"]
        });
        assert_eq!((&here["epoch"], &here["chain"]), (&at["epoch"], &at["chain"]), "{here}");
    }
}

#[test]
fn a_restore_is_followed_once_it_is_accepted_and_not_before() {
    let mut system = System::start(2).unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);
    set_waiting(&core, "192.0.2.2");
    let backup = system.folder().join("backup");
    let url = format!("http://{}", system.core.http);
    let at = core.get("/v1/status");
    let said = run(&["--json", "--core", &url, "backup", backup.to_str().unwrap()]).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["store"], &said["version"]), (&at["store"], &at["version"]), "{said}");
    assert!(
        said["lacks"].as_array().unwrap().iter().any(|what| what.as_str().unwrap().contains("authority")),
        "{said}"
    );
    let again = run_any(&["--core", &url, "backup", backup.to_str().unwrap()]).unwrap();
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"), "{again:?}");

    // What came after the backup is lost, and edges have it.
    (3..=6).for_each(|last| drop(set_waiting(&core, &format!("192.0.2.{last}"))));
    let restore = commands("Restore");
    let (accept, before) = restore.split_last().unwrap();
    assert_eq!(accept, "zonecast accept-restore");
    let mut places = Places { system: &mut system, backup: &backup };
    before.iter().for_each(|line| drop(places.follow(line)));
    for edge in &system.edges {
        refuses(edge, "192.0.2.6");
    }
    let held = core.get("/v1/zones/one.test/records/www/A");
    assert_eq!(held["rrsets"][0]["data"], json!(["192.0.2.2"]), "{held}");
    let known = core.get("/v1/status");
    assert!(known["forks"].is_null(), "{known}");

    let output = Places { system: &mut system, backup: &backup }.follow(accept);
    assert!(!output.contains("warning"), "{output}");
    follows(&system, 1);
    for edge in &system.edges {
        assert_eq!(addresses(edge.service, "www.one.test"), ["192.0.2.2"]);
        assert!(edge.log_lines(&["panicked"]).is_empty(), "{}", edge.log());
    }
    let written = set_waiting(&core, "192.0.2.7");
    assert_eq!((&written["receipt"]["reached"], &written["receipt"]["of"]), (&json!(true), &json!(2)), "{written}");
    let forks = core.get("/v1/status")["forks"].clone();
    assert_eq!(forks.as_array().unwrap().len(), 1, "{forks}");
    assert_eq!(
        (&forks[0]["epoch"], forks[0]["version"].as_u64()),
        (&json!(1), Some(at["version"].as_u64().unwrap() + 1))
    );

    let url = format!("http://{}", system.core.http);
    let shown = run(&["status", "--core", &url]).unwrap();
    assert!(shown.contains("epoch 1 begins at version"), "{shown}");

    // The same backup once more: edges have seen epoch 1 now, so this begins a later one.
    let mut places = Places { system: &mut system, backup: &backup };
    std::fs::remove_dir_all(places.system.core.data.join("core.before")).unwrap();
    before.iter().for_each(|line| drop(places.follow(line)));
    refuses(&system.edges[0], "192.0.2.7");
    Places { system: &mut system, backup: &backup }.follow(accept);
    follows(&system, 2);
    // Fetched as snapshots: nobody has taken a folder away, and an accepted restore survives a restart.
    system.core.stop().unwrap();
    system.core.start_ready().unwrap();
    set_waiting(&core, "192.0.2.8");
    follows(&system, 2);

    // Nobody needs another.
    let again = run(&["--core", &url, "accept-restore"]).unwrap();
    assert!(again.contains("warning: no edge was refused"), "{again}");
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
    let backup = system.folder().join("backup");
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
        run(&["--core", &url, "backup", backup.to_str().unwrap()]).unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (least, writer.join().unwrap())
    });
    run(&["backup", "verify", backup.to_str().unwrap()]).unwrap();
    let mut places = Places { system: &mut system, backup: &backup };
    commands("Restore").iter().for_each(|line| drop(places.follow(line)));
    let held = core.get("/v1/zones/one.test/records/count/TXT");
    let found: u64 = held["rrsets"][0]["data"][0].as_str().unwrap().trim_matches('"').parse().unwrap();
    assert!((least..=most).contains(&found), "{found} of {least} to {most}");

    let table = backup.join("state/state-1").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let table = table.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "sst")).unwrap();
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[10] ^= 1;
    std::fs::remove_file(&table).unwrap();
    std::fs::write(&table, bytes).unwrap();
    let refused = run_any(&["backup", "verify", backup.to_str().unwrap()]).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is damaged"), "{refused:?}");
}
