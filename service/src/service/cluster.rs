//! The cluster that this core is in: how it stands, who comes, who goes, who leads.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use zonecast_kv_core::{ClusterStatus, Core, MemberError, MemberRole, MemberStatus, NodeStatus};

use super::Service;
use crate::error::ServiceError;
use crate::who::Who;
use zonecast_api::types::{ClusterCandidate, ClusterInfo, ClusterMember, ClusterMemberState, ClusterRole};

/// For another core to take the lead.
const LEAD_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks for the metrics: often enough for alerts that wait a minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Service {
    /// The cluster as this core knows it. Asks every other core, for a second at the most.
    pub async fn cluster(&self) -> ClusterInfo {
        let importer = self.importer().unwrap_or_else(|error| {
            tracing::error!(%error, "whose zone files are imported cannot be read");
            None
        });
        ClusterInfo { importer, ..described(self.core().cluster().await) }
    }

    /// Lets a core in that asks to join.
    ///
    /// # Errors
    /// It does not ask, is a member, or this core does not lead.
    pub async fn add_core(self: &Arc<Self>, name: String, who: &Who) -> Result<ClusterInfo, ServiceError> {
        let own = self.cluster().await;
        if own.members.iter().any(|member| member.name == own.core && member.address.is_empty()) {
            return Err(ServiceError::Membership(format!(
                "{} does not say where other cores reach it: set `address` in `[cluster]` of its configuration and \
                 restart it",
                own.core
            )));
        }
        self.change_members(who, async move |core| core.add_member(&name).await.map(drop)).await
    }

    /// Removes cores.
    ///
    /// # Errors
    /// There is none of that name, an even number of voters would be left, or this core does not lead.
    pub async fn remove_cores(self: &Arc<Self>, names: Vec<String>, who: &Who) -> Result<ClusterInfo, ServiceError> {
        if names.is_empty() {
            return Err(ServiceError::bad("`names` is empty: which cores are to be removed?"));
        }
        self.change_members(who, async move |core| core.remove_members(&names).await).await
    }

    /// Gives the lead to another core.
    ///
    /// # Errors
    /// There is none of that name, it does not take it in time, or this core does not lead.
    pub async fn transfer_lead(self: &Arc<Self>, to: String, who: &Who) -> Result<ClusterInfo, ServiceError> {
        self.change_members(who, async move |core| core.transfer_lead(&to, LEAD_WITHIN).await).await
    }

    async fn change_members<F>(
        self: &Arc<Self>,
        who: &Who,
        change: impl FnOnce(Core) -> F,
    ) -> Result<ClusterInfo, ServiceError>
    where
        F: Future<Output = Result<(), MemberError>> + Send + 'static,
    {
        let (service, changing) = (Arc::clone(self), change(self.core().clone()));
        let changed = async move {
            changing.await.map_err(|error| service.not_changed(error))?;
            Ok(service.cluster().await)
        };
        self.to_the_end(who, changed).await
    }

    fn not_changed(&self, error: MemberError) -> ServiceError {
        match error {
            MemberError::NotAsking(_) | MemberError::NoMember(_) => ServiceError::NoCore(error.to_string()),
            MemberError::IsMember(_)
            | MemberError::NoVote(_)
            | MemberError::All
            | MemberError::Even(_)
            | MemberError::OtherLevel { .. } => ServiceError::Membership(error.to_string()),
            MemberError::NotLeader => {
                ServiceError::NotLeader { leader: self.core().leader().map(|leader| leader.to_string()) }
            }
            MemberError::NotNow(_) => ServiceError::NotNow(error.to_string()),
        }
    }

    /// Keeps the metrics of the cluster current for as long as the process lives.
    pub async fn watch_cluster(&self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            self.metrics().cluster().show(&self.cluster().await);
        }
    }
}

fn described(cluster: ClusterStatus) -> ClusterInfo {
    let states = || cluster.members.iter().filter_map(|member| member.status);
    let last = states().map(|state| state.last).max().unwrap_or_default();
    let name = |id| cluster.members.iter().find(|member| member.id == id).map(|member| member.member.name.clone());
    let voters = || cluster.members.iter().filter(|member| member.role == MemberRole::Voter);
    let (of, reached) = (voters().count(), voters().filter(|member| member.status.is_some()).count());
    let mut members: Vec<_> = cluster.members.iter().map(|member| about(member, cluster.leader, last)).collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    ClusterInfo {
        core: name(cluster.id).unwrap_or_default(),
        term: cluster.term,
        leader: cluster.leader.and_then(name),
        voters: of as u64,
        reached: reached as u64,
        may_fail: reached.checked_sub(of / 2 + 1).map(|left| left as u64),
        changing: cluster.is_changing,
        level: cluster.level,
        members,
        importer: None,
        asking: cluster
            .candidates
            .iter()
            .map(|core| ClusterCandidate { name: core.name.clone(), address: core.address.clone() })
            .collect(),
    }
}

fn about(member: &MemberStatus, leader: Option<u64>, longest: u64) -> ClusterMember {
    ClusterMember {
        name: member.member.name.clone(),
        id: member.id,
        role: match member.role {
            MemberRole::Voter if leader == Some(member.id) => ClusterRole::Leader,
            MemberRole::Voter => ClusterRole::Follower,
            MemberRole::Learner => ClusterRole::Learner,
        },
        address: member.member.address.clone(),
        state: member.status.map(|state| stands(state, longest)),
    }
}

fn stands(state: NodeStatus, longest: u64) -> ClusterMemberState {
    let NodeStatus { pid, term, last, applied, level, now_us: _ } = state;
    ClusterMemberState { pid, term, last, applied, lag: longest.saturating_sub(last), level }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_core::Member;

    use super::*;

    fn member(id: u64, role: MemberRole, last: Option<u64>) -> MemberStatus {
        let status = last.map(|last| NodeStatus { pid: 1, term: 2, last, applied: last, level: 2, now_us: 0 });
        MemberStatus { id, member: Member { name: format!("core-{id}"), address: String::new() }, role, status }
    }

    #[test]
    fn a_status_says_who_leads_who_is_away_and_how_many_may_fail() {
        let cluster = ClusterStatus {
            id: 9,
            term: 2,
            level: 1,
            leader: Some(1),
            is_changing: false,
            members: vec![
                member(9, MemberRole::Voter, Some(40)),
                member(1, MemberRole::Voter, Some(50)),
                member(3, MemberRole::Voter, None),
                member(4, MemberRole::Learner, Some(10)),
            ],
            candidates: vec![],
        };
        let info = described(cluster);
        assert_eq!((info.core.as_str(), info.leader.as_deref(), info.level), ("core-9", Some("core-1"), 1));
        assert_eq!((info.voters, info.reached, info.may_fail), (3, 2, Some(0)));
        let roles: Vec<_> = info.members.iter().map(|member| (member.name.as_str(), member.role)).collect();
        let expected = [
            ("core-1", ClusterRole::Leader),
            ("core-3", ClusterRole::Follower),
            ("core-4", ClusterRole::Learner),
            ("core-9", ClusterRole::Follower),
        ];
        assert_eq!(roles, expected);
        let lags: Vec<_> = info.members.iter().map(|member| member.state.map(|state| state.lag)).collect();
        assert_eq!(lags, [Some(0), None, Some(40), Some(10)]);
    }
}
