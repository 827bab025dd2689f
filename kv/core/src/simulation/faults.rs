//! What goes wrong, at random: several things at a time, each for a while.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;

use super::net::Cut;
use super::world::World;

/// Milliseconds between two faults.
const EVERY: Range<u64> = 100..1500;
/// Milliseconds that a fault lasts.
const LASTS: Range<u64> = 50..3000;
/// How long a planned stop may take.
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A machine loses its power.
    Kill,
    /// A machine loses its power and comes back at another address.
    Move,
    /// All machines lose their power at once.
    Blackout,
    /// A voter is stopped as an operator does it.
    Stop,
    /// A machine is cut off, both ways.
    CutOff,
    /// A machine is heard no more, and hears.
    Dumb,
    /// A machine hears nothing, and is heard.
    Deaf,
    /// One way between two machines is cut.
    OneWay,
    /// The machines are cut into two groups.
    Split,
    /// Packets are lost.
    Loss,
    /// Connections between two machines break.
    Reset,
    /// A disk does not sync.
    Hang,
    /// The lead is handed to another voter.
    Transfer,
}

const ALL: [Fault; 17] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Move,
    Fault::Move,
    Fault::Blackout,
    Fault::Stop,
    Fault::CutOff,
    Fault::Dumb,
    Fault::Deaf,
    Fault::OneWay,
    Fault::Split,
    Fault::Loss,
    Fault::Reset,
    Fault::Hang,
    Fault::Hang,
    Fault::Transfer,
];

/// Lets so many faults happen.
pub(crate) async fn faults(world: World, count: u64) {
    let mut ends = Vec::new();
    for _ in 0..count {
        SimRuntime::sleep(world.dice().millis(EVERY)).await;
        if let Some(fault) = world.dice().pick(&ALL) {
            let lasts = world.dice().millis(LASTS);
            ends.push(SimRuntime::spawn(happen(world.clone(), fault, lasts)));
        }
    }
    for end in ends {
        let _ = end.await;
    }
}

async fn happen(world: World, fault: Fault, lasts: Duration) {
    let names = world.nodes();
    let (Some(one), Some(other)) = (world.dice().pick(&names), world.dice().pick(&names)) else { return };
    let others: Vec<Arc<str>> = names.iter().filter(|name| **name != one).cloned().collect();
    world.witness().note(&format!("{fault:?} of {one} (and {other}) for {lasts:?}"));
    match fault {
        Fault::Kill => kill(&world, &one, lasts).await,
        Fault::Move => {
            world.kill(&one);
            world.move_away(&one);
            SimRuntime::sleep(lasts).await;
            world.start(&one);
        }
        Fault::Blackout => blackout(&world, lasts).await,
        Fault::Stop => stop(&world, &one, lasts).await,
        Fault::CutOff => cut(&world, &[(vec![one.clone()], others.clone()), (others, vec![one])], lasts).await,
        Fault::Dumb => cut(&world, &[(vec![one], others)], lasts).await,
        Fault::Deaf => cut(&world, &[(others, vec![one])], lasts).await,
        Fault::OneWay => cut(&world, &[(vec![one], vec![other])], lasts).await,
        Fault::Split => {
            let (left, right): (Vec<_>, Vec<_>) = names.into_iter().partition(|_| world.dice().one_in(2));
            cut(&world, &[(left.clone(), right.clone()), (right, left)], lasts).await;
        }
        Fault::Loss => {
            world.net().lose(5 + world.dice().below(30));
            SimRuntime::sleep(lasts).await;
            world.net().lose(0);
        }
        Fault::Reset => world.net().reset(&one, &other),
        Fault::Hang => world.disk(&one).into_iter().for_each(|disk| disk.log.hang(lasts)),
        Fault::Transfer => {
            if let Some(leader) = world.leader() {
                // It may refuse, or not be able to.
                let _ = leader.voter.members.transfer(&one, Duration::from_secs(2)).await;
            }
        }
    }
}

async fn kill(world: &World, name: &str, lasts: Duration) {
    world.kill(name);
    SimRuntime::sleep(lasts).await;
    world.start(name);
}

async fn blackout(world: &World, lasts: Duration) {
    let names = world.nodes();
    names.iter().for_each(|name| world.kill(name));
    SimRuntime::sleep(lasts).await;
    for name in names {
        SimRuntime::sleep(world.dice().millis(0..300)).await;
        world.start(&name);
    }
}

async fn stop(world: &World, name: &str, lasts: Duration) {
    if let Some(running) = world.get(name) {
        running.run.power.stops();
        let stopping = running.voter.shutdown();
        if SimRuntime::timeout(STOPPED_WITHIN, stopping).await.is_err() {
            world.witness().broken(format!("{:?} does not stop", running.run));
        }
    }
    kill(world, name, lasts).await;
}

type Way = (Vec<Arc<str>>, Vec<Arc<str>>);

async fn cut(world: &World, ways: &[Way], lasts: Duration) {
    let cuts = ways.iter().cloned().map(|(from, to)| world.net().cut(Cut { from, to }));
    let cuts: Vec<u64> = cuts.collect();
    SimRuntime::sleep(lasts).await;
    cuts.into_iter().for_each(|number| world.net().heal(number));
}
