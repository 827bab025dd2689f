//! Table files that a relay keeps for its downstreams: as they came to it, with the manifest that a core has signed. So an
//! edge below it gets what a core has written, and the core does nothing for it.
//!
//! # Format
//! ```text
//! <folder of the copy>/tables/set-<n>/manifest                       a signed manifest
//! <folder of the copy>/tables/set-<n>/<BLAKE3 in hexadecimal>.sst    a file of it
//! ```
//! The sets are generations (`generations.rs`), of which one is live: it is given to whoever needs it. The files of a set
//! that became the copy are links to those of the copy, and take room of their own once RocksDB has merged these.
//!
//! # Invariants
//! - A set is live after all of it is durable. It is at most one; those before go with their last reader.
//! - Files that are fetched for downstreams come into `tables/incoming` (`incoming_tables.rs`), one set at a time, and outlive
//!   a start there.
//! - What was kept over a start is compared with its hashes before it is given to anybody.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use zonecast_kv_proto::{
    OfferedTables, SignedManifest, SourceError, TableHash, TableManifest, TablePiece, TableSource, TablesWant,
};

use crate::StoreError;
use crate::disk_room::check_room;
use crate::edge::EdgeStore;
use crate::edge_live::lock;
use crate::generations::{Generation, Generations, io_error, sync_folder};
use crate::incoming_tables::{IncomingTables, remove_all};
use crate::state_send::hash;
use crate::table_writer::name;

const FOLDER: &str = "tables";
const PREFIX: &str = "set-";
const MANIFEST: &str = "manifest";
const INCOMING: &str = "incoming";

/// So long files that have come in part are kept while nobody goes on with them.
const KEEP_PARTS: Duration = Duration::from_mins(10);

/// The sets of one relay.
pub(crate) struct KeptTables {
    live: Mutex<Option<Arc<KeptSet>>>,
    /// Whether some are being fetched.
    is_fetching: AtomicBool,
    // Last, so that nobody else comes in before.
    generations: Generations,
}

/// One of them. Its folder goes with its last user, unless it is live.
pub(crate) struct KeptSet {
    offered: OfferedTables,
    generation: Generation,
    /// Its bytes are what the manifest says, as far as is known.
    is_checked: AtomicBool,
}

/// A set for a publisher.
pub(crate) struct KeptSource(Arc<KeptSet>);

impl KeptTables {
    /// Opens the sets of a copy in this folder. What is not whole is removed.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let generations = Generations::open(&folder.join(FOLDER), PREFIX)?;
        let found = match generations.live() {
            Ok(found) => found.and_then(KeptSet::open),
            // It can be fetched again.
            Err(error) if error.is_damage() => None,
            Err(error) => return Err(error),
        };
        generations.sweep(found.as_ref().map(|set| &set.generation))?;
        let is_fetching = AtomicBool::new(false);
        Ok(Self { live: Mutex::new(found.map(Arc::new)), is_fetching, generations })
    }

    /// Removes all of a copy that nobody follows any more.
    pub(crate) fn remove(folder: &Path) -> Result<(), StoreError> {
        remove_all(&folder.join(FOLDER))
    }

    /// Links files that are about to become the copy, so that they stay when RocksDB needs them no more.
    ///
    /// # Errors
    /// The disk has no room for them, or cannot link.
    pub(crate) fn link(&self, files: &[PathBuf], offered: &OfferedTables) -> Result<KeptSet, StoreError> {
        check_room(self.generations.folder(), offered.manifest.total_len())?;
        let generation = self.generations.begin()?;
        for file in files {
            let link = generation.path().join(file.file_name().unwrap_or_default());
            std::fs::hard_link(file, &link).map_err(io_error(&link))?;
        }
        write_manifest(generation.path(), &offered.signed)?;
        Ok(KeptSet { offered: offered.clone(), generation, is_checked: AtomicBool::new(true) })
    }

    /// Gives this one to whoever needs it from now on.
    ///
    /// # Errors
    /// The disk failed; the one before stays.
    pub(crate) fn switch(&self, set: KeptSet) -> Result<(), StoreError> {
        self.generations.switch(&set.generation)?;
        let before = lock(&self.live).replace(Arc::new(set));
        retire(before);
        Ok(())
    }

    /// Begins to take in files for downstreams, or goes on with them.
    ///
    /// # Errors
    /// The disk failed, or has no room for them.
    fn begin_fetch(&self, offered: OfferedTables) -> Result<(IncomingTables, SignedManifest), StoreError> {
        let incoming = self.generations.folder().join(INCOMING);
        let OfferedTables { signed, manifest } = offered;
        Ok((IncomingTables::begin(incoming, manifest)?, signed))
    }

    /// All of them have come: they are the live set from now on.
    fn end_fetch(&self, incoming: IncomingTables, signed: SignedManifest) -> Result<(), StoreError> {
        for path in incoming.paths() {
            File::open(&path).and_then(|file| file.sync_all()).map_err(io_error(&path))?;
        }
        write_manifest(incoming.folder(), &signed)?;
        let generation = self.generations.adopt(incoming.folder())?;
        let offered = OfferedTables { signed, manifest: incoming.into_manifest() };
        self.switch(KeptSet { offered, generation, is_checked: AtomicBool::new(true) })
    }

    /// Removes what has come of files with which nobody has gone on for long.
    pub(crate) fn tidy(&self) {
        let incoming = self.generations.folder().join(INCOMING);
        if self.is_fetching.load(Ordering::Relaxed) || !incoming.exists() {
            return;
        }
        let is_old = |path: &Path| {
            let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            changed.and_then(|changed| changed.elapsed().ok()).is_some_and(|age| age >= KEEP_PARTS)
        };
        let files = std::fs::read_dir(&incoming).into_iter().flatten().flatten();
        if is_old(&incoming)
            && files.into_iter().all(|file| is_old(&file.path()))
            && let Err(error) = remove_all(&incoming)
        {
            tracing::warn!(%error, "parts of table files that nobody needs stay on disk");
        }
    }

    /// The one that is live.
    pub(crate) fn live(&self) -> Option<Arc<KeptSet>> {
        lock(&self.live).clone()
    }

    /// Lets go of this one, if it is still live.
    pub(crate) fn forget(&self, set: &Arc<KeptSet>) {
        let mut live = lock(&self.live);
        let before = live.take_if(|live| Arc::ptr_eq(live, set));
        drop(live);
        retire(before);
    }
}

fn retire(set: Option<Arc<KeptSet>>) {
    if let Some(set) = set {
        set.generation.retire();
    }
}

/// Table files that come to a relay for its downstreams, beside its copy. Dropped, it leaves what has come for the next one.
pub struct TablesFetch {
    fetching: Fetching,
    incoming: IncomingTables,
    signed: SignedManifest,
}

/// One fetch at a time, until this is dropped.
struct Fetching(Arc<EdgeStore>);

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(kept) = &self.0.copies.kept {
            kept.is_fetching.store(false, Ordering::Relaxed);
        }
    }
}

impl EdgeStore {
    /// Begins to take in these files for downstreams, or goes on with them; `None` where there may be none. One at a time.
    ///
    /// # Errors
    /// The disk failed, or has no room for them.
    pub fn fetch_tables(self: &Arc<Self>, offered: OfferedTables) -> Result<Option<TablesFetch>, StoreError> {
        let Some(kept) = &self.copies.kept else { return Ok(None) };
        kept.is_fetching.store(true, Ordering::Relaxed);
        let fetching = Fetching(Arc::clone(self));
        let (incoming, signed) = kept.begin_fetch(offered)?;
        Ok(Some(TablesFetch { fetching, incoming, signed }))
    }
}

impl TablesFetch {
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

    /// All of them have come: keeps them durably, in place of those that were kept before.
    ///
    /// # Errors
    /// The disk failed.
    pub fn finish(self) -> Result<(), StoreError> {
        let Self { fetching, incoming, signed } = self;
        let Some(kept) = &fetching.0.copies.kept else { return Ok(()) };
        kept.end_fetch(incoming, signed)
    }
}

impl KeptSet {
    /// What was live when the process ended; nothing if it is not there or makes no sense.
    fn open(generation: Generation) -> Option<Self> {
        let path = generation.path().join(MANIFEST);
        let read = std::fs::read(&path).ok().and_then(|bytes| OfferedTables::read(&bytes).ok());
        if read.is_none() {
            generation.retire();
        }
        Some(Self { offered: read?, generation, is_checked: AtomicBool::new(false) })
    }

    pub(crate) fn manifest(&self) -> &TableManifest {
        &self.offered.manifest
    }

    /// Compares the files with their hashes, unless that is done.
    ///
    /// # Errors
    /// One of them is not what it should be.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.is_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        for file in &self.manifest().files {
            let path = self.generation.path().join(name(&file.hash));
            let found = hash(&path).map_err(io_error(&path))?;
            if TableHash::new(found) != file.hash {
                return Err(StoreError::BadTables(format!("{} is not what it was", path.display())));
            }
        }
        self.is_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn into_source(self: Arc<Self>) -> KeptSource {
        KeptSource(self)
    }
}

impl TableSource for KeptSource {
    fn manifest(&self) -> &TableManifest {
        self.0.manifest()
    }

    fn signed(&self) -> Option<&SignedManifest> {
        Some(&self.0.offered.signed)
    }

    fn read(&self, file: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, SourceError> {
        Ok(read_table(self.0.generation.path(), file, offset, max_bytes)?)
    }
}

/// Bytes of a table file in this folder.
pub(crate) fn read_table(folder: &Path, file: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, StoreError> {
    let path = folder.join(name(file));
    let mut bytes = Vec::with_capacity(max_bytes);
    let read = File::open(&path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.take(max_bytes as u64).read_to_end(&mut bytes)
    });
    read.map_err(io_error(&path))?;
    Ok(bytes.into())
}

/// Writes it durably, last of all.
fn write_manifest(folder: &Path, signed: &SignedManifest) -> Result<(), StoreError> {
    let path = folder.join(MANIFEST);
    let mut file = File::create(&path).map_err(io_error(&path))?;
    file.write_all(&signed.to_bytes()).and_then(|()| file.sync_all()).map_err(io_error(&path))?;
    sync_folder(folder)
}
