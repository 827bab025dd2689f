//! What takes a batch back, and how it becomes an entry of the zone's history.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use thiserror::Error;
use zonecast_kv_proto::{
    Batch, DecodeError, EncodedBatch, Key, MAX_BATCH_LEN, MAX_VALUE_LEN, Op, OpRef, Value, View, decode_ops,
};
use zonecast_records::{ChangeKind, KeyBuffer, ZoneChange, ZoneId, ZoneValue};

use crate::ops::{batch_of, batch_of_both, ops_len};
use crate::present::Entry;
use crate::read_error::ReadError;
use crate::shape::ZoneIdentity;

/// Changes of a zone that are kept however old they are. With entries of some hundred bytes that is some 30 KiB for a
/// zone that changes, and nothing for one that does not.
pub const KEPT_CHANGES: u64 = 100;

/// Older entries are deleted several at a time: looking for them costs a scan.
const PRUNED_EVERY: u64 = 16;

/// Most entries deleted at a time: more than come in between, so that what has piled up goes, and few enough for any
/// batch.
const MAX_PRUNED: usize = 256;

/// Bytes an entry takes beside the batch that takes it back, and what others may still add to its batch.
const RESERVE: usize = 4 * 1024;

/// Bytes that [`Undo::join_last`] may still add to an entry.
const JOIN_RESERVE: usize = 64 * 1024;

/// Who changed a zone, when and how: what its history shows beside the change.
#[derive(Clone, Copy, Debug)]
pub struct ChangeNote<'n> {
    /// The kind of the change.
    pub kind: ChangeKind,
    /// When the change is made, in seconds of Unix time.
    pub time: u64,
    /// Name of a token, or how else the change came.
    pub by: &'n str,
    /// Changes since then are kept, however many there are; seconds of Unix time.
    pub keep_since: u64,
}

/// Why a batch did not get its entry in the history.
#[derive(Debug, Error)]
pub enum RememberError {
    /// The view could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A change and what takes it back do not fit one batch: it is to be built beside what answers, as
    /// [`FullBuild::beside`](crate::FullBuild::beside) does; taking that back is a change of one key.
    #[error("the change and its inverse do not fit one batch")]
    TooLarge,
}

/// What takes a batch back: the entries that it changes, as they are before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// Of the zone before.
    identity: ZoneIdentity,
    serial_before: u32,
    serial: u32,
    ops: Vec<Op>,
}

impl Undo {
    /// Of a zone that had this identity and this zone key before.
    pub(crate) fn new(identity: ZoneIdentity, published: &[u8], serial: u32) -> Self {
        let before = ZoneValue::decode(published).and_then(|value| value.serial());
        Self { identity, serial_before: before.map_or(0, |before| before.into_int()), serial, ops: vec![] }
    }

    /// An entry that the batch changes, or makes.
    pub(crate) fn push(&mut self, key: Key, before: Option<&[u8]>) {
        let value = before.map(|value| Value::new(Bytes::copy_from_slice(value)));
        self.ops.push(match value {
            Some(Ok(value)) => Op::Put { key, value },
            // A value of the store that is over the limit is damage, which its readers report.
            Some(Err(_)) | None => Op::Delete { key },
        });
    }

    /// Serial of the zone after the batch.
    pub(crate) fn set_serial(&mut self, serial: u32) {
        self.serial = serial;
    }

    /// Adds to the batch its entry in the history of the zone; an empty batch has none.
    ///
    /// # Errors
    /// The view could not be read, or both do not fit one batch.
    pub fn remember(self, view: &dyn View, batch: &mut Batch, note: ChangeNote<'_>) -> Result<(), RememberError> {
        if batch.is_empty() {
            return Ok(());
        }
        let Self { identity, serial_before, serial, ops } = self;
        let id = identity.id;
        let number = last_change(view, id)? + 1;
        let room = MAX_BATCH_LEN.saturating_sub(ops_len(batch.sections.iter().flat_map(|section| &section.ops)));
        if ops_len(&ops) + RESERVE > room.min(MAX_VALUE_LEN - JOIN_RESERVE) {
            return Err(RememberError::TooLarge);
        }
        let undo = encoded(id, ops)?;
        let change = ZoneChange {
            serial_before,
            serial,
            generation_before: identity.generation,
            undo: serde_bytes::Bytes::new(&undo),
            ..ZoneChange::new(note.kind, note.time, note.by)
        };
        let value = Value::new(change.encode()).map_err(|_| RememberError::TooLarge)?;
        let mut ops = vec![Op::Put { key: change_key(id, number), value }];
        if number.is_multiple_of(PRUNED_EVERY) {
            ops.extend(old_changes(view, id, number, note.keep_since)?.into_iter().map(|key| Op::Delete { key }));
        }
        batch.join(batch_of(id, vec![], ops));
        Ok(())
    }

    /// Makes the batch a part of the last change of the zone, which nobody made anew: taking that back takes this back
    /// as well. Without a change there is nothing to go back to, and so nothing to keep.
    ///
    /// # Errors
    /// The view could not be read, or both do not fit one batch.
    pub fn join_last(self, view: &dyn View, batch: &mut Batch, note: ChangeNote<'_>) -> Result<(), RememberError> {
        let id = self.identity.id;
        let number = last_change(view, id)?;
        if batch.is_empty() || number == 0 {
            return Ok(());
        }
        let (key, mut last) = (change_key(id, number), vec![]);
        view.get(key.as_bytes(), &mut last).map_err(ReadError::from)?;
        let change = ZoneChange::decode(&last).map_err(|source| ReadError::value(key.as_bytes(), source))?;
        let mut points = self.points();
        // What the last change had found goes before what it had made.
        take_back(&change, &mut points).map_err(|source| ReadError::Undo { key: key.clone(), source })?;
        let undo = encoded(id, points_as_ops(&points))?;
        let change = ZoneChange { undo: serde_bytes::Bytes::new(&undo), ..change };
        match Value::new(change.encode()) {
            Ok(value) => batch.join(batch_of(id, vec![], vec![Op::Put { key, value }])),
            Err(_) => return self.remember(view, batch, note),
        }
        Ok(())
    }

    /// Entries as they are before, by key.
    fn points(&self) -> Points {
        let point = |op: &Op| match op {
            Op::Put { key, value } => (key.clone(), Some(value.clone())),
            Op::Delete { key } | Op::DeleteRange { start: key, .. } => (key.clone(), None),
        };
        self.ops.iter().map(point).collect()
    }
}

/// Entries of a zone as they were, by key; `None` for those that were not there.
pub(crate) type Points = BTreeMap<Key, Option<Value>>;

/// Sets entries to what they were before a change.
pub(crate) fn take_back(change: &ZoneChange<'_>, points: &mut Points) -> Result<(), DecodeError> {
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

/// The operations that make entries so.
pub(crate) fn points_as_ops(points: &Points) -> Vec<Op> {
    let op = |(key, value): (&Key, &Option<Value>)| match value {
        Some(value) => Op::Put { key: key.clone(), value: value.clone() },
        None => Op::Delete { key: key.clone() },
    };
    points.iter().map(op).collect()
}

/// The last change of a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastChange {
    /// The number of the last change, 0 before the first.
    pub number: u64,
    /// When the change was made, in seconds of Unix time.
    pub time: u64,
}

impl LastChange {
    /// Of a zone.
    ///
    /// # Errors
    /// The view could not be read.
    pub fn read(view: &dyn View, zone: ZoneId) -> Result<Self, ReadError> {
        let Some((key, value)) = last_entry(view, zone)? else { return Ok(Self::default()) };
        let change = ZoneChange::decode(&value).map_err(|source| ReadError::value(&key, source))?;
        Ok(Self { number: change_number(&key), time: change.time })
    }
}

/// Number of the last change of a zone, 0 before the first.
///
/// # Errors
/// The view could not be read.
pub(crate) fn last_change(view: &dyn View, zone: ZoneId) -> Result<u64, ReadError> {
    Ok(last_entry(view, zone)?.map_or(0, |(key, _)| change_number(&key)))
}

fn last_entry(view: &dyn View, zone: ZoneId) -> Result<Option<Entry>, ReadError> {
    let (mut lower, mut upper) = (KeyBuffer::new(), KeyBuffer::new());
    let (mut key, mut value) = (vec![], vec![]);
    let found = view.last_in(lower.history(zone, 0), upper.history(zone, u64::MAX), &mut key, &mut value)?;
    Ok(found.then_some((key, value)))
}

/// The number in the key of a change: the eight bytes before its end.
pub(crate) fn change_number(key: &[u8]) -> u64 {
    let number = key.len().checked_sub(3).and_then(|end| key.get(..end)?.last_chunk::<8>());
    number.map_or(0, |number| u64::from_be_bytes(*number))
}

pub(crate) fn change_key(zone: ZoneId, number: u64) -> Key {
    let mut buffer = KeyBuffer::new();
    buffer.history(zone, number);
    buffer.to_key()
}

/// Keys of changes that are kept neither for their number nor for their age beside change `number`; the oldest only.
fn old_changes(view: &dyn View, zone: ZoneId, number: u64, keep_since: u64) -> Result<Vec<Key>, ReadError> {
    let mut keys = vec![];
    let (start, end) = (change_key(zone, 0), change_key(zone, number.saturating_sub(KEPT_CHANGES)));
    view.scan(start.as_bytes(), end.as_bytes(), &mut |key, value| {
        // One that is damaged is of no use.
        let is_young = ZoneChange::decode(value).is_ok_and(|change| change.time >= keep_since);
        if is_young || keys.len() == MAX_PRUNED {
            return ControlFlow::Break(());
        }
        keys.extend(Key::new(key.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

fn encoded(id: ZoneId, ops: Vec<Op>) -> Result<Bytes, RememberError> {
    let batch = batch_of_both(id, ops);
    batch.encode().map(|batch| batch.to_bytes()).map_err(|_| RememberError::TooLarge)
}
