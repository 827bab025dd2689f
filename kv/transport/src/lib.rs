//! QUIC with mutual TLS for zonecast, and the publisher on top of it. The only code that links quinn.
//!
//! A [`Ca`] issues an [`Identity`] per node: its certificate says what the node is and may be. An [`Endpoint`] accepts
//! or makes [`Connection`]s between identities of one CA, and a connection carries frames both ways. A [`Publisher`]
//! serves versions to every downstream that connects and books its acks.

mod ca;
mod clock;
mod endpoint;
mod identity;
mod metrics;
mod publisher;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

pub use ca::{Ca, CaError};
pub use clock::Clock;
pub use endpoint::{Connection, Endpoint, EndpointError};
pub use identity::{Identity, IdentityError, Peer, Role};
pub use metrics::TransportMetrics;
pub use publisher::{EdgeStatus, Publisher, PublisherOptions, WaitError};
pub use stream::{FrameReceiver, FrameSender, StreamError};
