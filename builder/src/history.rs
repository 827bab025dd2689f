//! The history of a zone: its last changes, and the generations that they lead back to.

use std::collections::BTreeSet;

use zonecast_kv_proto::View;
use zonecast_records::{ChangeKind, Generation, Name, ZoneChange};

use crate::pages::collect;
use crate::read_error::ReadError;
use crate::retired::generations_of;
use crate::shape::ZoneIdentity;
use crate::undo::{change_key, change_number, last_change};
use crate::zone_keys::PresentZone;

/// One change of a zone, without what takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastChange {
    /// Counted from 1 in each zone.
    pub number: u64,
    /// The kind of the change.
    pub kind: ChangeKind,
    /// When the change was made, in seconds of Unix time.
    pub time: u64,
    /// Name of a token, or how else the change came.
    pub by: String,
    /// The serial of the SOA before the change.
    pub serial_before: u32,
    /// The serial of the SOA after the change.
    pub serial: u32,
    /// Whether the generation that the zone had before is still there.
    pub can_be_undone: bool,
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
    let mut changes = collect(view, start.as_bytes(), end.as_bytes(), |key, value| {
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

/// Generations of a zone whose keys are there.
pub(crate) fn kept_generations(view: &dyn View, zone: &PresentZone) -> Result<BTreeSet<Generation>, ReadError> {
    let ZoneIdentity { id, generation } = zone.shape.identity;
    let mut kept = BTreeSet::from([generation]);
    kept.extend(generations_of(view, id)?.into_iter().map(|retired| retired.identity.generation));
    Ok(kept)
}
