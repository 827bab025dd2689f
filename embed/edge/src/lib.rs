//! A zonecast edge inside another DNS server. It follows a core over QUIC into a local copy and answers from that copy,
//! also while the core or the network is down.
//!
//! ```text
//!  core ═QUIC═▶ zonecast-kv-edge ── RocksDB ──▶ EdgeStates ──▶ Reading ──▶ answer, lookup
//!                (follows, applies)     (snapshot and zone table    (one burst of queries
//!                                        of one version)             on one thread)
//! ```
//! This crate opens no DNS sockets and takes no part in Raft. `zonecast ca issue CA --role edge --name NAME --out DIR`
//! makes the identity folder.
//!
//! ```
//! use zonecast_edge::{DnsEdge, DnsEdgeConfig, EdgeOptions, Found, Rcode, Rtype, Scratch, Transport};
//! # use std::sync::Arc;
//! # use zonecast_builder::{Location, Settings, ZoneIdentity, ZoneSource};
//! # use zonecast_kv_core::{Applied, Core, CoreConfig, Outcome};
//! # use zonecast_kv_transport::{Ca, Endpoint, IssueOptions, Publisher, PublisherOptions, Role, TransportMetrics};
//! # use zonecast_records::{Generation, Name, ZoneId};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # // A core that serves example.com.
//! # let folder = tempfile::tempdir()?;
//! # let core = Core::start(CoreConfig {
//! #     data_dir: folder.path().join("core"),
//! #     state: Default::default(),
//! #     registry: Default::default(),
//! #     sink: Arc::new(|_: &Applied| {}),
//! #     cluster: None,
//! # }).await?;
//! # let apex: Name = "example.com".parse()?;
//! # let text = "@ 60 SOA ns h 1 1 1 1 60\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww 60 A 192.0.2.1\n";
//! # let mut zone = ZoneSource::new(apex);
//! # zonecast_ingest::read_zone_bytes("example.com", text.as_bytes(), &apex, &mut |record, location| {
//! #     zone.push(record, Location::new(location.line));
//! #     std::ops::ControlFlow::Continue(())
//! # }).expect("the zone is well formed");
//! # let ids = core.allocate(2).await?;
//! # let identity = ZoneIdentity { id: ZoneId::new(ids.start), generation: Generation::new(ids.start + 1) };
//! # for batch in zone.build(identity, &Settings::default()).expect("it can be served").into_batches(1 << 20) {
//! #     assert!(matches!(core.propose(&batch).await?.await, Outcome::Committed { .. }));
//! # }
//! # let ca = Ca::create(&folder.path().join("ca"))?;
//! # let endpoint = Endpoint::server("127.0.0.1:0".parse()?, &ca.issue(Role::Core, "core-1")?)?;
//! # let metrics = TransportMetrics::register(&Default::default())?;
//! # let publisher = Publisher::start(endpoint, core.source(), PublisherOptions::default(), metrics);
//! # let (core_address, data) = (publisher.local_addr()?.into(), folder.path().join("copy"));
//! # let identity = folder.path().join("identity");
//! # ca.issue_with(&IssueOptions::new(Role::Edge, "edge-1"))?.save(&identity)?;
//! # let registry = prometheus::Registry::new();
//! let config = DnsEdgeConfig { identity, upstreams: vec![core_address], data, store: EdgeOptions::default(), keyspaces: None };
//! let edge = DnsEdge::open_async(config, &registry).await?; // or `open`, which blocks
//! edge.caught_up().await?; // needed once: an edge that already has a copy answers at once
//!
//! let (mut scratch, mut answer) = (Scratch::new(), Vec::new()); // one of each per thread
//! let reading = edge.read(); // once per burst of queries
//! let query = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
//! let outcome = reading.answer(&mut scratch, query, Transport::UDP, &mut answer);
//! assert_eq!((outcome.rcode, answer.ends_with(&[192, 0, 2, 1])), (Rcode::NOERROR, true));
//! # let found = reading.lookup(&mut scratch, &"www.example.com".parse()?, Rtype::A)?.expect("our zone").found;
//! # assert!(matches!(found, Found::Data { .. }));
//! # assert_eq!(reading.position(), Some(core.position()));
//! # drop(reading);
//! edge.shutdown().await?;
//! # publisher.shutdown().await;
//! # core.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//! `Scratch::with_cache(BYTES)` instead of `Scratch::new()` adds a read cache for its thread; answers from it are exact
//! at every version. A server that builds its own messages calls [`Reading::lookup`]. [`EdgeStates`] hands readings to
//! other threads. [`Reading::keyspace`] reads keyspaces beside DNS, and [`DnsEdge::keyspace_changed`] waits until one
//! changes. [`DnsEdge::status`] and [`DnsEdge::watch`] report the position of the edge, and why it does not
//! follow if it does not.

mod dns_edge;
mod held_keyspaces;
mod keyspace_reading;
mod next_state;
mod reading;
mod states;

pub use dns_edge::{DnsEdge, DnsEdgeConfig, DnsEdgeError, KeyspaceWaitError};
pub use domain::base::iana::{Rcode, Rtype};
pub use held_keyspaces::HeldKeyspaces;
pub use keyspace_reading::{KeyspaceMark, KeyspaceReading, KeyspaceValue};
pub use reading::Reading;
pub use states::{EdgeState, EdgeStates};
pub use zonecast_edge_reader::{
    AnswerClass, COOKIE_SECRET_LEN, Client, CookieSecrets, Cookies, FindError, Found, Lookup, MAX_COOKIE_SECRETS,
    MAX_NSID_LEN, Outcome, Scratch, Transport, ZoneTable,
};
pub use zonecast_keyspaces::{KeyspaceError, KeyspaceName, Selection, SelectionError, UserKey};
pub use zonecast_kv_edge::{
    EdgeConfig, EdgeError, EdgeMetrics, EdgeOptions, EdgeSnapshot, EdgeStatus, Holds, Upstream, UpstreamError,
};
pub use zonecast_kv_proto::Position;
pub use zonecast_records::{Name, Rrset, TypeBitmap};
