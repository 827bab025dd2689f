//! Keyspaces of users come, change their limits and go; and how every write of one is committed.

use std::sync::Arc;

use zonecast_keyspaces::{
    By, Keyspace, KeyspaceError, KeyspaceName, KeyspaceSettings, Made, Written, create, drop_keyspace, keyspaces,
};
use zonecast_kv_core::Editions;
use zonecast_kv_proto::{Version, View};

use super::Service;
use crate::error::ServiceError;
use crate::import::committed;
use crate::who::Who;
use crate::zone::{blocking, unix_time};
use zonecast_api::Patience;
use zonecast_api::types::{KeyspaceInfo, KeyspaceList, KeyspaceSetup, KeyspaceWritten};

impl Service {
    /// All keyspaces.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn keyspaces(&self) -> Result<KeyspaceList, ServiceError> {
        let core = self.core().clone();
        blocking(move || Ok(KeyspaceList { keyspaces: keyspaces(&core.view())?.iter().map(described).collect() })).await
    }

    /// One keyspace.
    ///
    /// # Errors
    /// There is none, or the store could not be read.
    pub async fn keyspace(&self, name: KeyspaceName) -> Result<KeyspaceInfo, ServiceError> {
        let core = self.core().clone();
        blocking(move || Ok(described(&Keyspace::find(&core.view(), &name)?))).await
    }

    /// Makes a keyspace, or changes the limits of one, as `who` asks.
    ///
    /// # Errors
    /// The limits make no sense, it is there and stays published or private, there are too many, or the core cannot
    /// commit.
    pub async fn put_keyspace(
        self: &Arc<Self>,
        name: KeyspaceName,
        setup: KeyspaceSetup,
        who: Who,
    ) -> Result<KeyspaceInfo, ServiceError> {
        let service = Arc::clone(self);
        self.to_the_end(&who.clone(), async move { service.put_keyspace_now(name, setup, &who).await }).await
    }

    async fn put_keyspace_now(
        &self,
        name: KeyspaceName,
        setup: KeyspaceSetup,
        who: &Who,
    ) -> Result<KeyspaceInfo, ServiceError> {
        let KeyspaceSetup { private, max_keys, max_bytes, max_value } = setup;
        let settings = KeyspaceSettings { private, max_keys, max_bytes, max_value };
        let build = move |view: &dyn View, _: &Editions<'_>| {
            let Made { batch, keyspace } = create(view, &name, settings)?;
            let changed = !batch.is_empty();
            Ok::<_, KeyspaceError>((batch, (keyspace, changed)))
        };
        let ((keyspace, changed), pending) = self.core().change(build).await?;
        committed(pending.await)?;
        let info = described(&keyspace);
        if changed {
            let KeyspaceInfo { keyspace, private, max_keys, max_bytes, max_value, .. } = &info;
            let by = who.name();
            tracing::info!(keyspace, by, private, max_keys, max_bytes, max_value, "keyspace made or changed");
        }
        Ok(info)
    }

    /// Drops a keyspace with its groups; with its keys only if that is said.
    ///
    /// # Errors
    /// There is none, it has keys, or the core cannot commit.
    pub async fn drop_keyspace(
        self: &Arc<Self>,
        name: KeyspaceName,
        with_keys: bool,
        who: Who,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let service = Arc::clone(self);
        self.to_the_end(&who.clone(), async move { service.drop_keyspace_now(name, with_keys, &who).await }).await
    }

    async fn drop_keyspace_now(
        &self,
        name: KeyspaceName,
        with_keys: bool,
        who: &Who,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let build = move |view: &dyn View, _: &Editions<'_>| {
            let Made { batch, keyspace } = drop_keyspace(view, &name, with_keys)?;
            Ok::<_, KeyspaceError>((batch, keyspace))
        };
        let (keyspace, pending) = self.core().change(build).await?;
        let version = committed(pending.await)?;
        tracing::info!(keyspace = %keyspace.name, keys = keyspace.keys, by = who.name(), "keyspace dropped");
        Ok(self.keyspace_written(&keyspace, version, true))
    }

    /// Builds a write of a keyspace over everything in flight and commits it. `patience` is what will be waited for.
    pub(super) async fn write_keyspace(
        self: &Arc<Self>,
        who: Who,
        patience: Patience,
        build: impl FnOnce(&dyn View, &By) -> Result<Written, ServiceError> + Send + 'static,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let service = Arc::clone(self);
        let waits = patience.wait.is_some();
        self.to_the_end(&who.clone(), async move {
            let by = By { time: unix_time(), name: who.name().to_owned() };
            let build = move |view: &dyn View, _: &Editions<'_>| {
                let Written { batch, keyspace, changed } = build(view, &by)?;
                if waits && keyspace.is_private() {
                    return Err(ServiceError::bad(format_args!(
                        "keyspace {} is private: no edge ever has it, so there is nothing to wait for",
                        keyspace.name
                    )));
                }
                Ok((batch, (keyspace, changed)))
            };
            let ((keyspace, changed), pending) = service.core().change(build).await?;
            let version = committed(pending.await)?;
            Ok(service.keyspace_written(&keyspace, version, changed))
        })
        .await
    }

    /// Adds the receipt to a write, if one was asked for.
    pub async fn wait_for_keys(&self, mut written: KeyspaceWritten, patience: Patience) -> KeyspaceWritten {
        if let (Some(version), Some(_)) = (written.version, patience.wait) {
            written.receipt = Some(self.receipt_of(Version::new(version), patience).await);
        }
        written
    }

    fn keyspace_written(&self, keyspace: &Keyspace, version: Option<Version>, changed: bool) -> KeyspaceWritten {
        let last = || self.core().position().version;
        KeyspaceWritten {
            keyspace: keyspace.name.to_string(),
            revision: keyspace.revision,
            version: (!keyspace.is_private()).then(|| version.unwrap_or_else(last).get()),
            changed,
            receipt: None,
        }
    }
}

pub(super) fn described(keyspace: &Keyspace) -> KeyspaceInfo {
    KeyspaceInfo {
        keyspace: keyspace.name.to_string(),
        id: keyspace.id.get(),
        private: keyspace.is_private(),
        max_keys: keyspace.limits.max_keys,
        max_bytes: keyspace.limits.max_bytes,
        max_value: keyspace.limits.max_value,
        keys: keyspace.keys,
        bytes: keyspace.bytes,
        revision: keyspace.revision,
    }
}
