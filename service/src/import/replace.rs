//! A zone too large for one batch: its keys go beside the present ones in many batches, and one small batch makes them
//! the present ones.

use zonecast_builder::delete_generation;
use zonecast_kv_core::{Core, HeldLead};
use zonecast_kv_proto::{Batch, Once, Precondition, Version};

use super::{Committer, NewGeneration};
use crate::answer::Wrote;
use crate::error::ServiceError;

/// Commits a new generation, all of it under one lead: that under which its id was drawn, or a sweep may take it for an
/// orphan. Gives the version of the flip, which is done `once`, if that says so.
///
/// # Errors
/// A batch could not be committed, or somebody has changed the zone since the generation was planned; the new keys are
/// then deleted again.
pub(crate) async fn replace_generation(
    core: &Core,
    lead: HeldLead,
    generation: NewGeneration,
    mut once: Option<Once>,
) -> Result<Wrote<Option<Version>>, ServiceError> {
    let NewGeneration { identity, mut batches, mut closing, mut basis } = generation;
    let mut committer = Committer::new(core.clone(), lead);
    let mut next = batches.next();
    while let Some(mut batch) = next {
        next = batches.next();
        let mut last = None;
        if next.is_none() {
            batch.preconditions = std::mem::take(&mut basis);
            batch.join(std::mem::take(&mut closing));
            last = once.take();
        }
        count(&mut basis, &batch);
        committer.push_once(&batch, last, ()).await.map_err(|error| not_switched(core, error))?;
    }
    // After any other failure it is not known what happened: the sweep of the next lead sees.
    let flipped = committer.finish().await?;
    let earlier = committer.earlier();
    let overtaken = committer.overtaken().next();
    if earlier.is_none() && overtaken.is_none() {
        return Ok(Wrote::Now(flipped));
    }
    committer.push(&delete_generation(identity), ()).await?;
    committer.finish().await?;
    match (earlier, overtaken) {
        (Some(earlier), _) => Ok(Wrote::Before(earlier)),
        (None, overtaken) => {
            Err(ServiceError::Overtaken(overtaken.map(|((), refusal)| refusal.to_string()).unwrap_or_default()))
        }
    }
}

/// What became of the keys on their way is not known, but the batch that makes them the present ones was not proposed: for
/// whoever asked, nothing was done.
fn not_switched(core: &Core, error: ServiceError) -> ServiceError {
    match error {
        ServiceError::Unknown(_) if core.has_stopped() => ServiceError::Unavailable("it has stopped".into()),
        ServiceError::Unknown(_) => {
            ServiceError::NotLeader { leader: core.other_leader().map(|leader| leader.to_string()) }
        }
        error => error,
    }
}

/// Our own batches move the editions, too.
fn count(basis: &mut [Precondition], batch: &Batch) {
    for Precondition { section, edition } in basis {
        if batch.sections.iter().any(|touched| touched.id == *section && !touched.ops.is_empty()) {
            *edition = edition.next().expect("editions do not reach 2^64");
        }
    }
}
