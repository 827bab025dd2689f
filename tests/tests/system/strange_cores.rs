//! Cores that do not belong to a cluster, or not any more: refused with a line that says what to do, counted, and unable to
//! unmake what was committed. What only a crafted peer can do has its tests in `kv/transport` and `kv/core`.

use std::path::Path;
use std::time::Instant;

use zonecast_tests::{Node, NodeRole, System, copy_folder, poll_until, run, run_any};

use crate::cluster::{PATIENCE, ZONE, let_in, url, wait};
use crate::http::Http;

const CONNECTIONS: &str = "zonecast_refused_connections_total";
const CORES: &str = "zonecast_refused_cores_total";

/// Three cores that vote, with one zone.
struct Three {
    system: System,
    second: Node,
    third: Node,
}

impl Three {
    fn start() -> Self {
        let mut system = System::new(0).unwrap();
        let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
        system.core.start_ready().unwrap();
        assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
        let_in(&system, [&mut second, &mut third]);
        Self { system, second, third }
    }
}

fn counted(core: &Node, metric: &str, reason: &str) -> f64 {
    Http::new(core.http).metric(&format!("{metric}{{reason=\"{reason}\"}}")).unwrap_or_default()
}

/// Waits until one of these cores counts this, and has told it in one line with these words.
fn wait_refused(cores: &[&Node], metric: &str, reason: &str, words: &[&str]) {
    let refuses = || cores.iter().find(|core| counted(core, metric, reason) > 0.0);
    let Some(core) = poll_until(Instant::now() + PATIENCE, refuses) else {
        let logs: Vec<String> = cores.iter().map(|core| core.log()).collect();
        panic!("nobody counts {metric} {reason}: {}", logs.join("\n"));
    };
    wait_line(core, words);
}

/// Lines of one refusal in a test: one a minute of each place that refuses, where something asks many times a second.
const MOST_LINES: usize = 4;

/// Waits for the line, and looks that the log is not full of it.
fn wait_line(core: &Node, words: &[&str]) {
    let words = [&["WARN"], words].concat();
    assert!(core.wait_log(&words, PATIENCE).is_some(), "{words:?} is not in the log of {}: {}", core.name, core.log());
    let lines = core.log_lines(&words);
    assert!(lines.len() <= MOST_LINES, "{lines:#?}");
}

/// A core of this name that was not let in: it ends by itself, and says this.
fn is_refused_at_start(core: &mut Node, words: &[&str]) {
    core.start().unwrap();
    let ended = core.wait_ended();
    assert!(ended.is_some_and(|ended| !ended.success()), "{ended:?}: {}", core.log());
    assert!(!core.log_lines(words).is_empty(), "{words:?} is not in the log: {}", core.log());
}

fn writes(core: &Node, address: &str) {
    let written = || matches!(Http::new(core.http).set("one.test", "www", "A", address), Ok((200, _))).then_some(());
    assert!(poll_until(Instant::now() + PATIENCE, written).is_some(), "{} takes no write: {}", core.name, core.log());
}

fn holds(core: &Node, address: &str) {
    let held = || Some(Http::new(core.http).get("/v1/zones/one.test/records/www/A"));
    let held = poll_until(Instant::now() + PATIENCE, || held().filter(|held| held["rrsets"][0]["data"][0] == address));
    assert!(held.is_some(), "{} has lost {address}: {}", core.name, core.log());
}

fn copy_identity(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    copy_folder(from, to).unwrap();
    // The copy has the modes that an identity needs.
    let modes = std::process::Command::new("cp").arg("-a").arg(format!("{}/.", from.display())).arg(to).status();
    assert!(modes.unwrap().success());
}

#[test]
fn a_revoked_core_is_cut_off_by_the_others_and_told_what_to_do_and_comes_back_with_a_new_certificate() {
    let _alone = crate::heavy::alone();
    let Three { system, second, mut third } = Three::start();
    writes(&system.core, "192.0.2.2");
    let ca = system.ca();
    run(&["ca", "revoke", ca.to_str().unwrap(), "core-3"]).unwrap();
    for core in [&system.core, &second] {
        std::fs::copy(ca.join("crl.pem"), core.identity.join("crl.pem")).unwrap();
    }
    // Each of the others refuses it when it dials, and refuses to dial it.
    for core in [&system.core, &second] {
        wait_refused(&[core], CONNECTIONS, "revoked", &["the certificate is revoked", "issue a new one"]);
    }
    wait_refused(&[&system.core, &second], CORES, "certificate", &["core-3", "is revoked", "issue a new one"]);
    wait_line(&third, &["the peer refuses this node", "is revoked", "issue a new one"]);
    writes(&second, "192.0.2.3");
    holds(&system.core, "192.0.2.3");
    assert!(!matches!(Http::new(third.http).set("one.test", "www", "A", "192.0.2.66"), Ok((200, _))));

    system.issue(&third, &["--role", "core", "--host", "127.0.0.1"]).unwrap();
    wait(&second, "it is back", |cluster| cluster["reached"] == 3);
    writes(&third, "192.0.2.4");
    holds(&third, "192.0.2.4");
    assert!(third.stop().unwrap().success(), "{}", third.log());
}

#[test]
fn cores_with_anothers_name_role_ca_or_address_are_refused() {
    let _alone = crate::heavy::alone();
    let Three { system, second, mut third } = Three::start();
    let voters = [&system.core, &second];
    writes(&system.core, "192.0.2.2");

    // The certificate of a core that runs, in a second process with a data folder of its own.
    let mut twin = system.joining("twin").unwrap();
    copy_identity(&second.identity, &twin.identity);
    is_refused_at_start(&mut twin, &["core-2", "empty disk", "zonecast cluster remove core-2"]);
    wait_refused(&voters, CORES, "join", &["core-2", "zonecast cluster remove core-2"]);
    assert!(!twin.data.join("core/node").exists(), "nothing is written that could speak as core-2");

    // The certificate of an edge.
    let mut clerk = system.joining("clerk").unwrap();
    system.issue(&clerk, &["--role", "edge"]).unwrap();
    is_refused_at_start(&mut clerk, &["--role core"]);

    // The certificate of another authority.
    let stranger = System::new(0).unwrap();
    let mut stray = system.joining("stray").unwrap();
    copy_identity(&stranger.core.identity, &stray.identity);
    stray.start().unwrap();
    wait_refused(&[&system.core], CONNECTIONS, "wrong_ca", &["of another CA", "issue one from the CA of this system"]);
    assert!(stray.wait_log(&["another CA"], PATIENCE).is_some(), "{}", stray.log());
    assert!(stray.stop().unwrap().success(), "{}", stray.log());

    // The data folder of a core, with the certificate of another one.
    third.kill();
    let mut heir = system.joining("core-8").unwrap();
    copy_folder(&third.data, &heir.data).unwrap();
    is_refused_at_start(
        &mut heir,
        &["belongs to the core core-3", "names core-8", "issue it a certificate for core-3"],
    );

    // A core of another cluster, at the address of one that is away.
    let mut other = Node::new(NodeRole::Core, "core-9", &system.folder().join("core-9"));
    other.service = third.service;
    system.issue(&other, &["--role", "core", "--host", "127.0.0.1"]).unwrap();
    other.start_ready().unwrap();
    wait_refused(&voters, CORES, "wrong_name", &["is core core-9, not core core-3", "correct the address"]);
    assert_eq!(Http::new(other.http).get("/v1/cluster")["voters"], 1);
    other.kill();
    third.start_ready().unwrap();
    wait(&system.core, "all are there", |cluster| cluster["reached"] == 3);
    [&system.core, &second, &third].into_iter().for_each(|core| holds(core, "192.0.2.2"));
}

#[test]
fn a_stale_node_id_and_emptied_disks_are_refused_and_unmake_nothing() {
    let _alone = crate::heavy::alone();
    let Three { mut system, second, mut third } = Three::start();
    writes(&system.core, "192.0.2.2");

    // An emptied disk under its old name.
    third.kill();
    let old = system.folder().join("old");
    std::fs::rename(&third.data, &old).unwrap();
    is_refused_at_start(&mut third, &["core-3", "empty disk", "zonecast cluster remove core-3"]);
    wait_refused(&[&system.core, &second], CORES, "join", &["core-3", "zonecast cluster remove core-3"]);
    assert!(!third.data.join("core/node").exists());
    // An emptied log beside what says which node this was.
    std::fs::remove_dir_all(&third.data).unwrap();
    copy_folder(&old, &third.data).unwrap();
    std::fs::remove_dir_all(third.data.join("core/raft")).unwrap();
    is_refused_at_start(&mut third, &["the raft log is empty", "Remove this core from the cluster"]);

    // A disk that comes back after another one has taken its place.
    let mut fourth = system.joining("core-4").unwrap();
    system.let_in(&mut fourth, &[]).unwrap();
    let at = url(&system.core);
    let removed = || run_any(&["--core", &at, "cluster", "remove", "core-3"]).unwrap().status.success().then_some(());
    assert!(poll_until(Instant::now() + PATIENCE, removed).is_some(), "{}", system.core.log());
    wait(&system.core, "core-4 votes", |cluster| cluster["voters"] == 3 && cluster["changing"] == false);
    writes(&second, "192.0.2.3");
    std::fs::remove_dir_all(&third.data).unwrap();
    std::fs::rename(&old, &third.data).unwrap();
    third.start().unwrap();
    assert!(third.wait_log(&["was removed from its cluster", "with `join`"], PATIENCE).is_some(), "{}", third.log());
    wait_line(&third, &["another core refuses this one", "not a member any more", "empty its data folder"]);
    let voters = [&system.core, &second, &fourth];
    wait_refused(&voters, CORES, "not_member", &["core-3", "refused what another core asks", "empty its data folder"]);
    third.kill();
    writes(&second, "192.0.2.4");

    // The founder with an emptied disk founds a cluster of its own, under the node id that it had in the old one.
    system.core.kill();
    std::fs::remove_dir_all(&system.core.data).unwrap();
    system.core.start_ready().unwrap();
    for core in [&second, &fourth] {
        wait_line(core, &["another core refuses this one", "of different clusters", "empty the data folder"]);
    }
    wait_refused(&[&system.core], CORES, "other_store", &["refused what another core asks", "of different clusters"]);
    let [here, there] = [&system.core, &second].map(|core| Http::new(core.http).get("/v1/status")["store"].clone());
    assert_ne!(here, there);
    writes(&second, "192.0.2.5");
    [&second, &fourth].into_iter().for_each(|core| holds(core, "192.0.2.5"));
}
