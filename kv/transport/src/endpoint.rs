//! Endpoints and connections: QUIC between nodes of one CA.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::{FrameReceiver, FrameSender, Identity, Peer, Role, StreamError, tls};

/// A connection without any packet for this long is dead. Heartbeats come far more often.
const IDLE: Duration = Duration::from_secs(10);

/// Often enough that a lost keep-alive or two do not end a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Bytes sent and not acknowledged per connection: what a slow downstream may cost the sender, and with the round trip
/// the limit of its rate (40 MB/s at 50 ms).
const SEND_WINDOW: u64 = 2 * 1024 * 1024;

/// Bytes received and not read per connection: little on the side that gets acks, more on the side that gets versions.
const ACK_WINDOW: u32 = 64 * 1024;
const DATA_WINDOW: u32 = 4 * 1024 * 1024;

/// Socket buffers, as far as the kernel allows: a burst of one write from a neighbour must not be dropped.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// Handshakes under way; more are dropped, which a client takes for loss and tries again.
const MAX_INCOMING: usize = 1024;

/// Frames go both ways on one stream that the downstream opens.
const MAX_STREAMS: u32 = 1;

/// A local address that speaks QUIC as one identity.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
}

/// Why an endpoint or a connection cannot be made.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// The address cannot be used.
    #[error("address {address} cannot be used: {source}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificates that TLS will not use.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// No connection to this address from here.
    #[error("connecting: {0}")]
    Connect(#[from] quinn::ConnectError),
    /// The connection failed or was refused.
    #[error("connection: {0}")]
    Connection(#[from] quinn::ConnectionError),
    /// The peer's certificate does not say who it is.
    #[error(transparent)]
    Peer(#[from] crate::IdentityError),
}

impl Endpoint {
    /// Listens on an address; port 0 takes any.
    ///
    /// # Errors
    /// The address is taken, or the identity cannot be used.
    pub fn server(address: SocketAddr, identity: &Identity) -> Result<Self, EndpointError> {
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls::server(identity)?));
        config.transport_config(Arc::new(transport(ACK_WINDOW))).max_incoming(MAX_INCOMING);
        Self::bind(address, Some(config))
    }

    /// Dials from any port, towards addresses of the same family as `towards`.
    ///
    /// # Errors
    /// No socket can be made, or the identity cannot be used.
    pub fn client(towards: SocketAddr, identity: &Identity) -> Result<Self, EndpointError> {
        let any = match towards {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let mut config = quinn::ClientConfig::new(Arc::new(tls::client(identity)?));
        config.transport_config(Arc::new(transport(DATA_WINDOW)));
        let mut endpoint = Self::bind(any, None)?;
        endpoint.quinn.set_default_client_config(config);
        Ok(endpoint)
    }

    fn bind(address: SocketAddr, server: Option<quinn::ServerConfig>) -> Result<Self, EndpointError> {
        let bind = || {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
            // The kernel gives what it allows; less is only slower.
            let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
            let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
            socket.bind(&address.into())?;
            let runtime = Arc::new(quinn::TokioRuntime);
            quinn::Endpoint::new(quinn::EndpointConfig::default(), server, socket.into(), runtime)
        };
        let quinn = bind().map_err(|source| EndpointError::Bind { address, source })?;
        Ok(Self { quinn })
    }

    /// The address it has.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// The next handshake to finish with [`Endpoint::accept`]; `None` when the endpoint is closed.
    pub async fn incoming(&self) -> Option<quinn::Incoming> {
        self.quinn.accept().await
    }

    /// Finishes a handshake.
    ///
    /// # Errors
    /// The peer has no certificate of our CA, or one that does not say who it is.
    pub async fn accept(incoming: quinn::Incoming) -> Result<Connection, EndpointError> {
        Connection::new(incoming.await?)
    }

    /// Connects to a node of this role.
    ///
    /// # Errors
    /// Nobody there, another CA, another role, or it will not have us.
    pub async fn connect(&self, address: SocketAddr, role: Role) -> Result<Connection, EndpointError> {
        Connection::new(self.quinn.connect(address, &role.server_name())?.await?)
    }

    /// Closes every connection and waits until the peers can know.
    pub async fn close(&self) {
        self.quinn.close(VarInt::from_u32(0), b"closing");
        let _ = tokio::time::timeout(Duration::from_secs(1), self.quinn.wait_idle()).await;
    }
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
        .stream_receive_window(VarInt::from_u32(receive))
        .receive_window(VarInt::from_u32(receive));
    config
}

/// A connection to a node whose certificate was verified. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Connection {
    quinn: quinn::Connection,
    peer: Peer,
}

impl Connection {
    fn new(quinn: quinn::Connection) -> Result<Self, EndpointError> {
        let certificates = quinn.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = certificates.and_then(|certificates| certificates.into_iter().next());
        let peer = certificate.ok_or(crate::IdentityError::Certificate).and_then(|der| Peer::from_certificate(&der));
        match peer {
            Ok(peer) => Ok(Self { quinn, peer }),
            Err(error) => {
                quinn.close(VarInt::from_u32(1), b"certificate");
                Err(error.into())
            }
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Its address.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.quinn.remote_address()
    }

    /// Opens the stream of a downstream.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn open(&self) -> Result<(FrameSender, FrameReceiver), StreamError> {
        let (send, receive) = self.quinn.open_bi().await?;
        Ok((FrameSender::new(send), FrameReceiver::new(receive)))
    }

    /// Waits for the stream of a downstream.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn accept(&self) -> Result<(FrameSender, FrameReceiver), StreamError> {
        let (send, receive) = self.quinn.accept_bi().await?;
        Ok((FrameSender::new(send), FrameReceiver::new(receive)))
    }

    /// Ends it at once; what is not delivered is lost.
    pub fn close(&self, reason: &str) {
        self.quinn.close(VarInt::from_u32(0), reason.as_bytes());
    }

    /// Waits until it has ended; says why.
    pub async fn closed(&self) -> quinn::ConnectionError {
        self.quinn.closed().await
    }
}
