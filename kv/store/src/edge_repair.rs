//! Puts ranges of an edge's copy right, in one write and at an unchanged position.
//!
//! What a range held at a marker is known for certain, because voters agree on its hash. What it must hold now is that with
//! the operations of every version since laid over it, in order: each of them says what a key holds from then on, whatever
//! it held before.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use rocksdb::{DB, WriteBatch};
use zonecast_kv_proto::{OpRef, PUBLISHED_END, ReceivedVersion, Span, decode_entries, decode_ops};

use crate::edge_live::Live;
use crate::{EdgeStore, StoreError};

/// A range as it was at a marker.
#[derive(Clone, Debug)]
pub struct RangeContent {
    /// Which keys it stands for.
    pub span: Span,
    /// What it held, as in a snapshot.
    pub entries: Bytes,
}

/// What a repair has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairedKeys {
    /// How many keys held something else.
    pub keys: u64,
    /// The first of them.
    pub first: Option<Vec<u8>>,
}

impl EdgeStore {
    /// Makes these ranges what they must be, given every version since the marker at which they were this, in order. Not
    /// synced. For the thread that applies versions.
    ///
    /// # Errors
    /// The copy could not be read or written, or what is given makes no sense; nothing is changed then.
    pub fn repair(&self, ranges: &[RangeContent], since: &[ReceivedVersion]) -> Result<RepairedKeys, StoreError> {
        let live = self.copies.live();
        let (mut batch, mut repaired) = (WriteBatch::default(), RepairedKeys::default());
        for range in ranges {
            let wanted = wanted(&live, range, since)?;
            compare(&live, &range.span, wanted, &mut batch, &mut repaired)?;
        }
        live.db.write(batch).map_err(|error| live.error(error))?;
        Ok(repaired)
    }
}

/// What a range must hold now.
fn wanted(
    live: &Live,
    range: &RangeContent,
    since: &[ReceivedVersion],
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreError> {
    let wrong = |what: String| StoreError::damaged(live.path(), what);
    let mut wanted = BTreeMap::new();
    for entry in decode_entries(&range.entries) {
        let (key, value) = entry.map_err(|error| wrong(error.to_string()))?;
        if !range.span.contains(key) {
            return Err(wrong("an entry is of another range".into()));
        }
        wanted.insert(key.to_vec(), value.to_vec());
    }
    for op in since.iter().flat_map(|version| &version.published.sections).flat_map(decode_ops) {
        match op.map_err(|error| StoreError::damaged(live.path(), error.to_string()))? {
            OpRef::Put { key, value } if range.span.contains(key) => _ = wanted.insert(key.to_vec(), value.to_vec()),
            OpRef::Put { .. } => {}
            OpRef::Delete { key } => _ = wanted.remove(key),
            OpRef::DeleteRange { start, end } if start < end => {
                let bounds = (Bound::Included(start), Bound::Excluded(end));
                let gone: Vec<Vec<u8>> = wanted.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
                gone.iter().for_each(|key| _ = wanted.remove(key));
            }
            OpRef::DeleteRange { .. } => {}
        }
    }
    Ok(wanted)
}

/// Writes down what is to change.
fn compare(
    live: &Live,
    span: &Span,
    mut wanted: BTreeMap<Vec<u8>, Vec<u8>>,
    batch: &mut WriteBatch,
    repaired: &mut RepairedKeys,
) -> Result<(), StoreError> {
    let mut differs = |key: &[u8]| {
        repaired.keys += 1;
        if repaired.first.as_ref().is_none_or(|first| key < &**first) {
            repaired.first = Some(key.to_vec());
        }
    };
    let (lower, end) = span.bounds(PUBLISHED_END);
    let db: &DB = &live.db;
    let mut iterator = db.raw_iterator();
    iterator.seek(&lower);
    while let Some((key, value)) = iterator.item().filter(|(key, _)| *key < &*end) {
        match wanted.remove(key) {
            Some(right) if right == value => {}
            Some(right) => {
                differs(key);
                batch.put(key, right);
            }
            None => {
                differs(key);
                batch.delete(key);
            }
        }
        iterator.next();
    }
    iterator.status().map_err(|error| live.error(error))?;
    for (key, value) in wanted {
        differs(&key);
        batch.put(key, value);
    }
    Ok(())
}
