//! The replicated core: openraft over RocksDB. openraft's types do not leave this crate.
//!
//! [`Core`] is one voter. Changes are built and proposed in one order on one thread ([`Core::change`]), made durable
//! in the raft log, applied to the state, and handed as versions to an [`AppliedSink`].

mod addresses;
mod checkpoint;
mod clock_watch;
mod codec;
mod core;
mod core_error;
mod disk_watch;
mod entry;
mod environment;
mod flight;
mod heard;
mod held_lead;
mod join;
mod lead;
mod level_watch;
mod loan;
mod log_store;
mod machine;
mod marks;
mod member;
mod members;
mod message;
mod metrics;
mod network;
mod node_file;
mod open_group;
mod outcome;
mod patience;
mod pipeline;
mod proposer;
mod quic_wire;
mod read_round;
mod reads;
mod refusals;
mod remains;
mod removal;
mod replay;
mod saved_log;
mod server;
#[cfg(test)]
mod simulation;
mod sizes;
mod snapshots;
mod start;
mod state_machine;
mod status;
mod store_use;
#[cfg(test)]
mod suite;
mod transfer;
mod turns;
mod types;
mod voter;

pub use self::core::{ClusterConfig, Core, CoreConfig, FIRST_OTHER_KIND};
pub use core_error::CoreError;
pub use held_lead::HeldLead;
pub use member::Member;
pub use members::{Candidate, MemberError, MemberRole};
pub use message::{NodeStatus, Refused};
pub use metrics::CoreMetrics;
pub use outcome::{ChangeError, Outcome, Pending, ProposeError, ReadError};
pub use patience::Patience;
pub use proposer::Editions;
pub use remains::{Found, Recovered, Remains};
pub use replay::{Replay, ReplayError};
pub use saved_log::{LogSpan, SavedLog, SavedLogError};
pub use state_machine::{Applied, AppliedSink};
pub use status::{ClusterStatus, MemberStatus};
