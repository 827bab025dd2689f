//! Sorted table files being written: each is ended when it is large enough, hashed, and named by its hash.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use rocksdb::{Options, SstFileWriter};
use zonecast_kv_proto::{TableFile, TableHash};

use crate::StoreError;
use crate::generations::io_error;
use crate::state_send::hash;

/// Where a file is until its hash is known.
const UNNAMED: &str = "unnamed";

/// Writes entries that come in ascending order of key.
pub(crate) struct TableWriter<'o> {
    folder: &'o Path,
    options: &'o Options,
    /// A file is ended beyond this.
    max_file: u64,
    open: Option<OpenTable<'o>>,
    files: Vec<TableFile>,
    entries: u64,
}

struct OpenTable<'o> {
    writer: SstFileWriter<'o>,
    first: Bytes,
    last: Vec<u8>,
}

/// The name of a table file.
pub(crate) fn name(hash: &TableHash) -> String {
    format!("{hash}.sst")
}

impl<'o> TableWriter<'o> {
    pub(crate) fn new(folder: &'o Path, options: &'o Options, max_file: u64) -> Self {
        Self { folder, options, max_file, open: None, files: Vec::new(), entries: 0 }
    }

    /// Writes one entry, whose key is after all before.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.open.is_none() {
            self.open = Some(self.begin(key)?);
        }
        let open = self.open.as_mut().expect("begun above");
        open.writer.put(key, value).map_err(|error| StoreError::from_rocksdb(self.folder, error))?;
        open.last.clear();
        open.last.extend_from_slice(key);
        self.entries += 1;
        if open.writer.file_size() > self.max_file {
            self.end()?;
        }
        Ok(())
    }

    /// All files, and how many entries are in them.
    pub(crate) fn finish(mut self) -> Result<(Vec<TableFile>, u64), StoreError> {
        self.end()?;
        Ok((self.files, self.entries))
    }

    fn begin(&self, first: &[u8]) -> Result<OpenTable<'o>, StoreError> {
        let writer = SstFileWriter::create(self.options);
        writer.open(self.unnamed()).map_err(|error| StoreError::from_rocksdb(self.folder, error))?;
        Ok(OpenTable { writer, first: Bytes::copy_from_slice(first), last: Vec::new() })
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let Some(OpenTable { mut writer, first, last }) = self.open.take() else { return Ok(()) };
        writer.finish().map_err(|error| StoreError::from_rocksdb(self.folder, error))?;
        let path = self.unnamed();
        let hash = TableHash::new(hash(&path).map_err(io_error(&path))?);
        let len = std::fs::metadata(&path).map_err(io_error(&path))?.len();
        std::fs::rename(&path, self.folder.join(name(&hash))).map_err(io_error(&path))?;
        self.files.push(TableFile { hash, len, first, last: last.into() });
        Ok(())
    }

    fn unnamed(&self) -> PathBuf {
        self.folder.join(UNNAMED)
    }
}
