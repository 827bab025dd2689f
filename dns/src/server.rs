//! A running front end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::rules::Rules;
use crate::{Answerer, Bound, Limits, Metrics, tcp, udp};

/// Why answering cannot begin.
#[derive(Debug, Error)]
pub enum StartError {
    /// The TCP socket could not be handed to the runtime.
    #[error("cannot serve TCP: {0}")]
    Tcp(#[source] io::Error),
    /// The system gives no thread.
    #[error("cannot start a UDP thread: {0}")]
    Thread(#[source] io::Error),
}

/// Answers on one address until it is shut down or dropped.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    stop_udp: Arc<AtomicBool>,
    stop_tcp: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    tcp: tokio::task::JoinHandle<()>,
    died: watch::Sender<bool>,
}

/// Tells when what holds it ends by a panic.
struct Alive(watch::Sender<bool>);

impl Drop for Alive {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(true);
        }
    }
}

impl Server {
    pub(crate) fn start<A: Answerer>(
        bound: Bound,
        answerer: Arc<A>,
        limits: Limits,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let local_addr = bound.local_addr();
        let listener = TcpListener::from_std(bound.tcp).map_err(StartError::Tcp)?;
        let (stop_tcp, stopped) = watch::channel(false);
        let stop_udp = Arc::new(AtomicBool::new(false));
        let rules = Arc::new(Rules::new(limits));
        let tcp = tcp::run(listener, Arc::clone(&answerer), Arc::clone(&rules), metrics.clone(), stopped);
        let died = watch::Sender::new(false);
        let alive = Alive(died.clone());
        let tcp = tokio::spawn(async move {
            let _alive = alive;
            tcp.await;
        });
        let mut server = Self { local_addr, stop_udp, stop_tcp, threads: Vec::new(), tcp, died };
        for (number, socket) in bound.udp.into_iter().enumerate() {
            let (answerer, metrics, stop) = (Arc::clone(&answerer), metrics.clone(), Arc::clone(&server.stop_udp));
            let thread = std::thread::Builder::new().name(format!("dns-udp-{number}"));
            let rules = Arc::clone(&rules);
            let alive = Alive(server.died.clone());
            let run = move || {
                let _alive = alive;
                udp::run(&socket, &*answerer, &rules, &metrics, &stop);
            };
            server.threads.push(thread.spawn(run).map_err(StartError::Thread)?);
        }
        Ok(server)
    }

    /// Where it answers, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until a thread that answers over UDP, or the task that takes TCP connections, has ended by a panic: queries
    /// that the system hands to its socket are answered no more. Never, if none does.
    pub fn died(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut died = self.died.subscribe();
        async move {
            if died.wait_for(|died| *died).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Stops taking queries, finishes what is being answered and waits for every thread and connection.
    pub async fn shutdown(mut self) {
        self.stop();
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count()
        });
        if joined.await.unwrap_or_default() > 0 {
            tracing::error!("a UDP thread had panicked; please report this");
        }
        if (&mut self.tcp).await.is_err() {
            tracing::error!("the TCP task had panicked; please report this");
        }
    }

    fn stop(&self) {
        self.stop_udp.store(true, Ordering::Relaxed);
        self.stop_tcp.send_replace(true);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
