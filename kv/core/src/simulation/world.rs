//! Machines, the network between them, and what is known of all of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft_rt_sim::SimRuntime;

use super::boot::boot;
use super::dice::Dice;
use super::disk::Disk;
use super::machine::SimMachine;
use super::net::Net;
use super::run::Snapshots;
use super::run::{Power, Run};
use super::state_disk::Content;
use super::witness::Witness;
use crate::member::Member;
use crate::removal::Removal;
use crate::voter::Voter;

/// The machine that founds the cluster.
pub(crate) const FOUNDER: &str = "core-1";
/// Milliseconds after which the others know that a machine without power is gone.
const NOTICED: std::ops::Range<u64> = 0..2500;
/// Between two looks at whether something has come true.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See the module. Clones are the same world.
#[derive(Clone, Debug)]
pub(crate) struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dice: Dice,
    snapshots: Snapshots,
    net: Net,
    witness: Arc<Witness>,
    machines: Mutex<BTreeMap<Arc<str>, Machine>>,
    numbers: AtomicU64,
    raft_log_bytes: usize,
    is_ending: AtomicBool,
}

#[derive(Debug)]
struct Machine {
    disk: Disk,
    /// Where it is reached.
    address: Arc<str>,
    /// While it has some.
    power: Option<Power>,
    /// Once it is up.
    running: Option<Running>,
    /// Microseconds that its clock is ahead.
    ahead: Arc<AtomicU64>,
}

/// A voter that is up.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) voter: Arc<Voter<SimMachine>>,
    pub(crate) run: Run,
    pub(crate) removal: Removal,
}

/// Where a voter stands, as it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) leader: Option<u64>,
    pub(crate) last: u64,
    pub(crate) applied: u64,
    pub(crate) voters: Vec<u64>,
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) is_changing: bool,
}

impl Running {
    pub(crate) fn standing(&self) -> Standing {
        let metrics = self.voter.raft.metrics();
        let seen = metrics.borrow_watched();
        let membership = seen.membership_config.membership();
        Standing {
            leader: seen.current_leader,
            last: seen.last_log_index.unwrap_or_default(),
            applied: seen.last_applied.map_or(0, |log_id| log_id.index),
            voters: membership.voter_ids().collect(),
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
            is_changing: membership.get_joint_config().len() > 1,
        }
    }

    pub(crate) fn leads(&self) -> bool {
        self.voter.leads().borrow().is_some()
    }

    pub(crate) fn content(&self) -> Arc<Content> {
        self.voter.state.content()
    }
}

impl World {
    pub(crate) fn new(seed: u64, raft_log_bytes: usize) -> Self {
        let dice = Dice::new(seed);
        Self(Arc::new(Inner {
            net: Net::new(dice.clone()),
            dice,
            snapshots: Snapshots::default(),
            witness: Arc::new(Witness::new()),
            machines: Mutex::default(),
            numbers: AtomicU64::new(1),
            raft_log_bytes,
            is_ending: AtomicBool::new(false),
        }))
    }

    pub(crate) fn snapshots(&self) -> Snapshots {
        self.0.snapshots.clone()
    }

    pub(crate) fn dice(&self) -> &Dice {
        &self.0.dice
    }

    pub(crate) fn net(&self) -> &Net {
        &self.0.net
    }

    pub(crate) fn witness(&self) -> &Arc<Witness> {
        &self.0.witness
    }

    pub(crate) fn raft_log_bytes(&self) -> usize {
        self.0.raft_log_bytes
    }

    fn machines(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Machine>> {
        self.0.machines.lock().unwrap()
    }

    /// A number that was never given.
    pub(crate) fn number(&self) -> u64 {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.0.is_ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.0.is_ending.load(Ordering::Relaxed)
    }

    /// Puts a machine with an empty disk there, in place of the one of this name.
    pub(crate) fn place(&self, name: &str) {
        let (disk, ahead) = (Disk::new(self.number()), Arc::new(self.dice().below(2_000_000).into()));
        self.machines().insert(name.into(), Machine { disk, address: name.into(), power: None, running: None, ahead });
    }

    pub(crate) fn disk(&self, name: &str) -> Option<Disk> {
        self.machines().get(name).map(|machine| machine.disk.clone())
    }

    pub(crate) fn address(&self, name: &str) -> Option<Arc<str>> {
        self.machines().get(name).map(|machine| Arc::clone(&machine.address))
    }

    /// A machine that is off gets another address.
    pub(crate) fn move_away(&self, name: &str) {
        let address: Arc<str> = format!("{name}/{}", self.number()).into();
        if let Some(machine) = self.machines().get_mut(name).filter(|machine| machine.power.is_none()) {
            machine.address = address;
        }
    }

    /// Microseconds that a clock is ahead, and may be put to.
    pub(crate) fn ahead(&self, name: &str) -> Arc<AtomicU64> {
        self.machines().get(name).map(|machine| Arc::clone(&machine.ahead)).unwrap_or_default()
    }

    /// Switches a machine on, if it is off.
    pub(crate) fn start(&self, name: &str) {
        let mut machines = self.machines();
        let Some(machine) = machines.get_mut(name).filter(|machine| machine.power.is_none()) else { return };
        let power = Power::on();
        machine.power = Some(power.clone());
        drop(machines);
        self.witness().note(&format!("{name} gets power"));
        drop(SimRuntime::spawn(boot(self.clone(), name.into(), power)));
    }

    pub(crate) fn is_up(&self, running: Running) {
        let mut machines = self.machines();
        if let Some(machine) = machines.get_mut(&running.run.name) {
            machine.running = Some(running);
        }
    }

    /// Takes the power from a machine.
    pub(crate) fn kill(&self, name: &str) {
        let mut machines = self.machines();
        let Some(machine) = machines.get_mut(name) else { return };
        let Some(power) = machine.power.take() else { return };
        power.cut();
        machine.disk.lose_power(self.dice());
        let (running, net, noticed) = (machine.running.take(), self.net().clone(), self.dice().millis(NOTICED));
        let address = Arc::clone(&machine.address);
        drop(machines);
        net.forget(&address);
        self.witness().note(&format!("{name} loses power"));
        drop(SimRuntime::spawn(async move {
            if let Some(running) = running {
                // It can do nothing any more; this ends its tasks.
                let _ = running.voter.raft.shutdown().await;
            }
            SimRuntime::sleep(noticed).await;
            net.reset_dead();
        }));
    }

    /// Everybody that is up.
    pub(crate) fn running(&self) -> Vec<Running> {
        self.machines().values().filter_map(|machine| machine.running.clone()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Running> {
        self.machines().get(name)?.running.clone()
    }

    /// Names of all machines that have an id of the cluster.
    pub(crate) fn nodes(&self) -> Vec<Arc<str>> {
        let machines = self.machines();
        let nodes = machines.iter().filter(|(_, machine)| machine.disk.node.lock().unwrap().is_some());
        nodes.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Names of all machines.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.machines().keys().cloned().collect()
    }

    /// Somebody who leads, as far as he knows.
    pub(crate) fn leader(&self) -> Option<Running> {
        let leaders: Vec<Running> = self.running().into_iter().filter(Running::leads).collect();
        self.dice().pick(&leaders)
    }

    /// Waits until this is true, for so long at most. Says whether it is.
    pub(crate) async fn until(&self, within: Duration, mut is_so: impl FnMut() -> bool + Send) -> bool {
        let looking = async {
            while !is_so() {
                SimRuntime::sleep(LOOK_EVERY).await;
            }
        };
        SimRuntime::timeout(within, looking).await.is_ok()
    }
}
