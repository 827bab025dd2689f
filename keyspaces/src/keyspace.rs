//! A keyspace as the core knows it.

use zonecast_kv_proto::{KeyspaceId, Op, View};

use crate::layout::{directory_key, entry_key};
use crate::limits::MAX_VALUE_LEN;
use crate::stored::{FORMAT, StoredEntry, StoredName, find, put};
use crate::{KeyspaceError, KeyspaceName, Limits};

/// A keyspace of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name.
    pub name: KeyspaceName,
    /// In front of its keys.
    pub id: KeyspaceId,
    /// What it may hold.
    pub limits: Limits,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of keys and values in it.
    pub bytes: u64,
    /// The number of its changes; every key has the one that put it there.
    pub revision: u64,
}

/// What somebody wants a keyspace to be; what is left out stays, or is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceSettings {
    /// Whether edges never see it.
    pub private: Option<bool>,
    /// See [`Limits::max_keys`].
    pub max_keys: Option<u64>,
    /// See [`Limits::max_bytes`].
    pub max_bytes: Option<u64>,
    /// See [`Limits::max_value`].
    pub max_value: Option<u64>,
}

impl Keyspace {
    /// The keyspace of this name, in the store of a core.
    ///
    /// # Errors
    /// There is none, or the store could not be read.
    pub fn find(view: &(impl View + ?Sized), name: &KeyspaceName) -> Result<Self, KeyspaceError> {
        Self::look_up(view, name)?.ok_or_else(|| KeyspaceError::NoKeyspace(name.to_string()))
    }

    pub(crate) fn look_up(view: &(impl View + ?Sized), name: &KeyspaceName) -> Result<Option<Self>, KeyspaceError> {
        let Some(StoredName { id, .. }) = find(view, &directory_key(name))? else { return Ok(None) };
        let id = KeyspaceId::new(id);
        let entry: Option<StoredEntry> = find(view, &entry_key(id))?;
        let entry = entry.ok_or_else(|| damaged(format!("keyspace {name} has no entry {:04x}", id.get())))?;
        if entry.name != name.as_str() {
            return Err(damaged(format!("keyspace {name} has the entry {:04x} of another one", id.get())));
        }
        Self::of(id, entry).map(Some)
    }

    /// The revision of the next change.
    pub(crate) fn next_revision(&self) -> Result<u64, KeyspaceError> {
        let next = self.revision.checked_add(1);
        next.ok_or_else(|| damaged(format!("keyspace {} has more revisions than there can be", self.name)))
    }

    pub(crate) fn of(id: KeyspaceId, entry: StoredEntry) -> Result<Self, KeyspaceError> {
        let StoredEntry { format: _, name, max_keys, max_bytes, max_value, keys, bytes, revision } = entry;
        let limits = Limits { max_keys, max_bytes, max_value };
        Ok(Self { name: name.parse()?, id, limits, keys, bytes, revision })
    }

    /// Whether edges never see it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        !self.id.is_published()
    }

    pub(crate) fn put(&self) -> Op {
        let Self { name, id, limits, keys, bytes, revision } = self;
        let Limits { max_keys, max_bytes, max_value } = *limits;
        let (name, keys, bytes, revision) = (name.to_string(), *keys, *bytes, *revision);
        let entry = StoredEntry { format: FORMAT, name, max_keys, max_bytes, max_value, keys, bytes, revision };
        put(entry_key(*id), &entry)
    }
}

fn damaged(why: String) -> KeyspaceError {
    KeyspaceError::Damaged { what: "the catalog", why }
}

impl KeyspaceSettings {
    /// Limits as they are wanted, and else as they are.
    pub(crate) fn over(self, limits: Limits) -> Result<Limits, KeyspaceError> {
        let wanted = Limits {
            max_keys: self.max_keys.unwrap_or(limits.max_keys),
            max_bytes: self.max_bytes.unwrap_or(limits.max_bytes),
            max_value: self.max_value.unwrap_or(limits.max_value),
        };
        if wanted.max_value > MAX_VALUE_LEN as u64 {
            return Err(KeyspaceError::Malformed(format!("`max_value` is at most {MAX_VALUE_LEN}")));
        }
        if [wanted.max_keys, wanted.max_bytes, wanted.max_value].contains(&0) {
            return Err(KeyspaceError::Malformed("a limit of a keyspace is at least 1".into()));
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::MemoryView;

    use super::*;
    use crate::layout::group_key;
    use crate::stored::{StoredGroup, encode};
    use crate::{By, GroupFile, KeyWrite, Shrink, Transaction, UserKey, commit, create, publish};

    /// A store with two keyspaces; in the first is a group.
    fn store() -> MemoryView {
        let mut view = MemoryView::new();
        for name in ["one", "two"] {
            view.apply(&create(&view, &name.parse().unwrap(), KeyspaceSettings::default()).unwrap().batch);
        }
        view.apply(&published(&view, b"a").unwrap().batch);
        view
    }

    fn published(view: &MemoryView, value: &[u8]) -> Result<crate::Written, KeyspaceError> {
        let files = vec![GroupFile { path: b"1".to_vec(), value: value.to_vec() }];
        publish(view, &"one".parse().unwrap(), &"g".parse().unwrap(), files, Shrink::Allowed, &By::default())
    }

    fn put(view: &MemoryView) -> Result<crate::Written, KeyspaceError> {
        let write = KeyWrite::Put { key: UserKey::new("k").unwrap(), value: vec![] };
        let transaction = Transaction { compare: vec![], writes: vec![write] };
        commit(view, &"one".parse().unwrap(), &transaction, &By::default())
    }

    #[test]
    fn a_name_that_leads_to_another_keyspace_is_damage() {
        let mut view = store();
        let other = Keyspace::find(&view, &"two".parse().unwrap()).unwrap().id;
        let damaged = encode(&StoredName { format: FORMAT, id: other.get(), revision: 0 });
        view.insert(directory_key(&"one".parse().unwrap()).as_bytes(), damaged.as_bytes());
        let error = put(&view).unwrap_err();
        assert!(matches!(error, KeyspaceError::Damaged { .. }), "{error}");
    }

    #[test]
    fn numbers_that_no_keyspace_comes_to_are_damage_and_no_panic() {
        let mut view = store();
        let keyspace = Keyspace::find(&view, &"one".parse().unwrap()).unwrap();
        let changes = vec![(1, u64::MAX), (2, u64::MAX)];
        let group = StoredGroup { format: FORMAT, floor: 0, changes };
        view.insert(group_key(keyspace.id, &"g".parse().unwrap()).as_bytes(), encode(&group).as_bytes());
        published(&view, b"b").unwrap();
        view.apply_op(&Keyspace { revision: u64::MAX, ..keyspace }.put());
        let error = put(&view).unwrap_err();
        assert!(matches!(error, KeyspaceError::Damaged { .. }), "{error}");
    }
}
