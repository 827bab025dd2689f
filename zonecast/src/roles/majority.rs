//! What a core waits for before it is ready: a majority of its cluster, and everything that it has committed.

use std::time::Duration;

use sd_notify::NotifyState;
use zonecast_kv_core::{ClusterStatus, Core, MemberRole, ReadError};
use zonecast_service::exit::{Failure, Outcome};

use super::Stop;
use super::process::notify;
use super::running_core::RunningCore;

/// Between two lines in the log that say who is missing.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Between two looks at who leads, right after an election.
const LOOK: Duration = Duration::from_millis(100);

/// What a core is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It takes changes.
    Leads,
    /// Another one does.
    Follows,
}

/// Waits until this core has everything that was committed, and says what it is. Nothing, when it was asked to stop.
///
/// # Errors
/// This core cannot go on.
pub(super) async fn wait(running: &RunningCore, stop: &Stop) -> Outcome<Option<Stands>> {
    tokio::select! {
        stands = stands(running.core(), running.name()) => stands.map(Some),
        () = stop.asked() => Ok(None),
    }
}

async fn stands(core: &Core, name: &str) -> Outcome<Stands> {
    loop {
        match core.catch_up(TOLD_EVERY).await {
            Ok(()) => {}
            Err(ReadError::Timeout(_)) => {
                tell(&core.cluster().await);
                continue;
            }
            Err(error @ ReadError::Unavailable(_)) => return Err(Failure::failed(error)),
        }
        if core.leads() {
            return Ok(Stands::Leads);
        }
        if core.leader().is_some_and(|leader| leader.name != name) {
            return Ok(Stands::Follows);
        }
        // It was elected this moment, or nobody is yet.
        let _ = tokio::time::timeout(LOOK, core.lead_changed(true)).await;
    }
}

fn tell(cluster: &ClusterStatus) {
    let voters = || cluster.members.iter().filter(|member| member.role == MemberRole::Voter);
    let away: Vec<_> =
        voters().filter(|member| member.status.is_none()).map(|member| member.member.to_string()).collect();
    let (of, names) = (voters().count(), away.join(", "));
    let there = of - away.len();
    tracing::warn!(there, of, away = %names, "waiting for a majority of the cores: start those that are away");
    notify(NotifyState::Status(&format!("waiting for a majority: {there} of {of} cores are there; away: {names}")));
}
