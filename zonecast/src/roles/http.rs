//! The HTTP listener: API, metrics and health.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::http_tls::TlsListener;
use super::idle::IdleBook;
use super::serving::{HttpLimits, Introduce, RequestHandler, serve};
use super::spare_listener::SpareListener;
use crate::http::Gate;
use zonecast_service::exit::{Failure, Outcome};
use zonecast_service::run_part;

/// How long requests under way may take once we stop.
const DRAIN: Duration = Duration::from_secs(3);

/// What is missing without it.
const LOST: &str = "the API is gone";

/// A running listener.
#[derive(Debug)]
pub(crate) struct HttpServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Serves on a bound listener, in the clear or over TLS, what the gate is in front of. Call within a tokio runtime.
    ///
    /// # Errors
    /// The listener cannot be handed to the runtime.
    pub(crate) fn start(
        listener: TcpListener,
        router: axum::Router,
        gate: Gate,
        tls: Option<ServerConfig>,
    ) -> Outcome<Self> {
        let wrap = |error: std::io::Error| Failure::failed(format_args!("cannot serve HTTP: {error}"));
        let address = listener.local_addr().map_err(wrap)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(wrap)?;
        let book = Arc::new(IdleBook::default());
        let listener = SpareListener::new(listener, Arc::clone(&book));
        let fault = gate.fault().clone();
        let introduce: Introduce = Arc::new(move |request, address| gate.introduce(request, address));
        let handler = RequestHandler { router, introduce };
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            // A dropped sender stops us as well.
            let _ = stopped.await;
        };
        let task = match tls {
            None => run_part(&fault, LOST, serve(listener, book, handler, HttpLimits::default(), stopped)),
            Some(tls) => {
                let listener = TlsListener::new(listener, tls);
                run_part(&fault, LOST, serve(listener, book, handler, HttpLimits::default(), stopped))
            }
        };
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and waits for those under way, for some time.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let mut task = self.task;
        if tokio::time::timeout(DRAIN, &mut task).await.is_err() {
            task.abort();
        }
    }
}
