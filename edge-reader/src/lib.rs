//! Answers DNS queries from a zonecast edge store: one lookup for each positive answer, no allocation, no lock.
//!
//! ```text
//! query bytes ─▶ Query ─▶ ZoneTable: longest apex ─▶ Resolution ── steps ─▶ MessageWriter ─▶ answer
//!                                                     │    ▲
//!                                                     ▼    │ CNAME and DNAME
//!                                                     Finder: one name, a few lookups in the View
//! ```
//! [`Reader::answer`] goes from wire to wire; [`Reader::lookup`] is for a server that builds its own messages. Both see
//! the store only through a [`zonecast_kv_proto::View`], so a cache is a view around a view. The view and the
//! [`ZoneTable`] must be of one version: the caller must switch them together and may hold them for a burst of queries.
//!
//! Example over an in-memory store, without a network:
//! ```
//! use domain::base::iana::{Rcode, Rtype};
//! use zonecast_edge_reader::{Found, Reader, Scratch, Transport, ZoneTable};
//! use zonecast_kv_proto::MemoryView;
//! # use std::ops::ControlFlow;
//! # use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
//! # use zonecast_records::{Generation, Name, ZoneId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = MemoryView::new(); // or any other `View`
//! # let apex: Name = "example.com".parse()?;
//! # let text = "@ 60 SOA ns h 1 1 1 1 60\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww 60 A 192.0.2.1\n";
//! # let mut zone = ZoneSource::new(apex);
//! # zonecast_ingest::read_zone_bytes("example.com", text.as_bytes(), &apex, &mut |record, location| {
//! #     zone.push(record, Location::new(location.line));
//! #     ControlFlow::Continue(())
//! # }).expect("the zone is well formed");
//! # let identity = ZoneIdentity { id: ZoneId::new(1), generation: Generation::new(1) };
//! # let build = zone.build(identity, &Settings::default()).expect("it can be served");
//! for batch in build.into_batches(1 << 20) {
//!     store.apply(&batch);
//! }
//! let zones = ZoneTable::load(&store)?;
//! let reader = Reader::new(&store, &zones);
//!
//! let (mut scratch, mut answer) = (Scratch::new(), Vec::new());
//! let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
//! let outcome = reader.answer(&mut scratch, query, Transport::UDP, &mut answer);
//! assert_eq!((outcome.rcode, answer.ends_with(&[192, 0, 2, 1])), (Rcode::NOERROR, true));
//!
//! let lookup = reader.lookup(&mut scratch, &"www.example.com".parse()?, Rtype::A)?.expect("our zone");
//! assert!(matches!(lookup.found, Found::Data { rrset, .. } if rrset.ttl == 60));
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//! No input makes it panic, no answer is longer than the transport allows, and once the buffers of a [`Scratch`] have
//! grown, answering allocates nothing.

mod answer;
mod changes;
mod client;
mod cookie;
mod finder;
mod found;
mod hot_cache;
mod limits;
mod message;
mod nsec3;
mod outcome;
mod query;
mod reader;
mod resolution;
mod ring;
mod scratch;
mod shard;
mod turn_away;
mod wire_name;
mod zone_table;

pub use changes::Changes;
pub use client::{Client, MAX_NSID_LEN};
pub use cookie::{COOKIE_SECRET_LEN, CookieSecrets, Cookies, MAX_COOKIE_SECRETS};
pub use found::{FindError, Found};
pub use hot_cache::{CacheCounts, HotCache, HotView};
pub use limits::{DEFAULT_UDP_PAYLOAD, MAX_ADDITIONAL_TARGETS, MAX_CHAIN, MAX_TCP_MESSAGE, MIN_UDP_PAYLOAD, Transport};
pub use outcome::{AnswerClass, Lookups, Outcome};
pub use reader::{Lookup, Reader};
pub use scratch::Scratch;
pub use turn_away::{TurnAwayReason, turn_away};
pub use zone_table::{Zone, ZoneTable};
