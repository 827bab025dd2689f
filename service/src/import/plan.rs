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
    ChangeNote, Diff, FullBuild, LayerChange, RecordCounts, RememberError, ZoneIdentity, ZoneInfo, ZoneSettings,
    creating, creation_section, retire_present, zone_info, zone_layers, zone_sections,
};
use zonecast_ingest::digest_zone_file;
use zonecast_kv_proto::{Batch, Precondition, SectionId};
use zonecast_kv_store::StateView;
use zonecast_records::{Generation, Name, ZoneId};

use super::SWEPT;
use crate::error::ServiceError;
use crate::metrics::{Build, Metrics};
use crate::zone::Chosen;
use crate::zone::zone_file::{Beside, BuiltZone, LoadedZone, ZoneText};
use crate::zone::{Guard, Origin, StoredZone, hides};
use zonecast_api::types::Finding;

/// Changes of a zone up to so many bytes go as one batch: well below what a batch may hold, and no more than edges
/// should apply at once.
const ONE_BATCH: usize = 1024 * 1024;

/// Of a zone that is only looked at: ids are never so large.
const NOWHERE: ZoneIdentity = ZoneIdentity { id: ZoneId::new(u64::MAX), generation: Generation::new(u64::MAX) };

/// Ids for new zones and generations, allocated from the core beforehand.
#[derive(Debug)]
pub struct IdSource {
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

impl NewGeneration {
    /// Of a build, and what else belongs into its last batch.
    pub(crate) fn of(build: FullBuild, closing: Batch, basis: Vec<Precondition>) -> Self {
        Self { identity: build.identity(), batches: Box::new(build.into_batches(ONE_BATCH)), closing, basis }
    }
}

impl fmt::Debug for NewGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewGeneration").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl IdSource {
    /// Over ids that belong to the caller.
    #[must_use]
    pub fn new(ids: Range<u64>) -> Self {
        Self { ids: Mutex::new(ids) }
    }

    /// How many are needed for this many zones: an id and a generation each, and another generation where the text has
    /// to be built twice.
    #[must_use]
    pub fn needed(zones: usize) -> u64 {
        u64::try_from(zones).unwrap_or(u64::MAX).saturating_mul(3)
    }

    /// For a zone of which there is nothing but its mark.
    pub fn zone_id(&self) -> Result<ZoneId, ServiceError> {
        self.next().map(ZoneId::new)
    }

    fn next(&self) -> Result<u64, ServiceError> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.next().ok_or_else(|| ServiceError::internal("more ids are needed than were allocated"))
    }

    /// Of a generation.
    pub fn generation(&self) -> Result<Generation, ServiceError> {
        self.next().map(Generation::new)
    }

    fn identity(&self, id: Option<ZoneId>) -> Result<ZoneIdentity, ServiceError> {
        let id = id.map_or_else(|| self.next().map(ZoneId::new), Ok)?;
        Ok(ZoneIdentity { id, generation: self.generation()? })
    }
}

/// What a zone is to be made of, and what its request says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ZoneRequest<'r> {
    /// Which zone.
    pub apex: &'r Name,
    /// Its text.
    pub text: ZoneText<'r>,
    /// Settings to choose with it.
    pub chosen: Chosen,
    /// It is meant that much goes.
    pub allow_shrink: bool,
}

/// What a zone would be, beside what it is.
#[derive(Debug)]
pub(crate) struct Preview {
    /// Makes the store hold it; as large as it is.
    pub batch: Batch,
    /// In the text.
    pub records: u64,
    /// What the zone would have.
    pub serial: u32,
    /// What is odd but served.
    pub warnings: Vec<Finding>,
    /// Why it would not be done unless the request says that it is meant.
    pub held: Option<ServiceError>,
}

/// Plans one zone over the present state. Parses and builds: it takes a while for a large zone.
///
/// # Errors
/// The text breaks a rule or takes away too much, or the store could not be read.
pub(crate) fn plan_zone(
    view: &StateView,
    request: ZoneRequest<'_>,
    ids: &IdSource,
    note: ChangeNote<'_>,
    metrics: &Metrics,
) -> Result<Plan, ServiceError> {
    plan(view, request, ids, note, metrics).inspect_err(|error| metrics.not_built(Build::Full, error))
}

fn plan(
    view: &StateView,
    request: ZoneRequest<'_>,
    ids: &IdSource,
    note: ChangeNote<'_>,
    metrics: &Metrics,
) -> Result<Plan, ServiceError> {
    let ZoneRequest { apex, text, chosen, .. } = request;
    let Some(present) = zone_info(view, apex).map_err(ServiceError::internal)? else {
        let beside = beside(view, apex, chosen, ZoneSettings::default(), vec![])?;
        let mut built = build(text, apex, ids.identity(None)?, beside, metrics)?;
        built.warn(hides(view, apex)?);
        let basis = basis(view, [creation_section(apex), SWEPT])?;
        return Ok(new_zone(built, apex, basis));
    };
    let origin = Origin::from_bytes(&present.origin);
    if let (Some(origin), ZoneText::File { root, file, .. }) = (origin, text)
        && digest_zone_file(root, file, apex).is_ok_and(|digest| origin.is_of(digest, chosen.tolerance()))
    {
        return Ok(Plan::Unchanged { records: origin.records });
    }
    let [published, private] = zone_sections(present.identity.id);
    let basis = basis(view, [published, private, SWEPT])?;
    let layers = zone_layers(view, apex).map_err(ServiceError::internal)?;
    let beside = beside(view, apex, chosen, present.settings, layers)?;
    let beside = Beside { before: origin.and_then(|origin| origin.file), ..beside };
    let mut built = build(text, apex, present.identity, beside.clone(), metrics)?;
    let older = look(view, request, &present, &built)?;
    built.warn(older.clone());
    let diff = built.build.diff(view, ONE_BATCH).map_err(ServiceError::internal)?;
    if let Diff::Batch(mut batch, undo) = diff {
        match undo.remember(view, &mut batch, note) {
            Ok(()) => {
                batch.preconditions = if batch.is_empty() { vec![] } else { basis };
                return Ok(Plan::Small(planned(built, |_| batch)));
            }
            Err(RememberError::TooLarge) => {}
            Err(error @ RememberError::Read(_)) => return Err(ServiceError::internal(error)),
        }
    }
    // Keys hold their generation, so this takes another build; it is rare.
    drop(built);
    let identity = ids.identity(Some(present.identity.id))?;
    let mut built = build(text, apex, identity, beside, metrics)?;
    built.warn(older);
    let serial = built.build.serial().into_int();
    let closing = retire_present(view, apex, serial, note).map_err(ServiceError::internal)?;
    Ok(Plan::Large(planned(built, |build| NewGeneration::of(build, closing, basis))))
}

/// What a zone is built with beside its text.
fn beside(
    view: &StateView,
    apex: &Name,
    chosen: Chosen,
    present: ZoneSettings,
    layers: Vec<LayerChange>,
) -> Result<Beside, ServiceError> {
    let hosted_below = StoredZone::below(view, apex).map_err(ServiceError::internal)?;
    Ok(Beside { settings: chosen.over(present), layers, tolerance: chosen.tolerance(), hosted_below, before: None })
}

/// Looks at what would go; gives a warning about a serial that goes back.
fn look(
    view: &StateView,
    request: ZoneRequest<'_>,
    present: &ZoneInfo,
    built: &BuiltZone,
) -> Result<Option<Finding>, ServiceError> {
    let guard = Guard::of(view, present, request.allow_shrink)?;
    let records = RecordCounts { before: present.records, after: built.build.counts().records };
    guard.records(records, 0)?;
    guard.serial(present.serial, built.build.serial())
}

/// What a plan would come to, without ids and without a trace.
///
/// # Errors
/// The text breaks a rule, or the store could not be read.
pub(crate) fn preview_zone(
    view: &StateView,
    request: ZoneRequest<'_>,
    metrics: &Metrics,
) -> Result<Preview, ServiceError> {
    let ZoneRequest { apex, text, chosen, .. } = request;
    let present = zone_info(view, apex)?;
    let (identity, settings, layers) = match &present {
        Some(present) => (present.identity, present.settings, zone_layers(view, apex)?),
        None => (NOWHERE, ZoneSettings::default(), vec![]),
    };
    let beside = beside(view, apex, chosen, settings, layers)?;
    let mut built = build(text, apex, identity, beside, metrics)?;
    let looked = present.as_ref().map_or_else(|| hides(view, apex), |present| look(view, request, present, &built));
    let (warning, held) = match looked {
        Ok(warning) => (warning, None),
        Err(error @ ServiceError::Held(_)) => (None, Some(error)),
        Err(error) => return Err(error),
    };
    built.warn(warning);
    let Planned { work, records, serial, warnings } = planned(built, |build| build);
    let batch = if present.is_some() {
        match work.diff(view, usize::MAX)? {
            Diff::Batch(batch, _) => batch,
            Diff::TooLarge => return Err(ServiceError::internal("the difference is over every limit")),
        }
    } else {
        work.into_batches(usize::MAX).next().unwrap_or_default()
    };
    Ok(Preview { batch, records, serial, warnings, held })
}

/// How the sections are that a plan stands on.
///
/// # Errors
/// The store could not be read.
pub(crate) fn basis(
    view: &StateView,
    sections: impl IntoIterator<Item = SectionId>,
) -> Result<Vec<Precondition>, ServiceError> {
    let at = |section| view.edition(section).map(|edition| Precondition { section, edition });
    sections.into_iter().map(at).collect::<Result<_, _>>().map_err(ServiceError::internal)
}

/// All keys of a zone that is not there: one batch, where they fit.
fn new_zone(built: BuiltZone, apex: &Name, basis: Vec<Precondition>) -> Plan {
    let planned = planned(built, |build| NewGeneration::of(build, Batch::default(), basis));
    let Planned { work: generation, records, serial, warnings } = planned;
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

fn planned<W>(built: BuiltZone, work: impl FnOnce(FullBuild) -> W) -> Planned<W> {
    let BuiltZone { build, warnings, records, .. } = built;
    let serial = build.serial().into_int();
    Planned { work: work(build), records, serial, warnings }
}

fn build(
    text: ZoneText<'_>,
    apex: &Name,
    identity: ZoneIdentity,
    beside: Beside,
    metrics: &Metrics,
) -> Result<BuiltZone, ServiceError> {
    let refused = |findings: Vec<Finding>| ServiceError::refused(format_args!("zone {apex} is refused"), findings);
    let loaded = LoadedZone::read(text, apex).map_err(refused)?;
    let started = Instant::now();
    let built = loaded.build(identity, beside).map_err(refused)?;
    metrics.built_zone(started.elapsed());
    Ok(built)
}
