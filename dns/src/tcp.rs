//! TCP: messages with a 16-bit length in front (RFC 1035 section 4.2.2), pipelined and kept open (RFC 7766).
//!
//! Answers go out in the order of the queries; what has come in whole is answered from one state and written at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::IntGauge;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{self, AbortHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use zonecast_edge_reader::{Scratch, Transport};
use zonecast_kv_proto::LineLimit;

use crate::limits::{MAX_BURST, MAX_QUERY_LEN, MAX_TCP_PENDING_OUT};
use crate::rules::{ReceivedQuery, Rules};
use crate::tally::Tally;
use crate::{Answerer, Metrics};

/// Bytes of the length in front of a message.
const LENGTH: usize = 2;

/// How long to wait after a failed accept: no file descriptors, most of the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    /// A connection answers without awaiting, so those of one runtime thread share their buffers.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// Accepts until `stop` changes, then lets every connection finish what it is writing.
pub(crate) async fn run<A: Answerer>(
    listener: TcpListener,
    answerer: Arc<A>,
    rules: Arc<Rules>,
    metrics: Metrics,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(rules.limits.tcp_connections));
    let mut connections = JoinSet::new();
    let (mut clients, failures) = (Clients::default(), LineLimit::default());
    let started = Instant::now();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            Some(ended) = connections.join_next_with_id() => {
                clients.left(ended.map_or_else(|error| error.id(), |(id, ())| id));
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok((stream, from)) => (stream, from.ip()),
            Err(error) => {
                metrics.receive_failed();
                if let Some(times) = failures.count(std::time::Instant::now()) {
                    tracing::warn!(times, %error, "cannot accept TCP connections; trying again");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !rules.limits.access.permits(address) {
            metrics.access_denied();
            continue;
        }
        let has_room = clients.connections(address) < rules.limits.tcp_connections_per_client;
        let permit = if has_room { permit(&permits, &clients, &metrics).await } else { None };
        let Some(permit) = permit else {
            metrics.tcp_refused.inc();
            continue;
        };
        let (answerer, rules, stop) = (Arc::clone(&answerer), Arc::clone(&rules), stop.clone());
        let last_query = Arc::new(LastQuery { started, elapsed_ns: AtomicU64::default() });
        last_query.is_now();
        let (open, asked) = (Open::new(&metrics, permit), Arc::clone(&last_query));
        let metrics = metrics.clone();
        let task = connections.spawn(async move {
            let _open = open;
            let peer = Peer { answerer: &*answerer, rules: &rules, metrics: &metrics, address, asked: &asked };
            if let Err(error) = peer.serve(stream, stop).await {
                tracing::debug!(%error, "TCP connection ended");
            }
        });
        clients.came(address, task, last_query);
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Room for one more connection. Where all of it is taken, the client that has the most gives up the one that has rested
/// longest: resolvers keep connections open for later, and whoever opens many must not keep others out.
async fn permit(permits: &Arc<Semaphore>, clients: &Clients, metrics: &Metrics) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return Some(permit);
    }
    clients.longest_idle_of_the_busiest()?.abort();
    metrics.tcp_given_up.inc();
    // It lets go as soon as the runtime comes to it.
    timeout(ACCEPT_PAUSE, Arc::clone(permits).acquire_owned()).await.ok()?.ok()
}

/// A connection that counts as open, until it is dropped.
struct Open {
    gauge: IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    fn new(metrics: &Metrics, permit: OwnedSemaphorePermit) -> Self {
        let gauge = metrics.tcp_connections.clone();
        gauge.inc();
        Self { gauge, _permit: permit }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// When a connection last brought a query, or began.
struct LastQuery {
    started: Instant,
    /// Since then.
    elapsed_ns: AtomicU64,
}

impl LastQuery {
    fn is_now(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_ns.store(elapsed, Ordering::Relaxed);
    }
}

/// Which connections each client has: an address, or a /64 of IPv6, which is what one host has to choose from.
#[derive(Default)]
struct Clients {
    counts: HashMap<IpAddr, usize>,
    tasks: HashMap<task::Id, Connection>,
}

struct Connection {
    client: IpAddr,
    task: AbortHandle,
    last_query: Arc<LastQuery>,
}

impl Clients {
    fn connections(&self, address: IpAddr) -> usize {
        self.counts.get(&client(address)).copied().unwrap_or_default()
    }

    fn came(&mut self, address: IpAddr, task: AbortHandle, last_query: Arc<LastQuery>) {
        let client = client(address);
        *self.counts.entry(client).or_default() += 1;
        self.tasks.insert(task.id(), Connection { client, task, last_query });
    }

    fn longest_idle_of_the_busiest(&self) -> Option<&AbortHandle> {
        let most = self.counts.values().max()?;
        let of_the_busiest = self.tasks.values().filter(|connection| self.counts.get(&connection.client) == Some(most));
        let rested = of_the_busiest.min_by_key(|connection| connection.last_query.elapsed_ns.load(Ordering::Relaxed));
        rested.map(|connection| &connection.task)
    }

    fn left(&mut self, task: task::Id) {
        let Some(Connection { client, .. }) = self.tasks.remove(&task) else { return };
        if let Some(count) = self.counts.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&client);
            }
        }
    }
}

fn client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// Whom a connection is with, and what it is answered with.
struct Peer<'p, A> {
    answerer: &'p A,
    rules: &'p Rules,
    metrics: &'p Metrics,
    address: IpAddr,
    asked: &'p LastQuery,
}

impl<A: Answerer> Peer<'_, A> {
    /// Until the connection ends, rests for too long, or brings what is no query.
    async fn serve(&self, mut stream: TcpStream, mut stop: watch::Receiver<bool>) -> io::Result<()> {
        let idle = self.rules.limits.tcp_idle;
        stream.set_nodelay(true)?;
        let mut pending = Vec::with_capacity(LENGTH + MAX_QUERY_LEN);
        let mut out = Vec::new();
        // Bytes alone do not count as life: a peer that sends one every few seconds would hold its connection for ever.
        let mut last_query = Instant::now();
        loop {
            let read = tokio::select! {
                _ = stop.changed() => return Ok(()),
                read = timeout_at(last_query + idle, stream.read_buf(&mut pending)) => read,
            };
            match read {
                Err(_) | Ok(Ok(0)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) => {}
            }
            loop {
                out.clear();
                let (used, more) = self.answer(&pending, &mut out);
                pending.drain(..used);
                if used > 0 {
                    last_query = Instant::now();
                    self.asked.is_now();
                }
                if !out.is_empty() {
                    timeout(idle, stream.write_all(&out)).await??;
                }
                match more {
                    More::Now => {}
                    More::WithMoreBytes => break,
                    More::Never => return Ok(()),
                }
            }
        }
    }

    /// Answers whole queries from one state, and says how many bytes they took.
    fn answer(&self, pending: &[u8], out: &mut Vec<u8>) -> (usize, More) {
        let mut tally = Tally::default();
        let answered = self.answer_burst(pending, out, &mut tally);
        self.metrics.add(Transport::Tcp, &tally);
        answered
    }

    fn answer_burst(&self, pending: &[u8], out: &mut Vec<u8>, tally: &mut Tally) -> (usize, More) {
        SCRATCH.with_borrow_mut(|scratch| {
            let (mut session, now) = (self.answerer.session(scratch), self.rules.now());
            let mut message = Vec::new();
            let mut used = 0;
            for _ in 0..MAX_BURST {
                let rest = pending.get(used..).unwrap_or_default();
                let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else {
                    return (used, More::WithMoreBytes);
                };
                let length = usize::from(u16::from_be_bytes(*length));
                if length > MAX_QUERY_LEN {
                    return (used, More::Never);
                }
                let Some(query) = rest.get(..length) else { return (used, More::WithMoreBytes) };
                used += LENGTH + length;
                let received = ReceivedQuery { query, address: self.address };
                if !now.answer(&mut session, received, Transport::Tcp, tally, &mut message) {
                    return (used, More::Never);
                }
                let length = u16::try_from(message.len()).unwrap_or_default();
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&message);
                if out.len() >= MAX_TCP_PENDING_OUT {
                    break;
                }
            }
            (used, More::Now)
        })
    }
}

/// What to do after some queries were answered.
enum More {
    /// There are more.
    Now,
    /// The rest is no whole query yet.
    WithMoreBytes,
    /// The peer does not speak DNS.
    Never,
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Mutex;

    use prometheus::Registry;
    use socket2::{Domain, Socket, Type};
    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Subscriber, span};
    use zonecast_edge_reader::ZoneTable;
    use zonecast_kv_proto::MemoryView;

    use super::*;
    use crate::{Limits, ReaderSession};

    /// It is done long before.
    const DEADLINE: Duration = Duration::from_secs(30);

    #[derive(Default)]
    struct NoZones(MemoryView, ZoneTable);

    impl Answerer for NoZones {
        type Session<'a> = ReaderSession<'a, &'a MemoryView>;

        fn session<'a>(&'a self, scratch: &'a mut Scratch) -> Self::Session<'a> {
            ReaderSession::new(&self.0, self.1.clone(), scratch)
        }
    }

    /// Keeps what warnings say.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0 += &format!("{field}={value:?} ");
        }
    }

    impl Subscriber for Warnings {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &Event<'_>) {
            if *event.metadata().level() == Level::WARN {
                let mut text = Text(String::new());
                event.record(&mut text);
                self.0.lock().unwrap().push(text.0);
            }
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    /// A process that has no files left fails ten times a second, for as long as that lasts.
    #[tokio::test]
    async fn accepting_that_fails_again_and_again_is_told_once() {
        // It does not listen, so every accept(2) fails.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (warnings, (stop, stopped)) = (Warnings::default(), watch::channel(false));
        let said = tracing::subscriber::set_default(warnings.clone());
        let rules = Arc::new(Rules::new(Limits::default()));
        let running = run(listener, Arc::new(NoZones::default()), rules, metrics.clone(), stopped);
        let failed_thrice = async {
            while metrics.receive_failures() < 3 {
                tokio::task::yield_now().await;
            }
            stop.send_replace(true);
        };
        let both = async { tokio::join!(running, failed_thrice) };
        timeout(DEADLINE, both).await.expect("it does not fail, or does not stop");
        drop(said);
        let warnings = warnings.0.lock().unwrap().clone();
        assert!(matches!(&warnings[..], [line] if line.contains("cannot accept TCP")), "{warnings:?}");
    }
}
