//! `core.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{HttpSection, LogSection, ZonesSection};
use crate::exit::Outcome;

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
