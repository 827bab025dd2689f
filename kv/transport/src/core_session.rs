//! Serves one connection of another core: each stream that it opens runs as a task.
//!
//! # Invariants
//! - There are at most [`MAX_CORE_STREAMS`] tasks at a time, also when the peer goes back on streams whose tasks go on.
//! - The connection ends with the session, so no stream outlives it, wherever the service has put it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::halves::{ReceiveHalf, SendHalf};
use crate::quic_config::MAX_CORE_STREAMS;
use crate::{Connection, CoreService, CoreStream};

/// A stream begins with its kind within this time, or it is dropped.
const KIND_WITHIN: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct CoreSession {
    connection: Connection,
    service: Arc<dyn CoreService>,
    streams: JoinSet<()>,
}

impl Drop for CoreSession {
    fn drop(&mut self) {
        self.connection.close("over");
    }
}

impl CoreSession {
    pub(crate) fn new(connection: Connection, service: Arc<dyn CoreService>) -> Self {
        Self { connection, service, streams: JoinSet::new() }
    }

    /// Runs until either side ends it.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let (peer, address) = (self.connection.peer().clone(), self.connection.remote_addr());
        tracing::info!(%peer, %address, "connected");
        self.connection.widen();
        tokio::select! {
            why = self.serve() => tracing::info!(%peer, %address, %why, "disconnected"),
            _ = stopping.wait_for(|stopping| *stopping) => tracing::info!(%peer, %address, "disconnected"),
        }
    }

    async fn serve(&mut self) -> String {
        let connection = self.connection.clone();
        let closed = connection.closed();
        tokio::pin!(closed);
        loop {
            let has_room = self.streams.len() < MAX_CORE_STREAMS as usize;
            tokio::select! {
                opened = connection.accept_core(), if has_room => match opened {
                    Ok((send, receive)) => self.start(send, receive),
                    Err(why) => return why.to_string(),
                },
                Some(ended) = self.streams.join_next() => self.report(ended),
                why = &mut closed => return why.to_string(),
            }
        }
    }

    fn start(&mut self, send: SendHalf, mut receive: ReceiveHalf) {
        let (service, connection) = (Arc::clone(&self.service), self.connection.clone());
        self.streams.spawn(async move {
            let kind = tokio::time::timeout(KIND_WITHIN, receive.kind()).await;
            // Whoever opened it has gone back on it.
            let Ok(Ok(kind)) = kind else { return };
            service.serve(connection.peer(), kind, CoreStream::new(send, receive)).await;
        });
    }

    fn report(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            let peer = self.connection.peer();
            tracing::error!(%peer, %error, "a stream of this core ended: its handler failed");
        }
    }
}
