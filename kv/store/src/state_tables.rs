//! Everything published at one position, as table files for edges: they put them into their copies as they are.
//!
//! The files are in a generation of their own that never becomes live, so they go with their last user, or at the next
//! start. Two sets have no file in common, even of the same entries: RocksDB writes into each file when and by whom it was
//! made.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::properties::{CUR_SIZE_ALL_MEM_TABLES, ESTIMATE_LIVE_DATA_SIZE};
use zonecast_kv_proto::{PUBLISHED_END, SourceError, TableHash, TableManifest, TableSource, View as _};

use crate::disk_room::check_room;
use crate::generations::{Generation, Generations};
use crate::kept_tables::read_table;
use crate::state::StateStore;
use crate::state_db::StateDb;
use crate::state_keys::PUBLISHED;
use crate::table_writer::TableWriter;
use crate::{StoreError, options};

/// Folder of the files in their generation.
const TABLES: &str = "tables";

/// A file is ended beyond this: so much is lost at most when one turns out to be wrong, and later compactions have pieces
/// to choose from.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// So many bytes of versions are applied sooner than files are made.
const LITTLE: u64 = 8 * 1024 * 1024;

/// Files of a state whose size is known beforehand: half of what a manifest may have, because sizes are estimates.
const MOST_FILES: u64 = 4096;

/// See the module.
pub(crate) struct StateTables {
    manifest: TableManifest,
    folder: PathBuf,
    // The folder goes with it.
    _generation: Generation,
    _generations: Arc<Generations>,
}

impl StateStore {
    /// Writes everything that is published now into files of about this size, larger if they would be too many.
    pub(crate) fn write_tables(&self, max_file: u64) -> Result<StateTables, StoreError> {
        let view = self.view();
        let db = view.database();
        let generations = Arc::clone(&db.generations);
        let size = estimated_size(db)?;
        check_room(generations.folder(), size)?;
        let generation = generations.begin()?;
        let folder = generation.path().join(TABLES);
        options::make_new_folder(&folder)?;
        let (options, position) = (options::sent_table(), view.position()?);
        let mut writer = TableWriter::new(&folder, &options, max_file.max(size / MOST_FILES));
        let mut written = Ok(());
        view.scan(&[], PUBLISHED_END, &mut |key, value| {
            written = writer.put(key, value);
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .map_err(|error| db.damaged(error.to_string()))?;
        written?;
        let (files, entries) = writer.finish()?;
        let manifest = TableManifest { position, entries, files };
        Ok(StateTables { manifest, folder, _generation: generation, _generations: generations })
    }

    /// The same, as a publisher wants it.
    pub(crate) fn tables(&self) -> Result<Box<dyn TableSource>, SourceError> {
        Ok(Box::new(self.write_tables(MAX_FILE)?))
    }

    /// See [`BatchSource::is_recent`](zonecast_kv_proto::BatchSource::is_recent): at most half of the batch log follows, and
    /// no more than the files hold, unless that is little.
    pub(crate) fn goes_on_from(&self, tables: &TableManifest) -> Result<bool, SourceError> {
        let position = &tables.position;
        let present = self.position();
        if (position.store, position.epoch) != (present.store, present.epoch) {
            return Ok(false);
        }
        let chain = zonecast_kv_proto::BatchSource::chain_at(self, position.version)?;
        let log = self.shared.lock_log();
        let most = tables.total_len().max(LITTLE).min(log.cap() / 2);
        Ok(chain == Some(position.chain) && log.bytes_after(position.version).is_some_and(|bytes| bytes <= most))
    }
}

impl TableSource for StateTables {
    fn manifest(&self) -> &TableManifest {
        &self.manifest
    }

    fn read(&self, file: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, SourceError> {
        Ok(read_table(&self.folder, file, offset, max_bytes)?)
    }
}

/// Bytes that the published keys take on the disk, and those that are not there yet.
fn estimated_size(db: &StateDb) -> Result<u64, StoreError> {
    let family = db.family(PUBLISHED);
    let of = |property| {
        let value = db.db.property_int_value_cf(family, property);
        value.map(Option::unwrap_or_default).map_err(|error| db.fail(error))
    };
    Ok(of(ESTIMATE_LIVE_DATA_SIZE)?.saturating_add(of(CUR_SIZE_ALL_MEM_TABLES)?))
}
