//! The import of `[zones]` at the start of a core: by the core that is named in the replicated state, once it leads.
//!
//! ```text
//! majority ─▶ leads? ─ yes ─▶ named? ─ yes ─▶ import ─▶ done        (lost the lead on the way: once more)
//!                └─ no ─▶ ask the leader: named? ─ yes ─▶ it gives the lead ─▶ once more
//!                                           └─ no ─▶ say whose are imported
//! ```

use std::collections::HashSet;
use std::time::Duration;

use zonecast_service::exit::{Failure, Outcome};
use zonecast_service::{ImportReport, ServiceError, unmark_unlisted};

use super::Stop;
use super::majority::{self, Stands};
use super::running_core::RunningCore;
use super::zone_folder::ZoneFolder;

/// For the lead to come, once the leader has said that it gives it.
const LEAD_WITHIN: Duration = Duration::from_secs(10);

/// Between two questions to a leader that does not answer.
const AGAIN: Duration = Duration::from_millis(200);

/// An election takes less.
const ELECTED_WITHIN: Duration = Duration::from_secs(5);

/// Imports the zone files of this core, if it is the one whose are imported. Nothing, when it was asked to stop before the
/// end.
///
/// # Errors
/// The core cannot commit.
pub(super) async fn import(
    running: &RunningCore,
    zones: Option<&ZoneFolder>,
    stop: &Stop,
) -> Outcome<Option<ImportReport>> {
    let Some(zones) = zones else { return without_zones(running, stop).await };
    loop {
        let named = tokio::select! {
            named = named(running, stop) => named?,
            () = stop.asked() => None,
        };
        let Some(named) = named else { return Ok(None) };
        if named != running.name() {
            tracing::warn!(
                "the zone files of `[zones]` here are not imported, because those of {named} are: `zonecast cluster \
                 import-at {}` and a restart of this core import these instead",
                running.name()
            );
            running.service().leave_import_to(named);
            return Ok(Some(ImportReport::default()));
        }
        match zones.import(running.service(), stop).await {
            Ok(report) => return Ok(report),
            Err(error) if lost_lead(running, &error).await => {
                tracing::warn!(%error, "another core took the lead during the import of zone files, which begins anew");
            }
            Err(error) => return Err(running.service().failure(error).await),
        }
    }
}

/// A core without zone files; one that leads, and has nobody that imports some, keeps no mark of files that were bad.
async fn without_zones(running: &RunningCore, stop: &Stop) -> Outcome<Option<ImportReport>> {
    let Some(stands) = majority::wait(running, stop).await? else { return Ok(None) };
    let importer = running.service().importer().map_err(Failure::failed)?;
    if stands == Stands::Leads && importer.is_none_or(|importer| importer == running.name()) {
        let unmarked = unmark_unlisted(running.core(), HashSet::new()).await;
        if let Err(error) = unmarked {
            return Err(running.service().failure(error).await);
        }
    }
    Ok(Some(ImportReport::default()))
}

/// The core whose zone files are imported; if it is this one, it leads. Nothing, when it was asked to stop.
async fn named(running: &RunningCore, stop: &Stop) -> Outcome<Option<String>> {
    loop {
        let Some(stands) = majority::wait(running, stop).await? else { return Ok(None) };
        let (core, service, own) = (running.core(), running.service(), running.name());
        if stands == Stands::Leads {
            match service.claim_import(own).await {
                Ok(named) => return Ok(Some(named)),
                Err(error) if lost_lead(running, &error).await => continue,
                Err(error) => return Err(service.failure(error).await),
            }
        }
        let Some(leader) = core.other_leader() else { continue };
        match service.ask_for_import(&leader).await {
            Ok(named) if named == own => _ = tokio::time::timeout(LEAD_WITHIN, core.lead_changed(true)).await,
            Ok(named) => return Ok(Some(named)),
            Err(error) => {
                tracing::debug!(%leader, %error, "the leader does not say whose zone files are imported");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Whether something failed only because this core does not lead any more, or leads anew.
async fn lost_lead(running: &RunningCore, error: &ServiceError) -> bool {
    if running.service().has_lost_lead(error) {
        return true;
    }
    if !matches!(error, ServiceError::NotNow(_) | ServiceError::Unavailable(_)) {
        return false;
    }
    let core = running.core();
    let elected = async {
        while core.other_leader().is_none() && !core.has_stopped() {
            tokio::time::sleep(AGAIN).await;
        }
        core.other_leader().is_some()
    };
    tokio::time::timeout(ELECTED_WITHIN, elected).await.unwrap_or(false)
}
