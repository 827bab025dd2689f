//! Streams of messages to other cores over QUIC.
//!
//! Each other core has three links, so that votes and heartbeats never wait behind the log, and the log never behind a
//! snapshot.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use zonecast_kv_transport::{
    CoreLink, CoreStream, Endpoint, MessageReceiver as QuicReceiver, MessageSender as QuicSender,
};

use crate::environment::{MessageReceiver, MessageSender, Wire};
use crate::member::Member;
use crate::message::stream;

/// For a stream to be opened: a dial and some round trips. Whoever asks has less patience most of the time; the dial goes
/// on.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// After so long without a word from a core its connection is dialled anew: one that was started again does not know the
/// old one. Longer than a machine that is short of processors keeps a process waiting.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// The way out of this core; without an endpoint there is none.
#[derive(Clone, Debug)]
pub(crate) struct QuicWire {
    endpoint: Option<Endpoint>,
    links: Arc<Mutex<BTreeMap<LinkKey, Arc<Line>>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LinkKey {
    member: Member,
    load: Load,
}

/// What a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Load {
    Urgent,
    Log,
    Snapshots,
}

impl Load {
    fn of(kind: u8) -> Self {
        match kind {
            stream::APPEND => Self::Log,
            stream::SNAPSHOT => Self::Snapshots,
            _ => Self::Urgent,
        }
    }
}

/// A link, and whether the other end is heard.
#[derive(Debug)]
pub(crate) struct Line {
    link: CoreLink,
    /// Since when something is waited for in vain.
    silent_since: Mutex<Option<Instant>>,
}

impl QuicWire {
    pub(crate) fn new(endpoint: Option<Endpoint>) -> Self {
        Self { endpoint, links: Arc::default() }
    }

    /// A stream of a kind that is none of raft's.
    pub(crate) async fn open_stream(&self, to: &Member, kind: u8) -> io::Result<CoreStream> {
        self.line(to, kind).await?.open(to, kind).await
    }

    async fn line(&self, to: &Member, kind: u8) -> io::Result<Arc<Line>> {
        let endpoint = self.endpoint.as_ref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotConnected, "this core was started without a way to others")
        })?;
        let key = LinkKey { member: to.clone(), load: Load::of(kind) };
        if let Some(line) = self.links().get(&key) {
            return Ok(Arc::clone(line));
        }
        let addresses = resolve(&to.address).await?;
        let link = match to.name.as_str() {
            "" => CoreLink::to_any(endpoint.clone(), addresses),
            name => CoreLink::new(endpoint.clone(), name, addresses),
        };
        let line = Arc::new(Line { link, silent_since: Mutex::default() });
        Ok(Arc::clone(self.links().entry(key).or_insert(line)))
    }

    fn links(&self) -> std::sync::MutexGuard<'_, BTreeMap<LinkKey, Arc<Line>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of a name, or of itself.
pub(crate) async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(address).await?.collect())
}

impl Line {
    fn silent_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is waited for from now on.
    fn waits(&self) {
        let mut since = self.silent_since();
        if since.get_or_insert_with(Instant::now).elapsed() > SILENT_FOR {
            self.link.forget();
            *since = Some(Instant::now());
        }
    }

    async fn open(&self, to: &Member, kind: u8) -> io::Result<CoreStream> {
        match self.link.open(kind, OPEN_WITHIN).await {
            Ok(stream) => Ok(stream),
            Err(error) => {
                // The name may have got another address.
                if let Ok(addresses) = resolve(&to.address).await {
                    self.link.set_addresses(addresses);
                }
                Err(io::Error::other(error))
            }
        }
    }

    fn hears(&self) {
        *self.silent_since() = None;
    }
}

impl Wire for QuicWire {
    type Sender = Sender;
    type Receiver = Receiver;

    async fn open(&self, to: &Member, kind: u8) -> io::Result<(Sender, Receiver)> {
        let line = self.line(to, kind).await?;
        line.waits();
        let CoreStream { sender, receiver } = line.open(to, kind).await?;
        Ok((Sender(sender), Receiver { receiver, line: Some(line) }))
    }
}

/// One way of a stream.
#[derive(Debug)]
pub(crate) struct Sender(pub(crate) QuicSender);

/// The other way.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) receiver: QuicReceiver,
    /// None where the other end has opened the stream.
    pub(crate) line: Option<Arc<Line>>,
}

impl MessageSender for Sender {
    async fn send(&mut self, messages: Vec<Bytes>) -> io::Result<()> {
        self.0.send_all(messages).await.map_err(io::Error::other)
    }

    fn finish(self) {
        // The first poll ends the stream; nobody waits until the other end has it.
        let _ = self.0.finish().now_or_never();
    }
}

impl MessageReceiver for Receiver {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let next = self.receiver.next().await.map_err(io::Error::other)?;
        if let Some(line) = &self.line {
            line.hears();
        }
        Ok(next)
    }
}
