//! Limits of an answer.

/// Largest answer over UDP whatever the query asks for: no fragmentation on any common path (DNS flag day 2020).
pub const DEFAULT_UDP_PAYLOAD: u16 = 1232;

/// Largest answer over UDP to a query without EDNS, and the least that an EDNS query can ask for, RFC 6891 section 6.2.3.
pub const MIN_UDP_PAYLOAD: u16 = 512;

/// Largest answer over TCP: its length has 16 bits, RFC 1035 section 4.2.2.
pub const MAX_TCP_MESSAGE: u16 = u16::MAX;

/// Most CNAME and DNAME steps in one answer. Resolvers give up after 8 to 16; loops are found before.
pub const MAX_CHAIN: usize = 20;

/// Most name servers, mail hosts or services of one answer whose addresses are looked up; the root has 13 of them.
pub const MAX_ADDITIONAL_TARGETS: usize = 16;

/// Transport of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The answer is one datagram.
    Udp {
        /// The most bytes we send, whatever an EDNS query offers to take.
        max_payload: u16,
    },
    /// A stream of messages with a length in front.
    Tcp,
}

impl Transport {
    /// UDP with [`DEFAULT_UDP_PAYLOAD`].
    pub const UDP: Self = Self::Udp { max_payload: DEFAULT_UDP_PAYLOAD };

    /// The most bytes of an answer to a query whose EDNS, if any, offers to take `offered`.
    pub(crate) fn limit(self, offered: Option<u16>) -> usize {
        usize::from(match self {
            Self::Udp { max_payload } => offered.unwrap_or(MIN_UDP_PAYLOAD).min(max_payload).max(MIN_UDP_PAYLOAD),
            Self::Tcp => MAX_TCP_MESSAGE,
        })
    }
}
