//! Writes of a keyspace on their way to one batch: what differs, what it costs, and what takes it back.

use std::collections::BTreeMap;

use zonecast_kv_proto::{Batch, MAX_BATCH_LEN, Op, SECTION_OVERHEAD, Section, View};

use crate::catalog::{batch, publish_name};
use crate::group_history::{By, ChangeKind, GroupBook, Recorded};
use crate::layout::{data_key, data_section, entry_section};
use crate::stored::{StoredValue, put};
use crate::{GroupName, Keyspace, KeyspaceError, UserKey};

/// More than an operation takes beside its key and content: markers, lengths, keyspace, format, revision.
const OP_OVERHEAD: usize = 40;

/// More than the record of a group and the description of its change take.
const MAX_RECORD: usize = 2048;

/// What a write comes to.
#[derive(Clone, Debug)]
pub struct Written {
    /// Empty if all was so already.
    pub batch: Batch,
    /// The keyspace afterwards; its revision is the one of this write if that changed anything.
    pub keyspace: Keyspace,
    /// Whether a key changes.
    pub changed: bool,
}

/// What keys are to become, of one keyspace; `None` is gone.
#[derive(Debug)]
pub(crate) struct Draft<'v, V: ?Sized> {
    pub(crate) view: &'v V,
    pub(crate) keyspace: Keyspace,
    pub(crate) writes: BTreeMap<UserKey, Option<Vec<u8>>>,
}

/// A key that changes, and what it was if a group wants to know.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) key: UserKey,
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) is_put: bool,
}

/// The sums of a write.
#[derive(Debug, Default)]
struct Sums {
    /// Bytes of the batch, at most.
    len: usize,
    keys_gone: u64,
    keys_new: u64,
    bytes_gone: u64,
    bytes_new: u64,
}

impl<'v, V: View + ?Sized> Draft<'v, V> {
    pub(crate) fn new(view: &'v V, keyspace: Keyspace) -> Self {
        Self { view, keyspace, writes: BTreeMap::new() }
    }

    /// Makes a batch of what differs from what is there. `published` is the group that is replaced, which has a history
    /// from now on.
    pub(crate) fn finish(
        self,
        kind: ChangeKind,
        by: &By,
        published: Option<&GroupName>,
    ) -> Result<Written, KeyspaceError> {
        let Self { view, keyspace, writes } = self;
        let revision = keyspace.next_revision()?;
        let mut book = GroupBook::new(view, &keyspace, published)?;
        let (mut ops, mut sums) = (Vec::new(), Sums::default());
        let mut value = Vec::new();
        for (key, after) in writes {
            let is_there = view.get(data_key(keyspace.id, &key).as_bytes(), &mut value)?;
            let before = if is_there { Some(StoredValue::decode(&value)?) } else { None };
            let before = before.map(|before| before.content.as_ref());
            if before == after.as_deref() {
                continue;
            }
            check_value(&keyspace, &key, after.as_deref())?;
            sums.count(&key, before, after.as_deref());
            let group = book.group_of(&key)?;
            if let Some(group) = &group {
                let record = if book.has(group) { 0 } else { MAX_RECORD };
                sums.len += record + key.as_bytes().len() + before.map_or(0, <[u8]>::len) + 2 * OP_OVERHEAD;
            }
            sums.check_len()?;
            ops.push(match &after {
                Some(after) => put(data_key(keyspace.id, &key), &StoredValue::new(revision, after)),
                None => Op::Delete { key: data_key(keyspace.id, &key) },
            });
            if let Some(group) = group {
                let before = before.map(<[u8]>::to_vec);
                book.note(&group, Difference { key, before, is_put: after.is_some() });
            }
        }
        if ops.is_empty() {
            return Ok(Written { batch: batch(book.sections(&keyspace)), keyspace, changed: false });
        }
        let keyspace = sums.over(Keyspace { revision, ..keyspace })?;
        let mut entry = vec![keyspace.put()];
        entry.extend(book.ops(&Recorded { kind, by, revision }));
        let mut sections = vec![
            Section { id: data_section(keyspace.id), ops },
            Section { id: entry_section(keyspace.id), ops: entry },
        ];
        sections.extend(publish_name(&keyspace));
        Ok(Written { batch: batch(sections), keyspace, changed: true })
    }
}

fn check_value(keyspace: &Keyspace, key: &UserKey, value: Option<&[u8]>) -> Result<(), KeyspaceError> {
    let (len, limit) = (value.map_or(0, <[u8]>::len), keyspace.limits.max_value);
    if len as u64 <= limit {
        return Ok(());
    }
    Err(KeyspaceError::LongValue { keyspace: keyspace.name.to_string(), key: key.clone(), len, limit })
}

impl Sums {
    fn count(&mut self, key: &UserKey, before: Option<&[u8]>, after: Option<&[u8]>) {
        let key = key.as_bytes().len();
        self.len += key + after.map_or(0, <[u8]>::len) + OP_OVERHEAD;
        if let Some(before) = before {
            self.keys_gone += 1;
            self.bytes_gone += (key + before.len()) as u64;
        }
        if let Some(after) = after {
            self.keys_new += 1;
            self.bytes_new += (key + after.len()) as u64;
        }
    }

    /// Before more is read: a batch that is too large need not be in memory.
    fn check_len(&self) -> Result<(), KeyspaceError> {
        // Data, entry and name of the keyspace, with room for histories of groups.
        let len = self.len + 16 * SECTION_OVERHEAD;
        if len > MAX_BATCH_LEN { Err(KeyspaceError::TooLarge(len)) } else { Ok(()) }
    }

    /// The keyspace with what comes and without what goes. What makes it smaller is done, whatever the limits are.
    fn over(&self, keyspace: Keyspace) -> Result<Keyspace, KeyspaceError> {
        let keys = keyspace.keys.saturating_add(self.keys_new).saturating_sub(self.keys_gone);
        let bytes = keyspace.bytes.saturating_add(self.bytes_new).saturating_sub(self.bytes_gone);
        let over = |what, would, present, limit| {
            let keyspace = keyspace.name.to_string();
            (would > limit && would > present).then_some(KeyspaceError::OverLimit { keyspace, what, would, limit })
        };
        let too_much = over("keys", keys, keyspace.keys, keyspace.limits.max_keys)
            .or_else(|| over("bytes", bytes, keyspace.bytes, keyspace.limits.max_bytes));
        match too_much {
            Some(error) => Err(error),
            None => Ok(Keyspace { keys, bytes, ..keyspace }),
        }
    }
}
