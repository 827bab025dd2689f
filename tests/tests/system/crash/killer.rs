//! Kills processes at random moments and starts them again at once.

use std::sync::Arc;
use std::time::Duration;

use zonecast_tests::{Node, Random, System};

use super::EDGES;
use super::model::Model;
use super::readers::Readers;
use crate::http::Http;

/// Hosts of the zone that is imported: from one batch to several.
const HOSTS: [usize; 3] = [500, 12_000, 40_000];

/// Kills processes that it chooses at random, starts them again, and counts them.
pub(super) struct Killer {
    random: Random,
    cores: u64,
    edges: u64,
}

/// Which processes.
#[derive(Clone, Copy, Debug)]
struct Victims {
    core: bool,
    edges: [bool; EDGES],
}

impl Killer {
    pub(super) fn new(random: Random) -> Self {
        Self { random, cores: 0, edges: 0 }
    }

    /// One round; says what happened.
    pub(super) fn round(&mut self, round: u64, system: &mut System, model: &Arc<Model>, readers: &Readers) -> String {
        let victims = self.choose(round);
        let moment = match round % 4 {
            0 => {
                let after = self.pass(700);
                self.kill(system, victims);
                format!("changes, for {after:?}")
            }
            1 => self.during_import(system, model, victims),
            2 => self.during_snapshot(system, readers, victims),
            _ => self.after_start(system, victims),
        };
        format!("{moment}; killed {victims:?}")
    }

    fn during_import(&mut self, system: &mut System, model: &Arc<Model>, victims: Victims) -> String {
        let hosts = HOSTS[self.random.below(HOSTS.len())];
        let (model, address) = (Arc::clone(model), system.core.http);
        let import = std::thread::spawn(move || model.import(&Http::new(address), hosts));
        let after = self.pass(1500);
        self.kill(system, victims);
        import.join().unwrap();
        format!("import of {hosts}, for {after:?}")
    }

    fn during_snapshot(&mut self, system: &mut System, readers: &Readers, victims: Victims) -> String {
        let last = EDGES - 1;
        let edge = &mut system.edges[last];
        edge.kill();
        std::fs::remove_dir_all(&edge.data).unwrap();
        readers.forget(last);
        edge.start().unwrap();
        let after = self.pass(600);
        self.kill(system, victims);
        format!("new copy of {}, for {after:?}", system.edges[last].name)
    }

    fn after_start(&mut self, system: &mut System, victims: Victims) -> String {
        let mut moments = Vec::new();
        for _ in 0..3 {
            self.kill(system, victims);
            moments.push(self.pass(250));
        }
        format!("starts, after {moments:?}")
    }

    /// At least one; the core in every other round.
    fn choose(&mut self, round: u64) -> Victims {
        let core = (round + round / 4).is_multiple_of(2);
        let mut edges = [false; EDGES];
        edges.iter_mut().for_each(|edge| *edge = self.random.below(2) == 0);
        edges[self.random.below(EDGES)] |= !core;
        Victims { core, edges }
    }

    /// Kills them and starts them again, without waiting for anything.
    fn kill(&mut self, system: &mut System, victims: Victims) {
        let edges = system.edges.iter_mut().zip(victims.edges).filter(|(_, killed)| *killed).map(|(edge, _)| edge);
        let core = victims.core.then_some(&mut system.core);
        let mut nodes: Vec<&mut Node> = edges.chain(core).collect();
        nodes.iter_mut().for_each(|node| node.kill());
        self.cores += u64::from(victims.core);
        self.edges += u64::try_from(nodes.len()).unwrap() - u64::from(victims.core);
        if self.random.below(2) == 0 {
            self.pass(200);
        }
        nodes.iter_mut().for_each(|node| node.start().unwrap());
    }

    /// Lets a random time pass, up to so many milliseconds: the moment is what is random here.
    fn pass(&mut self, at_most: u64) -> Duration {
        let time = Duration::from_millis(self.random.number() % (at_most + 1));
        std::thread::park_timeout(time);
        time
    }

    pub(super) fn summary(&self) -> String {
        format!("the core killed {} times, edges {} times", self.cores, self.edges)
    }
}
