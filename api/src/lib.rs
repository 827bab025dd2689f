//! The HTTP API of a zonecast core, for programs that use it: the [types] of `/v1`, and a blocking [`Client`].
//!
//! docs/api.md describes the API. Nothing here opens a store or a server, so that a program that only asks a core builds
//! in seconds.

mod client;
mod client_options;
mod client_trouble;
mod timeout;
mod tolerance;
pub mod types;

pub use client::{Client, ClientError, Patience, PutOptions};
pub use client_options::{ClientOptions, ClientOptionsError};
pub use timeout::{DEFAULT_TIMEOUT, MAX_TIMEOUT, TimeoutError, parse_timeout};
pub use tolerance::{OutOfZone, Tolerance, WithoutNs};
pub use zonecast_kv_proto::WaitFor;
