//! Asks one edge over UDP, again and again, until it answers as expected: the proof that a change has arrived.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use domain::base::iana::{Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, ToName as _};
use domain::rdata::{A, AllRecordData};

/// After this long a lost packet is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// Pause between two questions for the same change: what it may add to a figure, and what keeps the one who asks from
/// taking the processor from the one who answers.
const PAUSE: Duration = Duration::from_micros(100);

/// A UDP client of one edge.
pub(crate) struct Probe {
    socket: UdpSocket,
    next_id: u16,
}

/// What an edge said.
pub(crate) struct Answer {
    /// Response code.
    pub(crate) rcode: Rcode,
    /// Whether it has authority.
    pub(crate) authoritative: bool,
    /// Answer and authority records in presentation format.
    pub(crate) records: Vec<String>,
    addresses: Vec<Ipv4Addr>,
}

impl Probe {
    /// A client of the edge at this address.
    pub(crate) fn new(edge: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(edge)?;
        socket.set_read_timeout(Some(RETRY))?;
        Ok(Self { socket, next_id: 1 })
    }

    /// One question, asked again when it gets lost.
    pub(crate) fn ask(&mut self, name: &str, rtype: Rtype) -> anyhow::Result<Answer> {
        for _ in 0..10 {
            if let Some(answer) = self.ask_once(name, rtype)? {
                return Ok(answer);
            }
        }
        bail!("no answer for {name} {rtype}")
    }

    /// Asks for an address until it is the expected one; says when that was and what the answer held.
    pub(crate) fn wait_for(
        &mut self,
        name: &str,
        address: Ipv4Addr,
        limit: Duration,
    ) -> anyhow::Result<(Instant, Answer)> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(answer) = self.ask_once(name, Rtype::A)?
                && answer.addresses == [address]
            {
                return Ok((Instant::now(), answer));
            }
            thread::sleep(PAUSE);
        }
        bail!("{name} was not {address} within {limit:?}")
    }

    fn ask_once(&mut self, name: &str, rtype: Rtype) -> anyhow::Result<Option<Answer>> {
        self.next_id = self.next_id.wrapping_add(1);
        let mut query = MessageBuilder::new_vec();
        query.header_mut().set_id(self.next_id);
        let mut query = query.question();
        query.push((name.parse::<Name<Vec<u8>>>().context("bad name")?, rtype))?;
        self.socket.send(&query.finish())?;

        let mut buffer = [0; 4096];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error).context("edge does not listen"),
            };
            let message = Message::from_octets(buffer.get(..length).unwrap_or_default())?;
            // A late answer to an earlier question is skipped.
            if message.header().id() == self.next_id {
                return Answer::read(&message).map(Some);
            }
        }
    }
}

impl Answer {
    fn read(message: &Message<&[u8]>) -> anyhow::Result<Self> {
        let (mut records, mut addresses) = (Vec::new(), Vec::new());
        for section in [message.answer()?, message.authority()?] {
            for record in section.limit_to::<AllRecordData<_, _>>() {
                let record = record?;
                records.push(format!(
                    "{} {} IN {} {}",
                    record.owner().fmt_with_dot(),
                    record.ttl().as_secs(),
                    record.rtype(),
                    record.data()
                ));
                if let AllRecordData::A(address) = record.data() {
                    addresses.push(A::addr(address));
                }
            }
        }
        let header = message.header();
        Ok(Self { rcode: header.rcode(), authoritative: header.aa(), records, addresses })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.rcode, if self.authoritative { " aa" } else { "" })?;
        let shown = 2;
        for record in self.records.iter().take(shown) {
            write!(f, " | {record}")?;
        }
        match self.records.len().saturating_sub(shown) {
            0 => Ok(()),
            more => write!(f, " | and {more} more"),
        }
    }
}
