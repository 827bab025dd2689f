//! The copy of a relay as the source of its publisher: the versions that led to it, and snapshots for downstreams that are
//! behind these.

use std::sync::Arc;

use bytes::Bytes;
use zonecast_kv_proto::{
    BatchSource, Chain, Epoch, Filter, LogPin, Position, RangesGiven, RangesWant, SnapshotSource, SourceError,
    TableManifest, TableSource, Version,
};

use crate::edge_log::EdgeLog;
use crate::snapshot_read::SnapshotRead;
use crate::version_log::Found;
use crate::{EdgeSnapshot, EdgeStore};

/// What a relay serves. It stands where its copy stands.
#[derive(Clone, Debug)]
pub struct EdgeSource {
    store: Arc<EdgeStore>,
    /// Where it stood at the beginning: a copy that has turned out to be damaged stands nowhere for a while.
    began: Position,
}

impl EdgeSource {
    /// The source of a copy; nothing where the copy is new and stands nowhere yet.
    #[must_use]
    pub fn new(store: Arc<EdgeStore>) -> Option<Self> {
        let began = store.position()?;
        Some(Self { store, began })
    }

    /// The earliest position from which the batch log goes on, if this copy stands anywhere.
    #[must_use]
    pub fn goes_on_from(&self) -> Option<(Epoch, Version)> {
        let live = self.store.copies.live();
        let present = (*live.position())?;
        let first = live.log.as_ref().and_then(EdgeLog::first);
        let before = first.map(|first| Version::new(first.get().saturating_sub(1)));
        Some((present.epoch, before.unwrap_or(present.version)))
    }
}

impl BatchSource for EdgeSource {
    fn position(&self) -> Position {
        self.store.position().unwrap_or(self.began)
    }

    fn chain_at(&self, version: Version) -> Result<Option<Chain>, SourceError> {
        let position = self.position();
        if version == position.version {
            return Ok(Some(position.chain));
        }
        if version == Version::ZERO {
            return Ok(Some(Chain::origin(position.store)));
        }
        let live = self.store.copies.live();
        if let Some(chain) = live.version_log().chain_at(version)? {
            return Ok(Some(chain));
        }
        // The log begins after it.
        Ok(live.base()?.filter(|base| base.version == version).map(|base| base.chain))
    }

    /// Not known to a relay, which may have come by a snapshot. What of its log contradicts a position still shows.
    fn began(&self) -> Version {
        Version::ZERO
    }

    fn read_after(&self, after: Version, max_bytes: usize) -> Result<Option<Vec<Bytes>>, SourceError> {
        let live = self.store.copies.live();
        let Some(last) = live.position().map(|position| position.version) else { return Ok(None) };
        if after >= last {
            return Ok(Some(Vec::new()));
        }
        match live.version_log().after(after, last, max_bytes)? {
            Found::Versions(versions) => Ok(Some(versions)),
            // Trimmed, or of before the snapshot that this copy began with.
            Found::Missing(version) if after.next() == Some(version) => Ok(None),
            Found::Missing(version) => Err(SourceError(format!("version {version} is missing in the batch log"))),
        }
    }

    fn pin(&self, after: Version) -> Box<dyn LogPin> {
        self.store.copies.settings.pins().pin(after)
    }

    fn ranges(&self, want: &RangesWant) -> Result<RangesGiven, SourceError> {
        Ok(self.store.checks().give(want)?)
    }

    fn holds(&self) -> Result<Option<Filter>, SourceError> {
        Ok(self.store.filter())
    }

    fn snapshot(&self, filter: Option<&Filter>) -> Result<Box<dyn SnapshotSource>, SourceError> {
        let snapshot = self.store.snapshot()?;
        // The filter of this very copy: another one may have taken its place since the downstream was let in.
        if !Filter::serves(snapshot.filter(), filter) {
            return Err(SourceError("this relay does not hold any more what the downstream asks for".into()));
        }
        let position = snapshot.position().ok_or_else(|| SourceError("the copy is new".into()))?;
        Ok(Box::new(SnapshotRead::new(position, snapshot, filter)))
    }

    fn kept_tables(&self) -> Result<Option<Box<dyn TableSource>>, SourceError> {
        let Some(kept) = &self.store.copies.kept else { return Ok(None) };
        let Some(set) = kept.live() else { return Ok(None) };
        if !self.is_recent(set.manifest())? {
            return Ok(None);
        }
        if let Err(error) = set.check() {
            tracing::warn!(%error, "table files that were kept for downstreams are damaged, and are removed");
            kept.forget(&set);
            return Ok(None);
        }
        Ok(Some(Box::new(set.into_source())))
    }

    /// However much of the log follows: that costs the upstream nothing, and newer files would.
    fn is_recent(&self, tables: &TableManifest) -> Result<bool, SourceError> {
        let (position, live) = (&tables.position, self.store.copies.live());
        let Some(present) = *live.position() else { return Ok(false) };
        if (position.store, position.epoch) != (present.store, present.epoch) {
            return Ok(false);
        }
        let reaches = || live.log.as_ref().is_some_and(|log| log.reaches(position.version));
        let is_connected = position.version == present.version || reaches();
        Ok(is_connected && self.chain_at(position.version)? == Some(position.chain))
    }

    fn tidy(&self) {
        let Some(kept) = &self.store.copies.kept else { return };
        kept.tidy();
        if let Some(set) = kept.live()
            && !self.is_recent(set.manifest()).unwrap_or(true)
        {
            tracing::info!(position = %set.manifest().position, "table files are removed: the batch log has not what follows them");
            kept.forget(&set);
        }
    }
}

impl crate::snapshot_read::Scanned for EdgeSnapshot {
    fn scan_from(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> std::ops::ControlFlow<()>,
    ) -> Result<(), zonecast_kv_proto::ViewError> {
        zonecast_kv_proto::View::scan(&self.view(), lower, end, visit)
    }
}
