//! The HTTP API of a zonecast core, for programs that use it: the [types] of `/v1`, and a blocking [`Client`].
//!
//! docs/api.md describes the API. The crate depends on no store and no server, so a program that only calls a core
//! builds in seconds.
//!
//! ```no_run
//! use zonecast_api::types::{Action, ChangeRequest, RecordChange};
//! use zonecast_api::{Client, Patience, WaitFor};
//!
//! # fn main() -> Result<(), zonecast_api::ClientError> {
//! let client = Client::new("http://127.0.0.1:8053");
//! let change = RecordChange {
//!     action: Action::Set,
//!     name: "_acme-challenge".into(),
//!     rtype: Some("TXT".into()),
//!     ttl: Some(60),
//!     data: vec!["\"token\"".into()],
//!     ..RecordChange::default()
//! };
//! let patience = Patience { wait: Some(WaitFor::All), ..Patience::default() };
//! let written = client.change("example.com", &ChangeRequest { changes: vec![change] }, patience)?;
//! assert!(written.receipt.is_some_and(|receipt| receipt.reached), "an edge does not answer with it yet");
//! # Ok(())
//! # }
//! ```

mod attempts;
mod client;
mod client_error;
mod client_options;
#[cfg(test)]
mod client_tests;
mod client_trouble;
mod cores;
mod paths;
mod timeout;
mod tolerance;
pub mod types;

pub use client::{Client, KeyList, KeyRead, KeyWhen, Patience, PutOptions, WatchOptions};
pub use client_error::ClientError;
pub use client_options::{ClientOptions, ClientOptionsError};
pub use timeout::{DEFAULT_TIMEOUT, MAX_TIMEOUT, TimeoutError, parse_timeout};
pub use tolerance::{OutOfZone, Tolerance, WithoutNs};
pub use zonecast_kv_proto::WaitFor;
