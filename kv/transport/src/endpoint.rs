//! Endpoints and connections: QUIC between nodes of one CA.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quinn::VarInt;
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Socket, Type};
use thiserror::Error;
use zonecast_kv_proto::FrameDecoder;

use crate::guard::{Guard, Verified};
use crate::halves::{ReceiveHalf, SendHalf};
use crate::peer::peer_of;
use crate::protocol::Protocol;
use crate::quic_config::{allow_aside, client_config, server_config, widen};
use crate::quic_error::REPLACED;
use crate::serving::dialled_name;
use crate::trust::Side;
use crate::{
    CertificateFault, CoreStream, FrameReceiver, FrameSender, Identity, NotTrusted, Peer, QuicError, StreamError,
    certificate,
};

/// Socket buffers, as far as the kernel allows: a burst of one write from a neighbour must not be dropped.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// A local address that speaks QUIC as one identity, with its present certificate. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    guard: Arc<Guard>,
}

/// A handshake that a peer has begun. Dropped, it is refused.
#[derive(Debug)]
pub struct Incoming(quinn::Incoming);

impl Incoming {
    /// Where it comes from, or so it says.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.remote_address()
    }

    /// The peer has shown that it receives at that address.
    pub(crate) fn is_proven(&self) -> bool {
        self.0.remote_address_validated()
    }

    /// Asks for that. The peer begins anew then.
    pub(crate) fn prove(self) {
        // It fails only for who has shown it already.
        drop(self.0.retry());
    }

    /// Says nothing.
    pub(crate) fn ignore(self) {
        self.0.ignore();
    }
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
    #[error("TLS cannot use the certificates: {0}")]
    Tls(#[from] rustls::Error),
    /// No connection to this address from here.
    #[error("cannot connect: {0}")]
    Connect(#[source] QuicError),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(#[source] QuicError),
    /// One side does not believe the certificate of the other.
    #[error(transparent)]
    Refused(NotTrusted),
    /// The handshake agreed on no protocol of ours.
    #[error("the handshake agreed on no protocol of zonecast")]
    Protocol,
    /// The certificate of the peer does not identify a node.
    #[error(transparent)]
    Peer(#[from] crate::IdentityError),
}

impl EndpointError {
    fn connection(error: quinn::ConnectionError) -> Self {
        let error = QuicError::connection(error);
        error.refused().map_or(Self::Connection(error), Self::Refused)
    }

    /// The fault of the certificate, if that is why there is no connection.
    #[must_use]
    pub fn refused(&self) -> Option<NotTrusted> {
        match self {
            Self::Refused(refused) => Some(*refused),
            Self::Peer(_) => Some(NotTrusted { refusal: CertificateFault::Role, by_peer: false }),
            _ => None,
        }
    }
}

impl Endpoint {
    /// Listens on an address; port 0 takes any. Call within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken, or the identity cannot be used.
    pub fn server(address: SocketAddr, identity: &Identity) -> Result<Self, EndpointError> {
        let config = server_config(&identity.present())?;
        Self::bind(address, Some(config), identity)
    }

    /// Dials from any port, towards addresses of the same family as `towards`. Call within a tokio runtime.
    ///
    /// # Errors
    /// No socket can be made, or the identity cannot be used.
    pub fn client(towards: SocketAddr, identity: &Identity) -> Result<Self, EndpointError> {
        let any = match towards {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        client_config(&identity.present(), Protocol::FanOut)?;
        Self::bind(any, None, identity)
    }

    fn bind(
        address: SocketAddr,
        server: Option<quinn::ServerConfig>,
        identity: &Identity,
    ) -> Result<Self, EndpointError> {
        let serves = server.is_some();
        let bind = || {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(socket2::Protocol::UDP))?;
            // The kernel gives what it allows; less is only slower.
            let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
            let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
            socket.bind(&address.into())?;
            let runtime = Arc::new(quinn::TokioRuntime);
            quinn::Endpoint::new(quinn::EndpointConfig::default(), server, socket.into(), runtime)
        };
        let quinn = bind().map_err(|source| EndpointError::Bind { address, source })?;
        let guard = Guard::start(identity.clone(), serves.then(|| quinn.clone()));
        Ok(Self { quinn, guard: Arc::new(guard) })
    }

    /// The address it has.
    ///
    /// # Errors
    /// The socket is broken.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.quinn.local_addr()
    }

    /// The next handshake to finish with [`Endpoint::accept`]; `None` when the endpoint is closed.
    pub async fn incoming(&self) -> Option<Incoming> {
        self.quinn.accept().await.map(Incoming)
    }

    /// Finishes a handshake.
    ///
    /// # Errors
    /// The peer has no certificate of our CA, or one that does not say who it is.
    pub async fn accept(&self, incoming: Incoming) -> Result<Connection, EndpointError> {
        let connection = incoming.0.await.map_err(EndpointError::connection)?;
        self.verified(connection, Side::Client)
    }

    /// Connects to a core or a relay, to follow it.
    ///
    /// # Errors
    /// Nobody there, another CA, another role, or it will not have us.
    pub async fn connect(&self, address: SocketAddr) -> Result<Connection, EndpointError> {
        self.dial(address, Protocol::FanOut).await
    }

    /// Connects to a node that serves this protocol.
    pub(crate) async fn dial(&self, address: SocketAddr, protocol: Protocol) -> Result<Connection, EndpointError> {
        let config = client_config(&self.guard.identity().present(), protocol)?;
        let connecting = self.quinn.connect_with(config, address, &dialled_name());
        let connecting = connecting.map_err(|error| EndpointError::Connect(QuicError::connect(error)))?;
        let connection = connecting.await.map_err(EndpointError::connection)?;
        self.verified(connection, Side::Server(protocol))
    }

    /// What this endpoint shows to others.
    pub(crate) fn identity(&self) -> &Identity {
        self.guard.identity()
    }

    /// The node that this endpoint is.
    pub(crate) fn own(&self) -> &Peer {
        self.guard.identity().peer()
    }

    /// Checks what TLS does not check: the identity of the peer, and changes since the handshake began.
    fn verified(&self, quinn: quinn::Connection, side: Side) -> Result<Connection, EndpointError> {
        let own_not_after = self.guard.identity().not_after();
        let connection = Verified::new(quinn.clone(), side, own_not_after).and_then(|verified| {
            let verified = Arc::new(verified);
            let added = self.guard.add(&verified);
            added.map_err(|refusal| EndpointError::Refused(NotTrusted { refusal, by_peer: false }))?;
            Ok(Connection { verified })
        });
        if connection.is_err() {
            quinn.close(VarInt::from_u32(1), b"certificate");
        }
        connection
    }

    /// Closes every connection and waits until the peers can know.
    pub async fn close(&self) {
        self.quinn.close(VarInt::from_u32(0), b"closing");
        let _ = tokio::time::timeout(Duration::from_secs(1), self.quinn.wait_idle()).await;
    }
}

impl Verified {
    fn new(quinn: quinn::Connection, side: Side, own_not_after: SystemTime) -> Result<Self, EndpointError> {
        let certificates = quinn.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = certificates.and_then(|certificates| certificates.into_iter().next());
        let certificate = certificate.ok_or(crate::IdentityError::Certificate)?;
        let (peer, facts) = (peer_of(&certificate)?, certificate::Facts::of(&certificate)?);
        if matches!(side, Side::Server(protocol) if !protocol.may_be_served_by(peer.role)) {
            return Err(EndpointError::Refused(NotTrusted { refusal: CertificateFault::Role, by_peer: false }));
        }
        let protocol = Protocol::of(&quinn).ok_or(EndpointError::Protocol)?;
        Ok(Self { quinn, peer, protocol, certificate, side, peer_not_after: facts.not_after, own_not_after })
    }
}

/// A connection to a node whose certificate was verified. Cloning shares it.
///
/// It is closed when that certificate, or the own one, is no longer good: within five seconds after either has expired
/// or a revocation list that names the peer was put into the identity folder.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) verified: Arc<Verified>,
}

impl Connection {
    /// The node at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.verified.peer
    }

    /// Its address.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.verified.quinn.remote_address()
    }

    /// Opens the stream of a downstream.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn open(&self) -> Result<(FrameSender, FrameReceiver), StreamError> {
        let (send, receive) = self.verified.quinn.open_bi().await.map_err(StreamError::connection)?;
        Ok((FrameSender::new(send), FrameReceiver::new(receive, FrameDecoder::new())))
    }

    /// Waits for the stream of a downstream.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn accept(&self) -> Result<(FrameSender, FrameReceiver), StreamError> {
        let (send, receive) = self.verified.quinn.accept_bi().await.map_err(StreamError::connection)?;
        Ok((FrameSender::new(send), FrameReceiver::new(receive, FrameDecoder::for_publisher())))
    }

    /// Waits for a further stream of a relay. What goes over it yields to the one that it follows.
    pub(crate) async fn accept_aside(&self) -> Result<(FrameSender, FrameReceiver), StreamError> {
        allow_aside(&self.verified.quinn);
        let (sender, receiver) = self.accept().await?;
        sender.yields();
        Ok((sender, receiver))
    }

    /// Opens a stream to another core.
    pub(crate) async fn open_core(&self, kind: u8) -> Result<CoreStream, StreamError> {
        let (send, receive) = self.verified.quinn.open_bi().await.map_err(StreamError::connection)?;
        let mut send = SendHalf::new(send, self.clone());
        send.write_all(&[kind]).await?;
        Ok(CoreStream::new(send, ReceiveHalf::new(receive, self.clone())))
    }

    /// Waits for a stream of another core; it begins with its kind.
    pub(crate) async fn accept_core(&self) -> Result<(SendHalf, ReceiveHalf), StreamError> {
        let (send, receive) = self.verified.quinn.accept_bi().await.map_err(StreamError::connection)?;
        Ok((SendHalf::new(send, self.clone()), ReceiveHalf::new(receive, self.clone())))
    }

    /// What the dialler wants.
    pub(crate) fn protocol(&self) -> Protocol {
        self.verified.protocol
    }

    /// Whether it has not ended, as far as is known here.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.verified.quinn.close_reason().is_none()
    }

    /// Lets it take what a connection between cores may.
    pub(crate) fn widen(&self) {
        widen(&self.verified.quinn);
    }

    /// Closes the connection at once; data that is not delivered is lost.
    pub fn close(&self, reason: &str) {
        self.verified.quinn.close(VarInt::from_u32(0), reason.as_bytes());
    }

    /// Ends it because the same node has connected anew, from there.
    pub(crate) fn replaced_by(&self, address: SocketAddr) {
        let reason = format!("replaced by a newer connection of this node, from {address}");
        self.verified.quinn.close(REPLACED, reason.as_bytes());
    }

    /// Waits until it has ended; says why.
    pub async fn closed(&self) -> QuicError {
        QuicError::connection(self.verified.quinn.closed().await)
    }
}
