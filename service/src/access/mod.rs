//! Who may ask the API for what: tokens, replicated like zones, so that all voters of a cluster know the same ones.
//!
//! ```text
//! create, revoke ─▶ leader ─▶ keyspace `access` ─▶ applied at each voter ─▶ TokenTable ◀─ secret of a request
//! ```

mod secret;
mod token;
mod token_book;
mod token_table;

pub use secret::{Secret, SecretHash};
pub use token::{Token, TokenDraft, TokenError, TokenRecord};
pub(crate) use token_book::{ACCESS, TokenBookError, delete_token, put_token, read_tokens};
pub use token_table::TokenTable;
