//! `[http]` of either role.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::auth::refuse_open_listener;
use zonecast_service::exit::Outcome;

/// Default ports.
const CORE_PORT: u16 = 8053;
const EDGE_PORT: u16 = 8063;

/// Address of the HTTP listener, TLS and tokens.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSection {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Whether to serve TLS with the certificate of the node. Its host names come from `zonecast ca issue --host`.
    #[serde(default)]
    pub tls: bool,
    /// Token file, which `zonecast token` writes. Without it, every client that reaches the port may do everything, so
    /// a listener beyond loopback requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<PathBuf>,
}

impl HttpSection {
    pub(super) fn of_core() -> Self {
        Self::loopback(CORE_PORT)
    }

    pub(super) fn of_edge() -> Self {
        Self::loopback(EDGE_PORT)
    }

    /// A listener on loopback, without TLS or tokens.
    #[must_use]
    pub(crate) fn loopback(port: u16) -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, port).into(), tls: false, tokens: None }
    }

    pub(super) fn check(&self) -> Outcome {
        refuse_open_listener(self.listen, self.tls, self.tokens.is_some())
    }
}
