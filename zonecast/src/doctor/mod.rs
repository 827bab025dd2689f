//! What `zonecast doctor` does: gathers facts about nodes and their files, and says what is wrong and what to do.
//!
//! ```text
//! configurations ─┐ gather: files, /proc, HTTP, DNS         checks: no clock, no file, no socket
//! URLs of nodes  ─┴──────────────▶ Facts ─────────────────────▶ findings ──▶ Report
//! ```
//! Nothing is changed anywhere, and no port is taken, not even for a moment.

mod cluster_check;
mod config_check;
mod diagnosis;
mod facts;
mod finding;
mod folder_check;
mod gather;
mod identity_check;
mod listeners;
mod local;
mod node_check;
mod port_check;
mod probe;
mod report;
mod system_check;
#[cfg(test)]
mod tests;

pub(crate) use diagnosis::examine;
pub(crate) use gather::{Asked, gather};
pub(crate) use report::Report;
