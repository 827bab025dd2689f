//! What a zone was before: kept as what takes each of its last changes back.
//!
//! ```text
//! history of the zone ── newest to oldest, each entry's undo ──▶ entries as they were ──▶ a view of the past
//! present + past ─┬─ rollback ──▶ the batch that makes the present the past, with a serial that goes on
//!                 └─ compare ───▶ records that went and came
//! ```
//! A whole zone that is replaced by a new generation leaves the one before in the store for a while; taking that back
//! is a flip of the zone key like any other.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_bytes::Bytes;
use thiserror::Error;
use zonecast_kv_proto::{
    Batch, DecodeError, Edition, EncodedBatch, Key, KeyspaceId, Op, OpRef, Overlay, OverlayView, Value, View,
    decode_ops,
};
use zonecast_records::{
    ChangeKind, CoreZone, Generation, KeyBuffer, Name, RdataListBuilder, RetiredGeneration, Rrset, SerialPolicy,
    ZoneChange, ZoneId, ZoneValue, generation_range,
};

use crate::change::SerialTime;
use crate::full_build::op_len;
use crate::pages::collect;
use crate::read_error::ReadError;
use crate::record_build::raised_serial;
use crate::shape::ZoneIdentity;
use crate::undo::{ChangeNote, Undo, change_key, change_number, last_change};
use crate::zone_keys::{PresentZone, batch_of, batch_of_both, zone_key};

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
    /// Whether it was small enough that what takes it back is kept.
    pub can_be_undone: bool,
}

/// Why a state of a zone cannot be had any more.
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
    /// Too large to be taken back.
    #[error("change {0} was too large to be taken back; import the zone as it should be")]
    TooLarge(u64),
    /// A generation that is deleted by now.
    #[error("change {0} replaced the whole zone, and what it was before is deleted by now; import it as it should be")]
    Deleted(u64),
    /// The way back is longer than a batch.
    #[error("the way back is larger than a batch; go there in several steps, or import the zone as it should be")]
    BatchTooLarge,
}

/// What a rollback comes to.
#[derive(Clone, Debug)]
pub struct Rollback {
    /// Makes the zone what it was; empty when it is.
    pub batch: Batch,
    /// Serial of the zone afterwards.
    pub serial: u32,
    /// What takes it back.
    pub undo: Undo,
}

/// Entries of a zone as they were after one of its changes, where they differ from now.
#[derive(Debug)]
pub(crate) struct Past {
    points: BTreeMap<Key, Option<Value>>,
    overlay: Overlay,
}

/// The last changes of the zone at `apex`, newest first, at most `limit`.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn zone_log(view: &dyn View, apex: &Name, limit: usize) -> Result<Vec<PastChange>, ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let id = zone.shape.identity.id;
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
            can_be_undone: !change.undo.is_empty(),
        })
    })?;
    changes.reverse();
    Ok(changes)
}

/// Makes the zone at `apex` what it was after its change `to`; 0 is before the first. Its serial goes on as its policy
/// says, except in a signed zone, whose SOA needs the signature that it had. Settings stay what they are.
///
/// # Errors
/// That state is not kept, or is too far away for a batch.
pub fn rollback(view: &dyn View, apex: &Name, to: u64, now: SerialTime, time: u64) -> Result<Rollback, PastError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let past = Past::read(view, &zone, to)?;
    let was = PresentZone::read(&past.view(view), apex)?.ok_or(ReadError::no_zone(apex))?;
    let (published, serial) = published_again(&zone, &was, now)?;
    let private = private_again(&zone, &was)?;
    let zone_keys = [KeyspaceId::DNS, KeyspaceId::CORE].map(|keyspace| zone_key(keyspace, apex));
    let mut undo = Undo::new(zone.shape.identity, &zone.keys.published, serial);
    let (mut dns, mut core, mut len) = (vec![], vec![], 0);
    let mut present = Vec::new();
    for (key, wanted) in past.points.into_iter().filter(|(key, _)| !zone_keys.contains(key)) {
        let found = view.get(key.as_bytes(), &mut present).map_err(ReadError::from)?;
        let before = found.then_some(present.as_slice());
        if before == wanted.as_ref().map(Value::as_bytes) {
            continue;
        }
        undo.push(key.clone(), before);
        len += op_len(key.as_bytes(), wanted.as_ref().map_or(&[], Value::as_bytes));
        let ops = if key.keyspace() == KeyspaceId::DNS { &mut dns } else { &mut core };
        ops.push(match wanted {
            Some(value) => Op::Put { key, value },
            None => Op::Delete { key },
        });
    }
    let is_same = dns.is_empty() && core.is_empty() && is_same_but_for_serial(&zone, &was)?;
    if is_same {
        let serial = serial_of(&zone)?;
        return Ok(Rollback { batch: Batch::default(), serial, undo });
    }
    let present = [&zone.keys.published, &zone.keys.private];
    for (((key, before), wanted), ops) in
        zone_keys.into_iter().zip(present).zip([published, private]).zip([&mut dns, &mut core])
    {
        len += op_len(key.as_bytes(), &wanted);
        undo.push(key.clone(), Some(before));
        ops.push(Op::Put { key, value: Value::new(wanted).expect("as large as the zone keys before") });
    }
    let (identity, was) = (zone.shape.identity, was.shape.identity);
    if was.generation != identity.generation {
        core.push(retired_put(&zone, time));
    }
    if len > zonecast_kv_proto::MAX_BATCH_LEN / 2 {
        return Err(PastError::BatchTooLarge);
    }
    let batch = batch_of(identity.id, dns, core);
    Ok(Rollback { batch, serial, undo })
}

/// What goes into the batch that flips the zone at `apex` to a new generation of this serial: its entry in the history,
/// and that the present generation is kept for a while instead of one that was kept before.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn retire_present(view: &dyn View, apex: &Name, serial: u32, note: ChangeNote<'_>) -> Result<Batch, ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let identity = zone.shape.identity;
    let mut undo = Undo::new(identity, &zone.keys.published, serial);
    for (keyspace, value) in [(KeyspaceId::DNS, &zone.keys.published), (KeyspaceId::CORE, &zone.keys.private)] {
        undo.push(zone_key(keyspace, apex), Some(value));
    }
    let mut batch = batch_of(identity.id, vec![], vec![retired_put(&zone, note.time)]);
    if let Some(generation) = retired_generation(view, identity.id)? {
        batch.join(delete_generation(ZoneIdentity { generation, ..identity }));
    }
    undo.remember(view, &mut batch, note)?;
    Ok(batch)
}

/// A generation that was replaced and is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Of this zone.
    pub apex: Name,
    /// Where its keys are.
    pub identity: ZoneIdentity,
    /// Since when, seconds of Unix time.
    pub since: u64,
}

/// Every generation that was replaced and is kept.
///
/// # Errors
/// The store could not be read.
pub fn retired_generations(view: &dyn View) -> Result<Vec<Retired>, ReadError> {
    let mut buffer = KeyBuffer::new();
    let start = buffer.retired(ZoneId::new(0)).to_vec();
    let end = buffer.retired(ZoneId::new(u64::MAX)).to_vec();
    collect(view, (&start, &end), |key, value| {
        let damaged = |source| ReadError::value(key, source);
        let value = RetiredGeneration::decode(value).map_err(damaged)?;
        let identity = ZoneIdentity { id: ZoneId::new(change_number(key)), generation: value.generation };
        Ok(Retired { apex: value.apex().map_err(damaged)?, identity, since: value.since })
    })
}

/// Deletes a generation that was replaced; empty when it is not the one that is kept any more.
///
/// # Errors
/// The store could not be read.
pub fn delete_retired(view: &dyn View, retired: &Retired) -> Result<Batch, ReadError> {
    let Retired { identity, .. } = *retired;
    if retired_generation(view, identity.id)? != Some(identity.generation) {
        return Ok(Batch::default());
    }
    let mut batch = delete_generation(identity);
    batch.join(batch_of(identity.id, vec![], vec![Op::Delete { key: retired_key(identity.id) }]));
    Ok(batch)
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

/// Deletes the zone at `apex`: its generations, its history and its own keys, published and private.
///
/// # Errors
/// There is no such zone, or its keys could not be read.
pub fn delete_zone(view: &dyn View, apex: &Name) -> Result<Batch, ReadError> {
    let zone = PresentZone::read(view, apex)?.ok_or(ReadError::no_zone(apex))?;
    let identity = zone.shape.identity;
    let mut batch = delete_generation(identity);
    if let Some(generation) = retired_generation(view, identity.id)? {
        batch.join(delete_generation(ZoneIdentity { generation, ..identity }));
        batch.join(batch_of(identity.id, vec![], vec![Op::Delete { key: retired_key(identity.id) }]));
    }
    let last = last_change(view, identity.id)?;
    if last > 0 {
        let (start, end) = (change_key(identity.id, 0), change_key(identity.id, last + 1));
        batch.join(batch_of(identity.id, vec![], vec![Op::DeleteRange { start, end }]));
    }
    let own = |keyspace| vec![Op::Delete { key: zone_key(keyspace, &zone.shape.apex) }];
    batch.join(batch_of(identity.id, own(KeyspaceId::DNS), own(KeyspaceId::CORE)));
    Ok(batch)
}

impl Past {
    /// What the zone was after its change `to`.
    pub(crate) fn read(view: &dyn View, zone: &PresentZone, to: u64) -> Result<Self, PastError> {
        let ZoneIdentity { id, mut generation } = zone.shape.identity;
        let kept = [Some(generation), retired_generation(view, id)?];
        let newest = last_change(view, id)?;
        if to > newest {
            return Err(not_kept(view, id, (to, newest))?);
        }
        let mut points = BTreeMap::new();
        let mut value = Vec::new();
        for number in (to + 1..=newest).rev() {
            let key = change_key(id, number);
            if !view.get(key.as_bytes(), &mut value).map_err(ReadError::from)? {
                return Err(not_kept(view, id, (to, newest))?);
            }
            let change = ZoneChange::decode(&value).map_err(|source| ReadError::value(key.as_bytes(), source))?;
            if change.undo.is_empty() {
                return Err(PastError::TooLarge(number));
            }
            if change.generation_before != generation && !kept.contains(&Some(change.generation_before)) {
                return Err(PastError::Deleted(number));
            }
            generation = change.generation_before;
            take_back(&change, &mut points).map_err(|source| ReadError::Undo { key, source })?;
        }
        let ops = points.iter().map(|(key, value)| match value {
            Some(value) => Op::Put { key: key.clone(), value: value.clone() },
            None => Op::Delete { key: key.clone() },
        });
        let batch = batch_of_both(id, ops);
        Ok(Self { points, overlay: laid_over(&batch) })
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

/// A batch to be laid over a view.
pub(crate) fn laid_over(batch: &Batch) -> Overlay {
    let mut overlay = Overlay::new();
    let staged: Result<(), std::convert::Infallible> = overlay.stage(0, batch, |_| Ok(Edition::default()));
    let Ok(()) = staged;
    overlay
}

fn take_back(change: &ZoneChange<'_>, points: &mut BTreeMap<Key, Option<Value>>) -> Result<(), DecodeError> {
    let batch = EncodedBatch::from_bytes(change.undo)?;
    for op in batch.sections.iter().flat_map(decode_ops) {
        // Keys and values were checked while decoding.
        let (key, value) = match op? {
            OpRef::Put { key, value } => (key, Value::new(value.to_vec()).ok()),
            OpRef::Delete { key } => (key, None),
            OpRef::DeleteRange { .. } => continue,
        };
        if let Ok(key) = Key::new(key.to_vec()) {
            points.insert(key, value);
        }
    }
    Ok(())
}

fn not_kept(view: &dyn View, id: ZoneId, (wanted, newest): (u64, u64)) -> Result<PastError, ReadError> {
    let mut oldest = newest;
    view.scan(change_key(id, 0).as_bytes(), change_key(id, u64::MAX).as_bytes(), &mut |key, _| {
        oldest = change_number(key).saturating_sub(1);
        ControlFlow::Break(())
    })?;
    Ok(PastError::NotKept { wanted, oldest, newest })
}

fn retired_key(id: ZoneId) -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.retired(id);
    buffer.to_key()
}

/// The generation of a zone that is kept beside the present one.
fn retired_generation(view: &dyn View, id: ZoneId) -> Result<Option<Generation>, ReadError> {
    let (key, mut value) = (retired_key(id), Vec::new());
    if !view.get(key.as_bytes(), &mut value)? {
        return Ok(None);
    }
    let retired = RetiredGeneration::decode(&value).map_err(|source| ReadError::value(key.as_bytes(), source))?;
    Ok(Some(retired.generation))
}

/// That the present generation is the one kept.
fn retired_put(zone: &PresentZone, time: u64) -> Op {
    let ZoneIdentity { id, generation } = zone.shape.identity;
    let value = RetiredGeneration::new(&zone.shape.apex, generation, time).encode();
    Op::Put { key: retired_key(id), value: Value::new(value).expect("an apex and some numbers") }
}

/// The zone key as it was, with a serial that goes on.
fn published_again(zone: &PresentZone, was: &PresentZone, now: SerialTime) -> Result<(Vec<u8>, u32), ReadError> {
    let value = zone_value(was)?;
    let policy = zone.settings.zone().serial;
    if policy == SerialPolicy::Keep || !value.soa.sigs.is_empty() {
        return Ok((was.keys.published.clone(), serial_of(was)?));
    }
    let serial = raised_serial(serial_of(zone)?, policy, now);
    Ok((with_serial(was, serial)?, serial))
}

/// The private zone key as it was, but with what was chosen and where the zone came from as they are now: a zone file
/// that was taken back is not imported again by a restart.
fn private_again(zone: &PresentZone, was: &PresentZone) -> Result<Vec<u8>, ReadError> {
    let core = CoreZone::decode(&was.keys.private).map_err(|_| ReadError::counts(&was.shape.apex))?;
    let core = CoreZone { origin: Bytes::new(zone.settings.origin()), ..core };
    Ok(core.with_settings(zone.settings.zone()).encode())
}

fn is_same_but_for_serial(zone: &PresentZone, was: &PresentZone) -> Result<bool, ReadError> {
    let same_counts = private_again(zone, was)? == zone.keys.private;
    Ok(same_counts && with_serial(was, serial_of(zone)?)? == zone.keys.published)
}

fn with_serial(zone: &PresentZone, serial: u32) -> Result<Vec<u8>, ReadError> {
    let value = zone_value(zone)?;
    let damaged = |_| ReadError::counts(&zone.shape.apex);
    let mut rdata = value.soa_rdata().map_err(damaged)?.to_vec();
    let at = rdata.len() - 20;
    if let Some(place) = rdata.get_mut(at..at + 4) {
        place.copy_from_slice(&serial.to_be_bytes());
    }
    let list = RdataListBuilder::from_items([rdata]);
    let soa = Rrset { data: Bytes::new(list.as_bytes()), ..value.soa };
    Ok(ZoneValue { soa, ..value }.encode())
}

fn serial_of(zone: &PresentZone) -> Result<u32, ReadError> {
    let serial = zone_value(zone)?.serial().map_err(|_| ReadError::counts(&zone.shape.apex))?;
    Ok(serial.into_int())
}

fn zone_value(zone: &PresentZone) -> Result<ZoneValue<'_>, ReadError> {
    ZoneValue::decode(&zone.keys.published).map_err(|_| ReadError::counts(&zone.shape.apex))
}
