//! One UDP thread: wait for a query, take what else is pending, answer it all from one state, send it all at once.
//!
//! Many packets go through one system call, recvmmsg(2) and sendmmsg(2): beside the work of the kernel for each packet,
//! entering it is the largest part of what an answer costs.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use zonecast_edge_reader::{Scratch, Transport};
use zonecast_kv_proto::LineLimit;

use crate::asked_at::{self, Source, asked_at};
use crate::limits::{MAX_BURST, MAX_QUERY_LEN, STOP_INTERVAL};
use crate::rules::{ReceivedQuery, Rules};
use crate::tally::Tally;
use crate::{Answerer, Metrics};

/// Runs until `stop` is set, which it notices within [`STOP_INTERVAL`].
pub(crate) fn run<A: Answerer>(socket: &UdpSocket, answerer: &A, rules: &Rules, metrics: &Metrics, stop: &AtomicBool) {
    let transport = Transport::Udp { max_payload: rules.limits.udp_payload };
    let mut scratch = Scratch::with_cache(rules.limits.hot_cache);
    let (mut inbox, mut outbox) = (Inbox::new(socket), Outbox::new(socket));
    let failures = LineLimit::default();
    while !stop.load(Ordering::Relaxed) {
        if let Err(error) = inbox.receive(socket) {
            if !is_pause(error) {
                metrics.receive_failed();
                if let Some(times) = failures.count(Instant::now()) {
                    tracing::warn!(times, %error, "cannot receive UDP queries; trying again");
                }
                // A socket that fails at once, again and again, must not take the whole processor.
                std::thread::sleep(STOP_INTERVAL);
            }
            continue;
        }
        // Taken after the last query came in, so that nobody who knows of a change is answered from before it.
        let mut session = answerer.session(&mut scratch);
        let now = rules.now();
        let mut tally = Tally::default();
        for (query, way) in inbox.queries() {
            // Port 0 is nobody's, and no address is none of ours.
            if let Some((address, 1..)) = way.from.as_ref().and_then(address_of)
                && now.answer(&mut session, ReceivedQuery { query, address }, transport, &mut tally, outbox.place())
            {
                outbox.keep(way);
            }
        }
        drop(session);
        tally.cache = scratch.take_cache_counts();
        metrics.add(transport, &tally);
        outbox.send(socket, metrics);
    }
}

/// From whom to which of our addresses a query came; the answer goes the other way.
#[derive(Clone, Copy)]
struct Way {
    from: Option<SockaddrStorage>,
    /// Of a socket of every address; another one has but its own.
    to: Option<IpAddr>,
}

/// Queries of one burst.
struct Inbox {
    bytes: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
    /// Length and way of each; it stands at its number times [`MAX_QUERY_LEN`].
    received: Vec<(usize, Way)>,
    is_wildcard: bool,
}

impl Inbox {
    fn new(socket: &UdpSocket) -> Self {
        Self {
            bytes: vec![0; MAX_BURST * MAX_QUERY_LEN],
            headers: asked_at::headers(socket, MAX_BURST),
            received: Vec::with_capacity(MAX_BURST),
            is_wildcard: asked_at::wildcard(socket).is_some(),
        }
    }

    /// Waits for a query, as long as the socket's read timeout lets it, and takes what else is pending.
    fn receive(&mut self, socket: &UdpSocket) -> Result<(), Errno> {
        self.received.clear();
        let mut buffers = self.bytes.chunks_exact_mut(MAX_QUERY_LEN);
        let mut slices: [_; MAX_BURST] = array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_WAITFORONE;
        let packets = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        let is_wildcard = self.is_wildcard;
        self.received.extend(packets.map(|packet| {
            let to = if is_wildcard { asked_at(&packet) } else { None };
            // Without the address that was asked there is nowhere to answer from.
            let from = packet.address.filter(|_| to.is_some() || !is_wildcard);
            (packet.bytes, Way { from, to })
        }));
        Ok(())
    }

    fn queries(&self) -> impl Iterator<Item = (&[u8], Way)> {
        let buffers = self.bytes.chunks_exact(MAX_QUERY_LEN);
        buffers.zip(&self.received).map(|(buffer, (len, way))| (buffer.get(..*len).unwrap_or_default(), *way))
    }
}

/// Their answers.
struct Outbox {
    answers: Vec<Vec<u8>>,
    headers: MultiHeaders<SockaddrStorage>,
    /// Receivers of the first so many answers, and from which of our addresses they leave.
    to: Vec<Option<SockaddrStorage>>,
    from: Vec<Option<IpAddr>>,
}

impl Outbox {
    fn new(socket: &UdpSocket) -> Self {
        Self {
            answers: vec![Vec::new(); MAX_BURST],
            headers: asked_at::headers(socket, MAX_BURST),
            to: Vec::with_capacity(MAX_BURST),
            from: Vec::with_capacity(MAX_BURST),
        }
    }

    /// Where the next answer goes. There are as many as queries.
    fn place(&mut self) -> &mut Vec<u8> {
        let next = self.to.len().min(MAX_BURST - 1);
        self.answers.get_mut(next).expect("there is a place for each query of a burst")
    }

    /// What is there now is an answer to a query that came this way.
    fn keep(&mut self, way: Way) {
        self.to.push(way.from);
        self.from.push(way.to);
    }

    fn send(&mut self, socket: &UdpSocket, metrics: &Metrics) {
        let mut sent = 0;
        while let Some(from) = self.from.get(sent).copied() {
            // One call has one address that it sends from.
            let run = self.from.iter().skip(sent).take_while(|other| **other == from).count();
            let to = self.to.get(sent..sent + run).unwrap_or_default();
            let source = Source::new(from);
            let mut answers = self.answers.iter().skip(sent);
            let slices: [_; MAX_BURST] =
                array::from_fn(|_| [IoSlice::new(answers.next().map(Vec::as_slice).unwrap_or_default())]);
            let slices = slices.iter().take(to.len());
            match asked_at::send(socket, &mut self.headers, slices, to, &source) {
                Ok(count) => sent += count.max(1),
                Err(Errno::EINTR) => {}
                // It is about the first of them.
                Err(_) => {
                    metrics.send_failed();
                    sent += 1;
                }
            }
        }
        self.to.clear();
        self.from.clear();
    }
}

/// Address and port.
fn address_of(address: &SockaddrStorage) -> Option<(IpAddr, u16)> {
    let v4 = address.as_sockaddr_in().map(|address| (address.ip().into(), address.port()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| (address.ip().into(), address.port())))
}

fn is_pause(error: Errno) -> bool {
    matches!(error, Errno::EAGAIN | Errno::EINTR | Errno::ETIMEDOUT)
}
