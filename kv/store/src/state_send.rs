//! The whole state of a voter as files, to be sent to another one or kept as a backup: a checkpoint, which stays as it is
//! while the state goes on.
//!
//! The checkpoint is in a generation of its own that never becomes live, so it goes when nobody sends it any more, or at
//! the next start.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{DB, Options};
use zonecast_kv_proto::{Head, StateFile, StateManifest};

use crate::generations::{Generation, Generations, io_error};
use crate::state_db::StateDb;
use crate::state_files::is_database_file;
use crate::state_keys::{APPLIED, HEAD, MEMBERSHIP, META};
use crate::{StoreError, options};

/// Folder of the checkpoint in its generation.
const CHECKPOINT: &str = "checkpoint";

/// See the module.
#[derive(Debug)]
pub struct SendState {
    files: Vec<StateFile>,
    standing: Standing,
    folder: PathBuf,
    // The folder goes with it.
    _generation: Generation,
    _generations: Arc<Generations>,
}

/// What a checkpoint stands for.
#[derive(Debug)]
struct Standing {
    head: Head,
    applied: Option<Bytes>,
    membership: Option<Bytes>,
}

impl SendState {
    pub(crate) fn take(db: &StateDb) -> Result<Self, StoreError> {
        let generations = Arc::clone(&db.generations);
        let generation = generations.begin()?;
        let folder = generation.path().join(CHECKPOINT);
        options::checkpoint(&db.db, &folder)?;
        let files = files(&folder)?;
        let standing = Standing::read(&folder)?;
        Ok(Self { files, standing, folder, _generation: generation, _generations: generations })
    }

    /// The announcement of a transfer with this id, which is drawn at random for each snapshot.
    #[must_use]
    pub fn manifest(&self, id: u128) -> StateManifest {
        StateManifest { id, files: self.files.clone(), applied: self.applied(), head: self.head() }
    }

    /// Its files, in the order in which they are numbered.
    #[must_use]
    pub fn files(&self) -> &[StateFile] {
        &self.files
    }

    /// Where the state stood.
    #[must_use]
    pub fn head(&self) -> Head {
        self.standing.head
    }

    /// The log id that it stands for.
    #[must_use]
    pub fn applied(&self) -> Option<Bytes> {
        self.standing.applied.clone()
    }

    /// The membership that was in force.
    #[must_use]
    pub fn membership(&self) -> Option<Bytes> {
        self.standing.membership.clone()
    }

    /// Reads up to `max` bytes of a file: fewer only at its end.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub fn read(&self, file: u32, offset: u64, max: usize) -> Result<Bytes, StoreError> {
        let path = self.path(file)?;
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            file.take(max as u64).read_to_end(&mut bytes)
        });
        read.map_err(io_error(&path))?;
        Ok(bytes.into())
    }

    /// BLAKE3 of a file, which reads it from end to end.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    pub fn hash(&self, file: u32) -> Result<[u8; 32], StoreError> {
        let path = self.path(file)?;
        hash(&path).map_err(io_error(&path))
    }

    /// Where a file is. It never changes, and the live database may have it, too.
    ///
    /// # Errors
    /// There is no such file.
    pub fn path(&self, file: u32) -> Result<PathBuf, StoreError> {
        let found = usize::try_from(file).ok().and_then(|file| self.files.get(file));
        let found = found.ok_or_else(|| StoreError::BadState(format!("there is no file {file}")))?;
        Ok(self.folder.join(&found.name))
    }
}

impl Standing {
    /// Of the checkpoint itself: commands are applied while one is made.
    fn read(folder: &Path) -> Result<Self, StoreError> {
        let fail = |error| StoreError::from_rocksdb(folder, error);
        let db = DB::open_cf_for_read_only(&Options::default(), folder, [META], false).map_err(fail)?;
        let meta = db.cf_handle(META).expect("opened with it");
        let get = |key| Ok::<_, StoreError>(db.get_cf(meta, key).map_err(fail)?.map(Bytes::from));
        let head = match get(HEAD)? {
            None => Head::default(),
            Some(bytes) => Head::from_bytes(&bytes).map_err(|error| StoreError::damaged(folder, error.to_string()))?,
        };
        Ok(Self { head, applied: get(APPLIED)?, membership: get(MEMBERSHIP)? })
    }
}

/// All files of a database, by name.
fn files(folder: &Path) -> Result<Vec<StateFile>, StoreError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error(folder))? {
        let entry = entry.map_err(io_error(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_database_file(&name) {
            return Err(StoreError::damaged(folder, format!("a checkpoint holds a file named {name:?}")));
        }
        let len = entry.metadata().map_err(io_error(&entry.path()))?.len();
        files.push(StateFile { name, len });
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// BLAKE3 of a file.
pub(crate) fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().into())
}
