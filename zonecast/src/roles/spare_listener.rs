//! A listener that goes on accepting when the process may open no more files: it keeps some open for that time.
//!
//! Whoever watches a node must hear from it just then. Everything else that wants files (DNS over TCP, table files of the
//! store) fails, and shows in metrics.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::serve::Listener;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use zonecast_kv_proto::LineLimit;

use super::idle::IdleBook;

/// Files kept open: connections of some who watch.
const SPARES: usize = 8;

/// Between two tries when even these are in use, or the listener fails.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener that keeps spare files open; when the process has no file left, it closes one to accept a connection.
pub(super) struct SpareListener {
    inner: TcpListener,
    spares: Arc<Spares>,
    /// Idle connections go before anybody has to wait.
    book: Arc<IdleBook>,
    failures: LineLimit<Instant>,
}

#[derive(Default)]
struct Spares(Mutex<Vec<File>>);

impl Spares {
    fn fill(&self) {
        let mut files = self.files();
        while files.len() < SPARES
            && let Ok(file) = File::open("/dev/null")
        {
            files.push(file);
        }
    }

    fn give(&self) {
        drop(self.files().pop());
    }

    fn files(&self) -> MutexGuard<'_, Vec<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpareListener {
    pub(super) fn new(inner: TcpListener, book: Arc<IdleBook>) -> Self {
        let spares = Arc::new(Spares::default());
        spares.fill();
        Self { inner, spares, book, failures: LineLimit::default() }
    }
}

impl Listener for SpareListener {
    type Io = SpareStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (SpareStream, SocketAddr) {
        self.spares.fill();
        loop {
            let error = match self.inner.accept().await {
                Ok((stream, address)) => {
                    // Answers are small and wanted now.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "answers may come a little late");
                    }
                    return (SpareStream { stream, _refill: Refill(Arc::clone(&self.spares)) }, address);
                }
                Err(error) => error,
            };
            if is_of_one(&error) {
                tracing::debug!(%error, "a connection was gone before it was accepted");
                continue;
            }
            if let Some(times) = self.failures.count(Instant::now()) {
                tracing::warn!(times, %error, "cannot accept HTTP connections; trying again");
            }
            if ![Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error())).contains(&error.raw_os_error()) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            // accept(2) says so whether or not anybody waits, so nobody goes while there is a spare one.
            if self.spares.files().is_empty() {
                self.book.close_oldest();
                // The file of the one that goes becomes a spare one.
                tokio::time::sleep(PAUSE).await;
            }
            // Not filled again before something is accepted: it would take what it has just given.
            self.spares.give();
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// Whether an error is of a connection that has gone, as accept(2) tells it, and not of the listener.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A connection, whose file may become a spare one again.
pub(super) struct SpareStream {
    stream: TcpStream,
    // After the stream, so that its file is free.
    _refill: Refill,
}

struct Refill(Arc<Spares>);

impl Drop for Refill {
    fn drop(&mut self) {
        self.0.fill();
    }
}

impl AsyncRead for SpareStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SpareStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
