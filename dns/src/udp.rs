//! One UDP thread: wait for a query, take what else is pending, answer it all from one state.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{RecvFlags, recvfrom};
use zonecast_edge_reader::{Scratch, Transport};

use crate::limits::{MAX_BURST, MAX_QUERY_LEN, STOP_INTERVAL};
use crate::{Answerer, Metrics, Session};

/// Runs until `stop` is set, which it notices within [`STOP_INTERVAL`].
pub(crate) fn run<A: Answerer>(
    socket: &UdpSocket,
    answerer: &A,
    udp_payload: u16,
    metrics: &Metrics,
    stop: &AtomicBool,
) {
    let transport = Transport::Udp { max_payload: udp_payload };
    let mut scratch = Scratch::new();
    let mut inbox = Inbox::new();
    let mut out = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if let Err(error) = inbox.receive(socket) {
            if !is_pause(&error) {
                metrics.receive_failed();
                tracing::warn!(%error, "cannot receive UDP queries; trying again");
                // A socket that fails at once, again and again, must not take the whole processor.
                std::thread::sleep(STOP_INTERVAL);
            }
            continue;
        }
        // Taken after the last query came in, so that nobody who knows of a change is answered from before it.
        let mut session = answerer.session(&mut scratch);
        for (query, from) in inbox.queries() {
            let outcome = session.answer(query, transport, &mut out);
            metrics.answered(transport, &outcome);
            // Port 0 is nobody's; answering it is an error that the sender chose.
            if outcome.is_answer() && from.port() != 0 && socket.send_to(&out, from).is_err() {
                metrics.send_failed();
            }
        }
    }
}

/// Queries of one burst.
struct Inbox {
    bytes: Vec<u8>,
    /// Length and sender of each; it stands at its number times [`MAX_QUERY_LEN`].
    received: Vec<(usize, SocketAddr)>,
}

impl Inbox {
    fn new() -> Self {
        Self { bytes: vec![0; MAX_BURST * MAX_QUERY_LEN], received: Vec::with_capacity(MAX_BURST) }
    }

    /// Waits for a query, as long as the socket's read timeout lets it, and takes what else is pending.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.received.clear();
        let mut flags = RecvFlags::empty();
        for buffer in self.bytes.chunks_exact_mut(MAX_QUERY_LEN) {
            match recvfrom(socket, buffer, flags) {
                Ok((len, _, from)) => {
                    // A sender that is not of an address family of ours cannot be.
                    let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                    let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
                    self.received.push((len, from.unwrap_or(nobody)));
                }
                // A real failure shows again in the next wait.
                Err(_) if !self.received.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
            flags = RecvFlags::DONTWAIT;
        }
        Ok(())
    }

    fn queries(&self) -> impl Iterator<Item = (&[u8], SocketAddr)> {
        let buffers = self.bytes.chunks_exact(MAX_QUERY_LEN);
        buffers.zip(&self.received).map(|(buffer, (len, from))| (buffer.get(..*len).unwrap_or_default(), *from))
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
