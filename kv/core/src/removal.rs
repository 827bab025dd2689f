//! How a voter learns that it was removed: the others tell it when it asks for their votes, or where they stand.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime as _, Instant as _, ServerState};
use tokio::sync::watch;

use crate::environment::Environment;
use crate::join::anyone;
use crate::member::Member;
use crate::message::{ANYBODY, Call};
use crate::network::Network;
use crate::state_machine::Raft;

/// How often somebody who hears of no leader asks whether it is a member.
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

/// Whoever has heard of no leader for a while asks all others where they stand: a refusal is noted. A voter would hear it
/// when it asks for votes, too, but not a learner, a leader that has removed itself, or one that reaches nobody at the
/// addresses that it knows. So those are asked, too, where a core asks to be let in.
pub(crate) async fn ask_whether_removed<E: Environment>(raft: Raft<E>, network: Network<E>, join: Vec<String>) {
    loop {
        E::Runtime::sleep(ASK_EVERY).await;
        if hears_leader(&raft).await {
            continue;
        }
        let anyone = anyone(&join).into_iter().map(|member| (ANYBODY, member));
        let asked = others(&raft).into_iter().chain(anyone).map(|(id, member)| {
            let way = network.to(id, member);
            // The network notes what a refusal says; whoever does not answer is asked again.
            async move { way.call(&Call::Status, ANSWERED_WITHIN).await.is_ok() }
        });
        join_all(asked).await;
    }
}

/// Whether this voter leads, or has heard of its leader since it was looked last.
async fn hears_leader<E: Environment>(raft: &Raft<E>) -> bool {
    let heard = raft.with_raft_state(|state| {
        // One that asks for votes has given its own a moment ago.
        let since = state.vote_last_modified().filter(|_| state.vote_ref().committed).map(|heard| heard.elapsed());
        state.server_state == ServerState::Leader || since.is_some_and(|since| since < ASK_EVERY)
    });
    heard.await.unwrap_or(true)
}

/// The other members, as this voter knows them.
fn others<E: Environment>(raft: &Raft<E>) -> Vec<(u64, Member)> {
    let metrics = raft.metrics();
    let seen = metrics.borrow_watched();
    let members = seen.membership_config.membership().nodes().filter(|(id, _)| **id != seen.id);
    members.map(|(id, member)| (*id, member.clone())).collect()
}
