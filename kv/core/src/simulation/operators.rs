//! The operator: lets machines in, removes members and replaces disks.

use std::ops::Range;
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;

use super::world::World;
use crate::members::MemberError;

/// Milliseconds between two things that the operator does.
const EVERY: Range<u64> = 500..4000;
/// Most machines.
const MACHINES: usize = 7;
/// How long the operator tries.
const TRIES: Duration = Duration::from_secs(10);
/// Between two tries.
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// Does something about the membership so many times.
pub(crate) async fn operator(world: World, count: u64) {
    for _ in 0..count {
        SimRuntime::sleep(world.dice().millis(EVERY)).await;
        match world.dice().below(3) {
            0 => {
                let names = world.names();
                let name = format!("core-{}", names.len() + 1);
                if names.len() < MACHINES {
                    world.place(&name);
                    world.start(&name);
                    add(&world, &name, TRIES).await;
                }
            }
            1 => drop(remove_some(&world).await),
            _ => {
                for name in remove_some(&world).await {
                    world.kill(&name);
                    world.place(&name);
                    world.start(&name);
                    add(&world, &name, TRIES).await;
                }
            }
        }
    }
}

/// Admits a machine that asks. Says whether it was admitted.
pub(crate) async fn add(world: &World, name: &str, within: Duration) -> bool {
    let adding = async {
        loop {
            if let Some(leader) = world.leader() {
                match leader.voter.members.add(name).await {
                    Ok(_) | Err(MemberError::IsMember(_)) => return,
                    Err(_) => {}
                }
            }
            SimRuntime::sleep(AGAIN_AFTER).await;
        }
    };
    let is_admitted = SimRuntime::timeout(within, Box::pin(adding)).await.is_ok();
    world.witness().note(&format!("{name} is {}admitted", if is_admitted { "" } else { "not " }));
    is_admitted
}

/// Removes one member or two. Says who surely is none any more.
async fn remove_some(world: &World) -> Vec<String> {
    let Some(leader) = world.leader() else { return vec![] };
    let members: Vec<String> = leader.standing().members.into_values().map(|member| member.name).collect();
    let mut names: Vec<String> = (0..=world.dice().below(2)).filter_map(|_| world.dice().pick(&members)).collect();
    names.sort();
    names.dedup();
    let removed = leader.voter.members.remove(&names).await;
    world.witness().note(&format!("removing {names:?}: {removed:?}"));
    if removed.is_ok() { names } else { vec![] }
}
