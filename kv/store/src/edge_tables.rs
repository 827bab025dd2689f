//! A snapshot that comes to an edge as table files, which become a new copy as they are.
//!
//! # Format
//! ```text
//! <folder>/tables-incoming/   what has come of the files (`incoming_tables.rs`)
//! ```
//! The folder is no copy, so it is never live, and no file in it becomes part of a copy whose bytes do not have the hash
//! that the manifest says. A relay keeps the files, too (`kept_tables.rs`).

use zonecast_kv_proto::{OfferedTables, Position, TableManifest, TablePiece, TablesWant};

use crate::StoreError;
use crate::edge::EdgeStore;
use crate::edge_copies::Copies;
use crate::edge_live::Live;
use crate::incoming_tables::{IncomingTables, remove_all};
use crate::kept_tables::KeptSet;

const INCOMING: &str = "tables-incoming";

/// The name of the family that the files go into.
const FAMILY: &str = "default";

/// A new copy whose files are coming. Dropped, it leaves them for the next one.
pub struct TablesLoad<'s> {
    copies: &'s Copies,
    offered: OfferedTables,
    incoming: IncomingTables,
}

impl EdgeStore {
    /// Begins a new copy of these files beside the live one, or goes on with it. It reads again what was kept of them.
    ///
    /// # Errors
    /// The disk failed, or has no room for them.
    pub fn begin_tables(&self, offered: OfferedTables) -> Result<TablesLoad<'_>, StoreError> {
        let incoming = IncomingTables::begin(self.copies.folder().join(INCOMING), offered.manifest.clone())?;
        Ok(TablesLoad { copies: &self.copies, offered, incoming })
    }

    /// Removes what was kept of files that have not all come, because nobody will go on with them.
    ///
    /// # Errors
    /// The disk failed.
    pub fn forget_tables(&self) -> Result<(), StoreError> {
        remove_all(&self.copies.folder().join(INCOMING))
    }

    /// Whether anything is kept of such files.
    #[must_use]
    pub fn keeps_tables(&self) -> bool {
        self.copies.folder().join(INCOMING).exists()
    }
}

impl TablesLoad<'_> {
    /// What is lacking.
    #[must_use]
    pub fn want(&self) -> TablesWant {
        self.incoming.want()
    }

    /// Writes the next piece.
    ///
    /// # Errors
    /// With it the file is whole and not what it should be: it is removed. Or the disk failed.
    pub fn write(&mut self, piece: &TablePiece) -> Result<(), StoreError> {
        self.incoming.write(piece)
    }

    /// Makes the files the live copy, durably. Snapshots of the one before stay readable.
    ///
    /// # Errors
    /// Some of them are missing or do not hold what the manifest says: all of them are removed. Or the disk failed; the
    /// copy before is still the live one, then and after a restart.
    pub fn finish(self, position: &Position) -> Result<(), StoreError> {
        let kept = self.keep();
        let check = |live: &Live| check_content(live, &self.offered.manifest);
        let switched = self.copies.switch_to(self.incoming.paths(), position, check);
        let switched = switched.map_err(|error| match error {
            // They are what was signed, and no table files all the same.
            error if error.is_damage() => StoreError::BadTables(error.to_string()),
            error => error,
        });
        if matches!(switched, Ok(()) | Err(StoreError::BadTables(_))) {
            remove_all(self.incoming.folder())?;
        }
        switched?;
        if let Some((tables, kept)) = self.copies.kept.as_ref().zip(kept)
            && let Err(error) = tables.switch(kept)
        {
            tracing::warn!(%error, "the table files of this copy are not kept for downstreams");
        }
        Ok(())
    }

    /// Keeps the files for downstreams, if there may be any. They get a snapshot in another way if that fails.
    fn keep(&self) -> Option<KeptSet> {
        let linked = self.copies.kept.as_ref()?.link(&self.incoming.paths(), &self.offered);
        linked
            .inspect_err(|error| tracing::warn!(%error, "the table files of this copy are not kept for downstreams"))
            .ok()
    }
}

/// Whether a copy that was made of table files holds what their manifest says.
fn check_content(live: &Live, manifest: &TableManifest) -> Result<(), StoreError> {
    let files = live.db.live_files().map_err(|error| live.error(error))?;
    let of_data = || files.iter().filter(|file| file.column_family_name == FAMILY);
    let mut ranges: Vec<_> = of_data().map(|file| (file.start_key.as_deref(), file.end_key.as_deref())).collect();
    ranges.sort_unstable();
    let announced = manifest.files.iter().map(|file| (Some(&*file.first), Some(&*file.last)));
    let entries: u64 = of_data().map(|file| file.num_entries).sum();
    let is_same = ranges.into_iter().eq(announced) && entries == manifest.entries;
    if !is_same || of_data().any(|file| file.num_deletions > 0) {
        return Err(StoreError::BadTables("the files do not hold what their manifest says".to_owned()));
    }
    Ok(())
}
