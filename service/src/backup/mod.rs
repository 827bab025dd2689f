//! Backups of a core: copies of its state and its raft log, and the manifest that makes them one.
//!
//! # Format
//! ```text
//! state/, raft/      what the core keeps in `core/` of its data folder
//! manifest.json      written and synced last: a folder without it is no backup
//! ```

mod contents;
mod manifest;

pub use contents::seal;
pub use contents::{VerifyError, verify};
pub use manifest::{BackedUpFile, Manifest};
