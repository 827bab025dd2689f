//! A snapshot that comes to an edge as table files: they are written as they come, compared with their hashes, and put into
//! a new copy as they are.
//!
//! # Format
//! ```text
//! <folder>/tables-incoming/<BLAKE3 in hexadecimal>.sst   a file, or the beginning of it
//! ```
//!
//! # Invariants
//! - The folder is no copy, so it is never live, and it outlives a start: what has come of a file is not fetched again as
//!   long as a snapshot has that file.
//! - Nothing in it is trusted: what was kept is read again before anything is asked for, and no file becomes part of a copy
//!   whose bytes do not have the hash that the manifest says.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zonecast_kv_proto::{Position, TableFile, TableHash, TableManifest, TablePiece, TablesWant};

use crate::disk_room::check_room;
use crate::edge::EdgeStore;
use crate::edge_copies::Copies;
use crate::edge_live::Live;
use crate::generations::io_error;
use crate::table_writer::name;
use crate::{StoreError, options};

const INCOMING: &str = "tables-incoming";

/// The name of the family that the files go into.
const FAMILY: &str = "default";

/// Bytes of a kept file that are read at once.
const READ: usize = 1024 * 1024;

/// A new copy whose files are coming. Dropped, it leaves them for the next one.
pub struct TablesLoad<'s> {
    copies: &'s Copies,
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

impl EdgeStore {
    /// Begins a new copy of these files beside the live one, or goes on with it. It reads again what was kept of them.
    ///
    /// # Errors
    /// The disk failed, or has no room for them.
    pub fn begin_tables(&self, manifest: TableManifest) -> Result<TablesLoad<'_>, StoreError> {
        TablesLoad::begin(&self.copies, manifest)
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

impl<'s> TablesLoad<'s> {
    fn begin(copies: &'s Copies, manifest: TableManifest) -> Result<Self, StoreError> {
        let folder = copies.folder().join(INCOMING);
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
        check_room(copies.folder(), manifest.total_len().saturating_sub(kept))?;
        let want = TablesWant::of(part.as_ref().map_or(0, |part| part.len), lacking);
        Ok(Self { copies, folder, manifest, want, part })
    }

    /// What is lacking.
    #[must_use]
    pub fn want(&self) -> TablesWant {
        self.want.clone()
    }

    /// Writes the next piece.
    ///
    /// # Errors
    /// With it the file is whole and not what it should be: it is removed. Or the disk failed.
    pub fn write(&mut self, piece: &TablePiece) -> Result<(), StoreError> {
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

    /// Makes the files the live copy, durably. Snapshots of the one before stay readable.
    ///
    /// # Errors
    /// Some of them are missing or do not hold what the manifest says: all of them are removed. Or the disk failed; the
    /// copy before is still the live one, then and after a restart.
    pub fn finish(self, position: &Position) -> Result<(), StoreError> {
        let paths = self.manifest.files.iter().map(|file| self.folder.join(name(&file.hash)));
        let check = |live: &Live| check_content(live, &self.manifest);
        let switched = self.copies.switch_to(paths.collect(), position, check);
        let switched = switched.map_err(|error| match error {
            // They are what was signed, and no table files all the same.
            error if error.is_damage() => StoreError::BadTables(error.to_string()),
            error => error,
        });
        if matches!(switched, Ok(()) | Err(StoreError::BadTables(_))) {
            remove_all(&self.folder)?;
        }
        switched
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

fn remove_all(folder: &Path) -> Result<(), StoreError> {
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
