//! UDP and TCP front end of zonecast around the edge reader.
//!
//! ```text
//!            ┌ thread ── socket (SO_REUSEPORT) ┐
//! datagrams ─┤ thread ── socket                ├─▶ Answerer::session ─▶ Session::answer, once per query of the burst
//!            └ …                               ┘          ▲
//! connections ── tokio task per connection ───────────────┘
//! ```
//! The crate knows no store: the owner of the store implements [`Answerer`], which hands out one state for each burst
//! of queries. [`Bound`] binds the sockets before the server answers, so that a port in use is found early;
//! [`Bound::start`] turns it into a [`Server`].
//!
//! # Threads
//! A blocking thread for each UDP socket, because an answer takes microseconds and an event loop would cost as much
//! again; TCP runs on the tokio runtime that called [`Bound::start`].

mod access;
mod answerer;
mod asked_at;
mod bound;
mod limits;
mod metrics;
mod rate_limit;
mod rules;
mod server;
mod tally;
mod tcp;
mod udp;

pub use access::{Access, MAX_PREFIXES, Prefixes};
pub use answerer::{Answerer, ReaderSession, Session};
pub use bound::{BindError, Bound};
pub use limits::{
    DEFAULT_HOT_CACHE, Limits, MAX_BURST, MAX_QUERY_LEN, MAX_TCP_CONNECTIONS, MAX_TCP_CONNECTIONS_PER_CLIENT,
    MAX_TCP_PENDING_OUT, STOP_INTERVAL, TCP_IDLE_TIMEOUT, UDP_RECEIVE_BUFFER,
};
pub use metrics::Metrics;
pub use rate_limit::RateLimit;
pub use server::{Server, StartError};
