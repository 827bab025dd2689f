//! Groups of keys: replaced all at once, their history, and what they were.

use std::sync::Arc;

use zonecast_builder::store_guards;
use zonecast_keyspaces::{
    GroupChange, GroupFile, GroupName, KeyspaceName, Shrink, Target, group_log, publish, roll_back,
};
use zonecast_kv_proto::View;

use super::Service;
use crate::error::ServiceError;
use crate::zone::{Terms, blocking};
use zonecast_api::Patience;
use zonecast_api::types::{GroupContent, GroupEntry, GroupLog, GroupLogEntry, KeyspaceWritten};

/// Most changes of a group in one answer; no more are kept.
const MAX_LOG: usize = 1000;

impl Service {
    /// Makes a group exactly these keys; `allow_shrink` if it is meant that much goes.
    ///
    /// # Errors
    /// The content makes no sense, there is no such keyspace, much of the group would go, a limit is reached, or the core
    /// cannot commit.
    pub async fn publish_group(
        self: &Arc<Self>,
        name: KeyspaceName,
        group: GroupName,
        content: GroupContent,
        allow_shrink: bool,
        terms: Terms,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let files = content.files.into_iter().map(file).collect::<Result<Vec<_>, _>>()?;
        let build = move |view: &dyn View, by: &_| {
            let shrink = match allow_shrink {
                true => Shrink::Allowed,
                false => Shrink::Share(store_guards(view)?.max_shrink().get()),
            };
            Ok(publish(view, &name, &group, files, shrink, by)?)
        };
        self.write_keyspace(terms, patience, build).await
    }

    /// Makes a group what it was.
    ///
    /// # Errors
    /// There is no such keyspace or group, that state is not known, a limit is reached, or the core cannot commit.
    pub async fn roll_back_group(
        self: &Arc<Self>,
        name: KeyspaceName,
        group: GroupName,
        target: Target,
        terms: Terms,
        patience: Patience,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let build = move |view: &dyn View, by: &_| Ok(roll_back(view, &name, &group, target, by)?);
        self.write_keyspace(terms, patience, build).await
    }

    /// The last changes of a group, newest first, at most `limit`.
    ///
    /// # Errors
    /// There is no such keyspace or group, or the store could not be read.
    pub async fn group_log(
        &self,
        name: KeyspaceName,
        group: GroupName,
        limit: usize,
    ) -> Result<GroupLog, ServiceError> {
        let core = self.core().clone();
        blocking(move || {
            let changes = group_log(&core.view(), &name, &group, limit.min(MAX_LOG))?;
            let (keyspace, group) = (name.to_string(), group.to_string());
            Ok(GroupLog { keyspace, group, changes: changes.into_iter().map(entry).collect() })
        })
        .await
    }
}

fn file(entry: GroupEntry) -> Result<GroupFile, ServiceError> {
    Ok(GroupFile { path: entry.path.into_bytes()?, value: entry.value.into_bytes()? })
}

fn entry(change: GroupChange) -> GroupLogEntry {
    let GroupChange { revision, kind, by, puts, deletes } = change;
    GroupLogEntry { revision, kind: kind.word().to_owned(), time: by.time, by: by.name, puts, deletes }
}
