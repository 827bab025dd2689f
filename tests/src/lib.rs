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

mod case;
mod child;
mod choices;
mod corpus;
mod disk;
pub mod fuzz;
mod history;
mod node;
mod peer;
mod poll;
mod power_disk;
mod random;
mod report;
mod skip;
mod suite;
mod system;
mod udp_proxy;
mod wrong_clock;
mod zonecast;

pub use case::Case;
pub use child::{Child, free_port};
pub use choices::{CHOICES, Choice, conformance_page};
pub use corpus::{Corpus, HostedZone};
pub use disk::{SmallDisk, set_read_only};
pub use history::{Counts, Done, History, Operation, Seen, Violation};
pub use node::{Node, NodeRole, copy_folder};
pub use peer::{Peer, PeerError, Software};
pub use poll::poll_until;
pub use power_disk::PowerDisk;
pub use random::Random;
pub use report::Report;
pub use skip::{or_skip, skip, skip_also_in_ci};
pub use suite::{compare_all, compare_asked};
pub use system::{System, run, run_any};
pub use udp_proxy::{Packets, UdpProxy, Weather};
pub use wrong_clock::WrongClock;
pub use zonecast::{DevOptions, NoPrevious, Zonecast, c_library, previous_zonecast, zonecast_binary};
pub use zonecast_compare::{
    AskError, Asker, Aspect, Breadth, Mode, Name, Question, Recursion, Reply, ReplyError, Rr, ZoneData, differences,
    encode, questions, transfer,
};
