//! A zone as a zone file, written while its client reads: however large it is, a few chunks of it are in memory.
//!
//! ```text
//! thread: view ─▶ records ─▶ chunk ─▶ channel of a few ─▶ body of the answer ─▶ client
//!                                  └ waits while it is full, ends when the client is gone
//! ```
//! # Failure
//! A store that cannot be read, or a panic, breaks the text off in the middle: its reader gets an error instead of an end,
//! so that nobody takes a part of a zone for the whole.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use zonecast_builder::{Layer, ReadError, export};
use zonecast_ingest::{format_name, write_record};
use zonecast_kv_proto::View;
use zonecast_kv_store::StateView;
use zonecast_records::Name;

use super::Service;
use crate::error::ServiceError;
use crate::shares::Place;
use crate::who::Who;
use crate::zone::{ChangeTag, Tagged, blocking};

/// Bytes that are handed on at once; a record more, at most.
pub(super) const CHUNK: usize = 64 * 1024;

/// Chunks that wait for the client: enough to read the store while it reads.
pub(super) const CHUNKS: usize = 4;

/// A zone that is to be written out, as it was at one time.
#[derive(Debug)]
pub struct Export {
    service: Arc<Service>,
    view: StateView,
    apex: Name,
    place: Place,
}

/// What comes of it, in chunks.
#[derive(Debug)]
pub struct ExportedText {
    service: Arc<Service>,
    apex: Name,
    pieces: mpsc::Receiver<Result<Piece, ServiceError>>,
    ended: bool,
}

/// Without an end, it is not whole.
#[derive(Debug)]
enum Piece {
    Chunk(Bytes),
    End,
}

impl Service {
    /// The zone as a zone file: what is served. What is not is in comments. Waits for its turn.
    ///
    /// # Errors
    /// There is no such zone, or the store could not be read.
    pub async fn export(self: &Arc<Self>, apex: Name, who: &Who) -> Result<Tagged<Export>, ServiceError> {
        let place = self.large_reads.take(who).await;
        let service = Arc::clone(self);
        blocking(move || {
            let view = service.core().view();
            let tag = ChangeTag::of_read(&view, &apex)?;
            Ok(Tagged { value: Export { service, view, apex, place }, tag })
        })
        .await
    }
}

impl Export {
    /// Begins to write. Call within a tokio runtime.
    pub fn start(self) -> ExportedText {
        let Self { service, view, apex, place } = self;
        let (sender, pieces) = mpsc::channel(CHUNKS);
        tokio::task::spawn_blocking(move || {
            // With the state it reads; given back when the last chunk is on its way.
            let _place = place;
            let written = write(&view, &apex, |chunk| match sender.blocking_send(Ok(Piece::Chunk(chunk))) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
            // Nobody hears it who is gone.
            let _ = sender.blocking_send(written.map(|()| Piece::End).map_err(ServiceError::from));
        });
        ExportedText { service, apex, pieces, ended: false }
    }
}

#[cfg(test)]
impl ExportedText {
    /// Chunks that wait for the client.
    pub fn waiting(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the thread has ended.
    pub fn is_written(&self) -> bool {
        self.pieces.is_closed()
    }
}

/// Writes a zone until `send` breaks.
fn write(view: &dyn View, apex: &Name, mut send: impl FnMut(Bytes) -> ControlFlow<()>) -> Result<(), ReadError> {
    let room = CHUNK + CHUNK / 8;
    let mut text = Vec::with_capacity(room);
    text.extend_from_slice(format!("; zone {}\n", format_name(apex)).as_bytes());
    export(view, apex, |layer, record| {
        match layer {
            Layer::Source | Layer::Override | Layer::Flattened => {}
            Layer::Address => text.extend_from_slice(b"; address: "),
            Layer::Nothing => return ControlFlow::Continue(()),
            Layer::Overridden => text.extend_from_slice(b"; overridden: "),
            Layer::Disabled => text.extend_from_slice(b"; disabled: "),
        }
        write_record(record, &mut text).expect("writing into memory cannot fail");
        if text.len() < CHUNK {
            return ControlFlow::Continue(());
        }
        send(std::mem::replace(&mut text, Vec::with_capacity(room)).into())
    })?;
    let _ = send(text.into());
    Ok(())
}

impl Stream for ExportedText {
    type Item = Result<Bytes, ServiceError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let error = match ready!(self.pieces.poll_recv(cx)) {
            Some(Ok(Piece::Chunk(chunk))) => return Poll::Ready(Some(Ok(chunk))),
            Some(Ok(Piece::End)) => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Some(Err(error)) => error,
            None => ServiceError::internal("the thread that writes the zone file has died; please report this"),
        };
        self.ended = true;
        self.service.metrics().export_broke_off();
        if let Some(exports) = self.service.broken_exports.count(Instant::now()) {
            tracing::error!(exports, zone = %self.apex, %error, "exports of zone files broke off, the last one for this reason");
        }
        Poll::Ready(Some(Err(error)))
    }
}
