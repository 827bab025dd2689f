//! Generations that answer nothing any more and stay for a while, so that going back to them is a change of one key.
//!
//! There are so many of a zone at most, whatever their age: whoever replaces a large zone again and again must not fill the
//! disks of all edges with what it was.

use zonecast_kv_proto::{Batch, Key, KeyspaceId, Op, Value, View};
use zonecast_records::{Generation, KeyBuffer, Name, RetiredGeneration, ZoneId, generation_range};

use crate::ops::batch_of;
use crate::pages::collect;
use crate::read_error::ReadError;
use crate::shape::ZoneIdentity;
use crate::undo::{ChangeNote, RememberError, Undo, change_number};
use crate::zone_keys::{PresentZone, zone_key};

/// Replaced generations of a zone that are kept; each may be as large as the zone. Enough to go back to what was there
/// before somebody tried a few times.
pub const KEPT_GENERATIONS: usize = 8;

/// A generation that was replaced and is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// The apex of the zone.
    pub apex: Name,
    /// The id and generation under which the retired keys are kept.
    pub identity: ZoneIdentity,
    /// Since when, seconds of Unix time.
    pub since: u64,
}

/// What goes into the batch that flips the zone at `apex` to a new generation of this serial: its entry in the history,
/// that the present generation is kept for a while, and the end of those that are then too many.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn retire_present(view: &dyn View, apex: &Name, serial: u32, note: ChangeNote<'_>) -> Result<Batch, RememberError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let identity = zone.shape.identity;
    let mut undo = Undo::new(identity, &zone.keys.published, serial);
    for (keyspace, value) in [(KeyspaceId::DNS, &zone.keys.published), (KeyspaceId::CORE, &zone.keys.private)] {
        undo.push(zone_key(keyspace, apex), Some(value));
    }
    let mut batch = batch_of(identity.id, vec![], vec![kept_put(&zone, note.time)]);
    undo.remember(view, &mut batch, note)?;
    let mut kept = generations_of(view, identity.id)?;
    kept.sort_by_key(|retired| (retired.since, retired.identity.generation));
    let too_many = (kept.len() + 1).saturating_sub(KEPT_GENERATIONS);
    for oldest in kept.iter().take(too_many) {
        batch.join(gone_for_good(oldest.identity));
    }
    Ok(batch)
}

/// Every generation that was replaced and is kept.
///
/// # Errors
/// The store could not be read.
pub fn retired_generations(view: &dyn View) -> Result<Vec<Retired>, ReadError> {
    between(view, ZoneId::new(0), ZoneId::new(u64::MAX))
}

/// Those of one zone.
pub(crate) fn generations_of(view: &dyn View, id: ZoneId) -> Result<Vec<Retired>, ReadError> {
    between(view, id, id)
}

fn between(view: &dyn View, first: ZoneId, last: ZoneId) -> Result<Vec<Retired>, ReadError> {
    let start = retired_key(ZoneIdentity { id: first, generation: Generation::ZONES });
    let end = retired_key(ZoneIdentity { id: last, generation: Generation::new(u64::MAX) });
    collect(view, start.as_bytes(), end.as_bytes(), |key, value| {
        let damaged = |source| ReadError::value(key, source);
        let value = RetiredGeneration::decode(value).map_err(damaged)?;
        let apex = value.apex().map_err(damaged)?;
        let id = zone_id(key).ok_or_else(|| ReadError::counts(&apex))?;
        let identity = ZoneIdentity { id, generation: value.generation };
        Ok(Retired { apex, identity, since: value.since })
    })
}

/// Deletes a generation that was replaced; empty when it answers again or is deleted already.
///
/// # Errors
/// The store could not be read.
pub fn delete_retired(view: &dyn View, retired: &Retired) -> Result<Batch, ReadError> {
    let Retired { identity, .. } = *retired;
    if !view.get(retired_key(identity).as_bytes(), &mut vec![])? {
        return Ok(Batch::default());
    }
    Ok(gone_for_good(identity))
}

/// Deletes a generation that is kept, and that it is.
pub(crate) fn gone_for_good(identity: ZoneIdentity) -> Batch {
    let mut batch = delete_generation(identity);
    batch.join(batch_of(identity.id, vec![], vec![not_kept_any_more(identity)]));
    batch
}

/// Deletes the keys of one generation of a zone: a retired or an orphaned one.
#[must_use]
pub fn delete_generation(identity: ZoneIdentity) -> Batch {
    let ops = |keyspace| {
        let (start, end) = generation_range(keyspace, identity.generation);
        vec![Op::DeleteRange { start, end }]
    };
    let (dns, core) = (ops(KeyspaceId::DNS), ops(KeyspaceId::CORE));
    batch_of(identity.id, dns, core)
}

/// That the present generation is kept.
pub(crate) fn kept_put(zone: &PresentZone, time: u64) -> Op {
    let value = RetiredGeneration::new(&zone.shape.apex, zone.shape.identity.generation, time).encode();
    Op::Put { key: retired_key(zone.shape.identity), value: Value::new(value).expect("an apex and some numbers") }
}

/// That a generation answers again, or is deleted.
pub(crate) fn not_kept_any_more(identity: ZoneIdentity) -> Op {
    Op::Delete { key: retired_key(identity) }
}

fn retired_key(identity: ZoneIdentity) -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.retired(identity.id, identity.generation);
    buffer.to_key()
}

/// The zone in a key of a retired generation, right before the generation, which stands where a change has its number.
fn zone_id(key: &[u8]) -> Option<ZoneId> {
    let number = change_number(key).to_be_bytes();
    let path = zonecast_records::DnsKey::parse(key).ok()?.path.strip_suffix(&number)?;
    Some(ZoneId::new(u64::from_be_bytes(*path.first_chunk::<8>()?)))
}
