//! What takes a batch back, and how it becomes an entry of the zone's history.

use bytes::Bytes;
use zonecast_kv_proto::{Batch, Key, MAX_BATCH_LEN, MAX_VALUE_LEN, Op, Value, View};
use zonecast_records::{ChangeKind, KeyBuffer, ZoneChange, ZoneId, ZoneValue};

use crate::full_build::op_len;
use crate::read_error::ReadError;
use crate::shape::ZoneIdentity;
use crate::zone_keys::{batch_of, batch_of_both};

/// Changes of a zone that can be taken back. With entries of some hundred bytes that is some 30 KiB for a zone that
/// changes, and nothing for one that does not.
pub const KEPT_CHANGES: u64 = 100;

/// Older entries are deleted several at a time: looking for them costs a scan.
const PRUNED_EVERY: u64 = 16;

/// Bytes an entry takes beside the batch that takes it back, and what others may still add to its batch.
const RESERVE: usize = 4 * 1024;

/// Who changed a zone, when and how: what its history shows beside the change.
#[derive(Clone, Copy, Debug)]
pub struct ChangeNote<'n> {
    /// How.
    pub kind: ChangeKind,
    /// Seconds of Unix time.
    pub time: u64,
    /// Name of a token, or how else the change came.
    pub by: &'n str,
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

    /// Adds to the batch its entry in the history of the zone; an empty batch has none.
    ///
    /// # Errors
    /// The view could not be read.
    pub fn remember(self, view: &dyn View, batch: &mut Batch, note: ChangeNote<'_>) -> Result<(), ReadError> {
        if batch.is_empty() {
            return Ok(());
        }
        let Self { identity, serial_before, serial, ops } = self;
        let id = identity.id;
        let number = last_change(view, id)? + 1;
        let room = MAX_BATCH_LEN.saturating_sub(ops_len(batch.sections.iter().flat_map(|section| &section.ops)));
        let fits = ops_len(&ops) + RESERVE <= room.min(MAX_VALUE_LEN);
        let undo = if fits { encoded(id, ops) } else { Bytes::new() };
        let change = ZoneChange {
            serial_before,
            serial,
            generation_before: identity.generation,
            undo: serde_bytes::Bytes::new(&undo),
            ..ZoneChange::new(note.kind, note.time, note.by)
        };
        let value = Value::new(change.encode()).expect("an entry with what it takes back was measured");
        let mut ops = vec![Op::Put { key: change_key(id, number), value }];
        if number.is_multiple_of(PRUNED_EVERY) {
            ops.extend(old_changes(view, id, number)?.into_iter().map(|key| Op::Delete { key }));
        }
        batch.join(batch_of(id, vec![], ops));
        Ok(())
    }
}

/// Number of the last change of a zone, 0 before the first.
pub(crate) fn last_change(view: &dyn View, zone: ZoneId) -> Result<u64, ReadError> {
    let (mut lower, mut upper) = (KeyBuffer::new(), KeyBuffer::new());
    let (mut key, mut value) = (vec![], vec![]);
    let found = view.last_in(lower.history(zone, 0), upper.history(zone, u64::MAX), &mut key, &mut value)?;
    Ok(if found { change_number(&key) } else { 0 })
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

/// Keys of changes that are not kept beside change `number`.
fn old_changes(view: &dyn View, zone: ZoneId, number: u64) -> Result<Vec<Key>, ReadError> {
    let mut keys = vec![];
    let (start, end) = (change_key(zone, 0), change_key(zone, number.saturating_sub(KEPT_CHANGES)));
    view.scan(start.as_bytes(), end.as_bytes(), &mut |key, _| {
        keys.extend(Key::new(key.to_vec()));
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(keys)
}

fn encoded(id: ZoneId, ops: Vec<Op>) -> Bytes {
    let batch = batch_of_both(id, ops);
    // An entry that cannot be encoded cannot be taken back either, and says so.
    batch.encode().map(|batch| batch.to_bytes()).unwrap_or_default()
}

fn ops_len<'o>(ops: impl IntoIterator<Item = &'o Op>) -> usize {
    let len = |op: &Op| match op {
        Op::Put { key, value } => op_len(key.as_bytes(), value.as_bytes()),
        Op::Delete { key } => op_len(key.as_bytes(), &[]),
        Op::DeleteRange { start, end } => op_len(start.as_bytes(), end.as_bytes()),
    };
    ops.into_iter().map(len).sum()
}
