//! A zone too large for one batch: its keys go beside the present ones in many batches, and one small batch makes them
//! the present ones.

use zonecast_builder::delete_generation;
use zonecast_kv_core::Core;
use zonecast_kv_proto::{Batch, Edition, KeyspaceId, Precondition, SectionId, Version};

use super::{Committer, NewGeneration};
use crate::service::ServiceError;

/// Commits a new generation; the caller holds the zone, so that nobody else changes it. Gives the version of the flip.
///
/// # Errors
/// A batch could not be committed, or somebody changed the zone all the same; the new keys are then deleted again.
pub(crate) async fn replace_generation(
    core: &Core,
    generation: NewGeneration,
) -> Result<Option<Version>, ServiceError> {
    let NewGeneration { identity, mut batches, mut closing } = generation;
    let mut editions = Editions::read(core, identity.id.get())?;
    let mut committer = Committer::new(core.clone());
    let mut next = batches.next();
    while let Some(mut batch) = next {
        next = batches.next();
        if next.is_none() {
            batch.preconditions = editions.preconditions();
            batch.join(std::mem::take(&mut closing));
        }
        editions.count(&batch);
        committer.push(&batch, vec![]).await?;
    }
    let flipped = committer.settle().await;
    // After any other failure it is not known what happened: the sweep at the next start sees.
    if matches!(flipped, Err(ServiceError::Overtaken(_))) {
        committer.push(&delete_generation(identity), vec![]).await?;
        committer.settle().await?;
    }
    flipped
}

/// Editions of a zone's sections as our own batches move them.
struct Editions {
    sections: [(SectionId, Edition); 2],
}

impl Editions {
    fn read(core: &Core, partition: u64) -> Result<Self, ServiceError> {
        let view = core.view();
        let read = |keyspace| {
            let section = SectionId { keyspace, partition };
            view.edition(section).map(|edition| (section, edition)).map_err(ServiceError::internal)
        };
        Ok(Self { sections: [read(KeyspaceId::DNS)?, read(KeyspaceId::CORE)?] })
    }

    fn count(&mut self, batch: &Batch) {
        for (id, edition) in &mut self.sections {
            if batch.sections.iter().any(|section| section.id == *id && !section.ops.is_empty()) {
                *edition = edition.next().expect("editions do not reach 2^64");
            }
        }
    }

    fn preconditions(&self) -> Vec<Precondition> {
        self.sections.iter().map(|(section, edition)| Precondition { section: *section, edition: *edition }).collect()
    }
}
