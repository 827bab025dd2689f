//! How a voter learns that it was removed: the others tell it when it asks for their votes, or where they stand.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime as _, ServerState};
use tokio::sync::watch;

use crate::environment::Environment;
use crate::member::Member;
use crate::message::Call;
use crate::network::Network;
use crate::state_machine::Raft;

/// How often somebody without a vote asks whether it is a member.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Shared by all who may hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    heard: Arc<watch::Sender<Option<Removed>>>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    /// Who said it.
    pub(crate) by: Member,
    /// The index of the committed membership without this voter, or a later one.
    pub(crate) index: u64,
}

impl Removal {
    pub(crate) fn new() -> Self {
        Self { heard: Arc::new(watch::Sender::new(None)) }
    }

    /// A member says that this voter is in no membership that it knows up to this index, and its node id is older. Node
    /// ids are indexes of the log and each membership is later than the ids it adds, so it never will be in one again.
    pub(crate) fn heard(&self, by: &Member, index: u64) {
        self.heard.send_if_modified(|heard| {
            let is_first = heard.is_none();
            heard.get_or_insert_with(|| Removed { by: by.clone(), index });
            is_first
        });
    }

    /// Waits until it is heard.
    pub(crate) async fn wait(&self) -> Removed {
        let mut heard = self.heard.subscribe();
        let found = heard.wait_for(Option::is_some).await.ok().and_then(|heard| heard.clone());
        match found {
            Some(removed) => removed,
            None => std::future::pending().await,
        }
    }
}

/// Whoever has no vote asks for none and would never hear that it was removed: a learner, and a leader that has removed
/// itself. It asks everybody where they stand, and a refusal is noted.
pub(crate) async fn ask_without_vote<E: Environment>(raft: Raft<E>, network: Network<E>) {
    loop {
        E::Runtime::sleep(ASK_EVERY).await;
        for (id, member) in others_without_vote(&raft) {
            // The network notes what a refusal says; whoever does not answer is asked again.
            let _ = network.to(id, member).call(&Call::Status, ANSWERED_WITHIN).await;
        }
    }
}

/// The other members, if this one has no vote.
fn others_without_vote<E: Environment>(raft: &Raft<E>) -> Vec<(u64, Member)> {
    let metrics = raft.metrics();
    let seen = metrics.borrow_watched();
    if seen.state != ServerState::Learner {
        return vec![];
    }
    let members = seen.membership_config.membership().nodes();
    members.filter(|(id, _)| **id != seen.id).map(|(id, member)| (*id, member.clone())).collect()
}
