//! Reads that wait for the leader to confirm that it leads: those that wait when a [`ReadRound`] begins share it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use openraft::AsyncRuntime as _;
use openraft::impls::leader_id_adv::LeaderId;
use tokio::sync::{mpsc, oneshot};

use crate::environment::Environment;
use crate::member::Member;
use crate::message::{Answer, Call};
use crate::network::Network;
use crate::read_round::{Confirmed, ReadRound, Tenure};
use crate::state_machine::Raft;

/// Reads that wait for a round; more wait for a place among them.
const WAITING: usize = 4096;
/// A round that takes so long has lost its questions on the way: the next one asks again.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

/// The index up to which a read must have applied the log, or why it is not known.
type ReadIndex = Result<u64, String>;

/// Takes reads of a voter, and of others if this one leads. Clones share it.
#[derive(Clone)]
pub(crate) struct Reads {
    queue: mpsc::Sender<oneshot::Sender<ReadIndex>>,
}

impl Reads {
    pub(crate) fn new<E: Environment>(raft: Raft<E>, network: Network<E>) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, waiting) = mpsc::channel(WAITING);
        (Self { queue }, confirm_all(raft, network, waiting))
    }

    /// The index up to which everything was committed when this was called, if this voter leads.
    pub(crate) async fn index(&self) -> ReadIndex {
        let (tell, told) = oneshot::channel();
        let stops = || "this core stops".to_owned();
        self.queue.send(tell).await.map_err(|_| stops())?;
        told.await.unwrap_or_else(|_| Err(stops()))
    }
}

/// Round after round, until nobody can ask any more.
async fn confirm_all<E: Environment>(
    raft: Raft<E>,
    network: Network<E>,
    mut waiting: mpsc::Receiver<oneshot::Sender<ReadIndex>>,
) {
    let mut reads = Vec::new();
    while waiting.recv_many(&mut reads, WAITING).await > 0 {
        let index = confirm(&raft, &network).await;
        for read in reads.drain(..) {
            // It may have gone.
            let _ = read.send(index.clone());
        }
    }
}

async fn confirm<E: Environment>(raft: &Raft<E>, network: &Network<E>) -> ReadIndex {
    let Standing { tenure, members } = standing(raft).await?;
    let mut round = ReadRound::new(tenure);
    let others = round.others().into_iter().map(|voter| (voter, members.get(&voter).cloned().unwrap_or_default()));
    let mut answers: FuturesUnordered<_> = others.map(|(voter, member)| ask(network, voter, member)).collect();
    let asking = async {
        loop {
            match round.confirmed() {
                Confirmed::Yes(index) => return Ok(index),
                Confirmed::No => return Err("no majority follows this core".into()),
                Confirmed::NotYet => {}
            }
            let Some((voter, follows)) = answers.next().await else {
                return Err("no majority of the cores has answered".into());
            };
            round.answered(voter, follows);
        }
    };
    let asked = E::Runtime::timeout(CONFIRMED_WITHIN, asking).await;
    asked.unwrap_or_else(|_| Err("no majority of the cores has answered in time".into()))
}

/// What this voter is now, and where the others are. Raft says so between two of its steps, so all of it is of one moment.
struct Standing {
    tenure: Tenure,
    members: BTreeMap<u64, Member>,
}

async fn standing<E: Environment>(raft: &Raft<E>) -> Result<Standing, String> {
    let id = *raft.node_id();
    let looked = raft.with_raft_state(move |state| {
        let (vote, membership) = (*state.vote_ref(), state.membership_state.effective().membership());
        if !vote.committed || vote.leader_id.node_id != id {
            return Err("this core does not lead");
        }
        let committed = state.local_committed().filter(|committed| committed.leader_id == vote.leader_id);
        let committed = committed.ok_or("this core has committed nothing since it leads")?.index;
        Ok(Standing {
            tenure: Tenure { leader: vote.leader_id, committed, voters: membership.get_joint_config().clone() },
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
        })
    });
    looked.await.map_err(|fatal| fatal.to_string())?.map_err(str::to_owned)
}

/// Whom a voter follows, if it says so.
async fn ask<E: Environment>(network: &Network<E>, voter: u64, member: Member) -> (u64, Option<LeaderId<u64, u64>>) {
    match network.to(voter, member).call(&Call::Leader, CONFIRMED_WITHIN).await {
        Ok(Answer::Leader(leader)) => (voter, Some(leader)),
        Ok(_) => (voter, None),
        Err(error) => {
            tracing::debug!(voter, %error, "a voter does not say whom it follows");
            (voter, None)
        }
    }
}
