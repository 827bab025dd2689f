//! At which of the machine's addresses a query was asked: an answer leaves from there.
//!
//! A socket of every address (`0.0.0.0` or `::`) does not say so by itself, and the system would choose the address by the
//! route to whoever asked; resolvers drop an answer from elsewhere. So such a socket is told to hand out IP_PKTINFO or
//! IPV6_PKTINFO (RFC 3542 section 6) with each query, and each answer takes it along.

use std::io::IoSlice;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, sendmmsg, setsockopt,
    sockopt,
};

/// Asks the system to say with each query at which address it came in.
pub(crate) fn ask_for_it(socket: &socket2::Socket, addr: IpAddr) -> std::io::Result<()> {
    match addr {
        IpAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        IpAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// Headers of so many packets of a socket. Those of a socket of every address have room for exactly one address each:
/// the system takes the room that it used for what there is the next time, and it always uses this.
pub(crate) fn headers(socket: &UdpSocket, packets: usize) -> MultiHeaders<SockaddrStorage> {
    let room = match wildcard(socket) {
        Some(IpAddr::V4(_)) => Some(nix::cmsg_space!(in_pktinfo)),
        Some(IpAddr::V6(_)) => Some(nix::cmsg_space!(in6_pktinfo)),
        None => None,
    };
    MultiHeaders::preallocate(packets, room)
}

/// The address of a socket, if it is that of every address of its family.
pub(crate) fn wildcard(socket: &UdpSocket) -> Option<IpAddr> {
    let ip = socket.local_addr().ok()?.ip();
    ip.is_unspecified().then_some(ip)
}

/// Where a packet was sent to, as far as the system says.
pub(crate) fn asked_at(packet: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<IpAddr> {
    packet.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    })
}

/// Where packets leave from.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    /// The socket's own address.
    Own,
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Source {
    /// This address, or the socket's own. The system finds the interface by the route to the receiver.
    pub(crate) fn new(address: Option<IpAddr>) -> Self {
        match address {
            None => Self::Own,
            Some(IpAddr::V4(address)) => {
                let (own, nowhere) = (u32::from_ne_bytes(address.octets()), in_addr { s_addr: 0 });
                Self::V4(in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: in_addr { s_addr: own }, ipi_addr: nowhere })
            }
            Some(IpAddr::V6(address)) => {
                let own = in6_addr { s6_addr: address.octets() };
                Self::V6(in6_pktinfo { ipi6_ifindex: 0, ipi6_addr: own })
            }
        }
    }
}

/// Sends packets; how many were sent.
pub(crate) fn send<'a>(
    socket: &UdpSocket,
    headers: &'a mut MultiHeaders<SockaddrStorage>,
    packets: impl IntoIterator<Item = &'a [IoSlice<'a>; 1]>,
    to: &[Option<SockaddrStorage>],
    from: &'a Source,
) -> Result<usize, Errno> {
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let results = match from {
        Source::Own => sendmmsg(fd, headers, packets, to, [], flags)?,
        Source::V4(info) => sendmmsg(fd, headers, packets, to, [ControlMessage::Ipv4PacketInfo(info)], flags)?,
        Source::V6(info) => sendmmsg(fd, headers, packets, to, [ControlMessage::Ipv6PacketInfo(info)], flags)?,
    };
    Ok(results.count())
}
