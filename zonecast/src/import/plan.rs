//! What it takes to make the store hold a zone as its text says. Reads a view, writes nothing.
//!
//! # Invariants
//! What is planned from a view requires that the zone is still as it was there; a zone that was not there, that nobody
//! has made one at its apex. So a plan that somebody has overtaken is refused when it is proposed, whoever held which
//! lock.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use zonecast_builder::{
    Change, ChangeNote, Diff, FullBuild, ZoneIdentity, ZoneSettings, creating, creation_section, retire_present,
    zone_info, zone_layers, zone_sections,
};
use zonecast_ingest::digest_zone_file;
use zonecast_kv_proto::{Batch, Precondition, SectionId};
use zonecast_kv_store::StateView;
use zonecast_records::{Generation, Name, ZoneId};

use crate::api::types::Finding;
use crate::metrics::{Build, Metrics};
use crate::service::settings::Chosen;
use crate::service::zone_file::{BuiltZone, LoadedZone, ZoneText};
use crate::service::{Origin, ServiceError};

/// Changes of a zone up to so many bytes go as one batch: well below what a batch may hold, and no more than edges
/// should apply at once.
const ONE_BATCH: usize = 1024 * 1024;

/// Ids for new zones and generations, allocated from the core beforehand.
#[derive(Debug)]
pub(crate) struct IdSource {
    ids: Mutex<Range<u64>>,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Plan {
    /// Nothing: the zone was made of the same text.
    Unchanged {
        /// In the text.
        records: u64,
    },
    /// One batch, with its preconditions; without sections when nothing differs.
    Small(Planned<Batch>),
    /// A new generation.
    Large(Planned<NewGeneration>),
}

/// Work on one zone.
#[derive(Debug)]
pub(crate) struct Planned<W> {
    /// What is to be done.
    pub work: W,
    /// In the text.
    pub records: u64,
    /// What the zone will have.
    pub serial: u32,
    /// What is odd but served.
    pub warnings: Vec<Finding>,
}

/// A generation to be built beside the present one, if there is one.
pub(crate) struct NewGeneration {
    /// Under which its keys stand.
    pub identity: ZoneIdentity,
    /// Bulk that nothing refers to yet, and last the batch that flips the zone key.
    pub batches: Box<dyn Iterator<Item = Batch> + Send>,
    /// What else belongs into the last batch.
    pub closing: Batch,
    /// As the sections are that say whether the zone is still as it was.
    pub basis: Vec<Precondition>,
}

impl fmt::Debug for NewGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewGeneration").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl IdSource {
    /// Over ids that belong to the caller.
    #[must_use]
    pub(crate) fn new(ids: Range<u64>) -> Self {
        Self { ids: Mutex::new(ids) }
    }

    /// How many are needed for this many zones: an id and a generation each, and another generation where the text has
    /// to be built twice.
    #[must_use]
    pub(crate) fn needed(zones: usize) -> u64 {
        u64::try_from(zones).unwrap_or(u64::MAX).saturating_mul(3)
    }

    fn next(&self) -> Result<u64, ServiceError> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.next().ok_or_else(|| ServiceError::internal("more ids are needed than were allocated"))
    }

    fn identity(&self, id: Option<ZoneId>) -> Result<ZoneIdentity, ServiceError> {
        let id = id.map_or_else(|| self.next().map(ZoneId::new), Ok)?;
        Ok(ZoneIdentity { id, generation: Generation::new(self.next()?) })
    }
}

/// Plans one zone over the present state. Parses and builds: it takes a while for a large zone.
///
/// # Errors
/// The text breaks a rule, or the store could not be read.
pub(crate) fn plan_zone(
    view: &StateView,
    text: ZoneText<'_>,
    zone: (&Name, Chosen),
    ids: &IdSource,
    (note, metrics): (ChangeNote<'_>, &Metrics),
) -> Result<Plan, ServiceError> {
    plan(view, text, zone, ids, (note, metrics)).inspect_err(|error| metrics.not_built(Build::Full, error))
}

fn plan(
    view: &StateView,
    text: ZoneText<'_>,
    (apex, chosen): (&Name, Chosen),
    ids: &IdSource,
    (note, metrics): (ChangeNote<'_>, &Metrics),
) -> Result<Plan, ServiceError> {
    let Some(present) = zone_info(view, apex).map_err(ServiceError::internal)? else {
        let built = build(text, apex, (ids.identity(None)?, (chosen.over(ZoneSettings::default()), vec![])), metrics)?;
        let basis = basis(view, [creation_section(apex)])?;
        return Ok(new_zone(built, apex, basis));
    };
    if let (Some(origin), ZoneText::File { root, file }) = (Origin::from_bytes(&present.origin), text)
        && digest_zone_file(root, file, apex).is_ok_and(|digest| digest == origin.digest)
    {
        return Ok(Plan::Unchanged { records: origin.records });
    }
    let basis = basis(view, zone_sections(present.identity.id))?;
    let layers = zone_layers(view, apex).map_err(ServiceError::internal)?;
    let settings = chosen.over(present.settings);
    let built = build(text, apex, (present.identity, (settings, layers.clone())), metrics)?;
    let diff = built.build.diff(view, ONE_BATCH).map_err(ServiceError::internal)?;
    match diff {
        Diff::Batch(mut batch, undo) => {
            undo.remember(view, &mut batch, note).map_err(ServiceError::internal)?;
            batch.preconditions = if batch.is_empty() { vec![] } else { basis };
            Ok(Plan::Small(planned(built, |_| batch)))
        }
        Diff::TooLarge => {
            // Keys hold their generation, so this takes another build; it is rare.
            drop(built);
            let identity = ids.identity(Some(present.identity.id))?;
            let built = build(text, apex, (identity, (settings, layers)), metrics)?;
            let serial = built.build.serial().into_int();
            let closing = retire_present(view, apex, serial, note).map_err(ServiceError::internal)?;
            Ok(Plan::Large(new_generation(built, closing, basis)))
        }
    }
}

/// How the sections are that a plan stands on.
fn basis(view: &StateView, sections: impl IntoIterator<Item = SectionId>) -> Result<Vec<Precondition>, ServiceError> {
    let at = |section| view.edition(section).map(|edition| Precondition { section, edition });
    sections.into_iter().map(at).collect::<Result<_, _>>().map_err(ServiceError::internal)
}

/// All keys of a zone that is not there: one batch, where they fit.
fn new_zone(built: BuiltZone, apex: &Name, basis: Vec<Precondition>) -> Plan {
    let Planned { work: generation, records, serial, warnings } = new_generation(built, Batch::default(), basis);
    let NewGeneration { identity, batches, closing, basis } = generation;
    let mut batches = batches.peekable();
    let apex = *apex;
    let mut next = move || {
        let batch = batches.next()?;
        Some(if batches.peek().is_none() { creating(batch, &apex) } else { batch })
    };
    let (first, second) = (next().unwrap_or_default(), next());
    if second.is_none() {
        let work = Batch { preconditions: basis, ..first };
        return Plan::Small(Planned { work, records, serial, warnings });
    }
    let batches = Box::new(std::iter::once(first).chain(second).chain(std::iter::from_fn(next)));
    let work = NewGeneration { identity, batches, closing, basis };
    Plan::Large(Planned { work, records, serial, warnings })
}

fn new_generation(built: BuiltZone, closing: Batch, basis: Vec<Precondition>) -> Planned<NewGeneration> {
    planned(built, |build| {
        let identity = build.identity();
        NewGeneration { identity, batches: Box::new(build.into_batches(ONE_BATCH)), closing, basis }
    })
}

fn planned<W>(built: BuiltZone, work: impl FnOnce(FullBuild) -> W) -> Planned<W> {
    let BuiltZone { build, warnings, records } = built;
    let serial = build.serial().into_int();
    Planned { work: work(build), records, serial, warnings }
}

fn build(
    text: ZoneText<'_>,
    apex: &Name,
    (identity, settings): (ZoneIdentity, (ZoneSettings, Vec<Change>)),
    metrics: &Metrics,
) -> Result<BuiltZone, ServiceError> {
    let refused = |findings: Vec<Finding>| ServiceError::refused(format_args!("zone {apex} is refused"), findings);
    let loaded = LoadedZone::read(text, apex).map_err(refused)?;
    let started = Instant::now();
    let built = loaded.build(identity, settings).map_err(refused)?;
    metrics.built_zone(started.elapsed());
    Ok(built)
}
