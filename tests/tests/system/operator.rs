//! What operators do to processes, and what they see: signals, a core that hangs, too few files.

use std::fs::Permissions;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use zonecast_tests::{Node, System, poll_until, run_any};

use crate::api::DEADLINE;
use crate::http::Http;

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

/// Sends SIGHUP and waits for the line that says what came of it.
pub(crate) fn hang_up(node: &Node, words: &[&str]) {
    let told = node.log_lines(&["SIGHUP"]).len();
    let pid = node.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let line = poll_until(Instant::now() + DEADLINE, || node.log_lines(&["SIGHUP"]).get(told).cloned());
    let line = line.unwrap_or_else(|| panic!("nothing said:\n{}", node.log()));
    assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
}

#[test]
fn sighup_reads_certificates_and_tokens_again_says_so_and_kills_nobody() {
    let mut system = System::new(1).unwrap();
    let file = system.folder().join("tokens.toml").display().to_string();
    zonecast_tests::run(&["token", "create", "--file", &file, "all", "--role", "admin"]).unwrap();
    system.edges[0].http_lines = format!("tokens = \"{file}\"");
    system.core.start_ready().unwrap();
    system.edges[0].start_ready().unwrap();
    hang_up(&system.core, &["certificate=\"read again\"", "none in a file"]);
    hang_up(&system.edges[0], &["certificate=\"read again\"", "tokens=\"read again\""]);
    // What cannot be used changes nothing, and is said.
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    std::fs::set_permissions(system.edges[0].identity.join("node.key"), Permissions::from_mode(0o640)).unwrap();
    hang_up(&system.edges[0], &["not used", "node.key", "tokens.toml", "chmod 600"]);
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);
    assert!(system.core.ended().is_none() && system.edges[0].ended().is_none());
}

#[test]
fn the_history_and_the_log_say_whose_token_did_what() {
    let mut system = System::new(0).unwrap();
    system.core.http_lines = "tokens = true".into();
    system.core.start_ready().unwrap();
    let token = system.token(&system.core, "alice", &["--role", "admin"]).unwrap();
    let core = Http::new(system.core.http).with_token(&token);
    let settings = Some("{\"max_shrink\": \"10%\"}");
    for (method, path, body) in [
        ("PUT", "/v1/zones/one.test", Some(ZONE)),
        ("DELETE", "/v1/zones/one.test/records/www/A", None),
        ("PATCH", "/v1/zones/one.test/settings", settings),
        ("DELETE", "/v1/zones/one.test?allow_shrink=true", None),
        ("POST", "/v1/zones/one.test/undelete", None),
        ("PATCH", "/v1/settings", settings),
    ] {
        let (status, answer) = core.call(method, path, body).unwrap();
        assert_eq!(status, 200, "{method} {path}: {answer}");
    }
    let log = core.get("/v1/zones/one.test/log");
    let of = |change: &Value, field: &str| change[field].as_str().unwrap().to_owned();
    let told = log["changes"].as_array().unwrap().iter().map(|change| (of(change, "kind"), of(change, "by")));
    let kinds = ["undeleted", "deleted", "settings", "records"].map(|kind| (kind.to_owned(), "alice".to_owned()));
    assert_eq!(told.collect::<Vec<_>>(), kinds);
    for words in [
        ["settings changed", "one.test"],
        ["deleted; for", "one.test"],
        ["INFO brought back", "one.test"],
        ["settings of the store changed", "10%"],
    ] {
        let lines: Vec<_> = system.core.log_lines(&words).into_iter().filter(|line| line.contains("by=")).collect();
        assert!(matches!(lines.as_slice(), [line] if line.contains("alice")), "{words:?}: {lines:#?}");
    }
}

#[test]
fn a_core_that_is_stopped_while_a_write_waits_says_that_it_is_committed() {
    let mut system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test?wait=all", Some(ZONE)).unwrap().0, 200);
    system.edges[0].kill();
    let before = core.get("/v1/status")["version"].as_u64();
    let url = format!("http://{}", system.core.http);
    let waiting = std::thread::spawn(move || {
        let set = ["record", "set", "one.test", "www", "A", "60", "192.0.2.9", "--core", &url];
        run_any(&[&set[..], &["--wait", "all", "--timeout", "5m"]].concat()).unwrap()
    });
    let committed =
        poll_until(Instant::now() + DEADLINE, || (core.get("/v1/status")["version"].as_u64() > before).then_some(()));
    assert!(committed.is_some());
    assert!(system.core.stop().unwrap().success());
    let ended = waiting.join().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(8), "{said}");
    assert!(said.contains("is committed") && said.contains("not known how far"), "{said}");
}

#[test]
fn a_read_of_a_core_that_hangs_ends_and_says_so() {
    let system = System::start(0).unwrap();
    system.core.pause();
    let url = format!("http://{}", system.core.http);
    let reads = [&["status"][..], &["get", "www.one.test"], &["zone", "list"]].map(|command| {
        let arguments: Vec<String> = command.iter().copied().chain(["--core", &url]).map(str::to_owned).collect();
        std::thread::spawn(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run_any(&arguments).unwrap()
        })
    });
    for read in reads {
        let ended = read.join().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(7), "{said}");
        assert!(said.contains("did not answer it within") && said.contains("hangs"), "{said}");
    }
    system.core.resume();
}

/// Files of a running process, sockets too.
fn open_files(node: &Node) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", node.id().unwrap())).unwrap().count()
}

#[test]
fn a_process_that_may_open_no_more_files_still_answers_who_watches() {
    let _alone = crate::heavy::alone();
    let mut system = System::start(1).unwrap();
    for node in [&system.core, &system.edges[0]] {
        let (pid, limit) = (node.id().unwrap().to_string(), format!("--nofile={}", open_files(node)));
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
        // Connections that say nothing want what is left.
        let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(node.http).unwrap()).collect();
        for _ in 0..20 {
            // A connection each: one that rests between two requests goes first when there are too few files.
            assert_eq!(Http::new(node.http).call("GET", "/healthz", None).unwrap().0, 200);
            assert!(Http::new(node.http).metric("zonecast_process_max_files ") > Some(0.0));
        }
        drop(idle);
    }
    assert!(system.core.ended().is_none());
    let doctor = run_any(&["doctor", "--core", &format!("http://{}", system.core.http)]).unwrap();
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("files and sockets"), "{said}");
    assert!(system.core.wait_log(&["panicked"], Duration::from_millis(1)).is_none(), "{}", system.core.log());
}
