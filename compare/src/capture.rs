//! Questions out of captured packets, as `tcpdump -w` keeps them: pcap and pcapng.
//!
//! What is taken is every DNS query over UDP, and over TCP where a segment begins with one. Everything else is passed
//! over: answers, other protocols, packets that are cut off.

use std::io::{self, Read};

use domain::base::iana::Opcode;
use domain::base::{Message, ToName as _};
use etherparse::{LaxSlicedPacket, TransportSlice};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use thiserror::Error;

use crate::{Name, Question};

/// Bytes of a capture that are held: more than the largest packet.
const WINDOW: usize = 256 * 1024;

/// Network interfaces of one capture.
const MAX_INTERFACES: usize = 256;

/// Why a capture is not read.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It breaks off, or is damaged.
    #[error("the capture is damaged: {0}")]
    Damaged(String),
    /// From a kind of network that is not known here.
    #[error("packets of link type {0} are not understood; capture at an Ethernet, loopback or `any` interface")]
    LinkType(i32),
    /// More interfaces than any machine has.
    #[error("over {MAX_INTERFACES} network interfaces")]
    Interfaces,
}

/// Whether a file that begins so is a capture.
pub(crate) fn is_capture(beginning: &[u8]) -> bool {
    let magic: [&[u8]; 5] = [
        &[0x0a, 0x0d, 0x0d, 0x0a],
        &[0xa1, 0xb2, 0xc3, 0xd4],
        &[0xd4, 0xc3, 0xb2, 0xa1],
        &[0xa1, 0xb2, 0x3c, 0x4d],
        &[0x4d, 0x3c, 0xb2, 0xa1],
    ];
    magic.iter().any(|magic| beginning.starts_with(magic))
}

/// Reads questions in their order, up to `limit`.
pub(crate) fn read_capture(input: impl Read + Send, limit: usize) -> Result<Vec<Question>, CaptureError> {
    let mut reader = create_reader(WINDOW, input).map_err(|error| damaged(&error))?;
    let mut questions = Vec::new();
    let mut links: Vec<Linktype> = Vec::new();
    while questions.len() < limit {
        match reader.next() {
            Ok((len, block)) => {
                match &block {
                    PcapBlockOwned::LegacyHeader(header) => links = vec![header.network],
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => links.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => links.push(interface.linktype),
                    _ => {}
                }
                if links.len() > MAX_INTERFACES {
                    return Err(CaptureError::Interfaces);
                }
                if let Some((link, packet)) = packet(&block, &links) {
                    questions.extend(question(link, packet)?);
                }
                reader.consume(len);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|error| damaged(&error))?,
            Err(error) => return Err(damaged(&error)),
        }
    }
    Ok(questions)
}

fn damaged<I: std::fmt::Debug>(error: &PcapError<I>) -> CaptureError {
    CaptureError::Damaged(format!("{error:?}"))
}

/// The packet of a block, and on what link it was.
fn packet<'b>(block: &'b PcapBlockOwned<'b>, links: &[Linktype]) -> Option<(Linktype, &'b [u8])> {
    let (interface, data) = match block {
        PcapBlockOwned::Legacy(packet) => (0, packet.data),
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => (packet.if_id, packet.data),
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => (0, packet.data),
        _ => return None,
    };
    Some((*links.get(usize::try_from(interface).ok()?)?, data))
}

/// The question in a packet, if there is one.
fn question(link: Linktype, packet: &[u8]) -> Result<Option<Question>, CaptureError> {
    /// Bytes of a header in front of the IP header: of BSD loopback, and of `any` in its second version.
    const NULL: usize = 4;
    const SLL2: usize = 20;
    let ip = |skipped: usize| LaxSlicedPacket::from_ip(packet.get(skipped..).unwrap_or_default()).ok();
    let sliced = match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(packet).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 | Linktype(12 | 14) => ip(0),
        Linktype::NULL | Linktype::LOOP => ip(NULL),
        Linktype::LINUX_SLL => ip(16),
        Linktype(276) => ip(SLL2),
        Linktype(other) => return Err(CaptureError::LinkType(other)),
    };
    Ok(sliced.and_then(|sliced| match sliced.transport? {
        TransportSlice::Udp(udp) => of_message(udp.payload()),
        TransportSlice::Tcp(tcp) => of_message(tcp.payload().get(2..)?),
        _ => None,
    }))
}

/// The question of a query; `None` for all other bytes.
fn of_message(bytes: &[u8]) -> Option<Question> {
    let message = Message::from_octets(bytes).ok()?;
    let (header, counts) = (message.header(), message.header_counts());
    let is_query = !header.qr() && header.opcode() == Opcode::QUERY;
    if !is_query || (counts.qdcount(), counts.ancount()) != (1, 0) {
        return None;
    }
    let question = message.sole_question().ok()?;
    let name: Name = question.qname().try_to_name().ok()?;
    Some(Question { name, rtype: question.qtype() })
}

#[cfg(test)]
mod tests {
    use domain::base::MessageBuilder;
    use domain::base::iana::Rtype;
    use etherparse::PacketBuilder;

    use super::*;

    fn query(name: &str, rtype: Rtype) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec().question();
        message.push((name.parse::<Name>().unwrap(), rtype)).unwrap();
        message.finish()
    }

    /// A capture with these packets.
    fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
        file.extend(link.to_le_bytes());
        for packet in packets {
            let len = u32::try_from(packet.len()).unwrap().to_le_bytes();
            file.extend([[0; 8].as_slice(), &len, &len, packet].concat());
        }
        file
    }

    fn udp4(payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![];
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).udp(40_000, 53);
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    fn shown(file: &[u8]) -> Vec<String> {
        read_capture(file, 100).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn queries_are_taken_from_every_transport_and_the_rest_is_passed_over() {
        let www = query("www.example.com", Rtype::A);
        let mut answer = www.clone();
        answer[2] |= 0x80;
        let (mut v6, mut tcp) = (vec![], vec![]);
        let address = |last| [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[last]].concat().try_into().unwrap();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).single_vlan(7u16.try_into().unwrap());
        builder
            .ipv6(address(1), address(2), 64)
            .udp(40_000, 53)
            .write(&mut v6, &query("a.example", Rtype::TXT))
            .unwrap();
        let stream = query("b.example", Rtype::from_int(65_280));
        let stream = [u16::try_from(stream.len()).unwrap().to_be_bytes().as_slice(), &stream].concat();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([1; 4], [2; 4], 64).tcp(40_000, 53, 1, 1000);
        builder.write(&mut tcp, &stream).unwrap();
        let packets = [udp4(&www), udp4(&answer), udp4(b"no DNS"), vec![1, 2, 3], v6, tcp];
        let file = pcap(1, &packets);
        assert_eq!(shown(&file), ["www.example.com. A", "a.example. TXT", "b.example. TYPE65280"]);
        assert!(is_capture(&file) && !is_capture(b"www.example.com A"));
        assert_eq!(read_capture(file.as_slice(), 2).unwrap().len(), 2);
        // Without Ethernet in front, and as `tcpdump -i any` has it.
        let ip = packets[0][14..].to_vec();
        for (link, header) in [(101, 0), (0, 4), (113, 16), (276, 20)] {
            let packet = [vec![0; header], ip.clone()].concat();
            assert_eq!(shown(&pcap(link, &[packet])), ["www.example.com. A"], "link type {link}");
        }
        let error = read_capture(pcap(147, &packets).as_slice(), 100).unwrap_err();
        assert!(matches!(error, CaptureError::LinkType(147)), "{error}");
        assert!(read_capture(b"nonsense".as_slice(), 100).is_err());
    }

    #[test]
    fn no_damage_panics() {
        let file = pcap(1, &[udp4(&query("www.example.com", Rtype::A)), udp4(&query("a.example", Rtype::MX))]);
        for at in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let _ = read_capture(flipped.as_slice(), 100);
            let _ = read_capture(&file[..at / 8], 100);
        }
    }
}
