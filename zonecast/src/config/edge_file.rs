//! `edge.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use zonecast_dns::Limits;
use zonecast_edge::MAX_NSID_LEN;

use super::{AccessSection, HttpSection, LogSection, RateLimitSection, cookie_secrets};
use zonecast_service::exit::{Failure, Outcome};

/// For four threads, 16 MiB each: more than 100,000 names with their addresses that are asked for often.
pub(crate) const DEFAULT_HOT_CACHE_MIB: u32 = 64;

/// An edge: a copy of everything published, and the DNS server that answers from it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeFile {
    /// `"edge"`.
    pub role: EdgeRole,
    /// Folder that everything is kept in; made if it is missing.
    pub data: PathBuf,
    /// Folder of the certificate, as `zonecast ca issue --role edge` writes it. Its name is the edge's name.
    pub identity: PathBuf,
    /// Cores to follow, as address and port, tried one after the other. No host names: an edge must find its core
    /// without asking a DNS that may be itself.
    #[serde(deserialize_with = "addresses")]
    pub upstreams: Vec<SocketAddr>,
    /// Where queries are answered, over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// MiB in which the threads that answer over UDP keep what they have read of the store, all of them together; 0 for
    /// none. What is asked for often is answered from there.
    #[serde(default = "default_hot_cache_mib")]
    pub hot_cache_mib: u32,
    /// File of the secrets of DNS cookies (RFC 9018), 32 hexadecimal digits a line: the first makes cookies, all are good
    /// for checking them. Edges that answer at one address need the same. Without it an edge makes one up at its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_secrets: Option<PathBuf>,
    /// What this edge calls itself to clients that ask for it (NSID, RFC 5001), at most 128 bytes; without it nothing is
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nsid: Option<String>,
    /// Who may ask.
    #[serde(default)]
    pub access: AccessSection,
    /// How many answers a network gets.
    #[serde(default)]
    pub rate_limit: RateLimitSection,
    /// Status, metrics and health.
    #[serde(default = "HttpSection::of_edge")]
    pub http: HttpSection,
    /// What is logged, and how.
    #[serde(default)]
    pub log: LogSection,
}

fn default_hot_cache_mib() -> u32 {
    DEFAULT_HOT_CACHE_MIB
}

fn addresses<'de, D: Deserializer<'de>>(list: D) -> Result<Vec<SocketAddr>, D::Error> {
    let address = |text: String| {
        text.parse().map_err(|_| {
            D::Error::custom(format_args!(
                "{text:?} in `upstreams` is not an address and a port such as \"192.0.2.1:8054\"; host names are not \
                 looked up: an edge must find its core without asking a DNS that may be itself"
            ))
        })
    };
    Vec::<String>::deserialize(list)?.into_iter().map(address).collect()
}

/// The only role this file is for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EdgeRole {
    /// `"edge"`.
    Edge,
}

impl EdgeFile {
    /// What types cannot say.
    pub(super) fn check(&self) -> Outcome {
        if self.upstreams.is_empty() {
            return Err(Failure::usage("`upstreams` is empty: name at least one core, such as \"192.0.2.1:8054\""));
        }
        if self.dns.is_empty() {
            return Err(Failure::usage("`dns` is empty: name at least one address, such as \"0.0.0.0:53\""));
        }
        if self.nsid.as_ref().is_some_and(|nsid| nsid.len() > MAX_NSID_LEN) {
            return Err(Failure::usage(format_args!("`nsid` is over {MAX_NSID_LEN} bytes")));
        }
        self.access.access()?;
        self.rate_limit.rate_limit()?;
        self.http.check()
    }

    /// For the front end.
    ///
    /// # Errors
    /// The secrets of cookies cannot be read.
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
