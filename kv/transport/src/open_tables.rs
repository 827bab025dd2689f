//! The table files that one session sends: a place among the snapshots that are read, the files, and the log behind them.

use std::sync::Arc;

use bytes::Bytes;
use zonecast_kv_proto::{
    Epoch, LogPin, SignedManifest, SourceError, TableManifest, TableOffer, TablePlace, TableSource, Version,
};

use crate::feed::Feed;
use crate::snapshot_place::SnapshotPlace;
use crate::table_shelf::Taken;
use crate::{Clock, Identity};

/// Dropping it frees the place, and lets the batch log be trimmed.
pub(crate) struct OpenTables {
    tables: Arc<dyn TableSource>,
    signed: Bytes,
    pin: Box<dyn LogPin>,
    feed: Arc<Feed>,
    _place: SnapshotPlace,
}

impl OpenTables {
    /// Waits for its turn and for the files. `None` if there are none, so that entries must do.
    pub(crate) async fn take(feed: Arc<Feed>, identity: Identity, from: (Epoch, Version)) -> Option<Self> {
        let place = SnapshotPlace::take(Arc::clone(&feed)).await;
        let taken = match feed.tables.take(Arc::clone(&feed.source), from).await {
            Ok(taken) => taken?,
            Err(error) => {
                tracing::warn!(%error, "no table files can be made for edges; they get the snapshot key by key, which is slower");
                return None;
            }
        };
        let Taken { tables, pin } = taken;
        let signed = match tables.signed() {
            Some(signed) => Ok(signed.to_bytes()),
            None => sign(&identity, tables.manifest()),
        };
        match signed {
            Ok(signed) => Some(Self { tables, signed, pin, feed, _place: place }),
            Err(error) => {
                tracing::warn!(error, "the table files for edges cannot be offered; they get the snapshot key by key");
                None
            }
        }
    }

    /// What the downstream is told of them.
    pub(crate) fn offer(&self) -> TableOffer {
        let manifest = self.tables.manifest();
        TableOffer { position: manifest.position, signed: self.signed.clone(), lens: manifest.lens() }
    }

    /// Reads from them, no faster than it may be.
    pub(crate) fn read(
        &self,
        clock: Clock,
        place: TablePlace,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Bytes, SourceError>> + Send + 'static {
        let (tables, feed) = (Arc::clone(&self.tables), Arc::clone(&self.feed));
        async move {
            let bytes = feed.rate.most(max_bytes);
            feed.rate.take(clock, bytes).await;
            let read = move || {
                let file = usize::try_from(place.file).ok().and_then(|file| tables.manifest().files.get(file));
                let file = file.ok_or_else(|| SourceError(format!("there is no table file {}", place.file)))?;
                tables.read(&file.hash, place.offset, bytes)
            };
            tokio::task::spawn_blocking(read).await.expect("sources do not panic")
        }
    }

    /// The files are sent; what follows them is not.
    pub(crate) fn into_pin(self) -> Box<dyn LogPin> {
        self.pin
    }
}

/// Table files for whoever passes them on in another way, and what says that they are.
pub struct SignedTables {
    /// Those.
    pub tables: Arc<dyn TableSource>,
    /// Their manifest, signed.
    pub signed: SignedManifest,
    _pin: Box<dyn LogPin>,
}

impl SignedTables {
    /// The newest of a publisher, unless the `known` ones are recent.
    pub(crate) async fn newer_than(
        feed: &Feed,
        identity: &Identity,
        known: Option<TableManifest>,
    ) -> Result<Option<Self>, SourceError> {
        if let Some(known) = known {
            let source = Arc::clone(&feed.source);
            let is_recent = tokio::task::spawn_blocking(move || source.is_recent(&known));
            if is_recent.await.expect("sources do not panic")? {
                return Ok(None);
            }
        }
        let taken = feed.tables.take(Arc::clone(&feed.source), Default::default()).await?;
        let Some(Taken { tables, pin }) = taken else { return Ok(None) };
        let signed = sign(identity, tables.manifest()).map_err(SourceError)?;
        let signed = SignedManifest::from_bytes(&signed).map_err(|error| SourceError(error.to_string()))?;
        Ok(Some(Self { tables, signed, _pin: pin }))
    }
}

impl std::fmt::Debug for SignedTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedTables").field("position", &self.tables.manifest().position).finish_non_exhaustive()
    }
}

/// As the node that made the files says that it has.
fn sign(identity: &Identity, manifest: &TableManifest) -> Result<Bytes, String> {
    let bytes = manifest.to_bytes().map_err(|error| error.to_string())?;
    identity.sign_manifest(bytes).map(|signed| signed.to_bytes()).map_err(|error| error.to_string())
}
