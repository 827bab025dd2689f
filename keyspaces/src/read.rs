//! Reads of one keyspace in one unchanging state, at a core or at an edge.

use std::ops::ControlFlow;

use zonecast_kv_proto::{KeyspaceId, View};

use crate::layout::{data_key, name_key, prefix_range};
use crate::stored::{StoredName, StoredValue, find};
use crate::{KeyspaceError, KeyspaceName, UserKey};

/// A published keyspace, as an edge finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// In front of its keys.
    pub id: KeyspaceId,
    /// The number of its changes.
    pub revision: u64,
}

/// A key of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The key.
    pub key: UserKey,
    /// The revision of its last change.
    pub revision: u64,
    /// Its value.
    pub value: Vec<u8>,
}

/// Which keys are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Page<'p> {
    /// All begin so.
    pub prefix: &'p [u8],
    /// All come after this key.
    pub after: Option<&'p [u8]>,
}

impl Published {
    /// The published keyspace of this name, in any store.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn find(view: &(impl View + ?Sized), name: &KeyspaceName) -> Result<Option<Self>, KeyspaceError> {
        let stored: Option<StoredName> = find(view, &name_key(name))?;
        Ok(stored.map(|StoredName { id, revision, .. }| Self { id: KeyspaceId::new(id), revision }))
    }
}

/// Reads a key; `value` holds the stored value afterwards, and what is returned borrows from it.
///
/// # Errors
/// The store could not be read.
pub fn get<'v>(
    view: &(impl View + ?Sized),
    id: KeyspaceId,
    key: &UserKey,
    value: &'v mut Vec<u8>,
) -> Result<Option<StoredValue<'v>>, KeyspaceError> {
    if view.get(data_key(id, key).as_bytes(), value)? { StoredValue::decode(value).map(Some) } else { Ok(None) }
}

/// Calls `visit` for each key in ascending order, until it breaks.
///
/// # Errors
/// The store could not be read.
pub fn list(
    view: &(impl View + ?Sized),
    id: KeyspaceId,
    page: Page<'_>,
    visit: &mut dyn FnMut(&[u8], StoredValue<'_>) -> ControlFlow<()>,
) -> Result<(), KeyspaceError> {
    let (mut start, end) = prefix_range(id, page.prefix);
    if let Some(after) = page.after {
        let behind = [&id.get().to_be_bytes()[..], after, &[0]].concat();
        start = start.max(behind);
    }
    let mut failed = None;
    view.scan(&start, &end, &mut |key, value| match StoredValue::decode(value) {
        Ok(value) => visit(key.get(2..).unwrap_or_default(), value),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}
