//! What a zone was before: kept as what takes each of its last changes back.
//!
//! ```text
//! history of the zone ── newest to oldest, each entry's undo ──▶ entries as they were ──▶ a view of the past
//! present + past ─┬─ rollback ──▶ the batch that makes the present the past, with a serial that goes on
//!                 └─ compare ───▶ records that went and came
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use thiserror::Error;
use zonecast_kv_proto::{Batch, Edition, Key, Overlay, OverlayView, View};
use zonecast_records::{ChangeKind, Generation, Name, ZoneChange, ZoneId};

use crate::ops::batch_of_both;
use crate::pages::collect;
use crate::read_error::ReadError;
use crate::retired::{KEPT_GENERATIONS, generations_of};
use crate::shape::ZoneIdentity;
use crate::undo::{Points, RememberError, change_key, change_number, last_change, points_as_ops, take_back};
use crate::zone_keys::PresentZone;

/// One change of a zone, without what takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastChange {
    /// Counted from 1 in each zone.
    pub number: u64,
    /// How.
    pub kind: ChangeKind,
    /// Seconds of Unix time.
    pub time: u64,
    /// Name of a token, or how else the change came.
    pub by: String,
    /// Of the SOA before.
    pub serial_before: u32,
    /// Of the SOA afterwards.
    pub serial: u32,
    /// Whether the generation that the zone had before is still there.
    pub can_be_undone: bool,
}

/// NotServed a state of a zone cannot be had.
#[derive(Debug, Error)]
pub enum PastError {
    /// The store could not be read, or there is no such zone.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No such change, or one that is not kept any more.
    #[error("change {wanted} is not kept: the history of the zone goes from {oldest} to {newest}")]
    NotKept {
        /// Which was asked for.
        wanted: u64,
        /// The state before the oldest change that is kept.
        oldest: u64,
        /// The last change.
        newest: u64,
    },
    /// A generation that is deleted by now.
    #[error(
        "change {0} replaced the whole zone, and what it was before is deleted by now: it is kept for a while only, and of \
         one zone {KEPT_GENERATIONS} times at most; import it as it should be"
    )]
    Deleted(u64),
    /// Somebody else changed the zone since then.
    #[error(
        "change {wanted} is not the last one, change {newest} is; say which state the zone is to go back to, or undo \
         change {newest} first"
    )]
    NotLast {
        /// Which was to be undone.
        wanted: u64,
        /// The last change.
        newest: u64,
    },
    /// It does not fit one batch: build it beside what answers, see [`RememberError::TooLarge`].
    #[error("the way back does not fit one batch")]
    Beside,
}

impl From<RememberError> for PastError {
    fn from(error: RememberError) -> Self {
        match error {
            RememberError::Read(error) => error.into(),
            RememberError::TooLarge => Self::Beside,
        }
    }
}

/// Entries of a zone as they were after one of its changes, where they differ from now.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) points: Points,
    overlay: Overlay,
}

/// The last changes of the zone at `apex`, newest first, at most `limit`.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn zone_log(view: &dyn View, apex: &Name, limit: usize) -> Result<Vec<PastChange>, ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let id = zone.shape.identity.id;
    let kept = kept_generations(view, &zone)?;
    let newest = last_change(view, id)?;
    let oldest = newest.saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX)) + 1;
    let (start, end) = (change_key(id, oldest), change_key(id, u64::MAX));
    let mut changes = collect(view, (start.as_bytes(), end.as_bytes()), |key, value| {
        let change = ZoneChange::decode(value).map_err(|source| ReadError::value(key, source))?;
        Ok(PastChange {
            number: change_number(key),
            kind: change.kind(),
            time: change.time,
            by: change.by.to_owned(),
            serial_before: change.serial_before,
            serial: change.serial,
            can_be_undone: kept.contains(&change.generation_before),
        })
    })?;
    changes.reverse();
    Ok(changes)
}

impl Past {
    /// What the zone was after its change `to`.
    pub(crate) fn read(view: &dyn View, zone: &PresentZone, to: u64) -> Result<Self, PastError> {
        let ZoneIdentity { id, .. } = zone.shape.identity;
        let kept = kept_generations(view, zone)?;
        let newest = last_change(view, id)?;
        if to > newest {
            return Err(not_kept(view, id, (to, newest))?);
        }
        let mut points = Points::new();
        let mut value = Vec::new();
        for number in (to + 1..=newest).rev() {
            let key = change_key(id, number);
            if !view.get(key.as_bytes(), &mut value).map_err(ReadError::from)? {
                return Err(not_kept(view, id, (to, newest))?);
            }
            let change = ZoneChange::decode(&value).map_err(|source| ReadError::value(key.as_bytes(), source))?;
            if !kept.contains(&change.generation_before) {
                return Err(PastError::Deleted(number));
            }
            take_back(&change, &mut points).map_err(|source| ReadError::Undo { key, source })?;
        }
        let overlay = laid_over(&batch_of_both(id, points_as_ops(&points)));
        Ok(Self { points, overlay })
    }

    /// The store as it was, as far as this zone goes.
    pub(crate) fn view<'p>(&'p self, view: &'p dyn View) -> OverlayView<'p, &'p dyn View> {
        self.overlay.over(view)
    }

    /// Keys that differ from now.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.points.keys()
    }
}

/// Generations of a zone whose keys are there.
fn kept_generations(view: &dyn View, zone: &PresentZone) -> Result<BTreeSet<Generation>, ReadError> {
    let ZoneIdentity { id, generation } = zone.shape.identity;
    let mut kept = BTreeSet::from([generation]);
    kept.extend(generations_of(view, id)?.into_iter().map(|retired| retired.identity.generation));
    Ok(kept)
}

/// A batch to be laid over a view.
pub(crate) fn laid_over(batch: &Batch) -> Overlay {
    let mut overlay = Overlay::new();
    let staged: Result<(), std::convert::Infallible> = overlay.stage(0, batch, |_| Ok(Edition::default()));
    let Ok(()) = staged;
    overlay
}

fn not_kept(view: &dyn View, id: ZoneId, (wanted, newest): (u64, u64)) -> Result<PastError, ReadError> {
    let mut oldest = newest;
    view.scan(change_key(id, 0).as_bytes(), change_key(id, u64::MAX).as_bytes(), &mut |key, _| {
        oldest = change_number(key).saturating_sub(1);
        ControlFlow::Break(())
    })?;
    Ok(PastError::NotKept { wanted, oldest, newest })
}
