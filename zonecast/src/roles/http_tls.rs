//! A listener whose connections speak TLS: it hands them on when their handshake is done.
//!
//! Handshakes run beside each other, so that one that dawdles keeps nobody waiting, bounded in time and number: when
//! there are too many, the oldest goes of the client that has the most, so that one client pushes out its own.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use zonecast_service::Who;

/// A handshake takes a round trip or two; who needs longer holds a socket for nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at a time, each some tens of kilobytes.
const HANDSHAKES: usize = 256;

/// What is spoken inside.
const HTTP_1_1: &[u8] = b"http/1.1";

/// Accepts connections, runs their TLS handshakes beside each other, and hands on those that are done.
pub(super) struct TlsListener<L: Listener<Addr = SocketAddr>> {
    inner: L,
    tls: TlsAcceptor,
    /// Those that may still be under way, oldest first, and whose.
    begun: VecDeque<(Who, AbortHandle)>,
    // Aborted when the listener is dropped.
    handshakes: JoinSet<Option<(TlsStream<L::Io>, SocketAddr)>>,
}

impl<L: Listener<Addr = SocketAddr>> TlsListener<L> {
    /// Over connections of another listener.
    pub(super) fn new(inner: L, mut tls: ServerConfig) -> Self {
        tls.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Self { inner, tls: Arc::new(tls).into(), begun: VecDeque::new(), handshakes: JoinSet::new() }
    }

    fn begin(&mut self, stream: L::Io, address: SocketAddr) {
        self.make_room();
        let tls = self.tls.clone();
        let begun = self.handshakes.spawn(async move {
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => Some((stream, address)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a connection did not get as far as TLS");
                    None
                }
                Err(_) => {
                    tracing::debug!("a connection took too long to get to TLS");
                    None
                }
            }
        });
        self.begun.push_back((Who::at(address.ip()), begun));
    }

    fn make_room(&mut self) {
        // Finished ones in between are few, or go here.
        if self.handshakes.len() >= HANDSHAKES || self.begun.len() >= 2 * HANDSHAKES {
            self.begun.retain(|(_, handshake)| !handshake.is_finished());
        }
        if self.handshakes.len() >= HANDSHAKES
            && let Some(at) = oldest_of_most(self.begun.iter().map(|(who, _)| who))
            && let Some((_, oldest)) = self.begun.remove(at)
        {
            oldest.abort();
        }
    }
}

/// Where the first one stands of the name that is there most often.
fn oldest_of_most<'w>(names: impl Iterator<Item = &'w Who>) -> Option<usize> {
    let mut counts: BTreeMap<&Who, (usize, usize)> = BTreeMap::new();
    for (at, who) in names.enumerate() {
        counts.entry(who).or_insert((0, at)).0 += 1;
    }
    let most = counts.into_values().max_by_key(|(count, at)| (*count, std::cmp::Reverse(*at)));
    most.map(|(_, at)| at)
}

impl<L: Listener<Addr = SocketAddr>> Listener for TlsListener<L> {
    type Io = TlsStream<L::Io>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            tokio::select! {
                (stream, address) = self.inner.accept() => {
                    self.begin(stream, address);
                }
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(ready)) = done {
                        return ready;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_many_handshakes_pushes_out_its_own() {
        let who = |address: &str| Who::at(address.parse().unwrap());
        let (patient, other, greedy) = (who("192.0.2.1"), who("192.0.2.2"), who("192.0.2.3"));
        let begun = [&patient, &greedy, &other, &other, &greedy, &greedy];
        assert_eq!(oldest_of_most(begun.into_iter()), Some(1));
        assert_eq!(oldest_of_most([&patient, &other].into_iter()), Some(0), "of equals the oldest");
        assert_eq!(oldest_of_most(std::iter::empty()), None);
    }
}
