//! Three cores as an operator has them: they are started and let in, one is killed and comes back, two are removed.

use std::time::{Duration, Instant};

use serde_json::Value;
use zonecast_tests::{Node, System, poll_until, run, run_any};

use crate::api::addresses;
use crate::http::Http;

/// For an election, and for what follows it, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ZONE: &str =
    "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nwww 60 A 192.0.2.1\n";

pub(crate) fn url(core: &Node) -> String {
    format!("http://{}", core.http)
}

/// Starts cores and lets them in, until all three vote.
pub(crate) fn let_in(system: &System, cores: [&mut Node; 2]) {
    for core in cores {
        system.let_in(core, &[]).unwrap();
    }
    wait(&system.core, "three vote", |cluster| cluster["voters"] == 3 && cluster["changing"] == false);
}

/// What `zonecast cluster` says with these arguments.
fn cluster(cores: &[&Node], arguments: &[&str]) -> Value {
    let urls: Vec<String> = cores.iter().copied().map(url).collect();
    let urls = urls.join(",");
    let said = run(&[&["--json", "--core", &urls, "cluster"], arguments].concat());
    serde_json::from_str(&said.unwrap()).unwrap()
}

/// Waits until the cluster is so, as this core knows it.
pub(crate) fn wait(core: &Node, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let look = || Some(Http::new(core.http).get("/v1/cluster")).filter(&is_so);
    poll_until(Instant::now() + PATIENCE, look).unwrap_or_else(|| {
        panic!("{what}: {}; log of {}: {}", Http::new(core.http).get("/v1/cluster"), core.name, core.log())
    })
}

fn members(cluster: &Value) -> impl Iterator<Item = &Value> {
    cluster["members"].as_array().unwrap().iter()
}

/// What `zonecast cluster recover` comes to on the data of this core.
fn recover(core: &Node, options: &[&str]) -> (Option<i32>, String) {
    let data = core.data.to_str().unwrap();
    let said = run_any(&[&["cluster", "recover", "--data", data], options].concat()).unwrap();
    let text = [said.stdout, said.stderr].concat();
    (said.status.code(), String::from_utf8(text).unwrap())
}

/// Waits until an edge has this address and all else that the core has.
pub(crate) fn has(edge: &Node, core: &Node, address: &str) {
    // A core that follows has the last write a moment later, and maybe after the edge.
    Http::new(edge.http).wait_status(edge, "following", |status| {
        let at = Http::new(core.http).get("/v1/status");
        let is_there = ["version", "epoch"].iter().all(|field| status[field] == at[field]);
        assert!(!is_there || status["chain"] == at["chain"], "{status} and {at}");
        is_there && status["following"] == "streaming" && addresses(edge.service, "www.one.test") == [address]
    });
    assert_eq!(addresses(edge.service, "www.one.test"), [address]);
}

#[test]
fn the_one_core_that_is_left_of_three_goes_on_alone_and_others_join_anew() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(2).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    system.core.start_ready().unwrap();
    assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    let_in(&system, [&mut second, &mut third]);
    // One edge knows another core, too, and gets beyond what the core has that will be left.
    system.edges[0].upstreams.push(second.service);
    system.edges.iter_mut().for_each(|edge| drop(edge.start_ready().unwrap()));
    assert!(takes_a_write(&system.core, "192.0.2.2"));
    system.edges.iter().for_each(|edge| has(edge, &system.core, "192.0.2.2"));
    system.core.kill();
    let asked = poll_until(Instant::now() + PATIENCE, || takes_a_write(&second, "192.0.2.3").then_some(()));
    assert!(asked.is_some(), "nobody takes the lead: {}", second.log());
    has(&system.edges[0], &second, "192.0.2.3");
    let status = Http::new(second.http).get("/v1/status");
    let (store, epoch) = (status["store"].as_str().unwrap().to_owned(), status["epoch"].as_u64());
    let (code, said) = recover(&second, &["--confirm", &store]);
    assert_eq!(code, Some(3), "it runs: {said}");
    second.kill();
    third.kill();

    // Nothing is done before somebody has said which store is meant.
    for options in [&[][..], &["--confirm", "yes"], &["--confirm", &store[1..]]] {
        let (code, said) = recover(&system.core, options);
        assert!(code == Some(1) && said.contains("nothing was changed"), "{said}");
        assert_eq!(said.contains(&store), options.is_empty(), "{said}");
    }
    let (code, said) = recover(&system.core, &["--confirm", &store]);
    assert!(code == Some(0) && said.contains("acknowledged after that is lost"), "{said}");
    assert_eq!(addresses(system.edges[0].service, "www.one.test"), ["192.0.2.3"], "it answers what it has");
    let before = snapshots(&system.edges[1]);
    system.core.start_ready().unwrap();
    assert!(epoch.is_some() && Http::new(system.core.http).get("/v1/status")["epoch"].as_u64() > epoch);
    system.edges.iter().for_each(|edge| has(edge, &system.core, "192.0.2.2"));
    let told = system.edges[0].log_lines(&["WARN", "it answers what it has"]);
    assert_eq!((told.len(), snapshots(&system.edges[1]) - before), (1, 0.0), "{}", system.edges[0].log());
    let status = cluster(&[&system.core], &["status"]);
    assert_eq!((&status["voters"], members(&status).count()), (&Value::from(1), 1), "{status}");
    assert!(takes_a_write(&system.core, "192.0.2.4"));

    for core in [&second, &third] {
        std::fs::remove_dir_all(&core.data).unwrap();
    }
    let_in(&system, [&mut second, &mut third]);
    assert!(takes_a_write(&third, "192.0.2.5"), "it hands it on");
    system.edges.iter().for_each(|edge| has(edge, &system.core, "192.0.2.5"));
}

fn snapshots(edge: &Node) -> f64 {
    Http::new(edge.http).metric("zonecast_loaded_snapshots_total").unwrap()
}

pub(crate) fn takes_a_write(core: &Node, address: &str) -> bool {
    matches!(Http::new(core.http).set("one.test", "www", "A", address), Ok((200, _)))
}

#[test]
fn three_cores_go_on_without_one_and_become_one_again() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(0).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    system.core.start_ready().unwrap();
    assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    let_in(&system, [&mut second, &mut third]);
    let table = run(&["--core", &url(&system.core), "cluster", "status"]).unwrap();
    assert!(table.ends_with("3 voters, core-1 leads, one may fail\n"), "{table}");
    assert!(takes_a_write(&system.core, "192.0.2.2"));
    let even = run_any(&["--core", &url(&system.core), "cluster", "remove", "core-3"]).unwrap();
    let said = String::from_utf8_lossy(&even.stderr);
    assert!(even.status.code() == Some(1) && said.contains("2 voters would be left"), "{said}");

    // The core that gets the lead hands the request on to the one that gives it, and waits for its answer.
    for (at, to) in [(&second, "core-2"), (&third, "core-3"), (&system.core, "core-1")] {
        assert_eq!(cluster(&[at], &["transfer", to])["leader"], to);
    }

    system.core.kill();
    let others = [&second, &third];
    let writes = || others.into_iter().find(|core| takes_a_write(core, "192.0.2.3"));
    // Whoever is asked hands it on to the leader.
    let asked = poll_until(Instant::now() + PATIENCE, writes).expect("nobody takes the lead");
    let without = cluster(&[&system.core, asked], &["status"]);
    assert_eq!(without["reached"], 2, "{without}");
    let leader = others.into_iter().find(|core| without["leader"] == core.name.as_str()).expect("one of the two leads");

    let ready = system.core.start_ready().unwrap();
    assert!(ready["version"].as_u64() > Some(1), "it is ready before it has what it missed: {ready}");
    let whole = wait(leader, "all three are there", |cluster| cluster["reached"] == 3);
    assert!(members(&whole).all(|member| member["state"]["pid"].is_u64()), "{whole}");
    let known = cluster(&[&system.core], &["status"]);
    assert_eq!((members(&known).count(), &known["core"]), (3, &Value::from("core-1")));

    let gone: Vec<&str> = members(&whole).filter_map(|member| member["name"].as_str()).collect();
    let gone: Vec<&str> = gone.into_iter().filter(|name| *name != leader.name).collect();
    let alone = cluster(&[leader], &[&["remove"], gone.as_slice()].concat());
    assert_eq!((&alone["voters"], members(&alone).count()), (&Value::from(1), 1), "{alone}");
    assert!(takes_a_write(leader, "192.0.2.4"));
    for core in [&mut system.core, &mut second, &mut third] {
        assert!(core.stop().unwrap().success() || gone.contains(&core.name.as_str()), "{}", core.log());
    }
}

#[test]
fn a_core_that_waits_to_be_let_in_says_what_to_do_and_stops_at_once() {
    let mut system = System::new(0).unwrap();
    system.core.start_ready().unwrap();
    let mut core = system.joining("core-2").unwrap();
    core.start().unwrap();
    assert!(core.wait_log(&["zonecast cluster add core-2"], PATIENCE).is_some(), "{}", core.log());
    assert!(core.stop().unwrap().success(), "{}", core.log());
}

/// A core that is cut off from the others does not know what they commit. It says so, and its edges go elsewhere.
#[test]
fn an_edge_leaves_a_core_that_no_majority_confirms() {
    let _alone = crate::heavy::alone();
    let mut system = System::new(1).unwrap();
    let [mut second, mut third] = ["core-2", "core-3"].map(|name| system.joining(name).unwrap());
    system.core.start_ready().unwrap();
    let_in(&system, [&mut second, &mut third]);
    let edge = &mut system.edges[0];
    edge.upstreams = vec![second.service, third.service];
    // Also while there is no version yet.
    edge.start_ready().unwrap();
    assert_eq!(Http::new(system.core.http).call("PUT", "/v1/zones/one.test", Some(ZONE)).unwrap().0, 200);
    let has_left = |edge: &Node| {
        Http::new(edge.http).metric("zonecast_edge_left_upstream_total{reason=\"unconfirmed\"}") >= Some(1.0)
    };
    assert!(!has_left(&system.edges[0]));
    [&system.core, &third].into_iter().for_each(Node::pause);
    let left = poll_until(Instant::now() + PATIENCE, || has_left(&system.edges[0]).then_some(()));
    [&system.core, &third].into_iter().for_each(Node::resume);
    assert!(left.is_some(), "{}", system.edges[0].log());
    let written = poll_until(Instant::now() + PATIENCE, || takes_a_write(&second, "192.0.2.9").then_some(()));
    assert!(written.is_some(), "{}", second.log());
    let version = Http::new(second.http).get("/v1/status")["version"].as_u64().unwrap();
    let follows = || {
        let status = Http::new(system.edges[0].http).get("/v1/status");
        (status["version"].as_u64() >= Some(version)).then_some(())
    };
    assert!(poll_until(Instant::now() + PATIENCE, follows).is_some(), "{}", system.edges[0].log());
}
