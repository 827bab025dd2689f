//! `[http]` of either role.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::auth::refuse_open_listener;
use zonecast_service::exit::Outcome;

/// Ports when the file does not say.
const CORE_PORT: u16 = 8053;
const EDGE_PORT: u16 = 8063;

/// Where HTTP listens, and who may ask.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSection {
    /// Address and port.
    pub listen: SocketAddr,
    /// Whether to speak TLS with the certificate of the node, whose hosts `zonecast ca issue --host` names.
    #[serde(default)]
    pub tls: bool,
    /// Who may ask for what, as `zonecast token` writes it. Without it everybody who reaches the port may do
    /// everything, so it is needed beyond loopback.
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

    /// Open to this machine alone.
    #[must_use]
    pub(crate) fn loopback(port: u16) -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, port).into(), tls: false, tokens: None }
    }

    pub(super) fn check(&self) -> Outcome {
        refuse_open_listener(self.listen, self.tls, self.tokens.is_some())
    }
}
