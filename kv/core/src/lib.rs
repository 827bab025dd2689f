//! The replicated core: openraft over RocksDB. openraft's types do not leave this crate.
//!
//! [`Core`] is one voter. Changes are built and proposed in one order on one thread ([`Core::change`]), made durable
//! in the raft log, applied to the state, and handed as versions to an [`AppliedSink`].

mod codec;
mod core;
mod entry;
mod environment;
mod flight;
mod lead;
mod log_store;
mod machine;
mod member;
mod message;
mod metrics;
mod network;
mod outcome;
mod pipeline;
mod proposer;
mod quic_wire;
mod removal;
mod server;
mod state_machine;
mod store_use;
#[cfg(test)]
mod suite;
mod turns;
mod types;
mod voter;

pub use self::core::{Core, CoreConfig, CoreError};
pub use member::Member;
pub use message::Refused;
pub use metrics::CoreMetrics;
pub use outcome::{ChangeError, Outcome, Pending, ProposeError};
pub use proposer::Editions;
pub use state_machine::{Applied, AppliedSink};
