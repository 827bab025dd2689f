//! The configuration file of a relay, `relay.toml`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zonecast_kv_edge::Upstream;

use super::{DownstreamSection, EdgeFile, HttpSection, LogSection, SnapshotsSection, edge_file};
use zonecast_service::exit::Outcome;

/// The configuration of a relay: a copy of all published keys, and a publisher for the nodes that follow it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelayFile {
    /// `"relay"`.
    pub role: RelayRole,
    /// Data folder; it is created if it is missing.
    pub data: PathBuf,
    /// Folder of the certificate, as `zonecast ca issue --role relay` writes it. The name in the certificate is the name
    /// of the relay.
    pub identity: PathBuf,
    /// Cores or other relays to follow, as in the file of an edge.
    #[serde(deserialize_with = "edge_file::upstreams", serialize_with = "edge_file::as_text")]
    pub upstreams: Vec<Upstream>,
    /// Published keyspaces that this node holds, by name; `dns` is that of DNS. Without it, the node holds all of them. SIGHUP
    /// reads it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyspaces: Option<Vec<String>>,
    /// Where other nodes follow it.
    pub downstream: DownstreamSection,
    /// Seconds after which `/readyz` says that this node is not ready, when no majority of the cores has confirmed its
    /// copy for so long. Without it, a node is ready however old its copy is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stale_seconds: Option<NonZeroU64>,
    /// Status, metrics and health.
    #[serde(default = "HttpSection::of_edge")]
    pub http: HttpSection,
    /// An object store for snapshots, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsSection>,
    /// Level and format of the log.
    #[serde(default)]
    pub log: LogSection,
}

/// The only role that this file can have.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RelayRole {
    /// `"relay"`.
    Relay,
}

impl RelayFile {
    /// The same as an edge that answers no DNS.
    pub(crate) fn into_edge(self) -> EdgeFile {
        let Self {
            role: RelayRole::Relay,
            data,
            identity,
            upstreams,
            keyspaces,
            downstream,
            max_stale_seconds,
            http,
            snapshots,
            log,
        } = self;
        EdgeFile {
            data,
            identity,
            upstreams,
            keyspaces,
            max_stale_seconds,
            http,
            snapshots,
            log,
            downstream: Some(downstream),
            ..EdgeFile::without_dns()
        }
    }

    /// Checks the rules that the types do not express.
    pub(super) fn check(&self) -> Outcome {
        edge_file::check_upstreams(&self.upstreams)?;
        edge_file::selection(self.keyspaces.as_deref())?;
        self.http.check_of_edge()
    }
}
