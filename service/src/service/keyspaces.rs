//! Keyspaces of users come, change their limits and go; and how every write of one is committed.

use std::sync::Arc;

use zonecast_keyspaces::{
    By, Keyspace, KeyspaceName, KeyspaceSettings, Made, Written, create, drop_keyspace, keyspaces,
};
use zonecast_kv_core::Editions;
use zonecast_kv_proto::{Batch, Note, Version, View};

use super::Service;
use crate::answer::{Answer as _, Done, Wrote};
use crate::error::ServiceError;
use crate::import::landed;
use crate::zone::{Terms, blocking, unix_time};
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

    /// Makes a keyspace, or changes the limits of one.
    ///
    /// # Errors
    /// The limits make no sense, it is there and stays published or private, there are too many, or the core cannot
    /// commit.
    pub async fn put_keyspace(
        self: &Arc<Self>,
        name: KeyspaceName,
        setup: KeyspaceSetup,
        terms: Terms,
    ) -> Result<Done<KeyspaceInfo>, ServiceError> {
        let (service, on, wanted) = (Arc::clone(self), terms.clone(), name.clone());
        match self.do_once(&terms, async move { service.put_keyspace_now(wanted, setup, on).await }).await? {
            Wrote::Now(value) => Ok(Done { value, repeated: false }),
            Wrote::Before(earlier) => {
                let noted: KeyspaceInfo = earlier.answer().unwrap_or_default();
                Ok(Done { value: KeyspaceInfo { keyspace: name.to_string(), ..noted }, repeated: true })
            }
        }
    }

    async fn put_keyspace_now(
        &self,
        name: KeyspaceName,
        setup: KeyspaceSetup,
        terms: Terms,
    ) -> Result<Wrote<KeyspaceInfo>, ServiceError> {
        let KeyspaceSetup { private, max_keys, max_bytes, max_value } = setup;
        let settings = KeyspaceSettings { private, max_keys, max_bytes, max_value };
        let build = move |view: &dyn View, _: &Editions<'_>| {
            let Made { batch, keyspace } = create(view, &name, settings)?;
            let (changed, info) = (!batch.is_empty(), described(&keyspace));
            Ok::<_, ServiceError>((batch, info.note(), (info, changed)))
        };
        let (info, changed) = match self.commit_keyspace(&terms, build).await? {
            Wrote::Now((built, _)) => built,
            Wrote::Before(earlier) => return Ok(Wrote::Before(earlier)),
        };
        if changed {
            let KeyspaceInfo { keyspace, private, max_keys, max_bytes, max_value, .. } = &info;
            let by = terms.who.name();
            tracing::info!(keyspace, by, private, max_keys, max_bytes, max_value, "keyspace made or changed");
        }
        Ok(Wrote::Now(info))
    }

    /// Drops a keyspace with its groups; with its keys only if that is said.
    ///
    /// # Errors
    /// There is none, it has keys, or the core cannot commit.
    pub async fn drop_keyspace(
        self: &Arc<Self>,
        name: KeyspaceName,
        with_keys: bool,
        terms: Terms,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let (service, on) = (Arc::clone(self), terms.clone());
        let wrote = self.do_once(&terms, async move { service.drop_keyspace_now(name, with_keys, on).await }).await?;
        Ok(self.wrote_keyspace(wrote))
    }

    async fn drop_keyspace_now(
        &self,
        name: KeyspaceName,
        with_keys: bool,
        terms: Terms,
    ) -> Result<Wrote<KeyspaceWritten>, ServiceError> {
        let build = move |view: &dyn View, _: &Editions<'_>| {
            let Made { batch, keyspace } = drop_keyspace(view, &name, with_keys)?;
            Ok::<_, ServiceError>((batch, written(&keyspace, true).note(), keyspace))
        };
        let wrote = self.commit_keyspace(&terms, build).await?;
        Ok(wrote.map(|(keyspace, version)| {
            tracing::info!(keyspace = %keyspace.name, keys = keyspace.keys, by = terms.who.name(), "keyspace dropped");
            self.with_version(written(&keyspace, true), keyspace.is_private(), version)
        }))
    }

    /// Builds a write of a keyspace over everything in flight and commits it. `patience` is what will be waited for.
    pub(super) async fn write_keyspace(
        self: &Arc<Self>,
        terms: Terms,
        patience: Patience,
        build: impl FnOnce(&dyn View, &By) -> Result<Written, ServiceError> + Send + 'static,
    ) -> Result<KeyspaceWritten, ServiceError> {
        let (service, on) = (Arc::clone(self), terms.clone());
        let waits = patience.wait.is_some();
        let write = async move {
            let by = By { time: unix_time(), name: on.who.name().to_owned() };
            let build = move |view: &dyn View, _: &Editions<'_>| {
                let Written { batch, keyspace, changed } = build(view, &by)?;
                if waits && keyspace.is_private() {
                    return Err(ServiceError::bad(format_args!(
                        "keyspace {} is private: no edge ever has it, so there is nothing to wait for",
                        keyspace.name
                    )));
                }
                Ok((batch, written(&keyspace, changed).note(), (keyspace, changed)))
            };
            let wrote = service.commit_keyspace(&on, build).await?;
            Ok(wrote.map(|((keyspace, changed), version)| {
                service.with_version(written(&keyspace, changed), keyspace.is_private(), version)
            }))
        };
        Ok(self.wrote_keyspace(self.do_once(&terms, write).await?))
    }

    /// Commits what `build` makes, once if it is asked for under a key.
    async fn commit_keyspace<T: Send + 'static>(
        &self,
        terms: &Terms,
        build: impl FnOnce(&dyn View, &Editions<'_>) -> Result<(Batch, Note, T), ServiceError> + Send + 'static,
    ) -> Result<Wrote<(T, Option<Version>)>, ServiceError> {
        let (built, pending) = self.propose(terms.once, build).await?;
        match (landed(pending.await)?, built) {
            (Wrote::Now(version), Some(built)) => Ok(Wrote::Now((built, version))),
            (Wrote::Now(_), None) => Err(ServiceError::internal("a change was committed that was not built")),
            (Wrote::Before(earlier), _) => Ok(Wrote::Before(earlier)),
        }
    }

    /// The answer of a write that is done, or was before.
    fn wrote_keyspace(&self, wrote: Wrote<KeyspaceWritten>) -> KeyspaceWritten {
        match wrote {
            Wrote::Now(written) => written,
            Wrote::Before(earlier) => {
                let noted: KeyspaceWritten = earlier.answer().unwrap_or_default();
                let version = noted.version.and(earlier.version.map(Version::get)).or(noted.version);
                KeyspaceWritten { version, repeated: true, ..noted }
            }
        }
    }

    /// Adds the receipt to a write, if one was asked for.
    pub async fn wait_for_keys(&self, mut written: KeyspaceWritten, patience: Patience) -> KeyspaceWritten {
        if let (Some(version), Some(_)) = (written.version, patience.wait) {
            written.receipt = Some(self.receipt_of(Version::new(version), patience).await);
        }
        written
    }

    /// Of a published keyspace, the version that holds the write; when nothing had to change, the last one.
    fn with_version(&self, written: KeyspaceWritten, is_private: bool, version: Option<Version>) -> KeyspaceWritten {
        let last = || self.core().position().version;
        KeyspaceWritten { version: (!is_private).then(|| version.unwrap_or_else(last).get()), ..written }
    }
}

/// The answer, as it is known before the version is.
fn written(keyspace: &Keyspace, changed: bool) -> KeyspaceWritten {
    KeyspaceWritten {
        keyspace: keyspace.name.to_string(),
        revision: keyspace.revision,
        // Says in the note of a request that there is one.
        version: (!keyspace.is_private()).then_some(0),
        changed,
        ..KeyspaceWritten::default()
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
