//! The one folder that zone files may come from, and the files of one zone read from it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// Most bytes of one zone, its file and all it includes: they are in memory while the zone is read. 4 GiB holds a TLD
/// of 60 million records.
pub const MAX_SOURCE_BYTES: u64 = 4 << 30;

/// Most files of one zone, and most `$INCLUDE` lines in it.
pub const MAX_SOURCE_FILES: usize = 10_000;

/// Why a file is not read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// `..` in the path.
    #[error("{} has a .. in it", .0.display())]
    Upwards(PathBuf),
    /// A path or symbolic link that leads out.
    #[error("{} is outside the zones folder", .0.display())]
    Outside(PathBuf),
    /// A folder, a pipe, a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The operating system's word.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Over [`MAX_SOURCE_BYTES`].
    #[error("the zone's files are over {MAX_SOURCE_BYTES} bytes")]
    TooLarge,
    /// Over [`MAX_SOURCE_FILES`].
    #[error("the zone has over {MAX_SOURCE_FILES} files or $INCLUDE lines")]
    TooMany,
    /// The zone came as text, not as a file.
    #[error("zone text that is not a file cannot include files")]
    NoFolder,
}

/// A folder that no path leads out of.
#[derive(Clone, Debug)]
pub struct ZoneRoot {
    folder: PathBuf,
}

impl ZoneRoot {
    /// Resolves the folder once.
    ///
    /// # Errors
    /// It does not exist or is no folder.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let wrap = |source| SourceError::Io { path: folder.to_owned(), source };
        let resolved = folder.canonicalize().map_err(wrap)?;
        if !resolved.is_dir() {
            return Err(wrap(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        Ok(Self { folder: resolved })
    }

    /// The folder, absolute and without symbolic links.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Finds a file: relative to this folder or else to the one of the including file. Symbolic links are followed and
    /// must end inside.
    fn resolve(&self, path: &Path, including: Option<&Path>) -> Result<PathBuf, SourceError> {
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(SourceError::Upwards(path.to_owned()));
        }
        let mut found = self.folder.join(path).canonicalize();
        if found.is_err()
            && let Some(beside) = including.and_then(Path::parent)
        {
            found = beside.join(path).canonicalize();
        }
        let found = found.map_err(|source| SourceError::Io { path: path.to_owned(), source })?;
        if !found.starts_with(&self.folder) {
            return Err(SourceError::Outside(path.to_owned()));
        }
        Ok(found)
    }
}

/// Files of one zone, each loaded once.
pub(crate) struct Sources<'r> {
    root: Option<&'r ZoneRoot>,
    files: Vec<SourceFile>,
    bytes: u64,
}

struct SourceFile {
    path: PathBuf,
    shown: String,
    bytes: Arc<[u8]>,
}

impl<'r> Sources<'r> {
    /// The zone's own file is number 0.
    pub(crate) fn open(root: &'r ZoneRoot, file: &Path) -> Result<Self, SourceError> {
        let mut sources = Self { root: Some(root), files: Vec::new(), bytes: 0 };
        sources.load(file, None)?;
        Ok(sources)
    }

    /// Text that is not a file.
    pub(crate) fn of_text(shown: &str, bytes: &[u8]) -> Self {
        let file = SourceFile { path: PathBuf::new(), shown: shown.to_owned(), bytes: bytes.into() };
        Self { root: None, files: vec![file], bytes: bytes.len() as u64 }
    }

    /// The number of the file, read now or before.
    pub(crate) fn load(&mut self, path: &Path, including: Option<usize>) -> Result<usize, SourceError> {
        let root = self.root.ok_or(SourceError::NoFolder)?;
        let including = including.and_then(|index| self.files.get(index)).map(|file| file.path.as_path());
        let found = root.resolve(path, including)?;
        if let Some(known) = self.files.iter().position(|file| file.path == found) {
            return Ok(known);
        }
        if self.files.len() >= MAX_SOURCE_FILES {
            return Err(SourceError::TooMany);
        }
        let bytes = read_bounded(&found, MAX_SOURCE_BYTES.saturating_sub(self.bytes))?;
        self.bytes += bytes.len() as u64;
        let shown = found.strip_prefix(&root.folder).unwrap_or(&found).display().to_string();
        self.files.push(SourceFile { path: found, shown, bytes: bytes.into() });
        Ok(self.files.len() - 1)
    }

    /// Contents of a loaded file.
    pub(crate) fn contents(&self, index: usize) -> Arc<[u8]> {
        self.files.get(index).map(|file| Arc::clone(&file.bytes)).unwrap_or_default()
    }

    /// Its path below the folder.
    pub(crate) fn shown(&self, index: usize) -> &str {
        self.files.get(index).map_or("", |file| &file.shown)
    }

    pub(crate) fn all_shown(&self) -> Vec<String> {
        self.files.iter().map(|file| file.shown.clone()).collect()
    }

    /// Files loaded so far.
    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn total_bytes(&self) -> u64 {
        self.bytes
    }
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, SourceError> {
    let wrap = |source| SourceError::Io { path: path.to_owned(), source };
    // Before opening: opening a pipe would wait for a writer.
    if !path.metadata().map_err(wrap)?.is_file() {
        return Err(SourceError::NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(wrap)?;
    let length = file.metadata().map_err(wrap)?.len();
    if length > limit {
        return Err(SourceError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // One byte more shows a file that grew past the limit.
    (&mut file).take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(wrap)?;
    if bytes.len() as u64 > limit { Err(SourceError::TooLarge) } else { Ok(bytes) }
}
