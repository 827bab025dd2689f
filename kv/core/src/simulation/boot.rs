//! What a machine does when it gets power: what `Core::start` does on a real one.

use std::sync::Arc;

use openraft::AsyncRuntime as _;
use openraft::async_runtime::Select2;
use openraft_rt_sim::SimRuntime;
use prometheus::Registry;
use zonecast_kv_proto::{Head, Position};

use super::disk::Disk;
use super::event::Event;
use super::log_disk::SimLog;
use super::machine::SimMachine;
use super::net::{Served, host};
use super::pipe::Place;
use super::run::{Power, Run};
use super::state_disk::{Content, SimState};
use super::wire::SimWire;
use super::world::{FOUNDER, Running, World};
use crate::join::ask_to_join;
use crate::member::Member;
use crate::metrics::CoreMetrics;
use crate::network::Network;
use crate::patience::Patience;
use crate::removal::Removal;
use crate::start::FOUNDER as FOUNDER_ID;
use crate::state_machine::{Applied, AppliedSink};
use crate::voter::{Voter, VoterParts};

/// Runs a machine until its power is lost.
pub(crate) async fn boot(world: World, name: Arc<str>, power: Power) {
    let running = run(&world, &name, &power);
    if let Select2::First(Err(why)) = SimRuntime::select2(Box::pin(running), Box::pin(power.lost())).await {
        world.witness().note(&format!("{name} does not run: {why}"));
        if !power.is_stopping() {
            world.kill(&name);
        }
    }
}

async fn run(world: &World, name: &Arc<str>, power: &Power) -> Result<(), String> {
    let address = world.address(name).ok_or("there is no such machine")?;
    let me = Member { name: name.to_string(), address: address.to_string() };
    let from = Place { name: Arc::clone(name), power: power.clone() };
    let wire = SimWire { net: world.net().clone(), from };
    let disk = world.disk(name).ok_or("there is no such machine")?;
    let id = node_id(world, &disk, &me, &wire).await?;
    let snapshots = world.snapshots();
    let (witness, dice) = (Arc::clone(world.witness()), world.dice().clone());
    let run = Run { name: name.clone(), id, number: world.number(), power: power.clone(), dice, witness, snapshots };
    let (voter, removal) = voter(world, &run, &disk, wire).await;
    let voter = Arc::new(voter.map_err(|error| broken(&run, &error))?);
    let served = Served { name: Arc::clone(name), power: power.clone(), server: Arc::clone(&voter.server) };
    world.net().serve(address, served);
    let running = Running { voter: Arc::clone(&voter), run: run.clone(), removal };
    world.is_up(running);
    let known = voter.effective_membership().await.map_err(|error| broken(&run, &error))?;
    let founds = id == FOUNDER_ID && known.log_id().is_none();
    if founds || known.voter_ids().eq([id]) {
        voter.lead_alone(me.clone()).await.map_err(|error| broken(&run, &error))?;
        // It may have another voter by now, who has the lead.
        let _ = voter.members.moved(id, me).await;
    } else {
        drop(SimRuntime::spawn(voter.announce(me)));
    }
    // It runs until its power is lost or somebody stops it.
    Err(broken(&run, &voter.stopped().await))
}

/// A voter that has power and was not told to stop must not.
fn broken(run: &Run, why: &crate::CoreError) -> String {
    let what = format!("{run:?} has stopped: {why}");
    if run.power.is_on() && !run.power.is_stopping() {
        run.witness.broken(what.clone());
    }
    what
}

async fn node_id(world: &World, disk: &Disk, me: &Member, wire: &SimWire) -> Result<u64, String> {
    let known = *disk.node.lock().unwrap();
    let id = match known {
        Some(id) => return Ok(id),
        None if me.name == FOUNDER && world.nodes().is_empty() => FOUNDER_ID,
        None => ask_to_join::<SimMachine>(wire.clone(), me.clone(), others(world, &me.name)).await?.id,
    };
    world.witness().see(&Event::Admitted { id, disk: disk.number });
    *disk.node.lock().unwrap() = Some(id);
    Ok(id)
}

/// All other machines, by names that lead to their addresses wherever they move.
fn others(world: &World, name: &str) -> Vec<String> {
    world.names().iter().filter(|other| ***other != *name).map(|other| host(other)).collect()
}

/// What `start.rs` checks of databases.
fn check_no_gap(run: &Run, state: &Content, disk: &Disk) {
    let (next, range) = (state.applied().map_or(0, |index| index + 1), disk.log.range());
    let is_alone = state.voters().iter().all(|voter| *voter == run.id);
    if next < range.start || (next > range.end && is_alone) {
        run.witness.broken(format!("{run:?}: the state ends before entry {next}, the log has {range:?}"));
    }
}

async fn voter(
    world: &World,
    run: &Run,
    disk: &Disk,
    wire: SimWire,
) -> (Result<Voter<SimMachine>, crate::CoreError>, Removal) {
    let state = SimState::open(run.clone(), disk.state.clone());
    check_no_gap(run, &state.content(), disk);
    let removal = Removal::new();
    let sink = Arc::new(SimSink(run.clone()));
    let parts = VoterParts {
        id: run.id,
        environment: SimMachine { run: run.clone(), ahead: world.ahead(&run.name) },
        log: Arc::new(SimLog::open(run.clone(), disk.log.clone())),
        network: Network::new(run.id, wire, state.clone(), removal.clone()),
        state,
        sink,
        metrics: CoreMetrics::register(&Registry::new()).unwrap(),
        raft_log_bytes: world.raft_log_bytes(),
        join: others(world, &run.name),
        patience: Patience::default(),
    };
    (Voter::start(parts).await, removal)
}

/// Shows the witness what edges would be given.
struct SimSink(Run);

impl AppliedSink for SimSink {
    fn applied(&self, applied: &Applied) {
        self.0.witness.see(&Event::Published { run: &self.0, position: applied.position });
    }

    /// As at a start: what lies between is in the batch log of the installed state.
    fn installed(&self, position: Position) {
        self.0.witness.see(&Event::Opened { run: &self.0, head: Head { position, ..Head::default() } });
    }
}
