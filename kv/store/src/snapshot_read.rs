//! A snapshot that is read in order, message by message: of a core's state, or of a relay's copy.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use zonecast_kv_proto::{Filter, KeyRange, Position, SnapshotSource, SourceError, ViewError, put_entry};

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

/// Everything published, or what of it a filter holds, being read in order.
pub(crate) struct SnapshotRead<S> {
    source: S,
    position: Position,
    /// What is still to be read.
    ranges: VecDeque<KeyRange>,
}

impl<S: Scanned> SnapshotRead<S> {
    pub(crate) fn new(position: Position, source: S, filter: Option<&Filter>) -> Self {
        Self { source, position, ranges: Filter::ranges(filter).into() }
    }
}

impl<S: Scanned> SnapshotSource for SnapshotRead<S> {
    fn position(&self) -> Position {
        self.position
    }

    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError> {
        // The last entry may go beyond; most are short.
        let mut message = BytesMut::with_capacity(max_bytes + max_bytes / 8);
        while let Some(KeyRange { start, end }) = self.ranges.pop_front() {
            let mut next = None;
            let read = self.source.scan_from(&start, &end, &mut |key, value| {
                put_entry(&mut message, key, value);
                if message.len() < max_bytes {
                    return ControlFlow::Continue(());
                }
                next = Some([key, &[0]].concat());
                ControlFlow::Break(())
            });
            read.map_err(|error| SourceError(error.to_string()))?;
            if let Some(start) = next {
                self.ranges.push_front(KeyRange { start, end });
                break;
            }
        }
        Ok(message.freeze())
    }
}
