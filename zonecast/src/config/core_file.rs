//! `core.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zonecast_kv_proto::is_node_name;
use zonecast_kv_store::RAFT_LOG_BYTES;

use super::{HttpSection, LogSection, ZonesSection};
use zonecast_service::exit::{Failure, Outcome};

/// Minutes: long enough to notice that a zone is wrong, short enough that it does not take the room twice for long.
pub(crate) const DEFAULT_KEEP_REPLACED_MINUTES: u64 = 60;

/// Minutes: an edge is away for less while it is restarted, upgraded or moved.
pub(crate) const DEFAULT_EDGE_AWAY_MINUTES: u64 = 60;

/// A core: one voter, its API, and the fan-out to its edges.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoreFile {
    /// `"core"`.
    pub role: CoreRole,
    /// Folder that everything is kept in; made if it is missing.
    pub data: PathBuf,
    /// Folder of the certificate, as `zonecast ca issue --role core` writes it.
    pub identity: PathBuf,
    /// Where edges connect, over QUIC.
    pub quic: SocketAddr,
    /// Edges that `--wait all` waits for before they have ever connected. An edge that has caught up once is waited for
    /// from then on, listed or not, also after a restart; `zonecast edges forget` ends that for both.
    #[serde(default)]
    pub edges: Vec<String>,
    /// Minutes: an edge that is away for longer is said to be away for long, in status, receipts and `zonecast doctor`.
    /// It is waited for all the same until it is forgotten.
    #[serde(default = "default_edge_away")]
    pub edge_away_minutes: u64,
    /// Minutes for which any change can be taken back and a deleted zone be brought back. What a large zone was before it
    /// was replaced takes its room on the core and its edges until then.
    #[serde(default = "default_keep_replaced")]
    pub keep_replaced_minutes: u64,
    /// Bytes of the raft log that are applied before the state is made durable and they are given up.
    #[serde(default = "default_raft_log")]
    pub raft_log_bytes: usize,
    /// The API, metrics and health.
    #[serde(default = "HttpSection::of_core")]
    pub http: HttpSection,
    /// Zone files to import at start, for those who keep them in a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zones: Option<ZonesSection>,
    /// What is logged, and how.
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

/// The only role this file is for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CoreRole {
    /// `"core"`.
    Core,
}

impl CoreFile {
    /// What types cannot say.
    pub(super) fn check(&self) -> Outcome {
        if let Some(name) = self.edges.iter().find(|name| !is_node_name(name)) {
            return Err(Failure::usage(format_args!("edges: {name:?} is not a node name: 1 to 63 of a-z, 0-9 and -")));
        }
        self.http.check()
    }
}
