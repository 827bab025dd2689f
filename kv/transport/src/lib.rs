//! QUIC with mutual TLS for zonecast, and the publisher on top of it. The only code that links quinn.
//!
//! A [`Ca`] issues an [`Identity`] per node: its certificate says what the node is and may be, and is renewed or revoked
//! while the node runs. An [`Endpoint`] accepts or makes [`Connection`]s between identities of one CA, and a connection
//! carries frames both ways. A [`Publisher`]
//! serves versions to every downstream that connects and books its acks. On the same port, cores open streams to each
//! other with a [`CoreLink`], and a [`CoreService`] serves them.

mod admission;
mod book;
mod ca;
mod ca_error;
mod certificate;
mod certificate_metrics;
mod clock;
mod core_link;
mod core_service;
mod core_session;
mod core_stream;
mod credentials;
mod door;
mod edge_news;
mod endpoint;
mod feed;
mod files;
mod guard;
mod halves;
mod https;
mod identity;
mod identity_error;
mod issue_options;
mod issued;
mod link_error;
mod links;
mod lock;
mod manifest_signature;
mod message_decoder;
mod messages;
mod metrics;
mod open_tables;
mod peer;
mod private_file;
mod protocol;
mod publisher;
mod publisher_options;
mod quic_config;
mod quic_error;
mod refusal;
mod refusal_log;
mod reload;
mod revocation_list;
mod revoked;
mod serving;
mod session;
mod snapshot_place;
mod snapshot_rate;
mod stream;
mod table_fetcher;
mod table_shelf;
#[cfg(test)]
mod tests;
mod trust;
mod waiters;

pub use book::WaitError;
pub use ca::{Ca, Revocation};
pub use ca_error::CaError;
pub use certificate::Serial;
pub use certificate_metrics::CertificateMetrics;
pub use clock::Clock;
pub use core_link::CoreLink;
pub use core_service::CoreService;
pub use core_stream::{CoreIo, CoreStream};
pub use edge_news::{EdgeNewsFeed, EdgeReports};
pub use endpoint::{Connection, Endpoint, EndpointError, Incoming};
pub use files::write_private;
pub use identity::Identity;
pub use identity_error::IdentityError;
pub use issue_options::{DEFAULT_VALIDITY, Host, IssueOptions};
pub use issued::{IssuedCertificate, IssuedError};
pub use link_error::LinkError;
pub use links::Twins;
pub use manifest_signature::ManifestFault;
pub use message_decoder::{MAX_MESSAGE, TooLong};
pub use messages::{MessageReceiver, MessageSender};
pub use metrics::TransportMetrics;
pub use open_tables::SignedTables;
pub use private_file::{PrivateFileError, read_private};
pub use publisher::{DownstreamStatus, Publisher};
pub use publisher_options::PublisherOptions;
pub use quic_error::QuicError;
pub use refusal::{CertificateFault, NotTrusted};
pub use refusal_log::RefusalLog;
pub use revocation_list::RevocationList;
pub use stream::{FrameReceiver, FrameSender, Heard, StreamError};
pub use table_fetcher::{Fetched, TableFetcher};
pub use zonecast_kv_proto::{Peer, Role, RoleError};
