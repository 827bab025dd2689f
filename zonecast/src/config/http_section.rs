//! `[http]` of either role.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::auth::refuse_open_listener;
use zonecast_service::exit::{Failure, Outcome};

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
    /// Whether clients need a token. Of a core `true`: the tokens are in its store, the same ones at every core. Of an edge
    /// a token file, which `zonecast token create --file` writes. Without it, every client that reaches the port may do
    /// everything, so a listener beyond loopback requires it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenSource>,
}

/// Where the tokens are that a listener asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum TokenSource {
    /// In the store of a core; or nowhere.
    Store(bool),
    /// In a file of an edge.
    File(PathBuf),
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

    /// Whether the tokens of the store are asked for.
    #[must_use]
    pub(crate) fn asks_for_stored_tokens(&self) -> bool {
        self.tokens == Some(TokenSource::Store(true))
    }

    /// The file of tokens.
    #[must_use]
    pub(crate) fn token_file(&self) -> Option<&Path> {
        match &self.tokens {
            Some(TokenSource::File(file)) => Some(file),
            Some(TokenSource::Store(_)) | None => None,
        }
    }

    pub(super) fn check_of_core(&self) -> Outcome {
        if self.token_file().is_some() {
            return Err(Failure::usage(
                "`tokens` in [http] of a core is true or false: its tokens are in its store, and `zonecast token create` \
                 makes them",
            ));
        }
        refuse_open_listener(self.listen, self.tls, self.asks_for_stored_tokens())
    }

    pub(super) fn check_of_edge(&self) -> Outcome {
        if self.asks_for_stored_tokens() {
            return Err(Failure::usage(
                "`tokens` in [http] of an edge is a file that `zonecast token create --file FILE` makes: the tokens of the \
                 cores do not leave the cores",
            ));
        }
        refuse_open_listener(self.listen, self.tls, self.token_file().is_some())
    }
}
