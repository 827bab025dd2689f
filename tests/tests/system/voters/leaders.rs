//! The leader is killed, again and again: nothing that was acknowledged is lost (T16 asks for a thousand times).

use std::time::{Duration, Instant};

use zonecast_tests::Random;

use super::clients::Clients;
use super::rounds;
use super::three::{CORES, Three};
use crate::crash::seed_of_run;

const KILLS: u64 = 3;
const KILLS_OF_SOAK: u64 = 1_000;

/// Every so many kills, all that was done must be explained.
const LOOK_AFTER: u64 = 50;

/// More than clients: at least one of so many writes was asked for after the kill.
const WRITES: u64 = 8;

#[test]
fn nothing_acknowledged_is_lost_when_the_leader_is_killed() {
    let _alone = crate::heavy::alone();
    let (seed, kills) = (seed_of_run(), rounds(KILLS, KILLS_OF_SOAK));
    println!("ZONECAST_SEED={seed} ZONECAST_ROUNDS={kills}");
    let mut three = Three::start(seed, |_, _| {});
    let clients = Clients::start(&three, seed);
    let (mut random, mut without, started) = (Random::new(seed), Vec::new(), Instant::now());
    for kill in 1..=kills {
        let round = format!("seed {seed}, kill {kill}");
        let leader = three.wait_whole(&round);
        // One of the others falls behind, and must not take the lead before it has what is acknowledged.
        let behind = (leader + 1 + random.below(CORES - 1)) % CORES;
        three.proxy.cut(leader, behind);
        clients.wait_for_writes(WRITES, &round);
        three.core_mut(leader).kill();
        three.proxy.heal();
        let killed = Instant::now();
        clients.wait_for_writes(WRITES, &round);
        without.push(killed.elapsed());
        three.core_mut(leader).start_ready().unwrap();
        if kill % LOOK_AFTER == 0 {
            let counts = clients.check(&round);
            three.assert_well(&round);
            println!("{round} after {:?}: {counts:?}, {}", started.elapsed(), times(&mut without.clone()));
        }
    }
    three.wait_whole("at the end");
    let counts = clients.stop("at the end");
    three.assert_well("at the end");
    println!("{kills} kills in {:?}: {counts:?}, {}", started.elapsed(), times(&mut without));
    assert!(counts.writes > 10 * kills, "too little to prove anything: {counts:?}");
}

/// From a kill until so many writes are acknowledged.
fn times(without: &mut [Duration]) -> String {
    without.sort_unstable();
    let (median, most) = (without.get(without.len() / 2), without.last());
    format!("{WRITES} writes acknowledged after {median:?} (median), {most:?} (most)")
}
