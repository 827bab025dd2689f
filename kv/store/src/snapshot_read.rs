//! A snapshot that is read in order, message by message: of a core's state, or of a relay's copy.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use zonecast_kv_proto::{Position, SnapshotSource, SourceError, ViewError, put_entry};

/// The first key that is not published.
pub(crate) const END: &[u8] = &[0x80, 0];

/// Unchanging keys that can be read in order.
pub(crate) trait Scanned: Send {
    /// As [`View::scan`](zonecast_kv_proto::View::scan).
    fn scan_from(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError>;
}

/// Everything published, being read in order.
pub(crate) struct SnapshotRead<S> {
    source: S,
    position: Position,
    /// Where to go on; `None` at the end.
    next: Option<Vec<u8>>,
}

impl<S: Scanned> SnapshotRead<S> {
    pub(crate) fn new(position: Position, source: S) -> Self {
        Self { source, position, next: Some(Vec::new()) }
    }
}

impl<S: Scanned> SnapshotSource for SnapshotRead<S> {
    fn position(&self) -> Position {
        self.position
    }

    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError> {
        let Some(lower) = self.next.take() else { return Ok(Bytes::new()) };
        // The last entry may go beyond; most are short.
        let mut message = BytesMut::with_capacity(max_bytes + max_bytes / 8);
        let next = &mut self.next;
        let read = self.source.scan_from(&lower, END, &mut |key, value| {
            put_entry(&mut message, key, value);
            if message.len() < max_bytes {
                return ControlFlow::Continue(());
            }
            *next = Some([key, &[0]].concat());
            ControlFlow::Break(())
        });
        read.map_err(|error| SourceError(error.to_string()))?;
        Ok(message.freeze())
    }
}
