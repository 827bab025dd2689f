//! Sockets that are bound but not served yet.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use crate::limits::{STOP_INTERVAL, UDP_RECEIVE_BUFFER};
use crate::server::{Server, StartError};
use crate::{Answerer, Limits, Metrics, asked_at};

/// How often another port is tried when the system chose one over TCP that is taken over UDP.
const PORT_ATTEMPTS: usize = 16;

/// Connections that wait to be accepted; the system cuts it to its own limit.
const TCP_BACKLOG: i32 = 1024;

/// Why an address cannot be served.
#[derive(Debug, Error)]
#[error("cannot listen on {addr} over {protocol}: {source}")]
pub struct BindError {
    /// The address asked for.
    pub addr: SocketAddr,
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// The error of the system.
    pub source: io::Error,
}

impl BindError {
    /// Whether another process has the port.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.source.kind() == io::ErrorKind::AddrInUse
    }
}

/// UDP and TCP sockets on one address and port. Queries wait in the system's buffers until [`Bound::start`].
#[derive(Debug)]
pub struct Bound {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: TcpListener,
    local_addr: SocketAddr,
}

impl Bound {
    /// Binds TCP and `workers` UDP sockets. With port 0 the system chooses one that is free for both. `[::]` is every
    /// address of IPv6 and none of IPv4, so it goes beside `0.0.0.0` on one port. An address that the machine does not
    /// have yet is bound all the same, with a warning.
    ///
    /// # Errors
    /// The port is in use, or may not be had.
    pub fn bind(addr: SocketAddr, workers: NonZeroUsize) -> Result<Self, BindError> {
        let mut attempts = if addr.port() == 0 { PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match Self::try_bind(addr, workers) {
                Err(error) if attempts > 0 && error.is_in_use() => {}
                done => return done,
            }
        }
    }

    /// The address with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// How many threads will answer over UDP.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.udp.len()
    }

    /// Begins to answer. Must be called within a tokio runtime, which serves the TCP connections.
    ///
    /// # Errors
    /// The system gives no thread, or the TCP socket cannot be handed to the runtime.
    pub fn start<A: Answerer>(self, answerer: Arc<A>, limits: Limits, metrics: Metrics) -> Result<Server, StartError> {
        Server::start(self, answerer, limits, metrics)
    }

    fn try_bind(addr: SocketAddr, workers: NonZeroUsize) -> Result<Self, BindError> {
        let over = |protocol| move |source| BindError { addr, protocol, source };
        // TCP goes first: its sockets do not share a port, so it tells when another server is there.
        let tcp = bind_tcp(addr).map_err(over("TCP"))?;
        let local_addr = tcp.local_addr().map_err(over("TCP"))?;
        let udp = (0..workers.get()).map(|_| bind_udp(local_addr)).collect::<io::Result<_>>().map_err(over("UDP"))?;
        Ok(Self { udp, tcp, local_addr })
    }
}

/// A socket of the address's family and of no other: `[::]` would take the port of `0.0.0.0` as well, and both are to
/// be had side by side.
fn open(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bind_tcp(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(addr, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    bind_to(&socket, addr)?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket.into())
}

fn bind_udp(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = open(addr, Type::DGRAM, Protocol::UDP)?;
    socket.set_reuse_port(true)?;
    if let Err(error) = socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER) {
        tracing::debug!(%error, "the system keeps its own size of UDP receive buffers");
    }
    socket.set_read_timeout(Some(STOP_INTERVAL))?;
    if addr.ip().is_unspecified() {
        asked_at::ask_for_it(&socket, addr.ip())?;
    }
    bind_to(&socket, addr)?;
    Ok(socket.into())
}

/// Binds, also to an address that the machine has not got yet: an anycast address that comes with the route, or one that
/// moves over from another machine.
fn bind_to(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    match socket.bind(&addr.into()) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            setsockopt(socket, sockopt::IpFreebind, &true)?;
            socket.bind(&addr.into())?;
            tracing::warn!(%addr, "this machine does not have the address yet; it is served as soon as it has");
            Ok(())
        }
        bound => bound,
    }
}
