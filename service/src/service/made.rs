//! A change of one zone on its way into the core: as one batch with what takes it back, or where both do not fit one,
//! beside what answers.
//!
//! ```text
//! make(view) ─▶ batch, undo ─┬─ fits ───▶ one batch, built over everything in flight
//!                            └─ does not ▶ make(view) once more, the zone held ─▶ a new generation, and a flip
//! ```

use std::sync::Arc;

use zonecast_builder::{
    ChangeKind, FullBuild, ReadError, RememberError, Undo, aliases_through, retire_present, zone_info, zone_sections,
};
use zonecast_kv_core::{ChangeError, Editions};
use zonecast_kv_proto::{Batch, Idempotency, Once, Version, View};
use zonecast_records::Name;

use super::Service;
use crate::answer::{Answer, Wrote};
use crate::error::ServiceError;
use crate::import::{NewGeneration, SWEPT, basis, replace_generation};
use crate::zone::{Author, Terms, blocking};

/// How often a zone is planned anew when it was changed meanwhile, before whoever replaces it is told to come again.
pub(super) const MAX_ATTEMPTS: u32 = 5;

/// What a change comes to.
#[derive(Debug)]
pub struct Made<A> {
    /// Empty if all was so already.
    pub batch: Batch,
    /// What takes it back.
    pub undo: Undo,
    /// Of the zone afterwards.
    pub serial: u32,
    /// For whoever asked, and asks again.
    pub answer: A,
}

/// A change that is committed.
#[derive(Debug)]
pub struct CommittedChange<A> {
    /// Without one, edges see nothing of it.
    pub version: Option<Version>,
    /// Whether anything changed.
    pub changed: bool,
    /// For whoever asked.
    pub answer: A,
}

/// Of a change that is built beside what answers.
struct Beside {
    author: Author,
    kind: ChangeKind,
    once: Option<Idempotency>,
}

/// Why a change was not proposed as one batch.
enum NotOne {
    Beside,
    Refused(ServiceError),
}

impl From<ServiceError> for NotOne {
    fn from(error: ServiceError) -> Self {
        Self::Refused(error)
    }
}

impl From<ReadError> for NotOne {
    fn from(error: ReadError) -> Self {
        Self::Refused(error.into())
    }
}

impl Service {
    /// Makes a change of a zone, if the condition holds where it is made.
    ///
    /// # Errors
    /// The condition does not hold, what `make` says, somebody replaces the zone, or the core cannot commit.
    pub async fn make<A: Answer>(
        &self,
        apex: Name,
        terms: Terms,
        kind: ChangeKind,
        make: impl Fn(&dyn View) -> Result<Made<A>, ServiceError> + Send + Sync + 'static,
    ) -> Result<Wrote<CommittedChange<A>>, ServiceError> {
        let guard = self.locks().change(apex).ok_or_else(|| ServiceError::busy(&apex))?;
        let Terms { who, condition, once } = terms;
        let author = self.author(who.name());
        let make = Arc::new(move |view: &dyn View| {
            condition.check(view, &apex)?;
            make(view)
        });
        let (first, by) = (Arc::clone(&make), author.clone());
        let build = move |view: &dyn View, _: &Editions<'_>| {
            let Made { mut batch, undo, serial: _, answer } = first(view)?;
            let changed = !batch.is_empty();
            match undo.remember(view, &mut batch, by.note(kind)) {
                Ok(()) => {}
                Err(RememberError::TooLarge) => return Err(NotOne::Beside),
                Err(RememberError::Read(error)) => return Err(error.into()),
            }
            let entries = aliases_through(view, &apex, &batch)?;
            Ok((batch, answer.note(), (entries, CommittedChange { version: None, changed, answer })))
        };
        let (built, pending) = match self.propose(once, build).await {
            Ok(proposed) => proposed,
            Err(ChangeError::Build(NotOne::Beside)) => {
                drop(guard);
                return self.make_beside(apex, Beside { author, kind, once }, make).await;
            }
            Err(ChangeError::Build(NotOne::Refused(error))) => return Err(error),
            Err(ChangeError::Propose(error)) => return Err(error.into()),
        };
        let (entries, committed) = built.unzip();
        let landed = self.commit_and_look(pending, entries.unwrap_or_default()).await?;
        match (landed, committed) {
            (Wrote::Now(version), Some(committed)) => Ok(Wrote::Now(CommittedChange { version, ..committed })),
            (Wrote::Now(_), None) => Err(ServiceError::internal("a change was committed that was not built")),
            (Wrote::Before(earlier), _) => Ok(Wrote::Before(earlier)),
        }
    }

    /// The same as a new generation.
    async fn make_beside<A: Answer>(
        &self,
        apex: Name,
        Beside { author, kind, once }: Beside,
        make: Arc<impl Fn(&dyn View) -> Result<Made<A>, ServiceError> + Send + Sync + 'static>,
    ) -> Result<Wrote<CommittedChange<A>>, ServiceError> {
        let guard = self.locks().replace(apex).await.ok_or_else(|| ServiceError::busy(&apex))?;
        let mut attempts = 1..;
        let wrote = loop {
            let lead = self.core().hold_lead()?;
            let (ids, core) = (self.allocate(1).await?, self.core().clone());
            let (make, author) = (Arc::clone(&make), author.clone());
            let planned = blocking(move || {
                let view = core.view();
                let Made { batch, serial, answer, .. } = make(&view)?;
                let zone = zone_info(&view, &apex)?.ok_or_else(|| ServiceError::no_zone(&apex))?;
                let [published, private] = zone_sections(zone.identity.id);
                let basis = basis(&view, [published, private, SWEPT])?;
                let committed = CommittedChange { version: None, changed: !batch.is_empty(), answer };
                let build = FullBuild::beside(&view, &apex, &batch, ids.generation()?)?;
                let closing = retire_present(&view, &apex, serial, author.note(kind)).map_err(never_too_large)?;
                Ok((NewGeneration::of(build, closing, basis), committed))
            });
            let (work, committed) = planned.await?;
            let once = once.map(|idempotency| Once { idempotency, note: committed.answer.note() });
            match replace_generation(self.core(), lead, work, once).await {
                Err(ServiceError::Overtaken(_)) if attempts.next() < Some(MAX_ATTEMPTS) => {}
                wrote => break wrote.map(|wrote| wrote.map(|version| CommittedChange { version, ..committed })),
            }
        };
        drop(guard);
        self.look_within(apex);
        wrote
    }
}

/// Of what takes back a change of the keys of a zone itself.
pub(super) fn never_too_large(error: RememberError) -> ServiceError {
    match error {
        RememberError::Read(error) => error.into(),
        error @ RememberError::TooLarge => ServiceError::internal(error),
    }
}
