//! The edge of zonecast: follows a core or relay over QUIC into a local RocksDB, and tells readers about every step.
//!
//! ```text
//!  QUIC ─▶ driver task ── Follower (checks) ── queue ──▶ writer thread ──▶ ReaderIndex, EdgeStore ──▶ readers
//!             ▲  acks                                        │
//!             └──────────────── applied, durable ◀───────────┘
//! ```
//! Readers get what they read from through their [`ReaderIndex`]: a snapshot of the store together with whatever they
//! keep in memory, both of one version.

mod copy_checks;
mod dialler;
mod driver;
mod driver_checks;
mod edge;
mod edge_reports;
mod elsewhere;
mod error;
mod link;
mod metrics;
mod range_repair;
mod reader_index;
mod relay;
mod repairs;
mod since_marker;
mod staleness;
mod status;
mod table_fetcher;
mod table_work;
#[cfg(test)]
mod tests;
mod upstream;
mod upstream_report;
mod writer;

pub use edge::{Edge, EdgeConfig, Holder, Holds};
pub use error::EdgeError;
pub use metrics::EdgeMetrics;
pub use reader_index::{ReaderIndex, ReaderIndexError};
pub use relay::{DownstreamConfig, Downstreams};
pub use staleness::Staleness;
pub use status::EdgeStatus;
pub use upstream::{Upstream, UpstreamError};
pub use zonecast_kv_store::{EdgeOptions, EdgeSnapshot, EdgeView};
