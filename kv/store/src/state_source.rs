//! The state as the source of a publisher: the batch log, and snapshots for downstreams that are behind it.

use std::ops::ControlFlow;

use bytes::Bytes;
use rocksdb::{Direction, IteratorMode};
use zonecast_kv_proto::{
    BatchSource, Chain, Filter, LogPin, Position, Published, RangesGiven, RangesWant, SnapshotSource, SourceError,
    TableManifest, TableSource, Version, View, ViewError,
};

use crate::StoreError;
use crate::snapshot_read::{Scanned, SnapshotRead};
use crate::state::StateStore;
use crate::state_keys::{FORK, META};
use crate::state_view::StateView;
use crate::version_log::Found;

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
        Ok(live.version_log().chain_at(version)?)
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
        let missing = match live.version_log().after(after, last, max_bytes)? {
            Found::Versions(versions) => return Ok(Some(versions)),
            Found::Missing(version) => version,
        };
        let is_next = after.next() == Some(missing);
        if is_next && current.first.is_none_or(|first| missing < first) {
            return Ok(None);
        }
        // Trimming may have overtaken the reading; what it took is gone for this reader too.
        if is_next && live.current().first > Some(missing) {
            return Ok(None);
        }
        Err(live.damaged(format!("version {missing} is missing in the batch log")).into())
    }

    fn pin(&self, after: Version) -> Box<dyn LogPin> {
        self.shared.pins.pin(after)
    }

    fn ranges(&self, want: &RangesWant) -> Result<RangesGiven, SourceError> {
        Ok(self.checks().give(want)?)
    }

    fn snapshot(&self, filter: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        let view = self.view();
        let position = view.position()?;
        Ok(Box::new(SnapshotRead::new(position, view, filter)))
    }

    fn make_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
        self.tables().map(Some)
    }

    fn is_recent(&self, tables: &TableManifest) -> Result<bool, SourceError> {
        self.goes_on_from(tables)
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

impl Scanned for StateView {
    fn scan_from(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.scan(lower, end, visit)
    }
}
