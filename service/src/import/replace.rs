//! A zone too large for one batch: its keys go beside the present ones in many batches, and one small batch makes them
//! the present ones.

use zonecast_builder::delete_generation;
use zonecast_kv_core::Core;
use zonecast_kv_proto::{Batch, Precondition, Version};

use super::{Committer, NewGeneration};
use crate::error::ServiceError;

/// Commits a new generation. Gives the version of the flip.
///
/// # Errors
/// A batch could not be committed, or somebody has changed the zone since the generation was planned; the new keys are
/// then deleted again.
pub(crate) async fn replace_generation(
    core: &Core,
    generation: NewGeneration,
) -> Result<Option<Version>, ServiceError> {
    let NewGeneration { identity, mut batches, mut closing, mut basis } = generation;
    let mut committer = Committer::new(core.clone());
    let mut next = batches.next();
    while let Some(mut batch) = next {
        next = batches.next();
        if next.is_none() {
            batch.preconditions = std::mem::take(&mut basis);
            batch.join(std::mem::take(&mut closing));
        }
        count(&mut basis, &batch);
        committer.push(&batch, ()).await?;
    }
    // After any other failure it is not known what happened: the sweep at the next start sees.
    let flipped = committer.finish().await?;
    let Some(((), refusal)) = committer.overtaken().next() else { return Ok(flipped) };
    committer.push(&delete_generation(identity), ()).await?;
    committer.finish().await?;
    Err(ServiceError::Overtaken(refusal.to_string()))
}

/// Our own batches move the editions, too.
fn count(basis: &mut [Precondition], batch: &Batch) {
    for Precondition { section, edition } in basis {
        if batch.sections.iter().any(|touched| touched.id == *section && !touched.ops.is_empty()) {
            *edition = edition.next().expect("editions do not reach 2^64");
        }
    }
}
