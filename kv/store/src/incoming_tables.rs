//! Table files that come to an edge: they are written as they come, and compared with their hashes.
//!
//! # Format
//! ```text
//! <folder>/<BLAKE3 in hexadecimal>.sst   a file, or the beginning of it
//! ```
//!
//! # Invariants
//! - The folder outlives a start: what has come of a file is not fetched again as long as a snapshot has that file.
//! - Nothing in it is trusted: what was kept is read again before anything is asked for.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zonecast_kv_proto::{TableFile, TableHash, TableManifest, TablePiece, TablesWant};

use crate::disk_room::check_room;
use crate::generations::io_error;
use crate::table_writer::name;
use crate::{StoreError, options};

/// Bytes of a kept file that are read at once.
const READ: usize = 1024 * 1024;

/// Files of one manifest, some of which are here. Dropped, it leaves them for the next one.
pub(crate) struct IncomingTables {
    folder: PathBuf,
    manifest: TableManifest,
    want: TablesWant,
    /// What has come of the first file that was lacking, and then of each.
    part: Option<Part>,
}

/// The beginning of a file.
struct Part {
    file: File,
    hasher: blake3::Hasher,
    len: u64,
}

impl IncomingTables {
    /// Begins with these files in this folder, or goes on with them. What was kept of them is read again.
    ///
    /// # Errors
    /// The disk failed, or has no room for what is lacking.
    pub(crate) fn begin(folder: PathBuf, manifest: TableManifest) -> Result<Self, StoreError> {
        options::make_folder(&folder)?;
        remove_others(&folder, &manifest)?;
        let (mut part, mut kept, mut lacking) = (None, 0, Vec::with_capacity(manifest.files.len()));
        for file in &manifest.files {
            let found = Part::open(&folder, file)?;
            lacking.push(!found.is_whole(file));
            kept += found.len;
            if found.is_whole(file) {
                continue;
            }
            // Of files behind the first that is lacking, nothing can be gone on with.
            let is_kept = part.is_none() && found.len < file.len;
            if !is_kept {
                kept -= found.len;
                remove(&folder, &file.hash)?;
            }
            part.get_or_insert(if is_kept { Some(found) } else { None });
        }
        let part = part.flatten();
        check_room(&folder, manifest.total_len().saturating_sub(kept))?;
        let want = TablesWant::of(part.as_ref().map_or(0, |part| part.len), lacking);
        Ok(Self { folder, manifest, want, part })
    }

    /// What is lacking.
    pub(crate) fn want(&self) -> TablesWant {
        self.want.clone()
    }

    /// Writes the next piece.
    ///
    /// # Errors
    /// With it the file is whole and not what it should be: it is removed. Or the disk failed.
    pub(crate) fn write(&mut self, piece: &TablePiece) -> Result<(), StoreError> {
        let file = usize::try_from(piece.file).ok().and_then(|file| self.manifest.files.get(file));
        let file = file.ok_or_else(|| StoreError::BadTables(format!("there is no file {}", piece.file)))?;
        let mut part = match self.part.take() {
            Some(part) => part,
            None => Part::open(&self.folder, file)?,
        };
        if part.len != piece.offset {
            return Err(StoreError::BadTables(format!("byte {} came for byte {}", piece.offset, part.len)));
        }
        let path = self.folder.join(name(&file.hash));
        part.file.write_all(&piece.bytes).map_err(disk_error(&path))?;
        part.hasher.update(&piece.bytes);
        part.len += piece.bytes.len() as u64;
        if part.len < file.len {
            self.part = Some(part);
        } else if !part.is_whole(file) {
            remove(&self.folder, &file.hash)?;
            return Err(StoreError::BadTables(format!("file {} has not the hash that it should have", piece.file)));
        }
        Ok(())
    }

    /// What they are.
    pub(crate) fn into_manifest(self) -> TableManifest {
        self.manifest
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where each of them is.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.manifest.files.iter().map(|file| self.folder.join(name(&file.hash))).collect()
    }
}

impl Part {
    /// What there is of a file; nothing, if there is more than there should be.
    fn open(folder: &Path, file: &TableFile) -> Result<Self, StoreError> {
        let path = folder.join(name(&file.hash));
        let open = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut part = Self { file: open.map_err(disk_error(&path))?, hasher: blake3::Hasher::new(), len: 0 };
        part.read(file.len).map_err(disk_error(&path))?;
        Ok(part)
    }

    fn read(&mut self, most: u64) -> std::io::Result<()> {
        if self.file.metadata()?.len() > most {
            self.file.set_len(0)?;
        }
        let mut buffer = vec![0; READ];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                bytes => {
                    self.hasher.update(buffer.get(..bytes).unwrap_or_default());
                    self.len += bytes as u64;
                }
            }
        }
    }

    fn is_whole(&self, file: &TableFile) -> bool {
        self.len == file.len && TableHash::new(self.hasher.finalize().into()) == file.hash
    }
}

/// What is of no file of the manifest is of no use any more.
fn remove_others(folder: &Path, manifest: &TableManifest) -> Result<(), StoreError> {
    let needed: HashSet<String> = manifest.files.iter().map(|file| name(&file.hash)).collect();
    for entry in std::fs::read_dir(folder).map_err(io_error(folder))? {
        let path = entry.map_err(io_error(folder))?.path();
        let found = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if found.is_none_or(|found| !needed.contains(&found)) {
            std::fs::remove_file(&path).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

fn remove(folder: &Path, file: &TableHash) -> Result<(), StoreError> {
    let path = folder.join(name(file));
    std::fs::remove_file(&path).map_err(io_error(&path))
}

pub(crate) fn remove_all(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(folder)(error)),
        _ => Ok(()),
    }
}

/// A full disk is one, whoever finds it.
fn disk_error(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    move |error| match error.kind() {
        ErrorKind::StorageFull => StoreError::DiskFull { path },
        _ => io_error(&path)(error),
    }
}
