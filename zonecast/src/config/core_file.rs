//! `core.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zonecast_kv_store::RAFT_LOG_BYTES;

use super::{HttpSection, LogSection, ZonesSection};
use crate::exit::Outcome;

/// Minutes: long enough to notice that a zone is wrong, short enough that it does not take the room twice for long.
pub(crate) const DEFAULT_KEEP_REPLACED_MINUTES: u64 = 60;

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
    /// Edges that `--wait all` waits for, and that count as missing while they are not there. An edge that connects
    /// counts from then on, listed or not.
    #[serde(default)]
    pub edges: Vec<String>,
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
        self.http.check()
    }
}
