//! Marks of zones that are listed and could not be loaded: set by an import, and taken away once they are not listed any
//! more.
//!
//! # Invariants
//! A mark is set and taken away only while nobody has made a zone at its apex.

use std::collections::HashSet;

use zonecast_builder::{creation_section, mark_zone, marked_zones};
use zonecast_kv_core::Core;
use zonecast_kv_proto::Batch;
use zonecast_kv_store::StateView;
use zonecast_records::Name;

use super::{Committer, basis};
use crate::error::ServiceError;
use crate::import::IdSource;

/// The batch that marks a zone; `None` when it is there or is marked already.
///
/// # Errors
/// The state could not be read.
pub fn mark(view: &StateView, apex: &Name, ids: &IdSource) -> Result<Option<Batch>, ServiceError> {
    let Some(mark) = mark_zone(view, apex, ids.zone_id()?)? else { return Ok(None) };
    Ok(Some(Batch { preconditions: basis(view, [creation_section(apex)])?, ..mark }))
}

/// Marks zones whose files nobody could begin to read.
///
/// # Errors
/// The state could not be read, or the core cannot commit.
pub async fn mark_all(core: &Core, apexes: HashSet<Name>, ids: IdSource) -> Result<(), ServiceError> {
    let view = core.view();
    let marks = tokio::task::spawn_blocking(move || {
        let marks = apexes.iter().map(|apex| mark(&view, apex, &ids));
        marks.filter_map(Result::transpose).collect::<Result<Vec<Batch>, ServiceError>>()
    });
    let marks = marks.await.map_err(ServiceError::internal)??;
    let mut committer = Committer::leading(core)?;
    for batch in &marks {
        committer.push(batch, ()).await?;
    }
    // Where a zone was made meanwhile, it needs no mark.
    committer.finish().await.map(|_| ())
}

/// Takes away every mark of a zone that is not among these.
///
/// # Errors
/// The state could not be read, or the core cannot commit.
pub async fn unmark_unlisted(core: &Core, listed: HashSet<Name>) -> Result<(), ServiceError> {
    let view = core.view();
    let removals = tokio::task::spawn_blocking(move || {
        let marks = marked_zones(&view)?.into_iter().filter(|mark| !listed.contains(&mark.apex));
        let removal = |mark: zonecast_builder::Mark| {
            let preconditions = basis(&view, [creation_section(&mark.apex)])?;
            Ok(Batch { preconditions, ..mark.removal })
        };
        marks.map(removal).collect::<Result<Vec<Batch>, ServiceError>>()
    });
    let removals = removals.await.map_err(ServiceError::internal)??;
    let mut committer = Committer::leading(core)?;
    for removal in &removals {
        committer.push(removal, ()).await?;
    }
    // Where a zone was made meanwhile, its key has taken the place of the mark.
    committer.finish().await.map(|_| ())
}
