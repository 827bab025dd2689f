//! Keyspaces beside DNS in one state of an edge: other configuration that took the same way.

use std::ops::ControlFlow;

use zonecast_keyspaces::{KeyspaceError, KeyspaceName, Page, Published, StoredValue, UserKey, get, list};
use zonecast_kv_edge::EdgeView;

use crate::{EdgeState, Reading};

/// A published keyspace in one unchanging state: all of its keys are of one version.
#[derive(Debug)]
pub struct KeyspaceReading<'r> {
    reading: &'r Reading,
    found: Published,
}

/// Which keyspace it is, and after how many changes: equal marks mean equal keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyspaceMark {
    id: u16,
    revision: u64,
}

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceValue {
    /// The value.
    pub content: Vec<u8>,
    /// The revision of the keyspace that put it there.
    pub revision: u64,
}

impl Reading {
    /// The published keyspace of this name; `None` if there is none in this state, or the edge is new.
    ///
    /// # Errors
    /// The copy could not be read or is damaged.
    pub fn keyspace(&self, name: &KeyspaceName) -> Result<Option<KeyspaceReading<'_>>, KeyspaceError> {
        let found = self.with_view(|state, view| state.seen_keys(Published::find(view, name)));
        let found = found.unwrap_or(Ok(None))?;
        Ok(found.map(|found| KeyspaceReading { reading: self, found }))
    }
}

impl KeyspaceReading<'_> {
    /// What to compare, to see whether the keyspace has changed.
    #[must_use]
    pub fn mark(&self) -> KeyspaceMark {
        KeyspaceMark { id: self.found.id.get(), revision: self.found.revision }
    }

    /// The number of changes of the keyspace up to this state.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.found.revision
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The copy could not be read or is damaged.
    pub fn get(&self, key: &UserKey) -> Result<Option<KeyspaceValue>, KeyspaceError> {
        self.read(|view| {
            let mut value = Vec::new();
            let found = get(view, self.found.id, key, &mut value)?;
            Ok(found.map(|StoredValue { revision, content, .. }| KeyspaceValue { content: content.to_vec(), revision }))
        })
        .unwrap_or(Ok(None))
    }

    /// Calls `visit` with each key that begins with `prefix`, its value and its revision, in ascending order, until it
    /// breaks.
    ///
    /// # Errors
    /// The copy could not be read or is damaged.
    pub fn list(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8], u64) -> ControlFlow<()>,
    ) -> Result<(), KeyspaceError> {
        self.read(|view| {
            list(view, self.found.id, Page { prefix, after: None }, &mut |key, stored| {
                visit(key, stored.content, stored.revision)
            })
        })
        .unwrap_or(Ok(()))
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&EdgeView<'_>) -> Result<T, KeyspaceError>,
    ) -> Option<Result<T, KeyspaceError>> {
        self.reading.with_view(|state, view| state.seen_keys(read(view)))
    }
}

impl EdgeState {
    /// Has damage that a reader ran into repaired.
    pub(crate) fn seen_keys<T>(&self, found: Result<T, KeyspaceError>) -> Result<T, KeyspaceError> {
        if let Err(error @ KeyspaceError::Damaged { .. }) = &found {
            self.snapshot.report_damage(&error.to_string());
        }
        found
    }
}
