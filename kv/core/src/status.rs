//! What is known of a cluster: who is in it, and where each member stands.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::async_runtime::watch::WatchReceiver as _;

use crate::environment::{Environment, State as _};
use crate::member::Member;
use crate::members::{Candidate, MemberRole};
use crate::message::{Answer, Call, NodeStatus};
use crate::server::own_status;
use crate::voter::Voter;

/// How long a member has to say where it stands.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// A cluster, as one of its cores knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Node id of the core that says this.
    pub id: u64,
    /// Its raft term.
    pub term: u64,
    /// The feature level that the cluster has agreed on, as far as this core has applied the log.
    pub level: u32,
    /// Node id of the leader, if one is known.
    pub leader: Option<u64>,
    /// The membership is between two: a change is under way.
    pub is_changing: bool,
    /// Everybody in it, by node id.
    pub members: Vec<MemberStatus>,
    /// Cores that ask to join. Known to the leader only.
    pub candidates: Vec<Candidate>,
}

/// A member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its node id.
    pub id: u64,
    /// Its name and address.
    pub member: Member,
    /// Whether it votes.
    pub role: MemberRole,
    /// Where it stands; absent where it does not answer.
    pub status: Option<NodeStatus>,
}

impl<E: Environment> Voter<E> {
    /// See [`Core::cluster`](crate::Core::cluster).
    pub(crate) fn cluster(&self) -> BoxFuture<'_, ClusterStatus> {
        async move {
            let (mut cluster, id) = {
                let metrics = self.raft.metrics();
                let seen = metrics.borrow_watched();
                let membership = seen.membership_config.membership();
                let voters: Vec<u64> = membership.voter_ids().collect();
                let role = |id| if voters.contains(id) { MemberRole::Voter } else { MemberRole::Learner };
                let members = membership.nodes().map(|(id, member)| MemberStatus {
                    id: *id,
                    member: member.clone(),
                    role: role(id),
                    status: None,
                });
                let cluster = ClusterStatus {
                    id: seen.id,
                    term: seen.current_term,
                    level: self.state.head().level,
                    leader: seen.current_leader,
                    is_changing: membership.get_joint_config().len() > 1,
                    members: members.collect(),
                    candidates: self.members.candidates(),
                };
                (cluster, seen.id)
            };
            let asked = cluster.members.iter().map(|member| async move {
                if member.id == id {
                    return Some(own_status(&self.raft, &self.loan));
                }
                let way = self.network.to(member.id, member.member.clone());
                match way.call(&Call::Status, ANSWERED_WITHIN).await {
                    Ok(Answer::Status(status)) => Some(status),
                    _ => None,
                }
            });
            let statuses = futures_util::future::join_all(asked).await;
            for (member, status) in cluster.members.iter_mut().zip(statuses) {
                member.status = status;
            }
            cluster
        }
        .boxed()
    }
}
