//! Configuration files of the roles: TOML, checked whole before anything starts.
//!
//! Every key is documented at its field; `ops/core.toml`, `ops/relay.toml` and `ops/edge.toml` show all of
//! them with their defaults.

mod clients_section;
mod cluster_section;
mod core_file;
mod downstream_section;
mod edge_file;
mod http_section;
mod log_section;
mod read;
mod relay_file;
mod snapshots_section;
mod zones_section;

pub(crate) use clients_section::{AccessSection, RateLimitSection, cookie_secrets};
pub(crate) use cluster_section::ClusterSection;
pub(crate) use core_file::{
    CoreFile, CoreRole, DEFAULT_EDGE_AWAY_MINUTES, DEFAULT_KEEP_REPLACED_MINUTES, DEFAULT_VERIFY_EVERY_MINUTES,
};
pub(crate) use downstream_section::DownstreamSection;
pub(crate) use edge_file::{DEFAULT_HOT_CACHE_MIB, EdgeFile, EdgeRole};
pub(crate) use http_section::HttpSection;
pub(crate) use log_section::LogSection;
pub(crate) use read::{RoleFile, read, read_any};
pub(crate) use relay_file::{RelayFile, RelayRole};
pub(crate) use snapshots_section::SnapshotsSection;
pub(crate) use zones_section::ZonesSection;
