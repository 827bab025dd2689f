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

/// Questions that are asked at once: fewer than a socket's buffer holds answers to.
const WINDOW: usize = 64;

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

    /// Whether a server answers for a zone with authority.
    pub(crate) fn serves(server: SocketAddr, apex: &str) -> bool {
        // A new socket each time: before the server listens, the last one holds an error.
        let answer = Self::new(server).ok().and_then(|mut probe| probe.ask_once(apex, Rtype::SOA).ok()?);
        answer.is_some_and(|answer| answer.rcode == Rcode::NOERROR && answer.authoritative)
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

    /// Asks for the address of each name at once; nothing where there is none, or where a packet got lost.
    pub(crate) fn ask_all(&mut self, names: &[&str]) -> anyhow::Result<Vec<Option<(Instant, Ipv4Addr)>>> {
        let mut answers = vec![None; names.len()];
        for (names, answers) in names.chunks(WINDOW).zip(answers.chunks_mut(WINDOW)) {
            let first = self.next_id.wrapping_add(1);
            for name in names {
                self.send(name, Rtype::A)?;
            }
            let mut missing = names.len();
            while missing > 0 {
                let Some((id, answer)) = self.receive()? else { break };
                if let Some(place) = answers.get_mut(usize::from(id.wrapping_sub(first))) {
                    missing -= 1;
                    *place = answer.addresses.first().map(|address| (Instant::now(), *address));
                }
            }
        }
        Ok(answers)
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

    /// One question; nothing when it or its answer gets lost.
    pub(crate) fn ask_once(&mut self, name: &str, rtype: Rtype) -> anyhow::Result<Option<Answer>> {
        self.send(name, rtype)?;
        while let Some((id, answer)) = self.receive()? {
            // A late answer to an earlier question is skipped.
            if id == self.next_id {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    fn send(&mut self, name: &str, rtype: Rtype) -> anyhow::Result<()> {
        self.next_id = self.next_id.wrapping_add(1);
        let mut query = MessageBuilder::new_vec();
        query.header_mut().set_id(self.next_id);
        let mut query = query.question();
        query.push((name.parse::<Name<Vec<u8>>>().context("bad name")?, rtype))?;
        self.socket.send(&query.finish())?;
        Ok(())
    }

    /// The next answer and its id; nothing when none comes.
    fn receive(&self) -> anyhow::Result<Option<(u16, Answer)>> {
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                let message = Message::from_octets(buffer.get(..length).unwrap_or_default())?;
                Ok(Some((message.header().id(), Answer::read(&message)?)))
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error).context("edge does not listen"),
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
