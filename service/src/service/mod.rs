//! Zones and records over the core.
//!
//! Reads come from the applied state; record changes are built by the core over everything in flight; whole zones come
//! in through [`crate::import`].

#[cfg(test)]
mod access_tests;
mod aliases;
mod backup;
mod cluster;
mod deleted;
mod edges;
mod export;
#[cfg(test)]
mod export_tests;
mod groups;
mod history;
mod importer;
mod inspect;
mod key_limits;
mod key_watch;
mod keys;
#[cfg(test)]
mod keyspace_tests;
mod keyspaces;
mod local_edge;
mod lookup;
mod made;
mod once;
#[cfg(test)]
mod once_tests;
mod receipt_watch;
mod records;
mod revocations;
#[expect(clippy::module_inception, reason = "one main type per file, named after it")]
mod service;
mod settings;
mod status;
mod tokens;
mod verify;
#[cfg(test)]
mod verify_tests;
#[cfg(test)]
mod write_tests;
mod zone_count;
mod zones;

pub(crate) use importer::{IMPORT, answer_import};
pub use key_watch::{KeyWatch, WatchFrom};
pub use keys::{KeyValue, KeysWanted};
pub use local_edge::LocalEdge;
pub use receipt_watch::ReceiptWatch;
pub(crate) use revocations::take_revocations;
pub(crate) use service::ServiceParts;
pub use service::{MAX_WRITES, Service};
pub use status::edge_info;
pub use zones::Upload;
