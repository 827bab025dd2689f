//! Who may ask the API for what: tokens, what each may do, and the file that they are kept in.
//!
//! ```text
//! zonecast token ──▶ token file (hashes only) ──▶ Tokens ── secret of a request ──▶ Grant: role and scope
//! ```
//! [`crate::http`] asks for a [`Grant`] before any handler runs.

mod grant;
mod open_listener;
mod private_file;
mod refusals;
mod role;
mod secret;
mod token;
mod token_file;
mod tokens;
mod watched;

pub(crate) use grant::Grant;
pub(crate) use open_listener::refuse_open_listener;
pub(crate) use refusals::{AccessRefusal, Refusals};
pub(crate) use role::TokenRole;
pub(crate) use secret::{Secret, SecretHash};
pub(crate) use token::{NewToken, Token};
pub(crate) use token_file::{TokenFile, TokenFileError};
pub(crate) use tokens::{BadToken, Moment, Tokens};
pub(crate) use watched::Watched;
