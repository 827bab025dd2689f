//! What clients write: values that say which operation wrote them, and which number a counter got.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use zonecast_kv_proto::{Batch, Key, KeyspaceId, MemoryView, Op, OpRef, Section, SectionId, Value};

/// Counters that are incremented.
pub(crate) const COUNTERS: u64 = 4;
/// Keys that are put.
pub(crate) const PUTS: u64 = 6;
/// Pairs of keys that bulk puts.
pub(crate) const PAIRS: u64 = 3;

const COUNTED: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 1 };
/// Private: it has revisions without versions.
const PUT: SectionId = SectionId { keyspace: KeyspaceId::CORE, partition: 1 };
pub(crate) const BULK: SectionId = SectionId { keyspace: KeyspaceId::DNS, partition: 2 };

/// One key that a committed batch put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) key: Vec<u8>,
    /// The operation.
    pub(crate) by: u64,
    /// What a counter was counted to; 0 where nothing is counted.
    pub(crate) count: u64,
}

impl Written {
    pub(crate) fn read(op: &OpRef<'_>) -> Option<Self> {
        let OpRef::Put { key, value } = op else { return None };
        let (by, count) = read_value(value)?;
        Some(Self { key: key.to_vec(), by, count })
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        [self.by.to_be_bytes(), self.count.to_be_bytes()].concat()
    }
}

pub(crate) fn read_value(value: &[u8]) -> Option<(u64, u64)> {
    let (by, count) = (value.get(..8)?, value.get(8..16)?);
    Some((u64::from_be_bytes(by.try_into().ok()?), u64::from_be_bytes(count.try_into().ok()?)))
}

pub(crate) fn counter_key(number: u64) -> Vec<u8> {
    key(COUNTED, number)
}

pub(crate) fn count(by: u64, number: u64, to: u64) -> Batch {
    batch(COUNTED, vec![Written { key: counter_key(number), by, count: to }])
}

pub(crate) fn put(by: u64, number: u64) -> Batch {
    batch(PUT, vec![Written { key: key(PUT, number), by, count: 0 }])
}

/// Two keys of which a reader must never see one alone.
pub(crate) fn pair(by: u64, number: u64) -> Batch {
    batch(
        BULK,
        [2 * number, 2 * number + 1].map(|key_number| Written { key: key(BULK, key_number), by, count: 0 }).into(),
    )
}

fn key(section: SectionId, number: u64) -> Vec<u8> {
    let mut key = section.keyspace.get().to_be_bytes().to_vec();
    key.extend([u8::try_from(section.partition).unwrap(), u8::try_from(number).unwrap()]);
    key
}

fn batch(id: SectionId, writes: Vec<Written>) -> Batch {
    let op =
        |written: Written| Op::Put { value: Value::new(written.value()).unwrap(), key: Key::new(written.key).unwrap() };
    Batch { preconditions: vec![], sections: vec![Section { id, ops: writes.into_iter().map(op).collect() }] }
}

/// Equal for equal content.
pub(crate) fn content_hash(view: &MemoryView) -> u64 {
    let mut hasher = DefaultHasher::new();
    view.entries().for_each(|entry| entry.hash(&mut hasher));
    hasher.finish()
}
