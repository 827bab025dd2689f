//! The configuration file of a core, `core.toml`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zonecast_kv_proto::is_node_name;
use zonecast_kv_store::RAFT_LOG_BYTES;

use super::{ClusterSection, HttpSection, LogSection, SnapshotsSection, ZonesSection};
use zonecast_service::exit::{Failure, Outcome};
use zonecast_service::{VERIFY_BYTES_PER_SECOND, VerifyOptions};

/// In minutes: long enough to notice that a zone is wrong, and short enough that a replaced zone does not take up twice
/// the space for long.
pub(crate) const DEFAULT_KEEP_REPLACED_MINUTES: u64 = 60;

/// In minutes: restarting, upgrading or moving an edge takes less.
pub(crate) const DEFAULT_EDGE_AWAY_MINUTES: u64 = 60;

/// In minutes: once a day.
pub(crate) const DEFAULT_VERIFY_EVERY_MINUTES: u64 = 24 * 60;

/// The configuration of a core: one voter, its API, and the publisher for its edges.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoreFile {
    /// `"core"`.
    pub role: CoreRole,
    /// Data folder; it is created if it is missing.
    pub data: PathBuf,
    /// Folder of the certificate, as `zonecast ca issue --role core` writes it.
    pub identity: PathBuf,
    /// Address at which edges connect over QUIC.
    pub quic: SocketAddr,
    /// Edges that `--wait all` waits for even before they have connected. An edge that is not listed is waited for once
    /// it has caught up, also after a restart. `zonecast edges forget` removes either kind.
    #[serde(default)]
    pub edges: Vec<String>,
    /// Minutes after which status, receipts and `zonecast doctor` report a disconnected edge as away for long. `--wait
    /// all` still waits for it until it is forgotten.
    #[serde(default = "default_edge_away")]
    pub edge_away_minutes: u64,
    /// Minutes during which every change can be undone and a deleted zone can be restored. The earlier content of a
    /// large zone that was replaced takes space on the core and its edges for this time.
    #[serde(default = "default_keep_replaced")]
    pub keep_replaced_minutes: u64,
    /// Size in bytes of the applied raft log at which the core syncs its state to disk and deletes that part of the
    /// log.
    #[serde(default = "default_raft_log")]
    pub raft_log_bytes: usize,
    /// Bytes a second that all edges together get of snapshots from this core. Without it there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge_snapshot_bytes_per_second: Option<NonZeroU64>,
    /// Minutes from one verification of all copies to the next, which the core that leads begins by itself; 0 for none.
    #[serde(default = "default_verify_every")]
    pub verify_every_minutes: u64,
    /// Bytes of keys and values that each node reads in a second to verify its copy.
    #[serde(default = "default_verify_rate")]
    pub verify_bytes_per_second: NonZeroU64,
    /// How this core and the others of its cluster reach each other.
    #[serde(default, skip_serializing_if = "ClusterSection::is_empty")]
    pub cluster: ClusterSection,
    /// The API, metrics and health.
    #[serde(default = "HttpSection::of_core")]
    pub http: HttpSection,
    /// Folder of zone files to import at every start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZonesSection>,
    /// An object store for snapshots, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsSection>,
    /// Level and format of the log.
    #[serde(default)]
    pub log: LogSection,
}

fn default_edge_away() -> u64 {
    DEFAULT_EDGE_AWAY_MINUTES
}

fn default_keep_replaced() -> u64 {
    DEFAULT_KEEP_REPLACED_MINUTES
}

fn default_raft_log() -> usize {
    RAFT_LOG_BYTES
}

fn default_verify_every() -> u64 {
    DEFAULT_VERIFY_EVERY_MINUTES
}

fn default_verify_rate() -> NonZeroU64 {
    VERIFY_BYTES_PER_SECOND
}

/// The only role that this file can have.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CoreRole {
    /// `"core"`.
    Core,
}

impl CoreFile {
    /// How copies are verified.
    pub(crate) fn verify_options(&self) -> VerifyOptions {
        let every = (self.verify_every_minutes > 0).then(|| Duration::from_mins(self.verify_every_minutes));
        VerifyOptions { every, bytes_per_second: self.verify_bytes_per_second }
    }

    /// Checks the rules that the types do not express.
    pub(super) fn check(&self) -> Outcome {
        if let Some(name) = self.edges.iter().find(|name| !is_node_name(name)) {
            return Err(Failure::usage(format_args!("edges: {name:?} is not a node name: 1 to 63 of a-z, 0-9 and -")));
        }
        self.cluster.check(self.quic)?;
        self.http.check_of_core()
    }
}
