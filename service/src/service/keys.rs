//! Keys of a keyspace: read at the core or at an edge, and written.

use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_keyspaces::{
    Comparison, Condition, KeyWrite, Keyspace, KeyspaceError, KeyspaceName, Page, Published, StoredValue, Transaction,
    UserKey, commit, get, list,
};
use zonecast_kv_proto::{KeyspaceId, Version, View};

use super::records::MAX_DATA;
use super::{LocalEdge, Service};
use crate::error::ServiceError;
use crate::zone::{Terms, blocking};
use zonecast_api::Patience;
use zonecast_api::types::{
    KeyChange, KeyComparison, KeyEntry, KeyPage, KeyTransaction, KeyspaceWritten, Octets, OctetsError,
};

/// The value of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// The value.
    pub value: Vec<u8>,
    /// The revision of its last change.
    pub revision: u64,
    /// The version that was read.
    pub version: u64,
}

/// Which keys to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysWanted {
    /// All begin so.
    pub prefix: Vec<u8>,
    /// All come after this key.
    pub after: Option<Vec<u8>>,
    /// Keys at most.
    pub limit: usize,
    /// Leave out the values.
    pub keys_only: bool,
}

/// A keyspace in the state of a node.
struct Found {
    id: KeyspaceId,
    revision: u64,
    version: Version,
}

impl From<OctetsError> for ServiceError {
    fn from(error: OctetsError) -> Self {
        Self::bad(error)
    }
}

impl Service {
    /// Reads a key at the core, or `at` an edge of this process.
    ///
    /// # Errors
    /// There is no such keyspace, key or edge, or the store could not be read.
    pub async fn key(&self, name: KeyspaceName, key: UserKey, at: Option<String>) -> Result<KeyValue, ServiceError> {
        if let Some(edge) = self.edge_at(at)? {
            return edge.key(name, key).await;
        }
        let core = self.core().clone();
        blocking(move || {
            let view = core.view();
            let version = view.position().map_err(ServiceError::internal)?.version;
            let Keyspace { id, revision, .. } = Keyspace::find(&view, &name)?;
            read(&view, &name, &Found { id, revision, version }, key)
        })
        .await
    }

    /// Lists keys at the core, or `at` an edge of this process.
    ///
    /// # Errors
    /// There is no such keyspace or edge, or the store could not be read.
    pub async fn keys(
        &self,
        name: KeyspaceName,
        wanted: KeysWanted,
        at: Option<String>,
    ) -> Result<KeyPage, ServiceError> {
        if let Some(edge) = self.edge_at(at)? {
            return edge.keys(name, wanted).await;
        }
        let core = self.core().clone();
        blocking(move || {
            let view = core.view();
            let version = view.position().map_err(ServiceError::internal)?.version;
            let Keyspace { id, revision, .. } = Keyspace::find(&view, &name)?;
            page(&view, &name, "core", &Found { id, revision, version }, &wanted)
        })
        .await
    }

    /// The edge of this process that is asked for; none if the core is.
    fn edge_at(&self, at: Option<String>) -> Result<Option<LocalEdge>, ServiceError> {
        let Some(at) = at.filter(|at| at != "core") else { return Ok(None) };
        let edge = self.parts.edges.iter().find(|edge| at == "edge" || edge.name == at);
        edge.cloned().map(Some).ok_or(ServiceError::NoEdge(at))
    }

    /// Does all changes of a transaction, if all its comparisons hold.
    ///
    /// # Errors
    /// It makes no sense, there is no such keyspace, a comparison does not hold, a limit is reached, or the core cannot
    /// commit.
    pub async fn key_transaction(
        self: &Arc<Self>,
        name: KeyspaceName,
        transaction: KeyTransaction,
        terms: Terms,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let transaction = understood(transaction)?;
        self.write_keys(name, transaction, terms, patience).await
    }

    /// The same, understood already.
    ///
    /// # Errors
    /// As [`Service::key_transaction`].
    pub async fn write_keys(
        self: &Arc<Self>,
        name: KeyspaceName,
        transaction: Transaction,
        terms: Terms,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let build = move |view: &dyn View, by: &_| Ok(commit(view, &name, &transaction, by)?);
        self.write_keyspace(terms, patience, build).await
    }
}

impl LocalEdge {
    /// Reads a key in the copy of this edge.
    ///
    /// # Errors
    /// There is no such keyspace or key here, or the copy could not be read.
    pub async fn key(self, name: KeyspaceName, key: UserKey) -> Result<KeyValue, ServiceError> {
        blocking(move || {
            let state = self.states.load().ok_or_else(|| no_keyspace(&name))?;
            let view = state.snapshot.view();
            let found = Found::at_edge(&view, &name, state.position.version)?;
            read(&view, &name, &found, key)
        })
        .await
    }

    /// Lists keys in the copy of this edge.
    ///
    /// # Errors
    /// There is no such keyspace here, or the copy could not be read.
    pub async fn keys(self, name: KeyspaceName, wanted: KeysWanted) -> Result<KeyPage, ServiceError> {
        blocking(move || {
            let state = self.states.load().ok_or_else(|| no_keyspace(&name))?;
            let view = state.snapshot.view();
            let found = Found::at_edge(&view, &name, state.position.version)?;
            page(&view, &name, &self.name, &found, &wanted)
        })
        .await
    }
}

impl Found {
    fn at_edge(view: &impl View, name: &KeyspaceName, version: Version) -> Result<Self, ServiceError> {
        let Published { id, revision } = Published::find(view, name)?.ok_or_else(|| no_keyspace(name))?;
        Ok(Self { id, revision, version })
    }
}

fn no_keyspace(name: &KeyspaceName) -> ServiceError {
    KeyspaceError::NoKeyspace(name.to_string()).into()
}

fn read(view: &impl View, name: &KeyspaceName, found: &Found, key: UserKey) -> Result<KeyValue, ServiceError> {
    let mut value = Vec::new();
    match get(view, found.id, &key, &mut value)? {
        Some(StoredValue { revision, content, .. }) => {
            Ok(KeyValue { value: content.to_vec(), revision, version: found.version.get() })
        }
        None => Err(KeyspaceError::NoKey { keyspace: name.to_string(), key }.into()),
    }
}

fn page(
    view: &impl View,
    name: &KeyspaceName,
    at: &str,
    found: &Found,
    wanted: &KeysWanted,
) -> Result<KeyPage, ServiceError> {
    let KeysWanted { prefix, after, limit, keys_only } = wanted;
    let (mut keys, mut next, mut room) = (Vec::new(), None, MAX_DATA);
    let mut last = Vec::new();
    list(view, found.id, Page { prefix, after: after.as_deref() }, &mut |key, stored| {
        if keys.len() == *limit || room == 0 {
            next = Some(Octets::of(&last));
            return ControlFlow::Break(());
        }
        key.clone_into(&mut last);
        let value = (!keys_only).then(|| Octets::of(stored.content));
        room = room.saturating_sub(key.len() + if *keys_only { 0 } else { stored.content.len() });
        keys.push(KeyEntry { key: Octets::of(key), revision: stored.revision, len: stored.content.len(), value });
        ControlFlow::Continue(())
    })?;
    let (version, revision) = (found.version.get(), found.revision);
    Ok(KeyPage { keyspace: name.to_string(), at: at.to_owned(), version, revision, keys, next })
}

fn understood(transaction: KeyTransaction) -> Result<Transaction, ServiceError> {
    let KeyTransaction { compare, changes } = transaction;
    let compare = compare.into_iter().map(comparison).collect::<Result<_, _>>()?;
    let writes = changes.into_iter().map(write).collect::<Result<_, _>>()?;
    Ok(Transaction { compare, writes })
}

fn comparison(comparison: KeyComparison) -> Result<Comparison, ServiceError> {
    let KeyComparison { key, revision, value, exists } = comparison;
    let condition = match (revision, value, exists) {
        (Some(revision), None, None) => Condition::Revision(revision),
        (None, Some(value), None) => Condition::Value(value.into_bytes()?),
        (None, None, Some(true)) => Condition::Present,
        (None, None, Some(false)) => Condition::Absent,
        _ => return Err(ServiceError::bad("a comparison has exactly one of `revision`, `value` and `exists`")),
    };
    Ok(Comparison { key: user_key(key)?, condition })
}

fn write(change: KeyChange) -> Result<KeyWrite, ServiceError> {
    Ok(match change {
        KeyChange::Put { key, value } => KeyWrite::Put { key: user_key(key)?, value: value.into_bytes()? },
        KeyChange::Delete { key } => KeyWrite::Delete { key: user_key(key)? },
    })
}

fn user_key(key: Octets) -> Result<UserKey, ServiceError> {
    UserKey::new(key.into_bytes()?).map_err(ServiceError::bad)
}
