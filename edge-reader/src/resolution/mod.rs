//! What stands in an answer: RFC 1034 section 4.3.2, as steps that a [`Sink`] takes one after the other.
//!
//! It knows neither messages nor truncation: a sink says of each step whether it fits, and with what does not fit the
//! answer ends.
//!
//! ```text
//! Resolution ─▶ Finder: one name ─▶ Step ─▶ Sink
//!     ├─ Proofs: what proves that something is not there
//!     └─ Addresses: of name servers, mail hosts and services
//! ```

mod addresses;
mod here;
mod proofs;
mod resolve;
mod resolve_error;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use resolve::{End, Resolution};
pub(crate) use resolve_error::ResolveError;
pub(crate) use step::{Damaged, Fit, Part, Sink, Step};
