//! Histories: whatever happens to cores and network, every register is one register.

use std::time::{Duration, Instant};

use zonecast_tests::{Counts, Random};

use super::clients::Clients;
use super::nemesis::{Nemesis, usual_weather};
use super::rounds;
use super::three::Three;
use crate::crash::seed_of_run;

const HISTORIES: u64 = 2;
const HISTORIES_OF_SOAK: u64 = 20;

/// How long things go wrong in each.
const LENGTH: Duration = Duration::from_secs(10);

#[test]
fn registers_are_linearizable_whatever_happens_to_three_cores() {
    let _alone = crate::heavy::alone();
    let (seed, histories) = (seed_of_run(), rounds(HISTORIES, HISTORIES_OF_SOAK));
    println!("ZONECAST_SEED={seed} ZONECAST_ROUNDS={histories}");
    let (mut random, mut sum, started) = (Random::new(seed), Counts::default(), Instant::now());
    for history in 0..histories {
        sum += one_history(random.number(), &format!("seed {seed}, history {history}"));
    }
    println!("{histories} histories in {:?}: {sum:?}", started.elapsed());
    assert!(sum.writes > 5 * histories && sum.reads > 5 * histories, "too little to prove anything: {sum:?}");
}

fn one_history(seed: u64, round: &str) -> Counts {
    let mut three = Three::start(seed, |_, _| {});
    three.proxy.set_weather(usual_weather());
    let clients = Clients::start(&three, seed);
    let mut nemesis = Nemesis::new(Random::new(seed));
    nemesis.run(&mut three, Instant::now() + LENGTH);
    three.wait_whole(round);
    clients.wait_for_writes(1, round);
    let counts = clients.stop(round);
    three.assert_well(round);
    println!("{round}: {counts:?}, {}, {:?}", nemesis.summary(), three.proxy.packets());
    counts
}
