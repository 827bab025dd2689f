//! The copy of an edge: everything published, and the position it stands at.
//!
//! # Format
//! The generations (`generations.rs`) `copy-<n>` of a folder are RocksDB databases: published keys and values in
//! `default`, and in `batches` the versions that led there if others follow (`edge_log.rs`). There are two while a snapshot is loading. The value of the only key in `position` is
//! the position, and what it follows (`edge_position.rs`). Beside it is what the copy holds, if not everything.
//!
//! # Invariants
//! Versions and the position they lead to are one write, so a copy stands at exactly one version whenever the process
//! ends. A snapshot becomes the live copy after all of it is durable. What RocksDB has of the position, it has everything
//! before: a copy in which something in the middle is missing has none.
//!
//! # Failure
//! A copy can always be fetched again, so one that is damaged is never repaired: at a start it is left behind for a new
//! one, and damage that a read runs into later is told to whoever can fetch ([`EdgeStore::damage`]).
//!
//! # Threads
//! One thread applies; any thread takes snapshots and syncs. A retired copy is removed when its last snapshot goes.

use std::path::Path;

use rocksdb::WriteBatch;
use zonecast_kv_proto::{Filter, OpRef, Position, ReceivedVersion, Verification, decode_ops};

use crate::edge_copies::Copies;
use crate::edge_live::POSITION_KEY;
use crate::edge_options::EdgeOptions;
use crate::{EdgeSnapshot, RangeChecks, SnapshotLoad, StoreError, edge_position};

/// The copy of an edge.
pub struct EdgeStore {
    pub(crate) copies: Copies,
}

impl EdgeStore {
    /// Opens the copy in a folder, or makes a new one without a position. A damaged copy is replaced by a new one too;
    /// [`EdgeStore::damage`] then reports the damage. Removes the files of an interrupted snapshot.
    ///
    /// # Errors
    /// The folder cannot be used, is in use, or its disk is full.
    pub fn open(folder: &Path, options: EdgeOptions) -> Result<Self, StoreError> {
        Ok(Self { copies: Copies::open(folder, options)? })
    }

    /// Discards the present copy, which is damaged, and makes a new one without a position.
    ///
    /// # Errors
    /// A new one cannot be made; the present one stays.
    pub fn start_anew(&self, why: &str) -> Result<(), StoreError> {
        self.copies.start_anew()?;
        self.copies.damage.found(why.to_owned());
        Ok(())
    }

    /// The known damage of the copy, until a snapshot has replaced it.
    #[must_use]
    pub fn damage(&self) -> Option<String> {
        self.copies.damage.get()
    }

    /// Something in the copy turns out to be damaged.
    pub fn report_damage(&self, what: &str) {
        self.copies.damage.found(what.to_owned());
    }

    /// Reads that have failed so far, and what was wrong with the last of them.
    #[must_use]
    pub fn read_errors(&self) -> (u64, Option<String>) {
        self.copies.damage.read_errors()
    }

    /// Calls `tell` whenever a read fails or damage is found, from then on. Only the first call counts.
    pub fn on_trouble(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.copies.damage.on_trouble(Box::new(tell));
    }

    /// Where the copy stands; `None` when it is new.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        *self.copies.live().position()
    }

    /// What the copy holds, if not everything that is published.
    #[must_use]
    pub fn filter(&self) -> Option<Filter> {
        self.copies.live().filter.clone()
    }

    /// Applies versions that follow the present position, in one write; says where that leads. Not synced. If the last one
    /// holds a marker, the copy is summed up as it is then: what comes behind a marker belongs into the next write.
    ///
    /// # Errors
    /// The write failed, or the versions do not follow; nothing is applied then.
    pub fn apply(&self, versions: &[ReceivedVersion]) -> Result<Position, StoreError> {
        let live = self.copies.live();
        let before = (*live.position())
            .ok_or_else(|| StoreError::damaged(self.copies.folder(), "versions for a copy that is new"))?;
        let mut position = before;
        let mut batch = WriteBatch::default();
        for ReceivedVersion { published, bytes } in versions {
            let Some(next) = published.next_after(&position) else {
                let what = format!("version {} cannot follow {position}", published.version);
                return Err(StoreError::damaged(self.copies.folder(), what));
            };
            for op in published.sections.iter().flat_map(decode_ops) {
                match op.map_err(|error| StoreError::damaged(self.copies.folder(), error.to_string()))? {
                    OpRef::Put { key, value } => batch.put(key, value),
                    OpRef::Delete { key } => batch.delete(key),
                    // RocksDB takes a range that ends before it starts for an error.
                    OpRef::DeleteRange { start, end } if start < end => batch.delete_range(start, end),
                    OpRef::DeleteRange { .. } => {}
                }
            }
            if let Some(log) = &live.log {
                log.append(&mut batch, live.log_family(), published.version, bytes);
            }
            position = next;
        }
        batch.merge_cf(live.family(), POSITION_KEY, edge_position::step(&before, &position));
        live.db.write(batch).map_err(|error| live.error(error))?;
        *live.position() = Some(position);
        if let Some(marker) = versions.last().and_then(|last| Verification::in_version(&last.published).marker) {
            let snapshot = EdgeSnapshot::take(live)?;
            self.copies.checks.begin(marker, position, Box::new(snapshot));
        }
        Ok(position)
    }

    /// What the copy comes to at markers.
    #[must_use]
    pub fn checks(&self) -> &RangeChecks {
        &self.copies.checks
    }

    /// Makes everything applied so far durable; says up to where that is.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync(&self) -> Result<Option<Position>, StoreError> {
        let live = self.copies.live();
        let position = *live.position();
        live.db.flush_wal(true).map_err(|error| live.error(error))?;
        Ok(position)
    }

    /// The present state, unchanging.
    ///
    /// # Errors
    /// The position could not be read.
    pub fn snapshot(&self) -> Result<EdgeSnapshot, StoreError> {
        EdgeSnapshot::take(self.copies.live())
    }

    /// Begins a new copy beside the live one, of what a filter holds, or of everything.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub fn begin_snapshot(&self, filter: Option<Filter>) -> Result<SnapshotLoad<'_>, StoreError> {
        Ok(SnapshotLoad::new(&self.copies, self.copies.begin()?, filter))
    }
}

impl std::fmt::Debug for EdgeStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EdgeStore").field("folder", &self.copies.folder()).finish_non_exhaustive()
    }
}
