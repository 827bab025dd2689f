//! How nodes speak QUIC: TLS 1.3 with certificates on both sides, all from one CA, and what a connection may take.
//!
//! # Invariants
//! - No session is ever resumed: a resumed one does not look at certificates again, so it would outlive what was
//!   revoked or has expired.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{IdleTimeout, TransportConfig, VarInt};
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;

use crate::credentials::Credentials;
use crate::protocol::Protocol;
use crate::trust::provider;

/// A connection without any packet for this long is dead. Heartbeats come far more often.
const IDLE: Duration = Duration::from_secs(10);

/// Often enough that a lost keep-alive or two do not end a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Bytes sent and not acknowledged per connection: what a slow downstream may cost the sender, and with the round trip
/// the limit of its rate (40 MB/s at 50 ms).
const SEND_WINDOW: u64 = 2 * 1024 * 1024;

/// The same of a connection between cores. Its streams share it, and a log stream must fill a link of 1 Gbit/s over
/// 50 ms: 6 MiB.
const CORE_SEND_WINDOW: u64 = 16 * 1024 * 1024;

/// Bytes received and not read per connection: little on the side that gets acks, more on the side that gets versions.
pub(crate) const ACK_WINDOW: u32 = 64 * 1024;
const DATA_WINDOW: u32 = 4 * 1024 * 1024;

/// The same of a connection between cores: two streams that nobody reads leave a third enough. With
/// [`CORE_SEND_WINDOW`], a connection whose both ends are slow costs a core 40 MiB, and an idle one next to nothing.
const CORE_WINDOW: u32 = 24 * 1024 * 1024;

/// Bytes received and not read per stream: 1 Gbit/s over 50 ms, also while an eighth is not granted anew yet. It is
/// fixed before a listener knows who dials, so all have it; those who subscribe are bounded by [`ACK_WINDOW`] for their
/// connection.
pub(crate) const STREAM_WINDOW: u32 = 8 * 1024 * 1024;

/// Handshakes that nobody has looked at yet; more are dropped, which a client takes for loss and tries again.
const MAX_INCOMING: usize = 1024;

/// Bytes kept for one of those, and for all: the first flight of a client is one to three packets.
const INCOMING_BUFFER: u64 = 16 * 1024;
const INCOMING_BUFFERS: u64 = 4 * 1024 * 1024;

/// Frames go both ways on one stream that the downstream opens.
const MAX_STREAMS: u32 = 1;

/// A relay may have another one, for table files that nodes below it need.
const MAX_RELAY_STREAMS: u32 = 2;

/// Streams that a core may have open on one connection: some for each kind, and requests that it passes on. QUIC gives
/// back the places of closed ones by the eighth, so at times a few less.
pub(crate) const MAX_CORE_STREAMS: u32 = 64;

/// Of who is dialled.
pub(crate) fn server_config(credentials: &Credentials) -> Result<quinn::ServerConfig, rustls::Error> {
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(server_tls(credentials)?));
    // As if everyone came to subscribe; `widen` follows when a core has shown who it is.
    config.transport_config(Arc::new(transport(ACK_WINDOW)));
    config.max_incoming(MAX_INCOMING);
    config.incoming_buffer_size(INCOMING_BUFFER).incoming_buffer_size_total(INCOMING_BUFFERS);
    Ok(config)
}

/// Of who dials.
pub(crate) fn client_config(
    credentials: &Credentials,
    protocol: Protocol,
) -> Result<quinn::ClientConfig, rustls::Error> {
    let mut config = quinn::ClientConfig::new(Arc::new(client_tls(credentials, protocol)?));
    let transport = match protocol {
        Protocol::FanOut => transport(DATA_WINDOW),
        Protocol::Core => core_transport(),
    };
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// Gives a connection that a core has dialled what connections between cores may take.
pub(crate) fn widen(connection: &quinn::Connection) {
    connection.set_send_window(CORE_SEND_WINDOW);
    connection.set_receive_window(VarInt::from_u32(CORE_WINDOW));
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(MAX_CORE_STREAMS));
}

/// Lets a relay that has dialled ask for table files on a stream of their own.
pub(crate) fn allow_aside(connection: &quinn::Connection) {
    connection.set_max_concurrent_bi_streams(VarInt::from_u32(MAX_RELAY_STREAMS));
}

fn transport(receive: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("seconds fit")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .send_window(SEND_WINDOW)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(receive));
    config
}

/// Of a core that dials another: only the dialler opens streams.
fn core_transport() -> TransportConfig {
    let mut config = transport(CORE_WINDOW);
    config.max_concurrent_bidi_streams(VarInt::from_u32(0)).send_window(CORE_SEND_WINDOW);
    config
}

fn server_tls(credentials: &Credentials) -> Result<QuicServerConfig, rustls::Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(credentials.trust.clients())
        .with_single_cert(vec![credentials.certificate.clone()], credentials.key.clone_key())?;
    config.alpn_protocols = Protocol::offered_by(credentials.peer.role);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(QuicServerConfig::try_from(config).expect("ring has the suite that QUIC begins with"))
}

fn client_tls(credentials: &Credentials, protocol: Protocol) -> Result<QuicClientConfig, rustls::Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        // Not dangerous: it believes fewer than the one of webpki.
        .dangerous()
        .with_custom_certificate_verifier(credentials.trust.servers(protocol))
        .with_client_auth_cert(vec![credentials.certificate.clone()], credentials.key.clone_key())?;
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    config.resumption = Resumption::disabled();
    Ok(QuicClientConfig::try_from(config).expect("ring has the suite that QUIC begins with"))
}
