//! Bodies of requests that must come in time, and bodies of answers that know when they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::idle::Busy;
use super::patience::Patient;
use zonecast_service::Place;

/// The body of a request, which fails when it pauses, trickles or takes for too long altogether.
pub(super) struct PacedBody {
    body: Incoming,
    pause: Duration,
    within: Duration,
    /// From when it is wanted: until then the client waits for us.
    begun: Option<Begun>,
}

struct Begun {
    patience: Patient,
    end: Pin<Box<Sleep>>,
}

impl PacedBody {
    pub(super) fn new(body: Incoming, pause: Duration, within: Duration) -> Self {
        Self { body, pause, within, begun: None }
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, pause, within, begun } = &mut *self;
        let begun =
            begun.get_or_insert_with(|| Begun { patience: Patient::new(*pause), end: Box::pin(sleep(*within)) });
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                begun.patience.moved(data.map_or(0, Bytes::len));
                Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
            }
            Poll::Pending if begun.end.as_mut().poll(cx).is_ready() || begun.patience.poll_end(cx).is_ready() => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the body takes too long");
                Poll::Ready(Some(Err(late.into())))
            }
            Poll::Pending => Poll::Pending,
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
    _busy: Busy,
    _place: Option<Place>,
}

impl Answer {
    pub(super) fn new(body: Body, busy: Busy, place: Option<Place>, within: Duration) -> Self {
        Self { body, end: Instant::now() + within, _busy: busy, _place: place }
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
