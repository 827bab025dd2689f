//! The copy of an edge in this process, loaded as a new edge loads it: from a snapshot.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use zonecast_edge_reader::ZoneTable;
use zonecast_kv_proto::{Position, StoreId, Version, encode_entries};
use zonecast_kv_store::{EdgeOptions, EdgeSnapshot, EdgeStore};

/// Entries in one message of the snapshot.
const MESSAGE: usize = 4_096;

/// The store of an edge in this process, filled from the entries of a snapshot.
pub(crate) struct EdgeCopy {
    store: EdgeStore,
    folder: PathBuf,
}

impl EdgeCopy {
    /// With these entries, which come in the order of their keys.
    pub(crate) fn load(folder: &Path, entries: impl Iterator<Item = (Bytes, Bytes)>) -> anyhow::Result<Self> {
        let store = EdgeStore::open(folder, EdgeOptions::default())?;
        let mut loading = store.begin_snapshot(None)?;
        let mut message = Vec::with_capacity(MESSAGE);
        for entry in entries {
            message.push(entry);
            if message.len() == MESSAGE {
                loading.add(&encode_entries(&message))?;
                message.clear();
            }
        }
        loading.add(&encode_entries(&message))?;
        let origin = Position::origin(StoreId::new(1));
        loading.finish(&Position { version: Version::new(1), ..origin })?;
        Ok(Self { store, folder: folder.to_owned() })
    }

    /// What readers see.
    pub(crate) fn snapshot(&self) -> anyhow::Result<EdgeSnapshot> {
        Ok(self.store.snapshot()?)
    }

    /// The zones in it.
    pub(crate) fn zones(snapshot: &EdgeSnapshot) -> anyhow::Result<ZoneTable> {
        Ok(ZoneTable::load(&snapshot.view())?)
    }

    /// Bytes that it takes on disk.
    pub(crate) fn disk_bytes(&self) -> anyhow::Result<u64> {
        self.store.sync()?;
        folder_bytes(&self.folder)
    }
}

/// Bytes that the files of a folder take on disk.
fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in folder.read_dir()? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { folder_bytes(&entry.path())? } else { file_bytes(&entry.path())? };
    }
    Ok(bytes)
}

/// Bytes that a file takes on disk: neither what it was given beforehand and has not filled, as RocksDB's logs are, nor
/// what it leaves out, as LMDB's are.
pub(crate) fn file_bytes(file: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    // st_blocks counts 512 bytes, whatever the blocks of the file system: stat(2).
    Ok(metadata.len().min(metadata.blocks() * 512))
}
