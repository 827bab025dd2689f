//! One DNS query to an edge, over UDP or TCP.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name};

use super::facts::{DnsFacts, DnsReply, Protocol};

/// Each try; an edge answers within a millisecond, a network across the world within a third of a second.
const PATIENCE: Duration = Duration::from_secs(1);

/// Datagrams may be lost.
const TRIES: usize = 3;

/// A query without EDNS is answered in so much over UDP.
const MAX_UDP: usize = 512;

/// Asks for the SOA of a zone.
pub(super) fn ask(address: SocketAddr, protocol: Protocol, zone: &str, is_hosted: bool) -> DnsFacts {
    let reply = query(zone).and_then(|query| {
        let reply = match protocol {
            Protocol::Udp => over_udp(address, &query),
            Protocol::Tcp => over_tcp(address, &query),
        };
        judge(&query, &reply?)
    });
    let reply = reply.unwrap_or_else(|error| DnsReply::Nothing(said(&error)));
    DnsFacts { address, protocol, zone: zone.to_owned(), is_hosted, reply }
}

fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".into(),
        _ => error.to_string(),
    }
}

fn query(zone: &str) -> io::Result<Vec<u8>> {
    let wrong = |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
    let apex: Name<Vec<u8>> = zone.parse().map_err(|error| wrong(&error))?;
    let mut question = MessageBuilder::new_vec().question();
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    question.header_mut().set_id(u16::from_ne_bytes(id));
    question.push((apex, Rtype::SOA)).map_err(|error| wrong(&error))?;
    Ok(question.finish())
}

fn over_udp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr =
        if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any)?;
    // Connected, so that nobody else's datagrams come and an absent server is noticed at once.
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        let mut buffer = vec![0; MAX_UDP];
        match socket.send(query).and_then(|_| socket.recv(&mut buffer)) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(buffer);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn over_tcp(address: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let len = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes(), query].concat())?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply)?;
    Ok(reply)
}

fn judge(query: &[u8], reply: &[u8]) -> io::Result<DnsReply> {
    let foreign = || io::Error::new(io::ErrorKind::InvalidData, "what answers does not speak DNS");
    let reply = Message::from_octets(reply).map_err(|_| foreign())?;
    let asked = Message::from_octets(query).map_err(|_| foreign())?;
    let header = reply.header();
    if !header.qr() || header.id() != asked.header().id() {
        return Err(foreign());
    }
    let mut answers = reply.answer().map_err(|_| foreign())?.flatten();
    let has_soa = answers.any(|record| record.rtype() == Rtype::SOA);
    Ok(match (header.rcode(), has_soa && header.aa()) {
        (Rcode::NOERROR, true) => DnsReply::Soa,
        (Rcode::NOERROR, false) => DnsReply::Other("no SOA".into()),
        (code, _) => DnsReply::Other(code.to_string()),
    })
}
