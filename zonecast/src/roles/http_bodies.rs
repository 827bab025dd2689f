//! Bodies of requests that must come in time, and bodies of answers that know when they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::admission::Admitted;
use super::idle::Busy;

/// The body of a request, which fails when it pauses for too long or takes too long altogether.
pub(super) struct PacedBody {
    body: Incoming,
    pause: Duration,
    end: Instant,
    patience: Pin<Box<Sleep>>,
}

impl PacedBody {
    pub(super) fn new(body: Incoming, pause: Duration, within: Duration) -> Self {
        let now = Instant::now();
        let end = now + within;
        Self { body, pause, end, patience: Box::pin(sleep_until(end.min(now + pause))) }
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let next = self.end.min(Instant::now() + self.pause);
                self.patience.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
            }
            Poll::Pending => self
                .patience
                .as_mut()
                .poll(cx)
                .map(|()| Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the body takes too long").into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer: while it is being sent the connection is busy and the request has its place, for some time.
pub(super) struct Answer {
    body: Body,
    end: Instant,
    _held: (Busy, Option<Admitted>),
}

impl Answer {
    pub(super) fn new(body: Body, held: (Busy, Option<Admitted>), within: Duration) -> Self {
        Self { body, end: Instant::now() + within, _held: held }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Asked for whenever some of it could be written; a client that reads nothing meets the end of the stream's
        // patience.
        if Instant::now() >= self.end {
            let late = io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly");
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
