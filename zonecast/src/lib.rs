//! The zonecast binary: core and edges in one process or many, command line, API, metrics.
//!
//! ```text
//! cli ── arguments ──▶ roles::dev ──▶ core voter ── QUIC ──▶ edges ── DNS
//!  │                        │             ▲
//!  └─▶ client ── HTTP ──▶ api ──▶ service ┘   zones and records over the core
//! ```
//! It is a library so that tests and benches drive the same code and share the [`Client`] and the
//! [types of the API](api::types).

mod answerer;
pub mod api;
mod auth;
mod backup;
pub mod cli;
mod client;
mod client_options;
mod client_trouble;
mod config;
mod day;
mod doctor;
pub mod exit;
mod fault;
mod import;
mod log;
mod metrics;
mod output;
mod progress;
pub mod roles;
mod service;
mod shares;
mod size;
mod timeout;
mod tolerance;
mod vitals;

pub use client::{Client, ClientError, Patience, PutOptions};
pub use client_options::{ClientOptions, ClientOptionsError};
pub use timeout::{DEFAULT_TIMEOUT, MAX_TIMEOUT, TimeoutError, parse_timeout};
pub use tolerance::{OutOfZone, Tolerance, WithoutNs};
pub use zonecast_kv_proto::WaitFor;
