//! A client that asks many questions at once: a window of UDP queries in flight, or one TCP connection.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use domain::base::MessageBuilder;
use domain::base::iana::Class;
use thiserror::Error;

use crate::{Question, Reply, ReplyError};

/// Queries in flight: few enough that a server with a small socket buffer loses none.
const WINDOW: usize = 64;

/// How long one query may take before it is sent again.
const PATIENCE: Duration = Duration::from_millis(800);

/// How often a query is sent before it counts as unanswered.
const ATTEMPTS: u32 = 4;

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// UDP without EDNS: at most 512 bytes.
    Plain,
    /// UDP with EDNS(0) and this payload size, DO clear.
    Edns(u16),
    /// TCP without EDNS.
    Tcp,
    /// UDP with EDNS(0), this payload size and DO: with signatures and proofs.
    Dnssec(u16),
    /// The same over TCP.
    DnssecTcp,
}

impl Mode {
    /// Whether it goes over TCP.
    #[must_use]
    pub fn is_tcp(self) -> bool {
        matches!(self, Self::Tcp | Self::DnssecTcp)
    }

    /// The largest answer that the client takes over UDP; `None` over TCP.
    #[must_use]
    pub fn room(self) -> Option<u16> {
        match self {
            Self::Plain => Some(512),
            Self::Edns(size) | Self::Dnssec(size) => Some(size),
            Self::Tcp | Self::DnssecTcp => None,
        }
    }

    /// What OPT says: payload size and DO.
    fn opt(self) -> Option<(u16, bool)> {
        match self {
            Self::Plain | Self::Tcp => None,
            Self::Edns(size) => Some((size, false)),
            Self::Dnssec(size) => Some((size, true)),
            Self::DnssecTcp => Some((1232, true)),
        }
    }
}

/// Why a question has no reply.
#[derive(Debug, Error)]
pub enum AskError {
    /// The socket failed.
    #[error("cannot ask {server}: {source}")]
    Io {
        /// Who was asked.
        server: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No answer, though asked several times.
    #[error("no answer to {0}")]
    Silent(Question),
    /// An answer that no client would take.
    #[error("{0}: {1}")]
    Bad(Question, #[source] ReplyError),
}

/// What queries say about recursion (RD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recursion {
    /// None is asked for, as resolvers do.
    #[default]
    Off,
    /// Asked for in every second query: nothing may depend on it.
    Alternating,
}

/// Asks one server.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    server: SocketAddr,
    recursion: Recursion,
}

impl Asker {
    /// For the server at this address.
    #[must_use]
    pub fn new(server: SocketAddr, recursion: Recursion) -> Self {
        Self { server, recursion }
    }

    /// Asks one question.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn ask(&self, question: &Question, mode: Mode) -> Result<Reply, AskError> {
        let mut replies = self.ask_all(std::slice::from_ref(question), mode)?;
        replies.pop().ok_or_else(|| AskError::Silent(question.clone()))
    }

    /// Asks all questions; replies stand in the same order.
    ///
    /// # Errors
    /// The first question without a sound reply.
    pub fn ask_all(&self, questions: &[Question], mode: Mode) -> Result<Vec<Reply>, AskError> {
        self.ask_each(questions, mode)?.into_iter().collect()
    }

    /// Asks all questions, whether or not others have a sound reply; replies stand in the same order.
    ///
    /// # Errors
    /// The server cannot be asked at all.
    pub fn ask_each(&self, questions: &[Question], mode: Mode) -> Result<Vec<Result<Reply, AskError>>, AskError> {
        let asked = if mode.is_tcp() { self.ask_tcp(questions, mode) } else { self.ask_udp(questions, mode) };
        asked.map_err(|source| AskError::Io { server: self.server, source })
    }

    fn ask_udp(&self, questions: &[Question], mode: Mode) -> io::Result<Vec<Result<Reply, AskError>>> {
        let any = if self.server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(self.server)?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let replies = questions.iter().map(|_| None).collect();
        let mut flight = Flight { questions, mode, recursion: self.recursion, pending: HashMap::new(), replies };
        let mut buffer = vec![0; 65_535];
        let mut next = 0;
        while next < questions.len() || !flight.pending.is_empty() {
            while next < questions.len() && flight.pending.len() < WINDOW {
                flight.send(&socket, next, 1)?;
                next += 1;
            }
            match socket.recv(&mut buffer) {
                Ok(length) => flight.receive(buffer.get(..length).unwrap_or_default()),
                Err(error) if is_timeout(&error) => flight.resend_late(&socket)?,
                Err(error) => return Err(error),
            }
        }
        Ok(flight.replies.into_iter().map(|reply| reply.expect("nothing is pending")).collect())
    }

    fn ask_tcp(&self, questions: &[Question], mode: Mode) -> io::Result<Vec<Result<Reply, AskError>>> {
        let mut replies = Vec::with_capacity(questions.len());
        // Few enough per connection for any server's limit on them.
        for questions in questions.chunks(100) {
            let mut stream = TcpStream::connect(self.server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE * ATTEMPTS))?;
            for (id, question) in (0..).zip(questions) {
                let query = encode(question, id, mode, self.recursion);
                let response = exchange(&mut stream, &query)?;
                let reply = Reply::parse(&response, &query);
                replies.push(reply.map_err(|error| AskError::Bad(question.clone(), error)));
            }
        }
        Ok(replies)
    }
}

/// The queries on their way over one UDP socket, by message id.
struct Flight<'q> {
    questions: &'q [Question],
    mode: Mode,
    recursion: Recursion,
    pending: HashMap<u16, Pending>,
    replies: Vec<Option<Result<Reply, AskError>>>,
}

struct Pending {
    number: usize,
    query: Vec<u8>,
    sent: Instant,
    attempt: u32,
}

impl Flight<'_> {
    fn question(&self, number: usize) -> &Question {
        self.questions.get(number).expect("numbers come from the slice")
    }

    fn send(&mut self, socket: &UdpSocket, number: usize, attempt: u32) -> io::Result<()> {
        // Unique among those in flight: the window is far smaller than the space of ids.
        let id = u16::try_from(number % 65_536).expect("a remainder of 65,536");
        let query = encode(self.question(number), id, self.mode, self.recursion);
        match socket.send(&query) {
            // The kernel reports a port that nobody listens on with the next call; the server may be about to.
            Err(error) if !is_timeout(&error) => return Err(error),
            _ => {}
        }
        self.pending.insert(id, Pending { number, query, sent: Instant::now(), attempt });
        Ok(())
    }

    fn receive(&mut self, response: &[u8]) {
        let id = response.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        let Some(Pending { number, query, .. }) = self.pending.remove(&id) else { return };
        let has_room = |reply: &Reply| self.mode.room().is_none_or(|room| reply.size <= usize::from(room));
        let reply = Reply::parse(response, &query).and_then(|reply| match has_room(&reply) {
            true => Ok(reply),
            false => Err(ReplyError::Wrong("more bytes than the client has room for")),
        });
        let reply = reply.map_err(|error| AskError::Bad(self.question(number).clone(), error));
        self.done(number, reply);
    }

    fn done(&mut self, number: usize, reply: Result<Reply, AskError>) {
        if let Some(slot) = self.replies.get_mut(number) {
            *slot = Some(reply);
        }
    }

    fn resend_late(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let late = self.pending.iter().filter(|(_, pending)| pending.sent.elapsed() > PATIENCE);
        let late: Vec<(u16, usize, u32)> = late.map(|(id, pending)| (*id, pending.number, pending.attempt)).collect();
        for (id, number, attempt) in late {
            if attempt == ATTEMPTS {
                self.pending.remove(&id);
                self.done(number, Err(AskError::Silent(self.question(number).clone())));
            } else {
                self.send(socket, number, attempt + 1)?;
            }
        }
        Ok(())
    }
}

/// The message that asks a question.
///
/// # Panics
/// Never: a name fits into a message.
#[must_use]
pub fn encode(question: &Question, id: u16, mode: Mode, recursion: Recursion) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(recursion == Recursion::Alternating && id.is_multiple_of(2));
    let mut builder = builder.question();
    builder.push((&question.name, question.rtype, Class::IN)).expect("a name fits into a message");
    let mut builder = builder.additional();
    if let Some((size, dnssec_ok)) = mode.opt() {
        let opt = builder.opt(|opt| {
            opt.set_udp_payload_size(size);
            opt.set_dnssec_ok(dnssec_ok);
            Ok(())
        });
        opt.expect("OPT fits into a message");
    }
    builder.finish()
}

fn exchange(stream: &mut TcpStream, query: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(query.len()).expect("one question is short");
    stream.write_all(&[&length.to_be_bytes(), query].concat())?;
    read_message(stream)
}

/// One message of a TCP stream, without its length.
pub(crate) fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn is_timeout(error: &io::Error) -> bool {
    // The kernel reports a port that nobody listens on; the server may be about to.
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionRefused)
}
