//! A snapshot being written into a new copy: sorted entries go straight into table files.

use std::path::PathBuf;

use rocksdb::{Options, SstFileWriter};
use zonecast_kv_proto::{Filter, Position, decode_entries};

use crate::StoreError;
use crate::edge_copies::Copies;
use crate::edge_live::Contents;
use crate::generations::{Generation, sync_folder};

/// A table file is ended beyond this, so that later compactions have pieces to choose from.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A new copy that is not complete yet. Dropped, it leaves nothing.
pub struct SnapshotLoad<'s> {
    copies: &'s Copies,
    // Before the generation, so that it is closed before its files go.
    writer: Option<SstFileWriter<'s>>,
    files: Vec<PathBuf>,
    filter: Option<Filter>,
    generation: Generation,
}

impl<'s> SnapshotLoad<'s> {
    pub(crate) fn new(copies: &'s Copies, generation: Generation, filter: Option<Filter>) -> Self {
        Self { copies, writer: None, files: Vec::new(), filter, generation }
    }

    /// Writes the entries of one message, which come after all before.
    ///
    /// # Errors
    /// The disk failed, or the entries are not in order.
    pub fn add(&mut self, message: &[u8]) -> Result<(), StoreError> {
        for entry in decode_entries(message) {
            let (key, value) = entry.map_err(|error| StoreError::damaged(self.generation.path(), error.to_string()))?;
            self.writer()?.put(key, value).map_err(|error| StoreError::from_rocksdb(self.generation.path(), error))?;
        }
        if self.writer.as_ref().is_some_and(|writer| writer.file_size() > MAX_FILE) {
            self.end_file()?;
        }
        Ok(())
    }

    /// Makes the copy durable and the live one. Snapshots of the one before stay readable.
    ///
    /// # Errors
    /// The disk failed; the copy before is still the live one, then and after a restart.
    pub fn finish(mut self, position: &Position) -> Result<(), StoreError> {
        self.end_file()?;
        sync_folder(self.generation.path())?;
        self.copies.switch(self.generation, self.files, &Contents { position: *position, filter: self.filter })
    }

    fn writer(&mut self) -> Result<&mut SstFileWriter<'s>, StoreError> {
        if self.writer.is_none() {
            let path = self.generation.path().join(format!("snapshot-{}.sst", self.files.len()));
            let options: &'s Options = &self.copies.settings.table;
            let writer = SstFileWriter::create(options);
            writer.open(&path).map_err(|error| StoreError::from_rocksdb(self.generation.path(), error))?;
            self.files.push(path);
            self.writer = Some(writer);
        }
        Ok(self.writer.as_mut().expect("made above"))
    }

    fn end_file(&mut self) -> Result<(), StoreError> {
        match self.writer.take() {
            Some(mut writer) => {
                writer.finish().map_err(|error| StoreError::from_rocksdb(self.generation.path(), error))
            }
            None => Ok(()),
        }
    }
}
