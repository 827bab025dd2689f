//! Errors of the link to another core.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use zonecast_kv_proto::Role;

use crate::{EndpointError, StreamError};

/// Why there is no stream to another core.
#[derive(Clone, Debug, Error)]
pub enum LinkError {
    /// Only cores speak to cores.
    #[error("this node is no core but a node of role {0}; other cores would refuse it")]
    NotACore(Role),
    /// Nobody has said where it is.
    #[error("no address of core {0} is known")]
    NoAddress(String),
    /// No connection to any of its addresses; this is what the last one said.
    #[error("{address}: {source}")]
    Dial {
        /// The last address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: Arc<EndpointError>,
    },
    /// Nobody answered at any of its addresses; this is the last one.
    #[error("{address}: no answer")]
    Silent {
        /// The last address.
        address: SocketAddr,
    },
    /// Another core is there.
    #[error("{address} is core {found}, not core {expected}; correct the address, or the name in its certificate")]
    WrongName {
        /// Where.
        address: SocketAddr,
        /// The core that was dialled.
        expected: String,
        /// The core that is there.
        found: String,
    },
    /// The connection ended before there was a stream.
    #[error(transparent)]
    Stream(Arc<StreamError>),
    /// It took longer than the caller wanted to wait. A dial that is under way goes on for the next caller.
    #[error("core {name}: no stream within {} ms", .patience.as_millis())]
    Patience {
        /// The core that was dialled.
        name: String,
        /// How long that was.
        patience: Duration,
    },
    /// The process is ending.
    #[error("the dial was interrupted, since this process is ending")]
    Interrupted,
}
