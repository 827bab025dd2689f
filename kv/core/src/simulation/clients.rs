//! Clients: they count, put, load in bulk and read, wait for so long and no longer, and never ask a second time.

use std::ops::Range;
use std::time::Duration;

use openraft::AsyncRuntime as _;
use openraft_rt_sim::SimRuntime;
use zonecast_kv_proto::{Batch, Precondition};

use super::history::{Operation, Told};
use super::run::now;
use super::state_disk::SimState;
use super::world::{Running, World};
use super::writes::{BULK, COUNTERS, PAIRS, PUTS, count, counter_key, pair, put, read_value};
use crate::environment::State as _;
use crate::outcome::{ChangeError, Outcome, ProposeError};

/// Milliseconds between two operations of a client.
const THINKS: Range<u64> = 5..60;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Nothing that was asked stays unanswered for so long: a lead without a majority ends after 10 s, and what it had on its
/// way after 5 more.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// What a client asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    Count,
    Put,
    Pair,
    Read,
}

/// Asks until the world ends.
pub(crate) async fn client(world: World) {
    let dice = world.dice().clone();
    while !world.is_ending() {
        SimRuntime::sleep(dice.millis(THINKS)).await;
        // Many at once, so that some wait when a lead is lost.
        let burst = if dice.one_in(30) { 20 } else { 1 };
        let asked: Vec<_> = (0..burst).filter_map(|_| ask_somebody(&world)).collect();
        for answer in asked {
            let _ = SimRuntime::timeout(PATIENCE, answer).await;
        }
    }
}

type Answer = openraft_rt_sim::SimJoinHandle<Told>;

fn ask_somebody(world: &World) -> Option<Answer> {
    let dice = world.dice();
    let what = dice.pick(&[Ask::Count, Ask::Count, Ask::Count, Ask::Put, Ask::Put, Ask::Pair, Ask::Read, Ask::Read])?;
    let running =
        if dice.one_in(6) || matches!(what, Ask::Read) { dice.pick(&world.running()) } else { world.leader() };
    Some(ask(world, running?, what))
}

/// Asks one voter; the answer is noted, however late it comes.
pub(crate) fn ask(world: &World, running: Running, what: Ask) -> Answer {
    let (world, id) = (world.clone(), world.number());
    SimRuntime::spawn(async move {
        let invoked = now();
        let answer = SimRuntime::timeout(ANSWERED_WITHIN, answer(&world, &running, id, what)).await;
        let told = answer.unwrap_or_else(|_| {
            let run = &running.run;
            world.witness().broken(format!("operation {id}, {what:?}, has no answer from {run:?} and never will"));
            Told::Unknown
        });
        world.witness().told(Operation { id, invoked, returned: now(), told });
        told
    })
}

async fn answer(world: &World, running: &Running, id: u64, what: Ask) -> Told {
    match what {
        Ask::Count => {
            let number = world.dice().below(COUNTERS);
            change(running, move |value| count(id, number, value(&counter_key(number)) + 1)).await
        }
        Ask::Put => {
            let number = world.dice().below(PUTS);
            change(running, move |_| put(id, number)).await
        }
        Ask::Pair => bulk(running, pair(id, world.dice().below(PAIRS))).await,
        Ask::Read => read(running).await,
    }
}

/// Changes what a builder makes of a reader of counters.
async fn change(running: &Running, build: impl FnOnce(&dyn Fn(&[u8]) -> u64) -> Batch + Send + 'static) -> Told {
    let changed = running.voter.change(move |view, _| {
        let read = |key: &[u8]| {
            let mut value = vec![];
            let is_there = view.get(key, &mut value).unwrap();
            if is_there { read_value(&value).unwrap().1 } else { 0 }
        };
        Ok::<_, std::convert::Infallible>((build(&read), ()))
    });
    match changed.await {
        Ok(((), pending)) => told(pending.await),
        Err(ChangeError::Propose(ProposeError::Lost)) => Told::Unknown,
        Err(_) => Told::NotDone,
    }
}

async fn bulk(running: &Running, batch: Batch) -> Told {
    let edition = SimState::edition(&running.voter.state.view(), BULK).unwrap();
    let batch = Batch { preconditions: vec![Precondition { section: BULK, edition }], ..batch };
    match running.voter.propose(&batch).await {
        Ok(pending) => told(pending.await),
        Err(ProposeError::Lost) => Told::Unknown,
        Err(_) => Told::NotDone,
    }
}

async fn read(running: &Running) -> Told {
    if running.voter.catch_up(PATIENCE).await.is_err() {
        return Told::NotRead;
    }
    let content = running.content();
    Told::Read { revision: content.head().revision, content: content.hash() }
}

fn told(outcome: Outcome) -> Told {
    match outcome {
        Outcome::Committed { revision, .. } => Told::Committed(revision),
        Outcome::Refused(_) | Outcome::NotLeader { .. } => Told::NotDone,
        Outcome::Unknown => Told::Unknown,
    }
}
