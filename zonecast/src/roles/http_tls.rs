//! A listener whose connections speak TLS: it hands them on when their handshake is done.
//!
//! Handshakes run beside each other, so that one that dawdles keeps nobody waiting, bounded in time and number: when
//! there are too many, the oldest goes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A handshake takes a round trip or two; who needs longer holds a socket for nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at a time, each some tens of kilobytes.
const HANDSHAKES: usize = 256;

/// What is spoken inside.
const HTTP_1_1: &[u8] = b"http/1.1";

/// See the module.
pub(super) struct TlsListener<L: Listener> {
    inner: L,
    tls: TlsAcceptor,
    /// Those that may still be under way, oldest first.
    begun: VecDeque<AbortHandle>,
    // Aborted when the listener is dropped.
    handshakes: JoinSet<Option<(TlsStream<L::Io>, L::Addr)>>,
}

impl<L: Listener<Addr: 'static>> TlsListener<L> {
    /// Over connections of another listener.
    pub(super) fn new(inner: L, mut tls: ServerConfig) -> Self {
        tls.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Self { inner, tls: Arc::new(tls).into(), begun: VecDeque::new(), handshakes: JoinSet::new() }
    }

    fn begin(&mut self, stream: L::Io, address: L::Addr) {
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
        self.begun.push_back(begun);
    }

    fn make_room(&mut self) {
        // Finished ones in between are few, or go here.
        if self.begun.len() >= 2 * HANDSHAKES {
            self.begun.retain(|handshake| !handshake.is_finished());
        }
        while self.handshakes.len() >= HANDSHAKES
            && let Some(oldest) = self.begun.pop_front()
        {
            if !oldest.is_finished() {
                oldest.abort();
                break;
            }
        }
    }
}

impl<L: Listener<Addr: 'static>> Listener for TlsListener<L> {
    type Io = TlsStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
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

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}
