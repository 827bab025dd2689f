//! A connection whose writes must get on: who reads nothing or trickles for [too long](super::patience) loses it, and the
//! answer that it kept in memory is gone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::patience::Patient;

/// A connection that fails once the peer reads nothing, or too slowly, for too long.
pub(super) struct PacedStream<S> {
    stream: S,
    patience: Patient,
}

impl<S> PacedStream<S> {
    /// Writes may wait this long for the peer to read something.
    pub(super) fn new(stream: S, pause: Duration) -> Self {
        Self { stream, patience: Patient::new(pause) }
    }

    /// What a write of so many bytes has come to, and the end of patience while it comes to nothing.
    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(written)) => self.patience.moved(bytes(written)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let late = |()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing, or trickles"));
                return self.patience.poll_end(cx).map(late);
            }
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.paced(cx, written, |written| *written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.paced(cx, flushed, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.paced(cx, closed, |()| 0)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.paced(cx, written, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
