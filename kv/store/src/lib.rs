//! The RocksDB databases of zonecast, and the only code that links RocksDB.
//!
//! A voter has two: [`RaftLog`], synced before anything is acknowledged, and [`StateStore`], what the applied part of
//! the log has come to. An edge has one copy of what is published.

mod batch_log;
mod disk_room;
mod edge;
mod edge_copies;
mod edge_damage;
#[cfg(test)]
mod edge_damage_tests;
mod edge_live;
mod edge_load;
mod edge_log;
mod edge_options;
mod edge_position;
mod edge_repair;
mod edge_snapshot;
mod edge_source;
mod edge_tables;
#[cfg(test)]
mod edge_tests;
mod error;
mod folder_lock;
mod generations;
mod incoming_tables;
mod kept_tables;
#[cfg(test)]
mod kept_tables_tests;
mod metrics;
mod options;
mod pending_changes;
mod pins;
mod raft_keys;
mod raft_log;
#[cfg(test)]
mod raft_log_tests;
mod raft_shared;
mod raft_writer;
mod range_checks;
#[cfg(test)]
mod range_checks_tests;
mod snapshot_read;
mod state;
mod state_apply;
mod state_db;
mod state_files;
mod state_keys;
mod state_receive;
mod state_send;
mod state_source;
mod state_tables;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod state_transfer_tests;
mod state_view;
#[cfg(test)]
mod table_tests;
mod table_writer;
mod under_way;
mod version_log;

pub use edge::EdgeStore;
pub use edge_load::SnapshotLoad;
pub use edge_options::EdgeOptions;
pub use edge_repair::{RangeContent, RepairedKeys};
pub use edge_snapshot::{EdgeSnapshot, EdgeView};
pub use edge_source::EdgeSource;
pub use edge_tables::TablesLoad;
pub use error::{DatabaseError, NO_SPACE, StoreError};
pub use folder_lock::lock_file;
pub use kept_tables::TablesFetch;
pub use metrics::StoreMetrics;
pub use raft_log::RaftLog;
pub use raft_writer::Completion;
pub use range_checks::{CheckProgress, Checked, RangeCheck, RangeChecks};
pub use state::{RAFT_LOG_BYTES, SNAPSHOT_BYTES_PER_SECOND, StateOptions, StateStore};
pub use state_apply::{AppliedVersion, Apply};
pub use state_receive::{ReceiveState, ReceivedState};
pub use state_send::SendState;
pub use state_view::StateView;
