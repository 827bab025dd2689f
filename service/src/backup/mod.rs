//! Backups of a core: copies of its state, the manifest that makes them backups, and data folders made of them.
//!
//! # Format
//! ```text
//! <folder>/<time>/state/          the files of the database that the state is
//! <folder>/<time>/log            what leads to that state from the backup before: entries of the raft log
//! <folder>/<time>/manifest.json   written and synced last: a folder without it is no backup
//! ```

mod contents;
mod manifest;
mod points;
mod restore;
mod shelf;
mod take;

pub use contents::{VerifyError, verify};
pub use manifest::{BackedUpFile, Manifest};
pub use points::{Backups, Listed, Point, VersionRange, Way};
pub use restore::{Order, RestoreError, RestoreTime, Restored, restore};
pub use shelf::{Begun, Shelf, ShelfError, backup_at};
pub use take::{Between, Content, Source, Taken, take};
