//! Snapshots in an object store: a core puts its newest table files there, and a new edge takes them from there, so that a
//! thousand new edges cost the core nothing. The only code that links an object store.
//!
//! # Format
//! ```text
//! <store>/manifest                      a signed manifest: the last object that is written
//! <store>/tables/<BLAKE3>.sst           a table file
//! <store>/retired/<BLAKE3>              a manifest that was there before: its files stay for a while
//! ```
//! Nobody has to trust the store: a core has signed the manifest, which has the hash of every file.

mod place;
mod publish;
mod store;
#[cfg(test)]
mod tests;

pub use place::{StorePlace, StorePlaceError};
pub use publish::PublishedSet;
pub use store::SnapshotStore;
