//! Raises the feature level of the cluster, by the leader, once every member runs a release that has a higher one.
//!
//! ```text
//! leader ── what level has your release? ──▶ every member, also those without a vote
//!        ◀── all have answered, the lowest is above the agreed one ── RaiseLevel ─▶ raft log
//! ```
//! A member that is away has not answered, so the level stays: it may come back with the release that it had. Whoever
//! joins has the agreed level or the next, so the lowest cannot fall while the membership is the one that was asked.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime as _, ServerState};
use zonecast_kv_proto::FEATURE_LEVEL;

use crate::environment::{Environment, State as _};
use crate::member::Member;
use crate::members::{MemberError, Members};
use crate::message::{Answer, Call};
use crate::network::Network;
use crate::state_machine::Raft;
use crate::types::LogId;

/// How often a leader looks whether the level can be raised.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a member has to say which level it has.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// What it takes to raise the level.
pub(crate) struct LevelWatch<E: Environment> {
    pub(crate) raft: Raft<E>,
    pub(crate) state: E::State,
    pub(crate) network: Network<E>,
    pub(crate) members: std::sync::Arc<Members<E>>,
}

/// Who is to be asked.
struct Asked {
    /// Of the entry that has made the membership what it is.
    membership: Option<LogId>,
    others: Vec<(u64, Member)>,
}

impl<E: Environment> LevelWatch<E> {
    pub(crate) fn watch(self) -> BoxFuture<'static, ()> {
        async move {
            loop {
                E::Runtime::sleep(LOOK_EVERY).await;
                match self.look().await {
                    Ok(()) | Err(MemberError::NotLeader) => {}
                    Err(error) => tracing::debug!(%error, "the feature level is raised later"),
                }
            }
        }
        .boxed()
    }

    async fn look(&self) -> Result<(), MemberError> {
        let agreed = self.state.head().level;
        if agreed >= FEATURE_LEVEL {
            return Ok(());
        }
        let Some(asked) = self.asked() else { return Ok(()) };
        match self.lowest(&asked.others).await {
            Some(level) if level > agreed => self.members.raise_level(level, asked.membership).await,
            _ => Ok(()),
        }
    }

    /// Everybody but this voter, if it leads.
    fn asked(&self) -> Option<Asked> {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        let nodes = seen.membership_config.membership().nodes();
        let others = nodes.filter(|(id, _)| **id != seen.id).map(|(id, member)| (*id, member.clone())).collect();
        let membership = *seen.membership_config.log_id();
        (seen.state == ServerState::Leader).then_some(Asked { membership, others })
    }

    /// The lowest level that a member has; nothing if one does not answer.
    async fn lowest(&self, others: &[(u64, Member)]) -> Option<u32> {
        let levels = others.iter().map(|(id, member)| async move {
            match self.network.to(*id, member.clone()).call(&Call::Status, ANSWERED_WITHIN).await {
                Ok(Answer::Status(status)) => Some(status.level),
                _ => None,
            }
        });
        join_all(levels).await.into_iter().try_fold(FEATURE_LEVEL, |lowest, level| Some(lowest.min(level?)))
    }
}
