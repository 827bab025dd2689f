//! What a version changed in a keyspace, for those who watch it.

use zonecast_kv_proto::{EncodedSection, KeyspaceId, OpRef, Published, decode_ops};

use crate::KeyspaceError;
use crate::stored::StoredValue;

/// What one version changed in a keyspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceChange {
    /// Its keys that changed, in ascending order.
    pub keys: Vec<ChangedKey>,
    /// The keyspace is gone, with all its keys.
    pub dropped: bool,
}

/// A key that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedKey {
    /// The key.
    pub key: Vec<u8>,
    /// The revision that put it there, and its value; `None` if it was deleted.
    pub put: Option<(u64, Vec<u8>)>,
}

impl KeyspaceChange {
    /// What a version changed of the keys that begin with `prefix`.
    ///
    /// # Errors
    /// The version is damaged.
    pub fn of(version: &Published, id: KeyspaceId, prefix: &[u8]) -> Result<Self, KeyspaceError> {
        let mut change = Self::default();
        for section in version.sections.iter().filter(|section| section.id.keyspace == id) {
            change.take(section, prefix)?;
        }
        Ok(change)
    }

    fn take(&mut self, section: &EncodedSection, prefix: &[u8]) -> Result<(), KeyspaceError> {
        for op in decode_ops(section) {
            let op = op.map_err(|error| KeyspaceError::Damaged { what: "a version", why: error.to_string() })?;
            let (key, put) = match op {
                OpRef::Put { key, value } => {
                    let value = StoredValue::decode(value)?;
                    (key, Some((value.revision, value.content.to_vec())))
                }
                OpRef::Delete { key } => (key, None),
                // Only who drops a keyspace deletes ranges of it.
                OpRef::DeleteRange { .. } => {
                    self.dropped = true;
                    continue;
                }
            };
            let key = key.get(2..).unwrap_or_default();
            if key.starts_with(prefix) {
                self.keys.push(ChangedKey { key: key.to_vec(), put });
            }
        }
        Ok(())
    }
}
