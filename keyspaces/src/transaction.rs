//! Writes of single keys: comparisons that must hold, and puts and deletes that are done all or not at all.

use zonecast_kv_proto::View;

use crate::comparison::Present;
use crate::draft::Draft;
use crate::layout::data_key;
use crate::stored::StoredValue;
use crate::{By, ChangeKind, Comparison, Keyspace, KeyspaceError, KeyspaceName, UserKey, Written};

/// Most comparisons, and most writes, of one transaction.
pub const MAX_CHANGES: usize = 10_000;

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWrite {
    /// Puts this value, whatever was there.
    Put {
        /// The key.
        key: UserKey,
        /// The value.
        value: Vec<u8>,
    },
    /// Deletes the key if it is there.
    Delete {
        /// The key.
        key: UserKey,
    },
}

/// Comparisons and writes; later writes of a key override earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// All must hold.
    pub compare: Vec<Comparison>,
    /// What is done then.
    pub writes: Vec<KeyWrite>,
}

/// Makes a batch of a transaction, if its comparisons hold.
///
/// # Errors
/// There is no such keyspace, a comparison does not hold, a limit is reached, or the store could not be read.
pub fn commit(
    view: &(impl View + ?Sized),
    keyspace: &KeyspaceName,
    transaction: &Transaction,
    by: &By,
) -> Result<Written, KeyspaceError> {
    let Transaction { compare, writes } = transaction;
    if compare.len() > MAX_CHANGES || writes.len() > MAX_CHANGES {
        let message = format!("a transaction has at most {MAX_CHANGES} comparisons and {MAX_CHANGES} changes");
        return Err(KeyspaceError::Malformed(message));
    }
    let keyspace = Keyspace::find(view, keyspace)?;
    compare.iter().try_for_each(|comparison| check(view, &keyspace, comparison))?;
    let mut draft = Draft::new(view, keyspace);
    for write in writes.iter().cloned() {
        match write {
            KeyWrite::Put { key, value } => draft.writes.insert(key, Some(value)),
            KeyWrite::Delete { key } => draft.writes.insert(key, None),
        };
    }
    draft.finish(ChangeKind::Keys, by, None)
}

fn check(view: &(impl View + ?Sized), keyspace: &Keyspace, comparison: &Comparison) -> Result<(), KeyspaceError> {
    let mut value = Vec::new();
    let is_there = view.get(data_key(keyspace.id, &comparison.key).as_bytes(), &mut value)?;
    let stored = if is_there { Some(StoredValue::decode(&value)?) } else { None };
    let present = stored.map(|stored| Present { revision: stored.revision, content: stored.content });
    if comparison.condition.holds(present) {
        return Ok(());
    }
    let present = present.map(|present| present.revision);
    Err(KeyspaceError::Compared { comparison: Box::new(comparison.clone()), present })
}
