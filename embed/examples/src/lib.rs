//! Programs around a zonecast edge, each in a file of its own under `src/bin`:
//!
//! | program | what answers |
//! |---|---|
//! | `domain_service` | the servers of NLnet Labs `domain`, over UDP and TCP |
//! | `hickory_service` | hickory-server, over UDP and TCP |
//! | `powerdns_remote` | PowerDNS, which asks through its remote backend over a Unix socket |
//! | `rules_catalogue` | no DNS at all: a catalogue of firewall rules that is shipped through a keyspace |
//!
//! `embed/c/example` has one in C, `dns/examples/own_store.rs` one without a core. `tests/embedding.rs` runs
//! each name server and asks it with `dig`, `tests/rules.rs` the catalogue.

mod command_line;

pub use command_line::open_edge;
