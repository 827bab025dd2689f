//! The power goes, again and again, while changes flow: what was acknowledged is there when it comes back.
//!
//! kill -9 loses nothing that a process has written, so only this proves the syncs: that of the raft log before a write
//! is acknowledged, that of the state before the raft log gives up what is applied (which is why it may hold so little
//! here), and that of an edge before it calls a version durable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zonecast_tests::{PowerDisk, Random, System, or_skip, poll_until};

use super::model::Model;
use super::writers::Writers;
use super::{number_from_environment, seed_of_run};
use crate::http::Http;

const CUTS: u64 = 10;
const CUTS_OF_SOAK: u64 = 200;

/// Of the disk: RocksDB takes room for its logs beforehand.
const MEBIBYTES: u64 = 768;

/// Some hundred writes, so that the log gives some up more than once before most cuts.
const RAFT_LOG_BYTES: u64 = 64 * 1024;

/// Most writes before a cut: more than the log gives up at a time and keeps behind that, several times.
const MOST_WRITES: u64 = 900;

/// For all of them, on a busy machine.
const WRITES_DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn what_was_acknowledged_is_there_after_the_power_was_cut() {
    let _alone = crate::heavy::alone();
    let Some(disk) = or_skip(PowerDisk::mount(MEBIBYTES), "no disk whose power can be cut here") else { return };
    let seed = seed_of_run();
    let soak = std::env::var_os("ZONECAST_SOAK").is_some();
    let cuts = number_from_environment("ZONECAST_ROUNDS").unwrap_or(if soak { CUTS_OF_SOAK } else { CUTS });
    println!("ZONECAST_SEED={seed} ZONECAST_ROUNDS={cuts}");

    let mut random = Random::new(seed);
    let mut system = System::new(1).unwrap();
    system.core.data = disk.path().join("core");
    system.core.lines.push_str(&format!("\nraft_log_bytes = {RAFT_LOG_BYTES}"));
    system.edges[0].data = disk.path().join("edge");
    system.core.start_ready().unwrap();
    system.edges[0].start_ready().unwrap();
    let model = Arc::new(Model::new());
    model.make_zones(&Http::new(system.core.http));
    let writers = Writers::start(&system, &model, random.number());
    let started = Instant::now();
    for cut in 0..cuts {
        let round = format!("seed {seed}, cut {cut}");
        let writes = random.number() % MOST_WRITES;
        let wanted = model.acknowledged() + writes;
        let written = poll_until(Instant::now() + WRITES_DEADLINE, || (model.acknowledged() >= wanted).then_some(()));
        assert!(written.is_some(), "{round}: {}", model.summary());
        let durable = durable(&system);
        // Everybody who writes there first: a sync under way while the disk goes may say yes for what is lost.
        system.core.kill();
        system.edges[0].kill();
        disk.cut_power().unwrap();
        come_back(&mut system, durable, &round);
        writers.paused(|| at_rest(&mut system, &model, &round));
        println!("{round}: after {writes} writes, the edge durable at {durable}; {}", model.summary());
    }
    writers.stop();
    println!("{cuts} cuts in {:?}: {}", started.elapsed(), model.summary());
    assert!(model.acknowledged() > 100 * cuts, "too few changes to prove anything: {}", model.summary());
}

/// The version that the edge has called durable, as the core knows it.
fn durable(system: &System) -> u64 {
    let status = Http::new(system.core.http).get("/v1/status");
    status["edges"][0]["durable"].as_u64().unwrap()
}

/// The edge alone first: it has what it called durable, whatever its core has.
fn come_back(system: &mut System, durable: u64, round: &str) {
    let edge = &mut system.edges[0];
    edge.start().unwrap();
    let here = Http::new(edge.http).wait_status(edge, "up", |status| durable == 0 || status["store"] != "");
    assert!(here["version"].as_u64() >= Some(durable), "{round}: durable was {durable}: {here}");
    system.core.start_ready().unwrap();
}

/// Compares the core with what was acknowledged, and the edge with the core.
fn at_rest(system: &mut System, model: &Model, round: &str) {
    let api = Http::new(system.core.http);
    let core = api.wait_status(&system.core, &format!("ready ({round})"), |status| status["ready"] == true);
    let last = model.last_version();
    assert!(core["version"].as_u64() >= Some(last), "{round}: acknowledged {last}: {core}");
    model.compare_with_core(&api, round);
    let edge = &system.edges[0];
    let here = Http::new(edge.http).wait_status(edge, &format!("caught up ({round})"), |status| {
        assert!(!status["trouble"].as_str().unwrap_or_default().contains("ahead"), "{round}: {status}");
        status["following"] == "streaming" && status["version"] == core["version"]
    });
    for field in ["store", "epoch", "chain"] {
        assert_eq!(here[field], core[field], "{round}: {field}: {here}");
    }
    model.compare_with_edge(edge.service, round);
    for node in [&system.edges[0], &system.core] {
        assert!(node.log_lines(&["panicked"]).is_empty(), "{round}: {}:\n{}", node.name, node.log());
    }
}
