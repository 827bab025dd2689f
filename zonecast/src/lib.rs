//! The zonecast binary: its roles, its HTTP side, configuration, doctor and command line.
//!
//! ```text
//! cli ── arguments ──▶ roles::dev ──▶ core voter ── QUIC ──▶ edges ── DNS
//!  │                        │             ▲
//!  └─▶ zonecast-api ── HTTP ──▶ http ──▶ zonecast-service   zones and records over the core
//! ```
//! It is a library so that tests and benches drive the same code.

mod answerer;
mod auth;
pub mod cli;
mod config;
mod doctor;
mod http;
mod log;
mod metrics;
mod output;
pub mod roles;
mod size;
