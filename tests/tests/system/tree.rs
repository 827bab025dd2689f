//! A tree of relays on a bad network, whose nodes are killed while changes come: nobody goes back, and in the end everybody
//! has everything and every receipt says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zonecast_tests::{Node, Random, System, UdpProxy, Weather, poll_until, run};

use crate::api::DEADLINE;
use crate::crash::seed_of_run;
use crate::http::Http;
use crate::voters::rounds;

const KILLS: u64 = 4;
/// About ten minutes.
const KILLS_OF_SOAK: u64 = 400;

const RELAYS: usize = 2;
const EDGES: usize = 4;

/// A change each so long: about a hundred a second, where the machine can.
const CHANGE_EVERY: Duration = Duration::from_millis(10);

/// Between two kills, at most.
const MOST_BETWEEN_MS: u64 = 2_500;

const ZONE: &str = "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\n";

fn weather() -> Weather {
    Weather { lost: 5, doubled: 5, most_delay: Duration::from_millis(5) }
}

/// A core, relays that follow it, and edges that follow these, all through a proxy.
struct Tree {
    system: System,
    /// Relays, then edges.
    nodes: Vec<Node>,
    _proxy: UdpProxy,
}

impl Tree {
    fn start(seed: u64) -> Self {
        let mut system = System::new(EDGES).unwrap();
        let relays: Vec<Node> = (1..=RELAYS).map(|number| system.relay(&format!("relay-{number}")).unwrap()).collect();
        let served: Vec<_> =
            [system.core.service].into_iter().chain(relays.iter().map(|relay| relay.service)).collect();
        let proxy = UdpProxy::start(&served, seed).unwrap();
        proxy.set_weather(weather());
        let front = |place: usize| proxy.front(place).unwrap();
        let mut nodes = relays;
        nodes.append(&mut system.edges);
        for (place, node) in nodes.iter_mut().enumerate() {
            node.upstreams = match place {
                0..RELAYS => vec![front(0)],
                // One relay first, then the other, then the core.
                _ => vec![front(1 + place % RELAYS), front(1 + (place + 1) % RELAYS), front(0)],
            };
        }
        system.core.start_ready().unwrap();
        nodes.iter_mut().for_each(|node| node.start().unwrap());
        nodes.iter_mut().for_each(|node| drop(node.wait_ready().unwrap()));
        Self { system, nodes, _proxy: proxy }
    }

    fn status(&self, node: &Node) -> Option<Value> {
        let (status, body) = Http::patient(node.http, Duration::from_secs(2)).call("GET", "/v1/status", None).ok()?;
        (status == 200).then_some(body)
    }
}

/// Changes one after the other until it is told to stop; the versions they made.
struct Writer {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Writer {
    fn start(core: std::net::SocketAddr) -> Self {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let until = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (http, mut versions, mut number) = (Http::new(core), Vec::new(), 0_u32);
            let mut next = Instant::now();
            while !until.load(std::sync::atomic::Ordering::Relaxed) {
                number += 1;
                let path = format!("/v1/zones/one.test/records/n{}/A", number % 50);
                let body = json!({"ttl": 60, "data": [format!("10.{}.{}.1", number >> 8 & 255, number & 255)]});
                let (status, written) = http.call("PUT", &path, Some(&body.to_string())).unwrap();
                assert_eq!(status, 200, "{written}");
                versions.push(written["version"].as_u64().unwrap());
                next = (next + CHANGE_EVERY).max(Instant::now());
                std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
            }
            versions
        });
        Self { stop, thread }
    }

    fn end(self) -> Vec<u64> {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// What each node showed last while it ran: its versions must not go back.
#[derive(Default)]
struct Seen(BTreeMap<String, (Option<u32>, u64)>);

impl Seen {
    fn look(&mut self, tree: &Tree) {
        for node in &tree.nodes {
            let Some(version) = tree.status(node).and_then(|status| status["version"].as_u64()) else { continue };
            let (process, before) = self.0.get(&node.name).copied().unwrap_or_default();
            // A process that was killed may have lost what was not on disk yet, and is not ready before it has it again.
            assert!(process != node.id() || version >= before, "{} went from {before} back to {version}", node.name);
            self.0.insert(node.name.clone(), (node.id(), version));
        }
    }
}

#[test]
fn a_tree_whose_nodes_are_killed_ends_with_everything_everywhere() {
    let _alone = crate::heavy::alone();
    let (seed, kills) = (seed_of_run(), rounds(KILLS, KILLS_OF_SOAK));
    println!("ZONECAST_SEED={seed} ZONECAST_ROUNDS={kills}");
    let mut random = Random::new(seed);
    let (mut tree, started) = (Tree::start(seed), Instant::now());
    let core = Http::new(tree.system.core.http);
    let (status, written) = core.call("PUT", "/v1/zones/one.test?wait=all&timeout=60s", Some(ZONE)).unwrap();
    assert_eq!((status, &written["receipt"]["reached"]), (200, &json!(true)), "{written}");
    let writer = Writer::start(tree.system.core.http);
    let (mut seen, mut killed) = (Seen::default(), BTreeSet::new());
    for _ in 0..kills {
        let until = Instant::now() + Duration::from_millis(random.number() % MOST_BETWEEN_MS);
        while Instant::now() < until {
            seen.look(&tree);
        }
        let victim = random.below(tree.nodes.len());
        tree.nodes[victim].kill();
        tree.nodes[victim].start().unwrap();
        killed.insert(victim);
    }
    killed.into_iter().for_each(|victim| drop(tree.nodes[victim].wait_ready().unwrap()));
    let versions = writer.end();
    let all_have = |path: &str| {
        let (status, receipt) = core.call("GET", path, None).unwrap();
        assert_eq!(status, 200, "{receipt}");
        (receipt["reached"] == true && receipt["of"] == RELAYS + EDGES).then_some(receipt)
    };
    let last = *versions.last().unwrap();
    let receipt =
        poll_until(Instant::now() + DEADLINE * 2, || all_have(&format!("/v1/receipts/{last}?wait=all&timeout=1s")));
    assert!(receipt.is_some(), "seed {seed}: not everywhere: {}", core.get("/v1/status"));
    for version in versions.iter().rev().take(500) {
        assert!(all_have(&format!("/v1/receipts/{version}?wait=all&timeout=1s")).is_some(), "seed {seed}: {version}");
    }
    let url = format!("http://{}", tree.system.core.http);
    let said = run(&["--json", "--core", &url, "receipt", &last.to_string(), "--wait", "all"]).unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["reached"], &said["applied"]), (&json!(true), &json!(RELAYS + EDGES)), "{said}");
    let watched = core.get(&format!("/v1/receipts/{last}/watch"));
    assert_eq!((&watched["reached"], &watched["of"]), (&json!(true), &json!(RELAYS + EDGES)), "{watched}");
    let here = core.get("/v1/status");
    for node in &tree.nodes {
        let there = tree.status(node).unwrap();
        assert_eq!(
            (&there["version"], &there["chain"]),
            (&here["version"], &here["chain"]),
            "seed {seed}: {}",
            node.name
        );
        assert!(there["damage"].is_null() && there["fault"].is_null(), "seed {seed}: {there}");
    }
    seen.look(&tree);
    println!("seed {seed}: {kills} kills, {} changes in {:?}", versions.len(), started.elapsed());
}
