//! Voters that come back at other addresses, and the removed ones that look for the others there.

use std::sync::Arc;
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;

use super::operators::add;
use super::random_runs::cluster;
use super::scenarios::{another_leads, cut_both_ways, each_seed, others};
use super::world::World;

/// For an election, and for a change of the membership after it.
const WITHIN: Duration = Duration::from_secs(20);

/// Takes the power from a machine, and gives it back elsewhere.
fn move_elsewhere(world: &World, name: &str) {
    world.kill(name);
    world.move_away(name);
    world.start(name);
}

/// Waits until the membership of whoever leads says where these machines are.
async fn is_written_down(world: &World, names: &[Arc<str>]) -> bool {
    let is_known = || {
        let Some(leader) = world.leader() else { return false };
        let members = leader.standing().members;
        names.iter().all(|name| {
            let at = world.address(name);
            members.values().any(|member| *member.name == **name && at.as_deref() == Some(&*member.address))
        })
    };
    world.until(WITHIN, is_known).await
}

#[test]
fn a_voter_that_has_moved_tells_the_others_where_it_is() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let leader = world.leader().unwrap();
        let moved = others(&world, &leader)[0].clone();
        move_elsewhere(&world, &moved);
        assert!(is_written_down(&world, &[moved]).await, "the membership has the old address");
    });
}

#[test]
fn a_voter_that_has_moved_and_does_not_reach_the_leader_tells_it_through_another_one() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let leader = world.leader().unwrap();
        let moved = others(&world, &leader)[0].clone();
        cut_both_ways(&world, std::slice::from_ref(&moved), std::slice::from_ref(&leader.run.name));
        move_elsewhere(&world, &moved);
        assert!(is_written_down(&world, &[moved]).await, "the membership has the old address");
    });
}

#[test]
fn voters_that_have_all_moved_find_each_other_where_they_ask_to_be_let_in() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let names = world.names();
        names.iter().for_each(|name| world.kill(name));
        names.iter().for_each(|name| world.move_away(name));
        names.iter().for_each(|name| world.start(name));
        assert!(is_written_down(&world, &names).await, "nobody leads, or the membership has old addresses");
    });
}

#[test]
fn a_voter_that_was_removed_hears_of_it_although_the_others_have_moved_meanwhile() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        world.place("core-4");
        world.start("core-4");
        assert!(add(&world, "core-4", WITHIN).await);
        let leader = world.leader().unwrap();
        let gone = others(&world, &leader).into_iter().find(|name| **name != *"core-4").unwrap();
        world.kill(&gone);
        SimRuntime::sleep(Duration::from_secs(2)).await;
        leader.voter.members.remove(&[gone.to_string()]).await.unwrap();
        let left: Vec<Arc<str>> = world.names().into_iter().filter(|name| *name != gone).collect();
        for name in &left {
            move_elsewhere(&world, name);
            assert!(is_written_down(&world, std::slice::from_ref(name)).await);
        }
        world.start(&gone);
        assert!(world.until(WITHIN, || world.get(&gone).is_some()).await);
        let removed = world.get(&gone).unwrap();
        assert!(SimRuntime::timeout(Duration::from_secs(60), removed.removal.wait()).await.is_ok(), "nobody tells it");
        assert!(another_leads(&world, &removed, WITHIN).await);
    });
}
