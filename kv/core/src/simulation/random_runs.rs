//! Clients and faults at random; then everything heals, and all voters must come to the same.
//!
//! `ZONECAST_SEED` repeats one run, `ZONECAST_TRACE` shows all that happens, `ZONECAST_SOAK` does many more.

use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;

use super::clients::{Ask, ask, client};
use super::faults::faults;
use super::history::Told;
use super::operators::{add, operator};
use super::witness::Summary;
use super::world::{FOUNDER, Running, World};

const CLIENTS: usize = 5;
const FAULTS: u64 = 18;
const MEMBER_CHANGES: u64 = 5;
/// A second or two of what clients write, so that who was away for some seconds needs a snapshot.
const RAFT_LOG_BYTES: usize = 20_000;
/// How long a cluster may take to come into being.
const BEGUN_WITHIN: Duration = Duration::from_secs(60);
/// And after everything is healed, to come to the same everywhere.
const HEALED_WITHIN: Duration = Duration::from_secs(90);

/// Between two tries of a write.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What a run is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) voters: u64,
    pub(crate) changes_members: bool,
    pub(crate) raft_log_bytes: usize,
    /// A fault of the machines that must be found.
    pub(crate) sabotage: Sabotage,
}

/// What is wrong with the machines on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    Nothing,
    /// Disks say that they have synced, and have not.
    DisksLie,
    /// Who loses power loses its vote.
    VotesAreLost,
}

impl Plan {
    /// What the seed makes of it.
    pub(crate) fn of(seed: u64) -> Self {
        Self {
            seed,
            voters: match seed % 7 {
                0 => 1,
                3 | 6 => 5,
                _ => 3,
            },
            changes_members: seed.is_multiple_of(2),
            raft_log_bytes: if seed.is_multiple_of(5) { usize::MAX } else { RAFT_LOG_BYTES },
            sabotage: Sabotage::Nothing,
        }
    }

    pub(crate) fn run(self) -> Result<Summary, String> {
        let mut runtime = SimRuntime::with_seed(self.seed);
        let ran = runtime.block_on(Box::pin(self.all()));
        ran.map_err(|what| format!("{what}\nZONECAST_SEED={} repeats it: {self:?}", self.seed))
    }

    fn sabotage(self, world: &World) {
        for disk in world.names().iter().filter_map(|name| world.disk(name)) {
            match self.sabotage {
                Sabotage::Nothing => {}
                Sabotage::DisksLie => disk.log.lie(),
                Sabotage::VotesAreLost => disk.log.forget_votes(),
            }
        }
    }

    async fn all(self) -> Result<Summary, String> {
        let world = World::new(self.seed, self.raft_log_bytes);
        cluster(&world, self.voters).await;
        self.sabotage(&world);
        let clients: Vec<_> = (0..CLIENTS).map(|_| SimRuntime::spawn(client(world.clone()))).collect();
        let faults = SimRuntime::spawn(faults(world.clone(), FAULTS));
        if self.changes_members {
            let _ = SimRuntime::spawn(operator(world.clone(), MEMBER_CHANGES)).await;
        }
        let _ = faults.await;
        heal(&world).await;
        world.end();
        for client in clients {
            let _ = client.await;
        }
        converge(&world).await;
        world.witness().end()
    }
}

/// Founds a cluster of so many voters.
pub(crate) async fn cluster(world: &World, voters: u64) {
    world.place(FOUNDER);
    world.start(FOUNDER);
    for number in 2..=voters {
        let name = format!("core-{number}");
        world.place(&name);
        world.start(&name);
        if !add(world, &name, BEGUN_WITHIN).await {
            world.witness().broken(format!("{name} was not admitted"));
        }
    }
    let has_all = || {
        let running = world.running();
        let standing = running.iter().map(Running::standing);
        standing.filter(|standing| standing.voters.len() as u64 == voters && !standing.is_changing).count() as u64
            == voters
    };
    if !world.until(BEGUN_WITHIN, has_all).await {
        world.witness().broken("the cluster does not come into being".into());
    }
}

/// Ends all faults.
async fn heal(world: &World) {
    world.witness().note("everything is healed");
    world.net().heal_all();
    for name in world.nodes() {
        world.start(&name);
    }
    SimRuntime::sleep(Duration::from_secs(2)).await;
}

/// Everybody comes to the same, and writes are taken.
pub(crate) async fn converge(world: &World) {
    if !world.until(HEALED_WITHIN, || is_settled(world)).await {
        let all: Vec<_> = world.running().iter().map(|running| (running.run.clone(), running.standing())).collect();
        world.witness().broken(format!("it does not settle: {all:#?}"));
        return;
    }
    if SimRuntime::timeout(HEALED_WITHIN, Box::pin(take_write(world))).await.is_err() {
        world.witness().broken("a settled cluster takes no write".into());
    }
    if !world.until(HEALED_WITHIN, || is_settled(world)).await {
        world.witness().broken("it does not settle after a write".into());
    }
    let Some(leader) = world.leader() else { return };
    let members = leader.standing().members;
    let (left, removed): (Vec<_>, Vec<_>) =
        world.running().into_iter().partition(|running| members.contains_key(&running.run.id));
    let last = world.witness().commits(|commits| (commits.last(), commits.content(commits.last())));
    for running in left {
        let content = running.content();
        if (content.head().revision, Some(content.hash())) != last {
            world.witness().broken(format!("{:?} does not hold what is committed", running.run));
        }
    }
    for removed in removed {
        if SimRuntime::timeout(HEALED_WITHIN, removed.removal.wait()).await.is_err() {
            let (run, standing) = (&removed.run, removed.standing());
            world.witness().broken(format!("{run:?} was removed and does not hear of it: {standing:?}"));
        }
    }
}

/// Writes until something is committed: somebody may have lost the lead a moment ago.
async fn take_write(world: &World) {
    loop {
        if let Some(leader) = world.leader()
            && matches!(ask(world, leader, Ask::Count).await, Ok(Told::Committed(_)))
        {
            return;
        }
        SimRuntime::sleep(AGAIN_AFTER).await;
    }
}

/// One leads, everybody follows, and has applied everything.
fn is_settled(world: &World) -> bool {
    let Some(leader) = world.leader() else { return false };
    let standing = leader.standing();
    let running = world.running();
    let members = running.iter().filter(|running| standing.members.contains_key(&running.run.id));
    let same = members.clone().all(|running| {
        let own = running.standing();
        own.leader == Some(leader.run.id) && own.applied == standing.last && own.members == standing.members
    });
    let found = members.clone().all(|running| {
        let known = &standing.members[&running.run.id];
        world.address(&known.name).is_some_and(|address| *address == *known.address)
    });
    let voters = members.filter(|running| standing.voters.contains(&running.run.id)).count();
    same && found && voters == standing.voters.len() && !standing.is_changing
}

/// Seeds of this run.
fn seeds() -> Vec<u64> {
    if let Some(seed) = std::env::var("ZONECAST_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return vec![seed];
    }
    let count = if std::env::var_os("ZONECAST_SOAK").is_some() { 1000 } else { 10 };
    (1..=count).collect()
}

#[test]
fn voters_come_to_the_same_whatever_fails() {
    let (mut operations, mut revisions) = (0, 0);
    for seed in seeds() {
        let began = std::time::Instant::now();
        let summary = Plan::of(seed).run().unwrap_or_else(|what| panic!("{what}"));
        operations += summary.operations;
        revisions += summary.revisions;
        println!("seed {seed}: {summary:?} in {:?}", began.elapsed());
    }
    println!("{operations} operations, {revisions} revisions");
}

/// What is found when the machines of these seeds are sabotaged.
fn found(sabotage: Sabotage) -> String {
    let broken = (1..=60).find_map(|seed| {
        let plan = Plan { voters: 3, changes_members: false, raft_log_bytes: usize::MAX, sabotage, ..Plan::of(seed) };
        plan.run().err()
    });
    broken.expect("a sabotage that nobody notices")
}

#[test]
fn disks_that_lie_about_a_sync_are_found() {
    let found = found(Sabotage::DisksLie);
    println!("{}", found.lines().next().unwrap());
}

#[test]
fn votes_that_are_lost_with_the_power_are_found() {
    let found = found(Sabotage::VotesAreLost);
    println!("{}", found.lines().next().unwrap());
}

#[test]
fn the_same_seed_has_the_same_trace() {
    for seed in [3, 4] {
        let once = Plan::of(seed).run().unwrap();
        assert_eq!(Plan::of(seed).run(), Ok(once), "seed {seed}");
    }
}
