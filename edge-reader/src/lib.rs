//! Answers DNS queries from a zonecast edge store: one lookup for each positive answer, no allocation, no lock.
//!
//! ```text
//! query bytes ─▶ Query ─▶ ZoneTable: longest apex ─▶ Finder: one name, a few lookups in the View ─▶ MessageWriter ─▶ answer
//!                                                       ▲                     │
//!                                                       └── CNAME and DNAME ──┘
//! ```
//! [`Reader::answer`] goes from wire to wire; [`Reader::lookup`] is for a server that builds its own messages. Both see
//! the store only through a [`zonecast_kv_proto::View`], so a cache is a view around a view. The view and the
//! [`ZoneTable`] must be of one version: the caller switches them together and holds them for a burst of queries.
//!
//! # Invariants
//! No input makes it panic, no answer is longer than the transport allows, and once the buffers of a [`Scratch`] have
//! grown nothing is allocated.

mod additional;
mod answering;
mod finder;
mod found;
mod limits;
mod message;
mod outcome;
mod query;
mod reader;
mod scratch;
mod shard;
mod zone_table;

pub use found::{FindError, Found};
pub use limits::{DEFAULT_UDP_PAYLOAD, MAX_ADDITIONAL_TARGETS, MAX_CHAIN, MAX_TCP_MESSAGE, MIN_UDP_PAYLOAD, Transport};
pub use outcome::{AnswerClass, Lookups, Outcome};
pub use reader::{Lookup, Reader};
pub use scratch::Scratch;
pub use zone_table::{Zone, ZoneTable};
