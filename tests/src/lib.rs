//! What the whole-system tests are made of: DNS servers as child processes, questions about a zone, and a comparator.
//!
//! ```text
//! zone files ──▶ NSD, Knot, zonecast      one process each, on loopback, in its own folder
//!                  │ AXFR (NSD)
//!                  ▼
//!               records ──▶ questions      every name and type present, and misses at every level
//!                              │ UDP, TCP
//!                              ▼
//!               replies ──▶ differences ──▶ documented choices, or a failure
//! ```
//! Nothing here shares code with what it tests: messages are the `domain` crate's, zones are read by the peers.

mod asker;
mod axfr;
mod child;
mod choices;
mod compare;
mod corpus;
mod disk;
pub mod fuzz;
mod node;
mod peer;
mod poll;
mod questions;
mod random;
mod reply;
mod report;
mod rr;
mod suite;
mod system;
mod wrong_clock;
mod zone_data;
mod zonecast;

pub use asker::{AskError, Asker, Mode, encode};
pub use axfr::transfer;
pub use child::{Child, free_port};
pub use choices::{CHOICES, Choice, conformance_page};
pub use compare::{Aspect, Case, differences};
pub use corpus::{Corpus, HostedZone};
pub use disk::{SmallDisk, set_read_only};
pub use node::{Node, NodeRole, copy_folder};
pub use peer::{Peer, PeerError, Software};
pub use poll::poll_until;
pub use questions::{Breadth, Question, questions};
pub use random::Random;
pub use reply::{Reply, ReplyError};
pub use report::Report;
pub use rr::{Name, Rr};
pub use suite::compare_all;
pub use system::{System, run, run_any};
pub use wrong_clock::WrongClock;
pub use zone_data::ZoneData;
pub use zonecast::{DevOptions, Zonecast, zonecast_binary};
