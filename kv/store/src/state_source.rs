//! The state as the source of a publisher: the batch log, and snapshots for downstreams that are behind it.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use rocksdb::{Direction, IteratorMode};
use zonecast_kv_proto::{
    BatchSource, Chain, LogPin, Position, Published, SnapshotSource, SourceError, Version, View, put_entry,
};

use crate::StoreError;
use crate::state::StateStore;
use crate::state_keys::{BATCHES, FORK, META};
use crate::state_view::StateView;

/// The first key that is not published.
const END: &[u8] = &[0x80, 0];

impl BatchSource for StateStore {
    fn position(&self) -> Position {
        StateStore::position(self)
    }

    fn chain_at(&self, version: Version) -> Result<Option<Chain>, SourceError> {
        let live = self.live();
        let position = live.current().head.position;
        if version == position.version {
            return Ok(Some(position.chain));
        }
        if version == Version::ZERO {
            return Ok(Some(Chain::origin(position.store)));
        }
        let Some(bytes) = live.get(BATCHES, &version.get().to_be_bytes())? else { return Ok(None) };
        let damaged = |error: zonecast_kv_proto::PublishedError| {
            live.damaged(format!("version {version} of the batch log: {error}"))
        };
        Ok(Some(Published::from_bytes(&bytes).map_err(damaged)?.chain))
    }

    fn began(&self) -> Version {
        self.head().began
    }

    fn read_after(&self, after: Version, max_bytes: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        let live = self.live();
        let current = live.current();
        let last = current.head.position.version;
        if after >= last {
            return Ok(Some(Vec::new()));
        }
        let (mut expected, mut total, mut found) = (after, 0, Vec::new());
        let start = after.get().saturating_add(1).to_be_bytes();
        let mode = IteratorMode::From(&start, Direction::Forward);
        for item in live.db.iterator_cf(live.family(BATCHES), mode) {
            let (key, value) = item.map_err(|error| live.fail(error))?;
            expected = expected.next().ok_or_else(|| SourceError("versions are at their end".into()))?;
            if *key != expected.get().to_be_bytes() {
                break;
            }
            total += value.len();
            found.push(Bytes::from(value.into_vec()));
            if total >= max_bytes || expected == last {
                return Ok(Some(found));
            }
        }
        if found.is_empty() && current.first.is_none_or(|first| after.next() < Some(first)) {
            return Ok(None);
        }
        // Trimming may have overtaken the reading; what it took is gone for this reader too.
        if found.is_empty() && live.current().first > after.next() {
            return Ok(None);
        }
        Err(live.damaged(format!("version {expected} is missing in the batch log")).into())
    }

    fn pin(&self, after: Version) -> Box<dyn LogPin> {
        self.shared.pins.pin(after)
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotSource>, SourceError> {
        let view = self.view();
        let position = view.position()?;
        Ok(Box::new(PublishedSnapshot { view, position, next: Some(Vec::new()) }))
    }
}

impl StateStore {
    /// Every restore that was ever accepted, the first one first.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn forks(&self) -> Result<Vec<Published>, StoreError> {
        let live = self.live();
        let mut forks = Vec::new();
        let mode = IteratorMode::From(FORK, Direction::Forward);
        for item in live.db.iterator_cf(live.family(META), mode) {
            let (key, value) = item.map_err(|error| live.fail(error))?;
            if !key.starts_with(FORK) {
                break;
            }
            let fork = Published::from_bytes(&value);
            forks.push(fork.map_err(|error| live.damaged(format!("a fork: {error}")))?);
        }
        Ok(forks)
    }
}

/// Everything published, being read in order.
struct PublishedSnapshot {
    view: StateView,
    position: Position,
    /// Where to go on; `None` at the end.
    next: Option<Vec<u8>>,
}

impl SnapshotSource for PublishedSnapshot {
    fn position(&self) -> Position {
        self.position
    }

    fn next_message(&mut self, max_bytes: usize) -> Result<Bytes, SourceError> {
        let Some(lower) = self.next.take() else { return Ok(Bytes::new()) };
        // The last entry may go beyond; most are short.
        let mut message = BytesMut::with_capacity(max_bytes + max_bytes / 8);
        self.view
            .scan(&lower, END, &mut |key, value| {
                put_entry(&mut message, key, value);
                if message.len() < max_bytes {
                    return ControlFlow::Continue(());
                }
                self.next = Some([key, &[0]].concat());
                ControlFlow::Break(())
            })
            .map_err(|error| SourceError(error.to_string()))?;
        Ok(message.freeze())
    }
}
