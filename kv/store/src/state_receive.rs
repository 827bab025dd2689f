//! The state of another voter being received beside the present one.
//!
//! # Format
//! ```text
//! <folder>/incoming/manifest   the message that announced it
//! <folder>/incoming/ended      32 bytes for each file that has ended: the hash that the sender gave for it
//! <folder>/incoming/files/     the files, in the order of the manifest; the one after those that ended may be a part
//! ```
//!
//! # Invariants
//! - `incoming` is no generation, so it is never live, and it outlives a start: a transfer that was interrupted goes on
//!   where it ended. There is one; the next transfer goes on with it or removes it.
//! - A generation is made of it when every file has been compared with its hash and is durable.
//! - Nothing in it is trusted: what a power cut has taken shows when the files are compared, and then all of it goes.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zonecast_kv_proto::{Head, StateManifest, StateMessage, StatePlace};

use crate::disk_room::check_room;
use crate::generations::{io_error, sync_folder};
use crate::state::{Shared, StateStore};
use crate::state_db::Opened;
use crate::state_send::{SendState, hash};
use crate::state_view::StateView;
use crate::{StoreError, options, state_files};

const INCOMING: &str = "incoming";
const MANIFEST: &str = "manifest";
const ENDED: &str = "ended";
const FILES: &str = "files";
const HASH: usize = 32;

/// Bytes that are copied at once within one machine.
const COPY_BYTES: usize = 1024 * 1024;

/// A state that is being received. Dropped, it leaves what has come, for another transfer of the same snapshot.
#[derive(Debug)]
pub struct ReceiveState {
    manifest: StateManifest,
    folder: PathBuf,
    hashes: Vec<[u8; HASH]>,
    ended: File,
    /// The file that is written, with so many bytes in it.
    part: Option<File>,
    offset: u64,
    shared: Arc<Shared>,
    _only_one: Arc<()>,
}

/// A state that was received, whole and open, beside the present one. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct ReceivedState {
    opened: Box<Opened>,
}

impl StateStore {
    /// Begins to receive the state of another voter, or goes on with it.
    ///
    /// # Errors
    /// Its files are not those of a state, the disk has no room for them or failed, or a state is being received.
    pub fn receive(&self, manifest: StateManifest) -> Result<ReceiveState, StoreError> {
        let total = state_files::check(&manifest.files)?;
        let only_one = self.shared.only_one()?;
        let folder = self.shared.incoming();
        let hashes = hashes_of_part(&folder, &manifest);
        if hashes.is_none() {
            remove(&folder)?;
        }
        check_room(self.shared.generations.folder(), total.saturating_sub(bytes_of_part(&folder)))?;
        if hashes.is_none() {
            begin(&folder, &manifest)?;
        }
        let mut receive = ReceiveState::new(self, manifest, folder, hashes.unwrap_or_default(), only_one)?;
        receive.open_part()?;
        Ok(receive)
    }

    /// What the state stands for that an interrupted transfer has left some of: its log id, opaque here, or nothing in it
    /// where that cannot be told. None, if no transfer has left anything.
    #[must_use]
    pub fn incoming(&self) -> Option<Bytes> {
        let folder = self.shared.incoming();
        if !folder.exists() {
            return None;
        }
        let announced = std::fs::read(folder.join(MANIFEST)).ok();
        let applied = announced.and_then(|bytes| match StateMessage::from_bytes(&bytes) {
            Ok(StateMessage::Manifest(manifest)) => manifest.applied,
            _ => None,
        });
        Some(applied.unwrap_or_default())
    }

    /// Removes what an interrupted transfer has left, because nobody will go on with it.
    ///
    /// # Errors
    /// The disk failed, or a state is being received.
    pub fn forget_incoming(&self) -> Result<(), StoreError> {
        let _only_one = self.shared.only_one()?;
        remove(&self.shared.incoming())
    }

    /// Receives the state that a view of this machine is of, as it is now.
    ///
    /// # Errors
    /// As [`StateStore::receive`] and [`ReceiveState::finish`].
    pub fn receive_local(&self, from: &StateView) -> Result<ReceivedState, StoreError> {
        let sent = SendState::take(from.database())?;
        // What an earlier one has left is of another snapshot.
        self.forget_incoming()?;
        let mut receive = self.receive(sent.manifest(0))?;
        for file in (0..).take(sent.files().len()) {
            loop {
                let place = receive.progress();
                let bytes = sent.read(file, place.offset, COPY_BYTES)?;
                if bytes.is_empty() {
                    break;
                }
                receive.write(place, &bytes)?;
            }
            receive.end_file(file, sent.hash(file)?)?;
        }
        receive.finish()
    }
}

impl Shared {
    fn incoming(&self) -> PathBuf {
        self.generations.folder().join(INCOMING)
    }

    fn only_one(&self) -> Result<Arc<()>, StoreError> {
        let mut receiving = self.receiving.lock().expect("no holder panics");
        if receiving.strong_count() > 0 {
            let source = std::io::Error::new(ErrorKind::ResourceBusy, "a state is being received");
            return Err(StoreError::Folder { path: self.incoming(), source });
        }
        let only_one = Arc::new(());
        *receiving = Arc::downgrade(&only_one);
        Ok(only_one)
    }
}

impl ReceiveState {
    fn new(
        store: &StateStore,
        manifest: StateManifest,
        folder: PathBuf,
        hashes: Vec<[u8; HASH]>,
        only_one: Arc<()>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(ENDED);
        let ended = OpenOptions::new().append(true).create(true).open(&path).map_err(io_error(&path))?;
        // Without the part of a hash.
        ended.set_len((hashes.len() * HASH) as u64).map_err(io_error(&path))?;
        let shared = Arc::clone(&store.shared);
        Ok(Self { manifest, folder, hashes, ended, part: None, offset: 0, shared, _only_one: only_one })
    }

    /// Where to go on: all before it is there.
    #[must_use]
    pub fn progress(&self) -> StatePlace {
        StatePlace { file: u32::try_from(self.hashes.len()).unwrap_or(u32::MAX), offset: self.offset }
    }

    /// Writes what follows.
    ///
    /// # Errors
    /// It does not follow what is there, or the disk failed.
    pub fn write(&mut self, place: StatePlace, bytes: &[u8]) -> Result<(), StoreError> {
        let (name, len) = self.present(place)?;
        let end = self.offset.checked_add(bytes.len() as u64).filter(|end| *end <= len);
        let end = end.ok_or_else(|| StoreError::BadState(format!("more than {len} bytes of {name}")))?;
        let path = self.path(&name);
        let part = self.part.as_mut().ok_or_else(|| StoreError::BadState(format!("{name} is not open")))?;
        part.write_all(bytes).map_err(|source| {
            // It may have written some of it.
            self.part = None;
            io_error(&path)(source)
        })?;
        self.offset = end;
        Ok(())
    }

    /// The present file has ended, and this is its BLAKE3.
    ///
    /// # Errors
    /// Some of it is missing, or the disk failed.
    pub fn end_file(&mut self, file: u32, hash: [u8; HASH]) -> Result<(), StoreError> {
        let (name, len) = self.present(StatePlace { file, offset: self.offset })?;
        if self.offset != len {
            return Err(StoreError::BadState(format!("{name} ends after {} of {len} bytes", self.offset)));
        }
        if let Some(part) = self.part.take() {
            // Here, and not all of them at the end.
            part.sync_all().map_err(io_error(&self.path(&name)))?;
        }
        self.ended.write_all(&hash).map_err(io_error(&self.folder.join(ENDED)))?;
        self.hashes.push(hash);
        self.open_part()
    }

    /// Compares every file with its length and hash, makes all of them durable and opens the database.
    ///
    /// # Errors
    /// Something is missing or is not what was sent: what has come is removed then. Or the disk failed.
    pub fn finish(self) -> Result<ReceivedState, StoreError> {
        let finished = self.check().and_then(|()| self.open());
        if let Err(error) = &finished
            && (matches!(error, StoreError::BadState(_)) || error.is_damage())
        {
            remove(&self.folder)?;
        }
        finished
    }

    fn check(&self) -> Result<(), StoreError> {
        if let Some(missing) = self.manifest.files.get(self.hashes.len()) {
            return Err(StoreError::BadState(format!("{} has not ended", missing.name)));
        }
        for (file, expected) in self.manifest.files.iter().zip(&self.hashes) {
            let path = self.path(&file.name);
            let bad = |what| Err(StoreError::BadState(format!("{}: {what}", file.name)));
            if length(&path)? != Some(file.len) {
                return bad("its length is not what was announced");
            }
            if hash(&path).map_err(io_error(&path))? != *expected {
                return bad("its hash is not what was sent");
            }
            File::open(&path).and_then(|file| file.sync_all()).map_err(io_error(&path))?;
        }
        sync_folder(&self.folder.join(FILES))
    }

    fn open(&self) -> Result<ReceivedState, StoreError> {
        let Shared { generations, settings, .. } = &*self.shared;
        let generation = generations.adopt(&self.folder.join(FILES))?;
        remove(&self.folder)?;
        let received = ReceivedState { opened: Box::new(settings.open(generations, generation, false)?) };
        if (received.applied(), received.head()) != (self.manifest.applied.clone(), self.manifest.head) {
            return Err(StoreError::BadState("it does not stand where was announced".into()));
        }
        Ok(received)
    }

    /// Opens the part of the file that is to be written, if there is one.
    fn open_part(&mut self) -> Result<(), StoreError> {
        self.offset = 0;
        let Some(file) = self.manifest.files.get(self.hashes.len()) else { return Ok(()) };
        let path = self.path(&file.name);
        let part = OpenOptions::new().append(true).create(true).open(&path).map_err(io_error(&path))?;
        self.offset = part.metadata().map_err(io_error(&path))?.len();
        self.part = Some(part);
        Ok(())
    }

    /// Name and length of the file at a place, which must be the present one.
    fn present(&self, place: StatePlace) -> Result<(String, u64), StoreError> {
        let file = self.manifest.files.get(self.hashes.len()).filter(|_| place == self.progress());
        let file = file.ok_or_else(|| {
            let (is, expected) = (place, self.progress());
            let what = format!(
                "byte {} of file {} came for byte {} of {}",
                is.offset, is.file, expected.offset, expected.file
            );
            StoreError::BadState(what)
        })?;
        Ok((file.name.clone(), file.len))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(FILES).join(name)
    }
}

impl ReceivedState {
    /// Where it stands.
    #[must_use]
    pub fn head(&self) -> Head {
        self.opened.db.current().head
    }

    /// The log id that it stands for.
    #[must_use]
    pub fn applied(&self) -> Option<Bytes> {
        self.opened.db.current().applied
    }

    /// The membership in force.
    #[must_use]
    pub fn membership(&self) -> Option<Bytes> {
        self.opened.db.current().membership
    }

    pub(crate) fn into_opened(self) -> Opened {
        *self.opened
    }
}

/// Hashes of the files that have ended in a part of this very transfer, if there is one that makes sense.
fn hashes_of_part(folder: &Path, manifest: &StateManifest) -> Option<Vec<[u8; HASH]>> {
    let announced = std::fs::read(folder.join(MANIFEST)).ok()?;
    let ended = std::fs::read(folder.join(ENDED)).unwrap_or_default();
    let hashes = ended.as_chunks().0.to_vec();
    let len = |name: &str| length(&folder.join(FILES).join(name)).ok();
    let (whole, rest) = manifest.files.split_at_checked(hashes.len())?;
    let fits = announced == manifest.to_bytes()
        && whole.iter().all(|file| len(&file.name) == Some(Some(file.len)))
        && rest.first().is_none_or(|file| len(&file.name).is_some_and(|len| len.unwrap_or_default() <= file.len))
        && folder.join(FILES).is_dir();
    fits.then_some(hashes)
}

/// Bytes of files that have come.
fn bytes_of_part(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder.join(FILES)).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

/// Begins a part where there is none.
fn begin(folder: &Path, manifest: &StateManifest) -> Result<(), StoreError> {
    options::make_folder(&folder.join(FILES))?;
    // Last: without it the rest is nobody's.
    let path = folder.join(MANIFEST);
    std::fs::write(&path, manifest.to_bytes()).map_err(io_error(&path))
}

fn remove(folder: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(folder)(error)),
        _ => Ok(()),
    }
}

fn length(path: &Path) -> Result<Option<u64>, StoreError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path)(error)),
    }
}
