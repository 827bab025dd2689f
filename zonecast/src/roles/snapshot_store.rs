//! `[snapshots]` of a core: its newest table files go to an object store, so that new edges do not load the core. Of a
//! cluster the core that leads does so.

use std::time::Duration;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tokio::time::Instant;
use zonecast_kv_mirror::{PublishedSet, SnapshotStore};
use zonecast_kv_proto::TableMirror as _;
use zonecast_kv_transport::Identity;

use super::running_core::RunningCore;
use zonecast_service::exit::Outcome;

/// How often is looked whether what is there leads to the batch log still.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// A busy core would put everything there again and again.
const AT_MOST_EVERY: Duration = Duration::from_mins(10);

/// What a core puts into an object store, if it has one.
pub(super) struct StoreWriter {
    store: Option<SnapshotStore>,
    identity: Identity,
    sets: IntCounterVec,
    bytes: IntCounter,
}

impl StoreWriter {
    /// Writes into this store what this core signs. Its metrics are there without a store, too.
    ///
    /// # Errors
    /// The registry has metrics of these names already.
    pub(super) fn new(store: Option<SnapshotStore>, identity: Identity, registry: &Registry) -> Outcome<Self> {
        let sets = Opts::new("zonecast_store_published_total", "Snapshots put into the object store, by result.");
        let sets = IntCounterVec::new(sets, &["result"])?;
        for result in ["done", "failed"] {
            sets.with_label_values(&[result]);
        }
        let bytes = IntCounter::new("zonecast_store_published_bytes_total", "Bytes put into the object store.")?;
        registry.register(Box::new(sets.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self { store, identity, sets, bytes })
    }

    /// Keeps the store up to date. Never ends.
    pub(super) async fn run(&self, core: &RunningCore) {
        let Some(store) = &self.store else { return std::future::pending().await };
        let mut wrote: Option<Instant> = None;
        loop {
            if core.core().leads() && wrote.is_none_or(|wrote| wrote.elapsed() >= AT_MOST_EVERY) {
                match self.write(store, core).await {
                    Ok(None) => {}
                    Ok(Some(PublishedSet { files, bytes, removed })) => {
                        wrote = Some(Instant::now());
                        self.sets.with_label_values(&["done"]).inc();
                        self.bytes.inc_by(bytes);
                        tracing::info!(files, bytes, removed, "the object store has the newest snapshot");
                    }
                    Err(error) => {
                        self.sets.with_label_values(&["failed"]).inc();
                        tracing::warn!(
                            error,
                            "the object store has no newer snapshot; new edges get theirs from the cores"
                        );
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Puts a snapshot there, unless edges can begin with the one that is there.
    async fn write(&self, store: &SnapshotStore, core: &RunningCore) -> Result<Option<PublishedSet>, String> {
        // What makes no sense there, or is not of a core, is written over.
        let known = store.manifest().await.ok().flatten();
        let known = known.filter(|known| self.identity.check_manifest(&known.signed).is_ok());
        let newer = core.publisher().newer_tables(known.map(|known| known.manifest)).await;
        let Some(newer) = newer.map_err(|error| error.to_string())? else { return Ok(None) };
        store.publish(&newer.tables, &newer.signed).await.map(Some).map_err(|error| error.to_string())
    }
}
