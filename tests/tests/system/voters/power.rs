//! One, two or all three cores lose their power while clients write: what was acknowledged is there when they are back.

use std::time::{Duration, Instant};

use zonecast_tests::{PowerDisk, Random, or_skip};

use super::clients::Clients;
use super::rounds;
use super::three::{CORES, Three};
use crate::crash::seed_of_run;

const CUTS: u64 = 3;
const CUTS_OF_SOAK: u64 = 200;

/// Of each disk: RocksDB takes room for its logs beforehand.
const MEBIBYTES: u64 = 768;

/// Some hundred writes, so that the log gives some up more than once before most cuts.
const RAFT_LOG_BYTES: u64 = 64 * 1024;

/// Most writes before a cut.
const MOST_WRITES: u64 = 400;

/// Longest time that the machines stay away.
const MOST_AWAY_MS: u64 = 1_500;

#[test]
fn nothing_acknowledged_is_lost_when_cores_lose_their_power() {
    let _alone = crate::heavy::alone();
    let disks: Result<Vec<PowerDisk>, _> = (0..CORES).map(|_| PowerDisk::mount(MEBIBYTES)).collect();
    let Some(disks) = or_skip(disks, "no disk whose power can be cut here") else { return };
    let (seed, cuts) = (seed_of_run(), rounds(CUTS, CUTS_OF_SOAK));
    println!("ZONECAST_SEED={seed} ZONECAST_ROUNDS={cuts}");
    let mut random = Random::new(seed);
    let mut three = Three::start(seed, |place, core| {
        core.data = disks[place].path().join("core");
        core.lines.push_str(&format!("\nraft_log_bytes = {RAFT_LOG_BYTES}"));
    });
    let clients = Clients::start(&three, seed);
    let started = Instant::now();
    for cut in 0..cuts {
        let victims = choose(&mut random, cut);
        let round = format!("seed {seed}, cut {cut} of the power of cores {victims:?}");
        clients.wait_for_writes(random.number() % MOST_WRITES, &round);
        // All that write there first: a sync under way while the disk goes may say yes for what is lost.
        victims.iter().for_each(|victim| three.core_mut(*victim).kill());
        victims.iter().for_each(|victim| disks[*victim].cut_power().unwrap());
        std::thread::park_timeout(Duration::from_millis(random.number() % MOST_AWAY_MS));
        victims.iter().for_each(|victim| three.core_mut(*victim).start().unwrap());
        victims.iter().for_each(|victim| _ = three.core_mut(*victim).wait_ready().unwrap());
        three.wait_whole(&round);
        clients.wait_for_writes(1, &round);
        let counts = clients.check(&round);
        three.assert_well(&round);
        println!("{round}: {counts:?}");
    }
    let counts = clients.stop("at the end");
    println!("{cuts} cuts in {:?}: {counts:?}", started.elapsed());
    assert!(counts.writes > 10 * cuts, "too little to prove anything: {counts:?}");
}

/// One, two and three of them, in turn.
fn choose(random: &mut Random, cut: u64) -> Vec<usize> {
    let count = usize::try_from(cut).unwrap() % CORES + 1;
    let first = random.below(CORES);
    let all = (0..CORES).map(|place| (first + place) % CORES);
    all.take(count).collect()
}
