//! Who may ask the API for what: where tokens are looked up, and what each grants.
//!
//! ```text
//! zonecast token ──▶ leader ──▶ store of each core ──▶ TokenTable ──┐
//!                └─▶ token file of an edge ──────────▶ Watched ─────┴▶ Tokens ── secret of a request ──▶ Grant
//! ```
//! [`crate::http`] asks for a [`Grant`] before any handler runs.

mod grant;
mod open_listener;
mod private_file;
mod refusals;
mod token_file;
mod tokens;
mod watched;

pub(crate) use grant::Grant;
pub(crate) use open_listener::refuse_open_listener;
pub(crate) use refusals::{AccessRefusal, Refusals};
pub(crate) use token_file::{TokenFile, TokenFileError};
pub(crate) use tokens::{BadToken, Moment, Tokens};
pub(crate) use watched::Watched;
pub(crate) use zonecast_api::types::TokenRole;
