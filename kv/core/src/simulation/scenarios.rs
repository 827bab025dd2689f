//! Single faults that need a certain order of things.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::TransferLeaderRequest;
use openraft_rt_sim::SimRuntime;

use super::clients::{Ask, ask};
use super::history::Told;
use super::net::Cut;
use super::operators::add;
use super::random_runs::{cluster, converge};
use super::world::{Running, World};
use crate::environment::State as _;

const SEEDS: std::ops::Range<u64> = 1..11;

/// Runs this for some seeds, and checks all that must hold.
pub(super) fn each_seed<F: Future<Output = ()>>(scenario: impl Fn(World) -> F) {
    for seed in SEEDS {
        SimRuntime::with_seed(seed).block_on(async {
            let world = World::new(seed, usize::MAX);
            scenario(world.clone()).await;
            world.net().heal_all();
            converge(&world).await;
            world.witness().end().unwrap_or_else(|what| panic!("{what}\nseed {seed}"));
        });
    }
}

pub(super) fn others(world: &World, one: &Running) -> Vec<Arc<str>> {
    world.names().into_iter().filter(|name| *name != one.run.name).collect()
}

pub(super) fn cut_both_ways(world: &World, these: &[Arc<str>], those: &[Arc<str>]) {
    for (from, to) in [(these, those), (those, these)] {
        world.net().cut(Cut { from: from.to_vec(), to: to.to_vec() });
    }
}

/// Says whether somebody other than this one takes a write in time.
pub(super) async fn another_leads(world: &World, old: &Running, within: Duration) -> bool {
    let taken = async {
        loop {
            SimRuntime::sleep(Duration::from_millis(50)).await;
            let Some(new) = world.running().into_iter().find(|new| new.leads() && new.run.id != old.run.id) else {
                continue;
            };
            if matches!(ask(world, new, Ask::Count).await, Ok(Told::Committed(_))) {
                return;
            }
        }
    };
    SimRuntime::timeout(within, Box::pin(taken)).await.is_ok()
}

#[test]
fn five_voters_elect_again_when_the_leader_reaches_one_who_reaches_the_others() {
    each_seed(|world| async move {
        cluster(&world, 5).await;
        let leader = world.leader().unwrap();
        let names = others(&world, &leader);
        // The leader reaches the first, who reaches the second and third; nobody reaches the fourth.
        cut_both_ways(&world, std::slice::from_ref(&leader.run.name), &names[1..]);
        cut_both_ways(&world, &names[3..], &names[..3]);
        assert!(another_leads(&world, &leader, Duration::from_secs(15)).await, "nobody takes writes (openraft #2080)");
    });
}

#[test]
fn changes_that_wait_for_a_lead_that_is_lost_have_an_answer() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let leader = world.leader().unwrap();
        let mut asked: Vec<_> = (0..50).map(|_| ask(&world, leader.clone(), Ask::Count)).collect();
        SimRuntime::sleep(world.dice().millis(0..5)).await;
        cut_both_ways(&world, std::slice::from_ref(&leader.run.name), &others(&world, &leader));
        for _ in 0..50 {
            SimRuntime::sleep(Duration::from_millis(20)).await;
            asked.push(ask(&world, leader.clone(), Ask::Count));
        }
        assert!(another_leads(&world, &leader, Duration::from_secs(5)).await);
        // Each says that it is broken when it has waited for too long.
        for answer in asked {
            answer.await.unwrap();
        }
    });
}

#[test]
fn a_voter_that_was_removed_while_it_was_away_hears_of_it() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        world.place("core-4");
        world.start("core-4");
        assert!(add(&world, "core-4", Duration::from_secs(20)).await);
        let leader = world.leader().unwrap();
        let gone = others(&world, &leader).into_iter().find(|name| **name != *"core-4").unwrap();
        world.kill(&gone);
        SimRuntime::sleep(Duration::from_secs(2)).await;
        leader.voter.members.remove(&[gone.to_string()]).await.unwrap();
        world.start(&gone);
        assert!(world.until(Duration::from_secs(10), || world.get(&gone).is_some()).await);
        let removed = world.get(&gone).unwrap();
        SimRuntime::timeout(Duration::from_secs(30), removed.removal.wait()).await.unwrap();
    });
}

#[test]
fn a_disk_that_replaces_another_one_is_another_node() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        world.place("core-4");
        world.start("core-4");
        assert!(add(&world, "core-4", Duration::from_secs(20)).await);
        let leader = world.leader().unwrap();
        let name = others(&world, &leader).into_iter().find(|name| **name != *"core-4").unwrap();
        let old = *world.disk(&name).unwrap().node.lock().unwrap();
        SimRuntime::sleep(Duration::from_secs(2)).await;
        leader.voter.members.remove(&[name.to_string()]).await.unwrap();
        world.kill(&name);
        world.place(&name);
        world.start(&name);
        assert!(add(&world, &name, Duration::from_secs(20)).await);
        let has_id = || world.disk(&name).unwrap().node.lock().unwrap().is_some();
        assert!(world.until(Duration::from_secs(10), has_id).await);
        assert_ne!(*world.disk(&name).unwrap().node.lock().unwrap(), old);
    });
}

#[test]
fn a_leader_that_removes_itself_and_a_learner_leaves_the_rest_to_others_and_all_hear_of_it() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        world.place("core-4");
        world.start("core-4");
        assert!(add(&world, "core-4", Duration::from_secs(20)).await);
        let leader = world.leader().unwrap();
        let others = others(&world, &leader).into_iter().filter(|name| **name != *"core-4");
        let names = others.take(1).chain([leader.run.name.clone(), "core-4".into()]);
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        leader.voter.members.remove(&names).await.unwrap();
        assert!(another_leads(&world, &leader, Duration::from_secs(15)).await);
    });
}

/// Microseconds.
const HOUR: u64 = 3_600_000_000;

#[test]
fn a_leader_whose_clock_jumps_stamps_nothing_and_gives_up_the_lead() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let leader = world.leader().unwrap();
        let clock = world.ahead(&leader.run.name);
        let before = leader.voter.state.head().time_us;
        clock.fetch_add(HOUR, Ordering::Relaxed);
        assert_eq!(ask(&world, leader.clone(), Ask::Count).await.unwrap(), Told::NotDone);
        assert!(another_leads(&world, &leader, Duration::from_secs(10)).await);
        let stamped = leader.voter.state.head().time_us;
        assert!(stamped < before + HOUR / 2, "{stamped} comes from the wrong clock");
        // Nobody can make it lead until it is set.
        let new = world.leader().unwrap();
        let _ = new.voter.members.transfer(&leader.run.name, Duration::from_secs(2)).await;
        assert!(another_leads(&world, &leader, Duration::from_secs(20)).await);
        clock.fetch_sub(HOUR, Ordering::Relaxed);
        let is_set = || leader.voter.metrics.clock_wrong.get() == 0;
        assert!(world.until(Duration::from_secs(30), is_set).await);
    });
}

#[test]
fn clocks_that_all_jump_are_right_again_once_they_are_compared() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let leader = world.leader().unwrap();
        for name in world.names() {
            world.ahead(&name).fetch_add(HOUR, Ordering::Relaxed);
        }
        let taken = async {
            while !matches!(ask(&world, leader.clone(), Ask::Count).await, Ok(Told::Committed(_))) {
                SimRuntime::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(SimRuntime::timeout(Duration::from_secs(20), Box::pin(taken)).await.is_ok());
    });
}

/// Lets a voter have the lead at once, although the leader knows nothing of it and leads on.
async fn take_lead(world: &World, new: &Running, old: &Running) {
    let (vote, to) = ({ old.voter.raft.metrics().borrow_watched().vote }, new.run.id);
    for running in world.running().into_iter().filter(|running| running.run.id != old.run.id) {
        let request = TransferLeaderRequest::new(vote, to, None);
        running.voter.raft.handle_transfer_leader(request).await.unwrap().unwrap();
    }
}

#[test]
fn old_answers_do_not_confirm_the_reads_of_a_leader_that_others_have_replaced() {
    each_seed(|world| async move {
        cluster(&world, 3).await;
        let leader = world.leader().unwrap();
        let others = others(&world, &leader);
        let own = vec![Arc::clone(&leader.run.name)];
        // The others take one more change, and elect somebody else. Their answers come after that, one after the other, and
        // the first of them makes the leader append again, which nobody hears.
        let cut = world.net().cut(Cut { from: others.clone(), to: own.clone() });
        let waits = ask(&world, leader.clone(), Ask::Count);
        SimRuntime::sleep(Duration::from_millis(10)).await;
        world.net().cut(Cut { from: own, to: others.clone() });
        take_lead(&world, &world.get(&others[0]).unwrap(), &leader).await;
        assert!(another_leads(&world, &leader, Duration::from_millis(400)).await);
        let reads: Vec<_> = (0..20).map(|_| ask(&world, leader.clone(), Ask::Read)).collect();
        SimRuntime::sleep(world.dice().millis(1..20)).await;
        world.net().heal(cut);
        for asked in reads.into_iter().chain([waits]) {
            asked.await.unwrap();
        }
    });
}
