//! Limits of the front end.

use std::sync::Arc;
use std::time::Duration;

use zonecast_edge_reader::{CookieSecrets, DEFAULT_UDP_PAYLOAD};

use crate::{Access, RateLimit};

/// Longest query in bytes. A question with OPT, padding and every option in use stays below 1 KiB; what is longer is
/// no query of ours: cut off over UDP, the end of the connection over TCP.
pub const MAX_QUERY_LEN: usize = 4096;

/// Most queries answered from one state: at a few microseconds each, the first of them waits a quarter of a millisecond at
/// most. Every UDP thread has room for that many of [`MAX_QUERY_LEN`].
pub const MAX_BURST: usize = 64;

/// Receive buffer asked of the system for each UDP socket: about 10,000 queries, 10 ms of a flood.
pub const UDP_RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Open TCP connections, so that a flood of them costs at most 100 MiB.
pub const MAX_TCP_CONNECTIONS: usize = 1024;

/// Of these, connections from one address, or one /64 of IPv6: a resolver needs a few, and eleven clients are needed to
/// take them all.
pub const MAX_TCP_CONNECTIONS_PER_CLIENT: usize = 100;

/// How long a TCP connection may rest, in either direction, RFC 7766 section 6.2.3: "of the order of a few seconds".
pub const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of answers that are collected before they are written to a connection; one more answer may stand behind them.
pub const MAX_TCP_PENDING_OUT: usize = 32 * 1024;

/// How often a UDP thread without queries looks whether it shall end.
pub const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// Default size in bytes of the read cache of a UDP thread: enough for more than 100,000 names with their addresses.
pub const DEFAULT_HOT_CACHE: usize = 16 * 1024 * 1024;

/// Settings of the front end that an operator may choose.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest answer over UDP in bytes, 512 at least; [`DEFAULT_UDP_PAYLOAD`].
    pub udp_payload: u16,
    /// [`MAX_TCP_CONNECTIONS`].
    pub tcp_connections: usize,
    /// [`MAX_TCP_CONNECTIONS_PER_CLIENT`].
    pub tcp_connections_per_client: usize,
    /// [`TCP_IDLE_TIMEOUT`].
    pub tcp_idle: Duration,
    /// Size in bytes of the read cache of each UDP thread; 0 for none.
    pub hot_cache: usize,
    /// Access list; by default it allows all clients.
    pub access: Access,
    /// Rate limit of answers over UDP; none by default.
    pub rate_limit: Option<RateLimit>,
    /// Secrets of DNS cookies over UDP and TCP; without them the server sends no cookies.
    pub cookies: Option<CookieSecrets>,
    /// NSID of the server (RFC 5001); without it the server sends none.
    pub nsid: Option<Arc<[u8]>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            udp_payload: DEFAULT_UDP_PAYLOAD,
            tcp_connections: MAX_TCP_CONNECTIONS,
            tcp_connections_per_client: MAX_TCP_CONNECTIONS_PER_CLIENT,
            tcp_idle: TCP_IDLE_TIMEOUT,
            hot_cache: DEFAULT_HOT_CACHE,
            access: Access::default(),
            rate_limit: None,
            cookies: None,
            nsid: None,
        }
    }
}
