//! Zones that were deleted: their keys and their history stay for a while, so that bringing one back is a change of its
//! zone key. Of one name some are kept at most: whoever makes and deletes a large zone again and again must not fill the
//! disks.

use std::ops::ControlFlow;

use thiserror::Error;
use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, Value, View};
use zonecast_records::{
    ChangeKind, Generation, KeyBuffer, KeySection, Name, Path, RetiredGeneration, ZoneChange, ZoneId,
};

use crate::ops::{batch_of, batch_of_both, laid_over};
use crate::pages::collect;
use crate::present::parse;
use crate::read_error::ReadError;
use crate::retired::{delete_generation, generations_of, gone_for_good};
use crate::sections::creating;
use crate::shape::ZoneIdentity;
use crate::undo::{ChangeNote, Points, RememberError, Undo, change_key, last_change, points_as_ops, take_back};
use crate::zone_keys::{PresentZone, zone_key};

/// Deleted zones of one name that are kept, each with what it was before: the last one, which is the one that comes back,
/// and one more for who notices late that the last one was only a try.
pub(crate) const KEPT_DELETED: usize = 2;

/// A deleted zone that can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedZone {
    /// In the letter case of the source.
    pub apex: Name,
    /// The id and generation under which the keys of the zone are kept.
    pub identity: ZoneIdentity,
    /// Since when, seconds of Unix time.
    pub since: u64,
}

/// Why a zone cannot be restored.
#[derive(Debug, Error)]
pub enum UndeleteError {
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A zone of this name exists.
    #[error("zone {0} exists; delete it before you restore the deleted zone of this name")]
    Hosted(Box<Name>),
    /// No zone of this name was deleted, or its keys were removed since.
    #[error("there is no deleted zone {0}: the core keeps deleted zones for a while only")]
    NotKept(Box<Name>),
}

/// Deletes the zone at `apex`; its keys stay, without its zone key nothing leads to them. Those of this name that were
/// deleted before and are then too many go for good.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn delete_zone(view: &dyn View, apex: &Name, note: ChangeNote<'_>) -> Result<Batch, RememberError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let (apex, identity) = (zone.shape.apex, zone.shape.identity);
    let mut undo = Undo::new(identity, &zone.keys.published, zone.serial()?);
    let [published, private] = [KeyspaceId::DNS, KeyspaceId::CORE].map(|keyspace| zone_key(keyspace, &apex));
    undo.push(published.clone(), Some(&zone.keys.published));
    undo.push(private.clone(), Some(&zone.keys.private));
    let value = RetiredGeneration::new(&apex, identity.generation, note.time).encode();
    let value = Value::new(value).expect("an apex and some numbers");
    let kept = Op::Put { key: deleted_key(&apex, identity.id), value };
    let gone = |key| Op::Delete { key };
    let mut batch = batch_of(identity.id, vec![gone(published)], vec![gone(private), kept]);
    undo.remember(view, &mut batch, note)?;
    let mut before = deleted_at(view, &apex)?;
    before.sort_by_key(|zone| (zone.since, zone.identity.id));
    let too_many = (before.len() + 1).saturating_sub(KEPT_DELETED);
    for oldest in before.iter().take(too_many) {
        batch.join(delete_for_good(view, oldest)?);
    }
    Ok(batch)
}

/// Brings back the zone that was deleted last of those at `apex`, exactly as it was, with its history.
///
/// # Errors
/// There is a zone already, none was deleted lately, or its keys could not be read.
pub fn undelete_zone(view: &dyn View, apex: &Name, note: ChangeNote<'_>) -> Result<(Batch, u32), UndeleteError> {
    if PresentZone::read(view, apex)?.is_some() {
        return Err(UndeleteError::Hosted(Box::new(*apex)));
    }
    let deleted = deleted_at(view, apex)?.into_iter().max_by_key(|zone| (zone.since, zone.identity.id));
    let DeletedZone { apex, identity, .. } = deleted.ok_or_else(|| UndeleteError::NotKept(Box::new(*apex)))?;
    let id = identity.id;
    let damaged = || ReadError::counts(&apex);
    let (key, mut value) = (change_key(id, last_change(view, id)?), vec![]);
    if !view.get(key.as_bytes(), &mut value).map_err(ReadError::from)? {
        return Err(damaged().into());
    }
    let change = ZoneChange::decode(&value).map_err(|source| ReadError::value(key.as_bytes(), source))?;
    let mut points = Points::new();
    take_back(&change, &mut points).map_err(|source| ReadError::Undo { key: key.clone(), source })?;
    if change.kind() != ChangeKind::Deleted {
        return Err(damaged().into());
    }
    let mut batch = batch_of_both(id, points_as_ops(&points));
    let zone = PresentZone::read(&laid_over(&batch).over(view), &apex)?.ok_or_else(damaged)?;
    // The state between the two is not one to go back to: before both, and after both, the zone is the same.
    let undo = Undo::new(identity, &zone.keys.published, zone.serial()?);
    batch.join(batch_of(id, vec![], vec![Op::Delete { key: deleted_key(&apex, id) }]));
    undo.remember(view, &mut batch, note).map_err(|error| match error {
        RememberError::Read(error) => error,
        RememberError::TooLarge => damaged(),
    })?;
    // As whatever makes a zone: nobody else makes one of this name at the same time.
    Ok((creating(batch, &apex), zone.serial()?))
}

/// Shows the zones that were deleted and can be brought back, in canonical order, those after a name only, until `visit`
/// breaks.
///
/// # Errors
/// The store could not be read.
pub fn deleted_zones(
    view: &dyn View,
    after: Option<&Name>,
    mut visit: impl FnMut(DeletedZone) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let prefix = section();
    let mut end = prefix.clone();
    if let Some(section) = end.last_mut() {
        *section += 1;
    }
    let lower = after.map_or(prefix, |after| bound(after, 1));
    let mut damaged = None;
    view.scan(&lower, &end, &mut |key, value| match entry(key, value) {
        Ok(zone) => visit(zone),
        Err(error) => {
            damaged = Some(error);
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(()), Err)
}

/// Those of one name.
fn deleted_at(view: &dyn View, apex: &Name) -> Result<Vec<DeletedZone>, ReadError> {
    collect(view, &bound(apex, 0), &bound(apex, 1), entry)
}

fn section() -> Vec<u8> {
    KeyBuffer::new().prefix(KeyspaceId::CORE, Generation::ZONES, KeySection::Deleted).to_vec()
}

/// Before all of one name with 0, after them with 1.
fn bound(apex: &Name, end: u8) -> Vec<u8> {
    [&section()[..], Path::of(apex, 0, &mut vec![]).as_bytes(), &[end]].concat()
}

/// Deletes for good what is left of a zone; empty when it was brought back or deleted again since.
///
/// # Errors
/// The store could not be read.
pub fn delete_for_good(view: &dyn View, zone: &DeletedZone) -> Result<Batch, ReadError> {
    let (id, key) = (zone.identity.id, deleted_key(&zone.apex, zone.identity.id));
    if !deleted_at(view, &zone.apex)?.contains(zone) {
        return Ok(Batch::default());
    }
    let mut batch = delete_generation(zone.identity);
    for retired in generations_of(view, id)? {
        batch.join(gone_for_good(retired.identity));
    }
    let (start, end) = (change_key(id, 0), change_key(id, last_change(view, id)? + 1));
    batch.join(batch_of(id, vec![], vec![Op::DeleteRange { start, end }, Op::Delete { key }]));
    Ok(batch)
}

fn deleted_key(apex: &Name, id: ZoneId) -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.deleted(apex, id);
    buffer.to_key()
}

fn entry(key: &[u8], value: &[u8]) -> Result<DeletedZone, ReadError> {
    let damaged = |source| ReadError::value(key, source);
    let value = RetiredGeneration::decode(value).map_err(damaged)?;
    let apex = value.apex().map_err(damaged)?;
    let id = parse(key)?.path.last_chunk::<8>().ok_or_else(|| ReadError::counts(&apex))?;
    let identity = ZoneIdentity { id: ZoneId::new(u64::from_be_bytes(*id)), generation: value.generation };
    Ok(DeletedZone { apex, identity, since: value.since })
}
