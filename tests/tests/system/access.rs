//! What the cores of a cluster must not differ in: tokens, revoked certificates, and whose zone files are imported.

use std::path::Path;
use std::time::Instant;

use serde_json::Value;
use zonecast_tests::{Node, System, poll_until, run};

use crate::cluster::{PATIENCE, url, wait};
use crate::http::Http;

/// Three cores that vote, the first of which was there before.
struct Three {
    system: System,
    others: [Node; 2],
}

impl Three {
    /// `prepare` changes them before they start.
    fn start(edges: usize, prepare: impl FnOnce(&mut Node, &mut [Node; 2])) -> Self {
        let mut system = System::new(edges).unwrap();
        let mut others = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
        prepare(&mut system.core, &mut others);
        system.core.start_ready().unwrap();
        let first = system.core.data.join("first-token");
        let options = ["--token-file", first.to_str().unwrap()];
        let options = if first.exists() { &options[..] } else { &[] };
        others.iter_mut().for_each(|core| system.let_in(core, options).unwrap());
        let three = Self { system, others };
        if !first.exists() {
            wait(&three.system.core, "three vote", |cluster| cluster["voters"] == 3 && cluster["changing"] == false);
        }
        three
    }

    fn cores(&self) -> [&Node; 3] {
        [&self.system.core, &self.others[0], &self.others[1]]
    }
}

fn becomes_so(what: &str, is_so: impl Fn() -> bool) {
    assert!(poll_until(Instant::now() + PATIENCE, || is_so().then_some(())).is_some(), "{what}");
}

#[test]
fn a_token_that_is_made_at_one_core_is_good_at_all_and_a_revoked_one_at_none() {
    let _alone = crate::heavy::alone();
    let three = Three::start(0, |first, others| {
        first.http_lines = "tokens = true\n".into();
        others.iter_mut().for_each(|core| core.http_lines.insert_str(0, "tokens = true\n"));
    });
    let [first, second, third] = three.cores();
    let admin = first.data.join("first-token").display().to_string();
    assert!(!second.data.join("first-token").exists() && !third.data.join("first-token").exists());
    let ask = |core: &Node, arguments: &[&str]| {
        let url = url(core);
        run(&[&["token"], arguments, &["--core", &url, "--token-file", &admin]].concat()).unwrap()
    };

    let token = ask(second, &["create", "ci", "--role", "write"]);
    let status = |core: &Node| Http::new(core.http).with_token(token.trim()).call("GET", "/v1/status", None).unwrap().0;
    for core in three.cores() {
        becomes_so(&format!("{} does not know the token: {}", core.name, core.log()), || status(core) == 200);
        assert_eq!(Http::new(core.http).call("GET", "/v1/status", None).unwrap().0, 401);
        assert!(ask(core, &["list"]).contains("ci\twrite"));
    }

    ask(third, &["revoke", "ci"]);
    for core in three.cores() {
        becomes_so(&format!("{} takes a revoked token: {}", core.name, core.log()), || status(core) == 401);
    }
}

fn publish(system: &System, at: &Node, name: &str) {
    let (ca, list) = (system.ca(), system.ca().join("crl.pem"));
    run(&["ca", "revoke", ca.to_str().unwrap(), name]).unwrap();
    run(&["ca", "publish", list.to_str().unwrap(), "--core", &url(at)]).unwrap();
}

fn wait_edge(edge: &Node, what: &str, is_so: impl Fn(&Value) -> bool) {
    Http::new(edge.http).wait_status(edge, what, is_so);
}

#[test]
fn who_is_revoked_at_one_core_is_refused_by_all_cores_and_edges() {
    let _alone = crate::heavy::alone();
    let mut three = Three::start(2, |_, _| {});
    let addresses = three.cores().map(|core| core.service);
    let [first, second, third] = addresses;
    three.system.edges[0].upstreams = vec![second, first];
    three.system.edges[1].upstreams = vec![third];
    let core = Http::new(three.system.core.http);
    assert_eq!(core.call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    three.system.edges.iter_mut().for_each(|edge| _ = edge.start_ready().unwrap());
    let (system, edges) = (&three.system, &three.system.edges);
    let streams = |status: &Value| status["following"] == "streaming";
    edges.iter().for_each(|edge| wait_edge(edge, "following", streams));

    // An edge, at a core that nobody has told of it.
    publish(system, &three.others[0], "edge-2");
    wait_edge(&edges[1], "refused", |status| {
        status["following"] == "away" && status["trouble"].as_str().is_some_and(|trouble| trouble.contains("revoked"))
    });
    wait_edge(&edges[0], "following", streams);

    // A core: the others have no link with it, and the edge that followed it follows another one.
    publish(system, &system.core, "core-2");
    wait(&system.core, "core-2 is cut off", |cluster| cluster["reached"] == 2);
    assert!(edges[0].wait_log(&["closed: of the peer", "revoked", "core-2"], PATIENCE).is_some(), "{}", edges[0].log());
    let (status, written) = core.call("PUT", CHANGE, Some("{\"ttl\": 60, \"data\": [\"192.0.2.2\"]}")).unwrap();
    assert_eq!((status, &written["receipt"]["reached"]), (200, &true.into()), "{written} {}", edges[0].log());
    assert!(three.others[0].wait_log(&["ERROR", "certificate is revoked"], PATIENCE).is_some());

    // Mended by a new certificate, without a restart.
    system.issue(&three.others[0], &["--role", "core", "--host", "127.0.0.1"]).unwrap();
    wait(&system.core, "core-2 is back", |cluster| cluster["reached"] == 3);
}

const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

const CHANGE: &str = "/v1/zones/one.test/records/www/A?wait=1&timeout=60s";

fn put_zone(folder: &Path, apex: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{apex}.zone")), ZONE).unwrap();
}

fn zones(core: &Node) -> Vec<String> {
    let page = Http::new(core.http).get("/v1/zones");
    page["zones"].as_array().unwrap().iter().map(|zone| zone["zone"].as_str().unwrap().to_owned()).collect()
}

fn imported_elsewhere(core: &Node) -> Value {
    Http::new(core.http).get("/v1/status")["imported_elsewhere"].clone()
}

#[test]
fn only_the_zone_files_of_the_core_that_is_named_are_imported_whoever_leads() {
    let _alone = crate::heavy::alone();
    let mut three = Three::start(0, |first, others| {
        let home = first.data.parent().unwrap().parent().unwrap().to_owned();
        put_zone(&home.join("zones-1"), "one.test");
        put_zone(&home.join("zones-2"), "two.test");
        first.zones = Some(home.join("zones-1"));
        others[0].zones = Some(home.join("zones-2"));
    });
    let home = three.system.folder().to_owned();
    assert_eq!(zones(&three.system.core), ["one.test."]);
    assert_eq!(
        (imported_elsewhere(&three.system.core), imported_elsewhere(&three.others[0])),
        (Value::Null, "core-1".into())
    );

    // Another one leads: the one that is named gets the lead when it starts, and imports.
    let cluster = |core: &Node, arguments: &[&str]| {
        run(&[&["--core", &url(core), "cluster"], arguments].concat()).unwrap();
    };
    cluster(&three.system.core, &["transfer", "core-2"]);
    put_zone(&home.join("zones-1"), "new.test");
    three.system.core.stop().unwrap();
    three.system.core.start_ready().unwrap();
    assert_eq!(zones(&three.system.core), ["new.test.", "one.test."]);

    // The other one does not, whether or not it leads.
    cluster(&three.system.core, &["transfer", "core-2"]);
    three.others[0].stop().unwrap();
    three.others[0].start_ready().unwrap();
    assert_eq!(zones(&three.others[0]), ["new.test.", "one.test."]);
    assert_eq!(imported_elsewhere(&three.others[0]), "core-1");

    // Until it is named.
    cluster(&three.system.core, &["import-at", "core-2"]);
    three.others[0].stop().unwrap();
    three.others[0].start_ready().unwrap();
    assert_eq!(zones(&three.others[0]), ["new.test.", "one.test.", "two.test."]);
    three.system.core.stop().unwrap();
    three.system.core.start_ready().unwrap();
    assert_eq!(imported_elsewhere(&three.system.core), "core-2");
}
