//! Changes of the membership, by the leader.
//!
//! # Invariants
//! - Node ids are indexes of the raft log: never given twice, and older than every membership that has them. A change
//!   that another one overtook is refused, so this holds whatever happens between the two.
//! - One change at a time; one that a crash left half done is finished by the next leader.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::{AsyncRuntime, ChangeMembers, Instant as _, Precondition, RaftMetrics, ServerState};
use thiserror::Error;
use zonecast_kv_proto::{Command, StoreId};

use crate::environment::{Environment, State as _};
use crate::join::{JoinAnswer, JoinRequest};
use crate::member::{MAX_TEXT, Member};
use crate::sizes::{CannotRemove, Cores};
use crate::state_machine::Raft;
use crate::types::{LogId, Moment, Proposal, TypeConfig};

/// A core that asked to join and was not heard again for so long is not there.
const ASKED_WITHIN: Duration = Duration::from_secs(30);
/// Cores that ask at a time; they need a certificate for it.
const MAX_ASKING: usize = 64;
/// A learner with fewer entries to go than this gets its vote: the rest arrives while the change commits.
const READY_WITHIN: u64 = 1000;
/// How long a change waits for a majority.
const CHANGED_WITHIN: Duration = Duration::from_secs(30);
/// How often a leader looks whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Members<E: Environment> {
    raft: Raft<E>,
    state: E::State,
    /// Who asks to join, from where, and when last.
    asking: Mutex<BTreeMap<String, Asking<E>>>,
    /// Held through a change.
    changing: tokio::sync::Mutex<()>,
}

struct Asking<E: Environment> {
    address: String,
    level: u32,
    last: Moment<E>,
}

/// A core that asks to join and is not a member yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The name in its certificate.
    pub name: String,
    /// Where it says that it is reached.
    pub address: String,
}

/// Why the membership is not changed. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MemberError {
    /// It does not ask.
    #[error(
        "no core with the name {0} asks to join: start it with `join` in its configuration, with a certificate for this \
         name, and an address of this cluster"
    )]
    NotAsking(String),
    /// There is one already.
    #[error("{0} is a member already; to give it a new disk, remove it first")]
    IsMember(String),
    /// Its release is too far from those that are here.
    #[error(
        "the release of {name} has feature level {level}, and the cluster has agreed on {agreed}: it takes in cores of its \
         own level and of the next; install a release of one of them"
    )]
    OtherLevel {
        /// Its name.
        name: String,
        /// The level of its release.
        level: u32,
        /// That of the cluster.
        agreed: u32,
    },
    /// There is none of this name.
    #[error("no member has the name {0}")]
    NoMember(String),
    /// It may not lead.
    #[error("{0} has no vote, so it cannot lead")]
    NoVote(String),
    /// Nobody would be left.
    #[error("nobody would be left to vote")]
    All,
    /// A cluster has 1, 3 or 5 voters.
    #[error(
        "{0} voters would be left, and a cluster has 1, 3 or 5: remove one more with it, or add a core first, which then \
         takes its place"
    )]
    Even(usize),
    /// The present leader is somebody else.
    #[error("this core does not lead")]
    NotLeader,
    /// The change before is not finished, or there is no majority.
    #[error("the membership cannot be changed now: {0}")]
    NotNow(String),
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    /// Votes.
    Voter,
    /// Gets the log and has no vote yet.
    Learner,
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voter => "voter",
            Self::Learner => "learner",
        })
    }
}

impl<E: Environment> Members<E> {
    pub(crate) fn new(raft: Raft<E>, state: E::State) -> Self {
        Self { raft, state, asking: Mutex::default(), changing: tokio::sync::Mutex::default() }
    }

    /// A core asks to join.
    pub(crate) fn join(&self, name: &str, request: &JoinRequest) -> JoinAnswer {
        let metrics = self.raft.metrics();
        let seen = metrics.borrow_watched();
        if self.leads(&seen).is_err() {
            let leader = seen.current_leader.and_then(|id| member(&seen, id));
            return leader.map_or(JoinAnswer::Wait, JoinAnswer::Elsewhere);
        }
        if let Err(error) = self.check_level(name, request.level) {
            return JoinAnswer::Refused(error.to_string());
        }
        if request.address.is_empty() || request.address.len() > MAX_TEXT {
            return JoinAnswer::Refused("it does not say at which address it is reached".into());
        }
        let Some((id, _)) = find(&seen, name) else {
            self.asks(name, request);
            return JoinAnswer::Wait;
        };
        // A learner that never had anything of the log is one that was just admitted, or was killed right then.
        let is_voter = seen.membership_config.voter_ids().any(|voter| voter == id);
        let has_log =
            seen.replication.as_ref().and_then(|replication| replication.get(&id)).is_none_or(Option::is_some);
        if is_voter || has_log {
            return JoinAnswer::Refused(format!(
                "{name} is node {id} of this cluster and now comes with an empty disk: if its disk is lost, `zonecast cluster \
                 remove {name}`, then `zonecast cluster add {name}`; if {name} runs elsewhere, stop this process, or issue it \
                 a certificate with a name of its own"
            ));
        }
        JoinAnswer::Admitted { id, store: self.store() }
    }

    /// Whether a release of this level can be a member. Raising the level later waits for those that are members then.
    fn check_level(&self, name: &str, level: u32) -> Result<(), MemberError> {
        let agreed = self.state.head().level;
        let can = (agreed..=agreed.saturating_add(1)).contains(&level);
        can.then_some(()).ok_or_else(|| MemberError::OtherLevel { name: name.into(), level, agreed })
    }

    fn store(&self) -> StoreId {
        self.state.head().position.store
    }

    fn asks(&self, name: &str, request: &JoinRequest) {
        let JoinRequest { level, address } = request;
        let mut asking = self.asking();
        asking.retain(|_, asking| asking.last.elapsed() < ASKED_WITHIN);
        if asking.contains_key(name) || asking.len() < MAX_ASKING {
            let asks = Asking { address: address.clone(), level: *level, last: Moment::<E>::now() };
            let is_new = asking.insert(name.into(), asks).is_none();
            if is_new {
                tracing::info!(core = name, address, "a core asks to join: `zonecast cluster add {name}` admits it");
            }
        }
    }

    fn asking(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Asking<E>>> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who asks to join.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let asking = self.asking();
        let asking = asking.iter().filter(|(_, asking)| asking.last.elapsed() < ASKED_WITHIN);
        asking.map(|(name, asking)| Candidate { name: name.clone(), address: asking.address.clone() }).collect()
    }

    /// Admits a core that asks, as a learner. Says its node id.
    pub(crate) fn add<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<u64, MemberError>> {
        async move {
            let _changing = self.changing.lock().await;
            let before = {
                let metrics = self.raft.metrics();
                let seen = metrics.borrow_watched();
                self.leads(&seen)?;
                if find(&seen, name).is_some() {
                    return Err(MemberError::IsMember(name.into()));
                }
                precondition(&seen)
            };
            let candidate = self.candidates().into_iter().find(|candidate| candidate.name == name);
            let Candidate { name, address } = candidate.ok_or_else(|| MemberError::NotAsking(name.into()))?;
            let level = self.asking().get(&name).map(|asking| asking.level);
            let id = self.raft.write_blank().await.map_err(not_now)?.log_id.index;
            // Now that everything is applied which was committed before.
            level.map_or(Ok(()), |level| self.check_level(&name, level))?;
            let nodes = BTreeMap::from([(id, Member { name: name.clone(), address })]);
            self.change(ChangeMembers::AddNodes(nodes), before).await?;
            self.asking().remove(&name);
            tracing::info!(core = name, id, "admitted as a learner");
            Ok(id)
        }
        .boxed()
    }

    /// Removes members of these names.
    pub(crate) fn remove<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<(), MemberError>> {
        async move {
            let _changing = self.changing.lock().await;
            let (before, learners, voters) = {
                let metrics = self.raft.metrics();
                let seen = metrics.borrow_watched();
                self.leads(&seen)?;
                let ids = names
                    .iter()
                    .map(|name| Ok(find(&seen, name).ok_or_else(|| MemberError::NoMember(name.clone()))?.0));
                let gone = ids.collect::<Result<BTreeSet<u64>, _>>()?;
                let voters = cores(&seen).remove(&gone).map_err(|why| match why {
                    CannotRemove::All => MemberError::All,
                    CannotRemove::Even(left) => MemberError::Even(left),
                })?;
                let had_votes: BTreeSet<u64> = seen.membership_config.voter_ids().collect();
                let learners: BTreeSet<u64> = gone.difference(&had_votes).copied().collect();
                (precondition(&seen), learners, (voters != had_votes).then_some(voters))
            };
            // Learners go first: the other step may take the lead from this voter.
            let before = if learners.is_empty() {
                before
            } else {
                self.change(ChangeMembers::RemoveNodes(learners), before).await?;
                let metrics = self.raft.metrics();
                let seen = metrics.borrow_watched();
                self.leads(&seen)?;
                precondition(&seen)
            };
            // Takes the votes, and with them the members who had some.
            if let Some(voters) = voters {
                self.change(ChangeMembers::ReplaceAllVoters(voters), before).await?;
            }
            tracing::info!(?names, "removed");
            Ok(())
        }
        .boxed()
    }

    /// Goes through a change, both steps of a joint one. The next leader finishes what is not finished in time.
    async fn change(
        &self,
        change: ChangeMembers<u64, Member>,
        before: Precondition<TypeConfig<E>>,
    ) -> Result<(), MemberError> {
        let changing = self.raft.change_membership_if(change, false, [before]);
        match E::Runtime::timeout(CHANGED_WITHIN, changing).await {
            Ok(changed) => changed.map(drop).map_err(not_now),
            Err(_) => Err(MemberError::NotNow(format!(
                "no majority has answered within {} s; the change may still come to its end",
                CHANGED_WITHIN.as_secs()
            ))),
        }
    }

    /// Gives the lead to the voter of this name, and waits for it.
    pub(crate) fn transfer<'a>(&'a self, name: &'a str, within: Duration) -> BoxFuture<'a, Result<(), MemberError>> {
        async move {
            let id = {
                let metrics = self.raft.metrics();
                let seen = metrics.borrow_watched();
                self.leads(&seen)?;
                let (id, _) = find(&seen, name).ok_or_else(|| MemberError::NoMember(name.into()))?;
                if !seen.membership_config.voter_ids().any(|voter| voter == id) {
                    return Err(MemberError::NoVote(name.into()));
                }
                id
            };
            self.hand_over(id, within).await
        }
        .boxed()
    }

    /// Gives the lead to the voter that has most of the log, if there is another one.
    pub(crate) async fn hand_over_to_best(&self, within: Duration) -> Result<(), MemberError> {
        let best = {
            let metrics = self.raft.metrics();
            let seen = metrics.borrow_watched();
            self.leads(&seen)?;
            let voters: BTreeSet<u64> = seen.membership_config.voter_ids().filter(|id| *id != seen.id).collect();
            let matched = seen.replication.iter().flatten().filter(|(id, _)| voters.contains(id));
            matched.max_by_key(|(_, matched)| matched.as_ref().map(|log_id| log_id.index)).map(|(id, _)| *id)
        };
        match best {
            Some(best) => self.hand_over(best, within).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn hand_over(&self, to: u64, within: Duration) -> Result<(), MemberError> {
        if to == *self.raft.node_id() {
            return Ok(());
        }
        self.raft.trigger().transfer_leader(to).await.map_err(not_now)?;
        let handed = self.raft.wait(Some(within)).current_leader(to, "the lead is handed over").await;
        handed.map(drop).map_err(|_| MemberError::NotNow("the other core did not take the lead in time".into()))
    }

    /// Tells where a member is now.
    pub(crate) fn moved(&self, id: u64, to: Member) -> BoxFuture<'_, Result<(), MemberError>> {
        async move {
            let _changing = self.changing.lock().await;
            let before = {
                let metrics = self.raft.metrics();
                let seen = metrics.borrow_watched();
                self.leads(&seen)?;
                match member(&seen, id) {
                    Some(present) if present == to => return Ok(()),
                    Some(_) => precondition(&seen),
                    None => return Err(MemberError::NoMember(to.name)),
                }
            };
            // A wrong address cannot do harm: whoever is there must have the certificate of this name.
            let nodes = BTreeMap::from([(id, to)]);
            self.change(ChangeMembers::SetNodes(nodes), before).await
        }
        .boxed()
    }

    /// Raises the feature level, unless the membership is not that of this entry any more: all of its cores have the level.
    pub(crate) async fn raise_level(&self, level: u32, membership: Option<LogId>) -> Result<(), MemberError> {
        let _changing = self.changing.lock().await;
        let leader_id = {
            let metrics = self.raft.metrics();
            let seen = metrics.borrow_watched();
            self.leads(&seen)?;
            if *seen.membership_config.log_id() != membership {
                return Err(MemberError::NotNow("it has just changed".into()));
            }
            seen.vote.leader_id
        };
        let proposal = Proposal(Command::RaiseLevel { level: level.into() }.to_bytes());
        let raising = self.raft.write(proposal).with_leader(leader_id);
        let raised = E::Runtime::timeout(CHANGED_WITHIN, raising.into_future()).await;
        raised.map_err(|_| MemberError::NotNow("no majority has answered".into()))?.map_err(not_now)?;
        tracing::info!(level, "every core has this feature level, and the cluster has agreed on it");
        Ok(())
    }

    /// As long as this voter leads: finishes changes that are half done, and gives votes to learners that are ready.
    pub(crate) async fn look_after(&self) {
        loop {
            E::Runtime::sleep(LOOK_EVERY).await;
            if let Err(error) = self.next_step().await
                && error != MemberError::NotLeader
            {
                tracing::warn!(%error, "a change of the membership is tried again");
            }
        }
    }

    async fn next_step(&self) -> Result<(), MemberError> {
        let Ok(_changing) = self.changing.try_lock() else { return Ok(()) };
        let (before, voters) = {
            let metrics = self.raft.metrics();
            let seen = metrics.borrow_watched();
            self.leads(&seen)?;
            let sets = seen.membership_config.membership().get_joint_config();
            let half_done = sets.get(1..).and_then(<[_]>::last).cloned();
            let Some(voters) = half_done.or_else(|| cores(&seen).promote()) else { return Ok(()) };
            (precondition(&seen), voters)
        };
        self.change(ChangeMembers::ReplaceAllVoters(voters.clone()), before).await?;
        tracing::info!(?voters, "the membership has changed");
        Ok(())
    }

    /// A leader that removes itself leads until that is committed, and is still the last one that it has heard of
    /// afterwards. openraft would take further changes from it, and panics on them with its debug assertions on.
    fn leads(&self, seen: &RaftMetrics<TypeConfig<E>>) -> Result<(), MemberError> {
        let has_vote = seen.membership_config.voter_ids().any(|voter| voter == seen.id);
        let leads = seen.current_leader == Some(seen.id) && seen.state == ServerState::Leader;
        if leads && has_vote { Ok(()) } else { Err(MemberError::NotLeader) }
    }
}

/// The member of this name.
pub(crate) fn find<E: Environment>(seen: &RaftMetrics<TypeConfig<E>>, name: &str) -> Option<(u64, Member)> {
    let mut members = seen.membership_config.membership().nodes();
    members.find(|(_, member)| member.name == name).map(|(id, member)| (*id, member.clone()))
}

/// The member with this node id.
pub(crate) fn member<E: Environment>(seen: &RaftMetrics<TypeConfig<E>>, id: u64) -> Option<Member> {
    seen.membership_config.membership().get_node(&id).cloned()
}

/// Nobody has changed the membership since.
fn precondition<E: Environment>(seen: &RaftMetrics<TypeConfig<E>>) -> Precondition<TypeConfig<E>> {
    Precondition::LastMembershipLogId { last_membership_log_id: *seen.membership_config.log_id() }
}

fn cores<E: Environment>(seen: &RaftMetrics<TypeConfig<E>>) -> Cores {
    let last = seen.last_log_index.unwrap_or_default();
    let matched = |id: &u64| seen.replication.as_ref()?.get(id)?.map(|log_id| log_id.index);
    let learners = seen.membership_config.membership().learner_ids();
    let (ready, behind) =
        learners.partition(|id| matched(id).is_some_and(|matched| last.saturating_sub(matched) < READY_WITHIN));
    Cores { voters: seen.membership_config.voter_ids().collect(), ready, behind }
}

fn not_now(error: impl fmt::Display) -> MemberError {
    MemberError::NotNow(error.to_string())
}
