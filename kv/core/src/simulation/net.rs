//! The network between machines: who is reached where, which ways are cut, what is lost.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::dice::Dice;
use super::machine::SimMachine;
use super::pipe::Pipe;
use super::run::Power;
use crate::server::Server;

/// Microseconds that a message takes, most of the time.
const DELAY: Range<u64> = 50..1500;
/// And rarely.
const SLOW: Range<u64> = 5_000..40_000;
/// After which a lost packet is sent again.
const RESENT: Range<u64> = 30_000..400_000;

/// See the module. Clones are the same network.
#[derive(Clone)]
pub(crate) struct Net(Arc<Inner>);

struct Inner {
    dice: Dice,
    /// By address.
    served: Mutex<BTreeMap<Arc<str>, Served>>,
    cuts: Mutex<BTreeMap<u64, Cut>>,
    next_cut: AtomicU64,
    /// Messages in a hundred that are lost at first.
    loss: AtomicU64,
    pipes: Mutex<Vec<Weak<Pipe>>>,
}

/// A machine that answers at its address.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) name: Arc<str>,
    pub(crate) power: Power,
    pub(crate) server: Arc<Server<SimMachine>>,
}

/// No message goes from one of these to one of those.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    pub(crate) from: Vec<Arc<str>>,
    pub(crate) to: Vec<Arc<str>>,
}

/// The name of a machine that leads to its address, as DNS has it.
pub(crate) fn host(name: &str) -> String {
    format!("{name}.example")
}

impl Net {
    pub(crate) fn new(dice: Dice) -> Self {
        Self(Arc::new(Inner {
            dice,
            served: Mutex::default(),
            cuts: Mutex::default(),
            next_cut: AtomicU64::new(0),
            loss: AtomicU64::new(0),
            pipes: Mutex::default(),
        }))
    }

    pub(crate) fn serve(&self, address: Arc<str>, served: Served) {
        self.0.served.lock().unwrap().insert(address, served);
    }

    pub(crate) fn forget(&self, address: &str) {
        self.0.served.lock().unwrap().remove(address);
    }

    /// Who is at an address, or at the one to which a name leads.
    pub(crate) fn served(&self, address: &str) -> Option<Served> {
        let served = self.0.served.lock().unwrap();
        let named = served.values().find(|served| host(&served.name) == address);
        served.get(address).or(named).filter(|served| served.power.is_on()).cloned()
    }

    /// Says by which number it is healed.
    pub(crate) fn cut(&self, cut: Cut) -> u64 {
        let number = self.0.next_cut.fetch_add(1, Ordering::Relaxed);
        self.0.cuts.lock().unwrap().insert(number, cut);
        number
    }

    pub(crate) fn heal(&self, number: u64) {
        self.0.cuts.lock().unwrap().remove(&number);
    }

    pub(crate) fn heal_all(&self) {
        self.0.cuts.lock().unwrap().clear();
        self.lose(0);
    }

    pub(crate) fn is_open(&self, from: &str, to: &str) -> bool {
        let has = |names: &[Arc<str>], name: &str| names.iter().any(|other| &**other == name);
        !self.0.cuts.lock().unwrap().values().any(|cut| has(&cut.from, from) && has(&cut.to, to))
    }

    /// So many messages in a hundred are lost at first.
    pub(crate) fn lose(&self, percent: u64) {
        self.0.loss.store(percent, Ordering::Relaxed);
    }

    /// How long the next message takes.
    pub(crate) fn delay(&self) -> Duration {
        let dice = &self.0.dice;
        let delay = if dice.one_in(200) { dice.micros(SLOW) } else { dice.micros(DELAY) };
        let is_lost = dice.below(100) < self.0.loss.load(Ordering::Relaxed);
        if is_lost { delay + dice.micros(RESENT) } else { delay }
    }

    pub(crate) fn add(&self, pipe: &Arc<Pipe>) {
        let mut pipes = self.0.pipes.lock().unwrap();
        pipes.retain(|pipe| pipe.strong_count() > 0);
        pipes.push(Arc::downgrade(pipe));
    }

    /// Breaks what is between two machines, as when the port of one of them changes.
    pub(crate) fn reset(&self, one: &str, other: &str) {
        self.each_pipe(|pipe| {
            if (pipe.from.is(one) && pipe.to.is(other)) || (pipe.from.is(other) && pipe.to.is(one)) {
                pipe.reset();
            }
        });
    }

    /// Breaks what leads to machines without power, or from there.
    pub(crate) fn reset_dead(&self) {
        self.each_pipe(|pipe| {
            if !pipe.from.power.is_on() || !pipe.to.power.is_on() {
                pipe.reset();
            }
        });
    }

    fn each_pipe(&self, mut visit: impl FnMut(&Pipe)) {
        let pipes: Vec<Arc<Pipe>> = self.0.pipes.lock().unwrap().iter().filter_map(Weak::upgrade).collect();
        pipes.iter().for_each(|pipe| visit(pipe));
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Net")
    }
}
