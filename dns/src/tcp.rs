//! TCP: messages with a 16-bit length in front (RFC 1035 section 4.2.2), pipelined and kept open (RFC 7766).
//!
//! Answers go out in the order of the queries; what has come in whole is answered from one state and written at once.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use zonecast_edge_reader::{Scratch, Transport};

use crate::limits::{MAX_BURST, MAX_QUERY_LEN, MAX_TCP_PENDING_OUT};
use crate::{Answerer, Limits, Metrics, Session};

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
    limits: Limits,
    metrics: Metrics,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(limits.tcp_connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept TCP connections; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            metrics.tcp_refused.inc();
            continue;
        };
        let (answerer, metrics, stop) = (Arc::clone(&answerer), metrics.clone(), stop.clone());
        connections.spawn(async move {
            metrics.tcp_connections.inc();
            if let Err(error) = serve(stream, &*answerer, limits.tcp_idle, &metrics, stop).await {
                tracing::debug!(%error, "TCP connection ended");
            }
            metrics.tcp_connections.dec();
            drop(permit);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, until it ends, rests for too long, or sends what is no query.
async fn serve<A: Answerer>(
    mut stream: TcpStream,
    answerer: &A,
    idle: Duration,
    metrics: &Metrics,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
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
            let (used, more) = answer_pending(&pending, answerer, metrics, &mut out);
            pending.drain(..used);
            if used > 0 {
                last_query = Instant::now();
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

/// What to do after some queries were answered.
enum More {
    /// There are more.
    Now,
    /// The rest is no whole query yet.
    WithMoreBytes,
    /// The peer does not speak DNS.
    Never,
}

/// Answers whole queries from one state, and says how many bytes they took.
fn answer_pending<A: Answerer>(pending: &[u8], answerer: &A, metrics: &Metrics, out: &mut Vec<u8>) -> (usize, More) {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut session = answerer.session(scratch);
        let mut message = Vec::new();
        let mut used = 0;
        for _ in 0..MAX_BURST {
            let rest = pending.get(used..).unwrap_or_default();
            let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return (used, More::WithMoreBytes) };
            let length = usize::from(u16::from_be_bytes(*length));
            if length > MAX_QUERY_LEN {
                return (used, More::Never);
            }
            let Some(query) = rest.get(..length) else { return (used, More::WithMoreBytes) };
            used += LENGTH + length;
            let outcome = session.answer(query, Transport::Tcp, &mut message);
            metrics.answered(Transport::Tcp, &outcome);
            if !outcome.is_answer() {
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
