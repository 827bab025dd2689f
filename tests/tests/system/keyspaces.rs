//! Keyspaces beside DNS with whole processes: what edges get of them and what not, all at once, and through any core.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonecast_tests::{System, poll_until, run, run_any};

use crate::cluster::{let_in, url};
use crate::http::Http;

/// For what comes at once, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Publishes of one run, and keys of each.
const PUBLISHES: usize = 40;
const KEYS: usize = 25;

#[track_caller]
fn done(answer: Result<(u16, Value), crate::http::NoAnswer>) -> Value {
    let (status, body) = answer.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

/// Whether any file below a folder holds these bytes.
fn holds(folder: &Path, needle: &[u8]) -> bool {
    folder.read_dir().unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        // A file may go while it is read: a database has files that are replaced.
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

fn files(generation: usize) -> String {
    let file = |key: usize| json!({"path": format!("{key:02}"), "value": format!("generation {generation}")});
    json!({"files": (0..KEYS).map(file).collect::<Vec<_>>()}).to_string()
}

/// The generations of all keys of a page, and how many keys it has.
fn generations(page: &Value) -> (BTreeSet<String>, usize) {
    let keys = page["keys"].as_array().unwrap();
    (keys.iter().map(|key| key["value"].as_str().unwrap().to_owned()).collect(), keys.len())
}

#[test]
fn an_edge_has_a_published_keyspace_whole_and_nothing_of_a_private_one() {
    let mut system = System::start(1).unwrap();
    let core = Http::new(system.core.http);
    let edge = Http::new(system.edges[0].http);
    done(core.call("PUT", "/v1/kv/rules", Some("{}")));
    done(core.call("PUT", "/v1/kv/hidden-name", Some(r#"{"private": true}"#)));
    done(core.call("PUT", "/v1/kv/hidden-name/keys/hidden-key", Some("walnut")));
    done(core.call("PUT", "/v1/kv/hidden-name/groups/hidden-group", Some(&files(0))));
    let written = done(core.call("PUT", "/v1/kv/rules/keys/seen-key?wait=all", Some("apricot")));
    assert_eq!((&written["receipt"]["reached"], &written["revision"]), (&json!(true), &json!(1)), "{written}");
    assert_eq!(edge.get("/v1/kv/rules/keys/seen-key"), "apricot");

    // Of a version edges have all keys or none, at every moment.
    done(core.call("PUT", "/v1/kv/rules/groups/set?wait=all", Some(&files(0))));
    let (ends, address) = (AtomicBool::new(false), system.edges[0].http);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (edge, mut seen) = (Http::new(address), BTreeSet::new());
            while !ends.load(Ordering::Relaxed) {
                let page = edge.get("/v1/kv/rules/keys?prefix=set/");
                let (generations, keys) = generations(&page);
                assert_eq!((generations.len(), keys), (1, KEYS), "half of a version: {page}");
                seen.extend(generations);
            }
            seen
        });
        for generation in 1..=PUBLISHES {
            let wait = if generation == PUBLISHES { "?wait=all" } else { "" };
            done(core.call("PUT", &format!("/v1/kv/rules/groups/set{wait}"), Some(&files(generation))));
        }
        ends.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.len() > 1, "the edge was not read while it changed: {seen:?}");

    // Back to what it was.
    let log = core.get("/v1/kv/rules/groups/set/log");
    let last = log["changes"][0]["revision"].as_u64().unwrap();
    let undo = json!({"undo": last}).to_string();
    let undone = done(core.call("POST", "/v1/kv/rules/groups/set/rollback?wait=all", Some(&undo)));
    assert_eq!(undone["changed"], true, "{undone}");
    let (generations, _) = generations(&edge.get("/v1/kv/rules/keys?prefix=set/"));
    assert_eq!(generations.into_iter().collect::<Vec<_>>(), [format!("generation {}", PUBLISHES - 1)]);
    let again = done(core.call("POST", "/v1/kv/rules/groups/set/rollback", Some(&undo)));
    assert_eq!(again["changed"], false, "whoever heard no answer asks twice: {again}");

    // An edge that begins anew gets a snapshot, which has nothing private either.
    let (status, _) = edge.call("GET", "/v1/kv/hidden-name/keys", None).unwrap();
    assert_eq!(status, 404);
    for is_new in [false, true] {
        assert!(system.edges[0].stop().unwrap().success());
        if is_new {
            std::fs::remove_dir_all(&system.edges[0].data).unwrap();
            system.edges[0].start_ready().unwrap();
            let there = poll_until(Instant::now() + PATIENCE, || {
                let found = Http::new(system.edges[0].http).call("GET", "/v1/kv/rules/keys/seen-key", None);
                matches!(found, Ok((200, _))).then_some(())
            });
            assert!(there.is_some(), "{}", system.edges[0].log());
            assert!(system.edges[0].stop().unwrap().success());
        }
        let data = &system.edges[0].data;
        assert!(holds(data, b"apricot"), "the test does not find what is there");
        for private in ["hidden-name", "hidden-key", "walnut", "hidden-group"] {
            assert!(!holds(data, private.as_bytes()), "an edge holds {private}, new: {is_new}");
        }
        system.edges[0].start_ready().unwrap();
    }
    assert!(holds(&system.core.data, b"walnut"), "the core does not hold what is private");
}

#[test]
fn commands_write_compare_watch_and_say_why_not() {
    let system = System::start(0).unwrap();
    let core = format!("http://{}", system.core.http);
    let kv = |arguments: &[&str]| run(&[&["--core", &core, "kv"], arguments].concat());
    let refused = |arguments: &[&str], why: &str| {
        let output = run_any(&[&["--core", &core, "kv"], arguments].concat()).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{arguments:?}: {said}");
    };
    refused(&["get", "rules", "a"], "there is no keyspace rules");
    kv(&["create", "rules", "--max-keys", "2", "--max-value", "10"]).unwrap();
    kv(&["put", "rules", "a", "one", "--if-absent"]).unwrap();
    refused(&["put", "rules", "a", "two", "--if-absent"], "it has revision 1");
    refused(&["put", "rules", "a", "two", "--if-revision", "7"], "it has revision 1");
    kv(&["put", "rules", "a", "two", "--if-revision", "1"]).unwrap();
    assert_eq!(kv(&["get", "rules", "a"]).unwrap(), "two");
    refused(&["get", "rules", "b"], "has no key `b`");
    refused(&["put", "rules", "b", "a long value"], "12 bytes");
    let transaction = system.folder().join("txn.json");
    let write = |value: &Value| std::fs::write(&transaction, value.to_string()).unwrap();
    let file = transaction.to_str().unwrap();
    write(&json!({"compare": [{"key": "a", "value": "two"}, {"key": "b", "exists": false}],
                  "changes": [{"action": "put", "key": "b", "value": {"base64": "/w=="}},
                              {"action": "delete", "key": "a"}]}));
    kv(&["txn", "rules", file]).unwrap();
    refused(&["txn", "rules", file], "there is no such key");
    assert_eq!(kv(&["list", "rules", "--values"]).unwrap(), "b\trevision 3\t1 bytes\tbase64:/w==\n");
    write(
        &json!({"changes": [{"action": "put", "key": "c", "value": ""}, {"action": "put", "key": "d", "value": ""}]}),
    );
    refused(&["txn", "rules", file], "would have 3 keys, and its limit is 2");
    assert_eq!(kv(&["list", "rules"]).unwrap().lines().count(), 1, "nothing of it was done");

    // Versions: 1 for the keyspace, one for each of three changes.
    let watched = kv(&["watch", "rules", "--from", "1", "--timeout", "1s"]).unwrap();
    let lines: Vec<Value> = watched.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let versions: Vec<_> = lines.iter().map(|line| line["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [2, 3, 4], "{watched}");
    assert_eq!(
        lines[2]["changes"],
        json!([{"key": "a", "deleted": true},
                                           {"key": "b", "revision": 3, "value": {"base64": "/w=="}}])
    );
    let prefixed = kv(&["watch", "rules", "--from", "1", "--prefix", "b", "--timeout", "1s"]).unwrap();
    assert_eq!(prefixed.lines().count(), 1, "{prefixed}");

    refused(&["drop", "rules"], "has 1 keys");
    refused(&["create", "rules", "--private"], "stays published or private");
    groups(&kv, &refused, system.folder());
    large_groups(&kv, &refused, system.folder());
    kv(&["drop", "rules", "--with-keys"]).unwrap();
    let last = kv(&["keyspaces"]).unwrap();
    assert_eq!(last, "");
    kv(&["create", "secret", "--private"]).unwrap();
    refused(&["put", "secret", "a", "b", "--wait", "all"], "is private");
    refused(&["watch", "secret"], "is private");
    assert_eq!(kv(&["list", "secret"]).unwrap(), "", "what is refused is not done");
}

/// A publish makes a group exactly what is published, if that is not much less; only its last change is undone.
fn groups(kv: &impl Fn(&[&str]) -> anyhow::Result<String>, refused: &impl Fn(&[&str], &str), folder: &Path) {
    let folder = folder.join("small");
    std::fs::create_dir(&folder).unwrap();
    ["1", "2", "3"].iter().for_each(|file| std::fs::write(folder.join(file), file).unwrap());
    kv(&["create", "small"]).unwrap();
    let publish = ["publish", "small", "set", folder.to_str().unwrap()];
    kv(&publish).unwrap();
    ["1", "2"].iter().for_each(|file| std::fs::remove_file(folder.join(file)).unwrap());
    refused(&publish, "would lose 2 of its 3 keys");
    kv(&[&publish[..], &["--allow-shrink"]].concat()).unwrap();
    let keys = || kv(&["list", "small"]).unwrap();
    assert!(keys().starts_with("set/3\t") && keys().lines().count() == 1, "{}", keys());
    refused(&["rollback", "small", "set", "--undo", "1"], "is not the last change");
    kv(&["rollback", "small", "set", "--undo", "2"]).unwrap();
    assert_eq!(keys().lines().count(), 3, "{}", keys());
    kv(&["drop", "small", "--with-keys"]).unwrap();
}

/// A group is replaced in one version, with what takes that back: one that is too large is refused whole.
fn large_groups(kv: &impl Fn(&[&str]) -> anyhow::Result<String>, refused: &impl Fn(&[&str], &str), folder: &Path) {
    let group = folder.join("group");
    std::fs::create_dir(&group).unwrap();
    let files = |count: usize, fill: u8| {
        (0..count).for_each(|file| std::fs::write(group.join(file.to_string()), vec![fill; 1_000_000]).unwrap());
    };
    kv(&["create", "large"]).unwrap();
    files(5, b'a');
    let publish = ["publish", "large", "set", group.to_str().unwrap()];
    refused(
        &publish,
        "one version holds 4194304; nothing has changed: change fewer keys at a time, or make a group several",
    );
    assert_eq!(kv(&["list", "large"]).unwrap(), "");
    (2..5).for_each(|file| std::fs::remove_file(group.join(file.to_string())).unwrap());
    kv(&publish).unwrap();
    // Three new ones fit, and these two with what they replace do not fit with them.
    files(3, b'b');
    refused(&publish, "several groups");
    assert_eq!(kv(&["list", "large"]).unwrap().lines().count(), 2);
    kv(&["drop", "large", "--with-keys"]).unwrap();
}

#[test]
fn keys_are_written_and_read_through_any_core() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(0).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    system.core.start_ready().unwrap();
    let_in(&system, [&mut second, &mut third]);
    let at = |core: &zonecast_tests::Node| Http::new(core.http);
    done(at(&second).call("PUT", "/v1/kv/rules", Some("{}")));
    let cores = [&system.core, &second, &third];
    for number in 0..30 {
        let (writer, reader) = (cores[number % 3], cores[(number + 1) % 3]);
        done(at(writer).call("PUT", "/v1/kv/rules/keys/a", Some(&number.to_string())));
        assert_eq!(at(reader).get("/v1/kv/rules/keys/a"), json!(number), "a read is out of date");
    }
    let (status, body) = at(&third).call("PUT", "/v1/kv/rules/keys/a?if_revision=1", Some("x")).unwrap();
    assert_eq!((status, &body["error"]["code"], &body["error"]["revision"]), (412, &json!("compared"), &json!(30)));
    let missing = at(&third).call("PUT", "/v1/kv/rules/keys/b?if_revision=1", Some("x")).unwrap();
    assert!(missing.0 == 412 && missing.1["error"].get("revision").is_none(), "{missing:?}");
    // A watch at a core that does not lead sees what another one took.
    let watched = run(&["--core", &url(&third), "kv", "watch", "rules", "--from", "1", "--timeout", "1s"]).unwrap();
    assert_eq!(watched.lines().count(), 30, "{watched}");
}
