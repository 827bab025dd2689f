//! Whatever goes wrong: kills cores, stops them for a while, cuts and spoils the network, and mends all of it again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zonecast_tests::{Random, Weather};

use super::three::{CORES, Three};

/// Longest time that a core is stopped, or a way is cut.
const MOST_MS: usize = 5_000;

/// A fault that lasts for a while.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// kill -9, and started again after it.
    Killed(usize),
    /// SIGSTOP.
    Paused(usize),
    /// Nothing comes from one to the other.
    CutOneWay(usize, usize),
    /// Nothing comes through between two.
    CutBothWays(usize, usize),
    /// Nothing comes from it to the others: it hears them, and they do not hear it.
    Mute(usize),
    /// Nothing comes to it.
    Deaf(usize),
    /// Neither.
    Alone(usize),
    /// Many packets are lost, doubled and late.
    Storm,
}

/// Chooses faults at random, and counts them.
pub(super) struct Nemesis {
    random: Random,
    counts: BTreeMap<String, u64>,
}

impl Nemesis {
    pub(super) fn new(random: Random) -> Self {
        Self { random, counts: BTreeMap::new() }
    }

    /// One fault after the other until then, sometimes two at a time; at the end everything is mended, and started.
    pub(super) fn run(&mut self, three: &mut Three, until: Instant) {
        while Instant::now() < until {
            let faults: Vec<Fault> = (0..=self.random.below(2)).map(|_| self.choose()).collect();
            faults.iter().for_each(|fault| self.begin(three, *fault));
            let left = until.saturating_duration_since(Instant::now());
            self.pass(left.min(Duration::from_millis(u64::try_from(MOST_MS).unwrap())));
            faults.iter().for_each(|fault| end(three, *fault));
            self.pass(Duration::from_millis(1_500));
        }
    }

    fn choose(&mut self) -> Fault {
        let one = self.random.below(CORES);
        let other = (one + 1 + self.random.below(CORES - 1)) % CORES;
        match self.random.below(10) {
            0..=2 => Fault::Killed(one),
            3 | 4 => Fault::Paused(one),
            5 => Fault::CutOneWay(one, other),
            6 => Fault::CutBothWays(one, other),
            7 if self.random.below(2) == 0 => Fault::Mute(one),
            7 => Fault::Deaf(one),
            8 => Fault::Alone(one),
            _ => Fault::Storm,
        }
    }

    fn begin(&mut self, three: &mut Three, fault: Fault) {
        let name = format!("{fault:?}").split('(').next().unwrap_or_default().to_owned();
        *self.counts.entry(name).or_default() += 1;
        let others = |one: usize| (0..CORES).filter(move |other| *other != one);
        let proxy = &three.proxy;
        match fault {
            Fault::Killed(one) => three.core_mut(one).kill(),
            Fault::Paused(one) => three.core(one).pause(),
            Fault::CutOneWay(one, other) => proxy.cut(one, other),
            Fault::CutBothWays(one, other) => {
                proxy.cut(one, other);
                proxy.cut(other, one);
            }
            Fault::Mute(one) => others(one).for_each(|other| proxy.cut(one, other)),
            Fault::Deaf(one) => others(one).for_each(|other| proxy.cut(other, one)),
            Fault::Alone(one) => others(one).for_each(|other| {
                proxy.cut(one, other);
                proxy.cut(other, one);
            }),
            Fault::Storm => {
                proxy.set_weather(Weather { lost: 200, doubled: 50, most_delay: Duration::from_millis(100) });
            }
        }
    }

    /// Lets a random time pass: the moment is what is random here.
    fn pass(&mut self, at_most: Duration) {
        let most = usize::try_from(at_most.as_millis()).unwrap();
        let time = Duration::from_millis(u64::try_from(self.random.below(most + 1)).unwrap());
        std::thread::park_timeout(time);
    }

    pub(super) fn summary(&self) -> String {
        format!("{:?}", self.counts)
    }
}

/// On a usual day some packets are lost, and none comes at once.
pub(super) fn usual_weather() -> Weather {
    Weather { lost: 5, doubled: 5, most_delay: Duration::from_millis(2) }
}

fn end(three: &mut Three, fault: Fault) {
    match fault {
        Fault::Killed(one) => three.core_mut(one).start().unwrap(),
        Fault::Paused(one) => three.core(one).resume(),
        Fault::Storm => three.proxy.set_weather(usual_weather()),
        _ => three.proxy.heal(),
    }
}
