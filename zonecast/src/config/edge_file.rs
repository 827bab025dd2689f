//! The configuration file of an edge, `edge.toml`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zonecast_dns::Limits;
use zonecast_edge::{MAX_NSID_LEN, Selection};
use zonecast_kv_edge::Upstream;

use super::{
    AccessSection, DownstreamSection, HttpSection, LogSection, RateLimitSection, SnapshotsSection, cookie_secrets,
};
use zonecast_service::exit::{Failure, Outcome};

/// 16 MiB for each of four threads: enough for more than 100,000 frequently queried names with their addresses.
pub(crate) const DEFAULT_HOT_CACHE_MIB: u32 = 64;

/// The configuration of an edge: a copy of all published keys, and the DNS server that answers from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeFile {
    /// `"edge"`.
    pub role: EdgeRole,
    /// Data folder; it is created if it is missing.
    pub data: PathBuf,
    /// Folder of the certificate, as `zonecast ca issue --role edge` writes it. The name in the certificate is the name
    /// of the edge.
    pub identity: PathBuf,
    /// Cores and relays to follow, as addresses or host names with ports. At the start the edge tries them in this
    /// order, and it stays with one that serves. Host names are resolved at each attempt. At least one entry must be an
    /// address, because resolving a name could depend on this edge.
    #[serde(deserialize_with = "upstreams", serialize_with = "as_text")]
    pub upstreams: Vec<Upstream>,
    /// Published keyspaces that this node holds, by name; `dns` is that of DNS. Without it, the node holds all of them. SIGHUP
    /// reads it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyspaces: Option<Vec<String>>,
    /// Addresses at which the edge answers queries over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Size in MiB of the cache of all UDP threads together; 0 turns the cache off. It holds recently read keys, so
    /// frequent queries are answered without reading the store.
    #[serde(default = "default_hot_cache_mib")]
    pub hot_cache_mib: u32,
    /// File of the secrets of DNS cookies (RFC 9018), one per line in 32 hexadecimal digits. The edge makes cookies
    /// with the first secret and accepts cookies of all of them. Edges that share an address need the same file.
    /// Without a file, the edge makes a random secret at each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_secrets: Option<PathBuf>,
    /// Name of this edge for clients that ask for it (NSID, RFC 5001), at most 128 bytes. Without it, the edge sends no
    /// NSID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsid: Option<String>,
    /// Clients that may send queries.
    #[serde(default)]
    pub access: AccessSection,
    /// Limits on the answers to one network.
    #[serde(default)]
    pub rate_limit: RateLimitSection,
    /// Seconds after which `/readyz` says that this node is not ready, when no majority of the cores has confirmed its
    /// copy for so long. Without it, a node is ready however old its copy is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_stale_seconds: Option<NonZeroU64>,
    /// Status, metrics and health.
    #[serde(default = "HttpSection::of_edge")]
    pub http: HttpSection,
    /// Where other nodes follow this edge, which needs a certificate of role relay for that. Without this section, nobody
    /// may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downstream: Option<DownstreamSection>,
    /// An object store for snapshots, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsSection>,
    /// Level and format of the log.
    #[serde(default)]
    pub log: LogSection,
}

fn default_hot_cache_mib() -> u32 {
    DEFAULT_HOT_CACHE_MIB
}

pub(super) fn upstreams<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<Upstream>, D::Error> {
    let upstream = |text: String| text.parse().map_err(|error| D::Error::custom(format_args!("`upstreams`: {error}")));
    Vec::<String>::deserialize(list)?.into_iter().map(upstream).collect()
}

pub(super) fn as_text<S: Serializer>(upstreams: &[Upstream], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(upstreams.iter().map(ToString::to_string))
}

pub(super) fn selection(names: Option<&[String]>) -> Outcome<Option<Selection>> {
    let Some(names) = names else { return Ok(None) };
    let selection = Selection::of(names.iter().map(String::as_str));
    selection.map(Some).map_err(|error| Failure::usage(format_args!("`keyspaces`: {error}")))
}

/// Refuses upstreams that a node could not find by itself.
pub(super) fn check_upstreams(upstreams: &[Upstream]) -> Outcome {
    if upstreams.is_empty() {
        return Err(Failure::usage("`upstreams` is empty: name at least one core, such as \"192.0.2.1:8054\""));
    }
    if upstreams.iter().all(|upstream| upstream.address().is_none()) {
        return Err(Failure::usage(
            "`upstreams` has host names only: an edge must find a core without asking a DNS that may be itself; add the IP \
             address and port of one of them, such as \"192.0.2.1:8054\"",
        ));
    }
    Ok(())
}

/// The only role that this file can have.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EdgeRole {
    /// `"edge"`.
    Edge,
}

impl EdgeFile {
    /// One that answers nothing, and has nothing yet.
    pub(super) fn without_dns() -> Self {
        Self {
            role: EdgeRole::Edge,
            data: PathBuf::new(),
            identity: PathBuf::new(),
            upstreams: vec![],
            keyspaces: None,
            dns: vec![],
            hot_cache_mib: 0,
            cookie_secrets: None,
            nsid: None,
            access: AccessSection::default(),
            rate_limit: RateLimitSection::default(),
            max_stale_seconds: None,
            http: HttpSection::of_edge(),
            downstream: None,
            snapshots: None,
            log: LogSection::default(),
        }
    }

    /// Checks the rules that the types do not express.
    pub(super) fn check(&self) -> Outcome {
        check_upstreams(&self.upstreams)?;
        self.selection()?;
        if self.dns.is_empty() {
            return Err(Failure::usage("`dns` is empty: name at least one address, such as \"0.0.0.0:53\""));
        }
        if self.nsid.as_ref().is_some_and(|nsid| nsid.len() > MAX_NSID_LEN) {
            return Err(Failure::usage(format_args!("`nsid` is over {MAX_NSID_LEN} bytes")));
        }
        self.access.access()?;
        self.rate_limit.rate_limit()?;
        self.http.check_of_edge()
    }

    /// The keyspaces to hold.
    ///
    /// # Errors
    /// One of the names is none.
    pub(crate) fn selection(&self) -> Outcome<Option<Selection>> {
        selection(self.keyspaces.as_deref())
    }

    /// Converts the settings for the front end.
    ///
    /// # Errors
    /// The file of cookie secrets cannot be read.
    pub(crate) fn limits(&self) -> Outcome<Limits> {
        Ok(Limits {
            hot_cache: usize::try_from(self.hot_cache_mib).unwrap_or(0).saturating_mul(1 << 20),
            access: self.access.access()?,
            rate_limit: self.rate_limit.rate_limit()?,
            cookies: Some(cookie_secrets(self.cookie_secrets.as_deref())?),
            nsid: self.nsid.as_ref().map(|nsid| nsid.as_bytes().into()),
            ..Limits::default()
        })
    }
}
