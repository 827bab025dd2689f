//! `[snapshots]` of a core, an edge or a relay: an object store that they share.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zonecast_kv_mirror::{SnapshotStore, StorePlace};
use zonecast_kv_proto::TableMirror;

use zonecast_service::exit::{Failure, Outcome};

/// Where snapshots are beside the cores.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotsSection {
    /// `file:///FOLDER` or `s3://BUCKET/PREFIX`: a core puts its newest snapshot there, an edge or relay that needs one
    /// reads it from there first.
    #[serde(deserialize_with = "place", serialize_with = "as_text")]
    pub store: StorePlace,
}

fn place<'de, D: Deserializer<'de>>(text: D) -> Result<StorePlace, D::Error> {
    String::deserialize(text)?.parse().map_err(|error| D::Error::custom(format_args!("`store`: {error}")))
}

fn as_text<S: Serializer>(place: &StorePlace, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(place)
}

impl SnapshotsSection {
    /// Opens the store.
    ///
    /// # Errors
    /// Its folder cannot be made, or the environment says too little of its bucket.
    pub(crate) fn open(&self) -> Outcome<SnapshotStore> {
        SnapshotStore::open(&self.store).map_err(|error| Failure::usage(format_args!("[snapshots] store: {error}")))
    }

    /// The same, to be read.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn mirror(&self) -> Outcome<Arc<dyn TableMirror>> {
        Ok(Arc::new(self.open()?))
    }
}
