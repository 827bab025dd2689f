//! What a zone was after one of its changes: kept as what takes each of its last changes back.
//!
//! ```text
//! history of the zone ── newest to oldest, each entry's undo ──▶ entries as they were ──▶ a view of the past
//! present + past ─┬─ rollback ──▶ the batch that makes the present the past, with a serial that goes on
//!                 └─ compare ───▶ records that went and came
//! ```

use std::ops::ControlFlow;

use thiserror::Error;
use zonecast_kv_proto::{Key, Overlay, OverlayView, View};
use zonecast_records::{ZoneChange, ZoneId};

use crate::history::kept_generations;
use crate::ops::{batch_of_both, laid_over};
use crate::read_error::ReadError;
use crate::retired::KEPT_GENERATIONS;
use crate::shape::ZoneIdentity;
use crate::undo::{Points, RememberError, change_key, change_number, last_change, points_as_ops, take_back};
use crate::zone_keys::PresentZone;

/// Why a state of a zone cannot be had.
#[derive(Debug, Error)]
pub enum PastError {
    /// The store could not be read, or there is no such zone.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No such change, or one that is not kept any more.
    #[error("change {wanted} is not kept: the history of the zone goes from {oldest} to {newest}")]
    NotKept {
        /// The change that was asked for.
        wanted: u64,
        /// The state before the oldest change that is kept.
        oldest: u64,
        /// The last change of the zone.
        newest: u64,
    },
    /// A generation that is deleted by now.
    #[error(
        "change {0} replaced the whole zone, and the core has deleted the zone before it: it keeps replaced zones for \
         a while only, and at most {KEPT_GENERATIONS} of one name; import the zone as it was"
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
        /// The last change of the zone.
        newest: u64,
    },
    /// It does not fit one batch: build it beside what answers, see [`RememberError::TooLarge`].
    #[error("the rollback does not fit one batch")]
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

impl Past {
    /// What the zone was after its change `to`.
    pub(crate) fn read(view: &dyn View, zone: &PresentZone, to: u64) -> Result<Self, PastError> {
        let ZoneIdentity { id, .. } = zone.shape.identity;
        let kept = kept_generations(view, zone)?;
        let newest = last_change(view, id)?;
        if to > newest {
            return Err(not_kept(view, id, to, newest)?);
        }
        let mut points = Points::new();
        let mut value = Vec::new();
        for number in (to + 1..=newest).rev() {
            let key = change_key(id, number);
            if !view.get(key.as_bytes(), &mut value).map_err(ReadError::from)? {
                return Err(not_kept(view, id, to, newest)?);
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

fn not_kept(view: &dyn View, id: ZoneId, wanted: u64, newest: u64) -> Result<PastError, ReadError> {
    let mut oldest = newest;
    view.scan(change_key(id, 0).as_bytes(), change_key(id, u64::MAX).as_bytes(), &mut |key, _| {
        oldest = change_number(key).saturating_sub(1);
        ControlFlow::Break(())
    })?;
    Ok(PastError::NotKept { wanted, oldest, newest })
}
