//! A place among the snapshots that may be read at a time, and the snapshot in it.

use std::sync::Arc;

use bytes::Bytes;
use zonecast_kv_proto::{Filter, Position, SnapshotSource, SourceError};

use crate::feed::Feed;

/// One of the places of a [`Feed`] for reading snapshots. Dropping it closes the snapshot and frees the place.
pub(crate) struct SnapshotPlace {
    feed: Arc<Feed>,
    source: Option<Box<dyn SnapshotSource>>,
}

impl SnapshotPlace {
    /// Waits for its turn: first come, first served.
    pub(crate) async fn take(feed: Arc<Feed>) -> Self {
        let permit = feed.snapshots.acquire().await.expect("never closed");
        permit.forget();
        Self { feed, source: None }
    }

    pub(crate) fn open(mut self, filter: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        self.source = Some(self.feed.source.snapshot(filter)?);
        Ok(Box::new(self))
    }
}

impl SnapshotSource for SnapshotPlace {
    fn position(&self) -> Position {
        self.source.as_ref().expect("opened").position()
    }

    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError> {
        self.source.as_mut().expect("opened").next_message(max_bytes)
    }
}

impl Drop for SnapshotPlace {
    fn drop(&mut self) {
        self.source = None;
        self.feed.snapshots.add_permits(1);
    }
}
