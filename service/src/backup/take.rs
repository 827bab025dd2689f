//! Taking a backup: the files of a state are copied, and those that the backup before has already are linked to its files.
//!
//! # Invariants
//! - No file of a backup is a file of the live database: what happens to one happens to no other.
//! - A file is linked only when what the earlier backup holds of it was read just now and has its hash: damage is not handed
//!   on.
//! - Only table files are linked, which nobody ever writes again.
//! - A log leads from the backup before to this one without a gap, or there is none.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use zonecast_kv_core::{LogSpan, SavedLog};

use super::contents::{LOG, STATE, hash_file};
use super::shelf::{ShelfError, at, make};
use super::{BackedUpFile, Manifest, Shelf};

/// Of tables of a database.
const TABLE: &str = ".sst";

/// A file to back up.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called in the database.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What goes into a backup.
pub struct Content<'a> {
    /// All but what is found on the way.
    pub manifest: Manifest,
    /// The files of the state.
    pub sources: &'a [Source],
    /// Writes these entries of the raft log.
    pub log: &'a dyn Fn(LogSpan, &mut dyn Write) -> io::Result<SavedLog>,
}

impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

/// What a backup has of the changes between the backup before and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// None of this store and epoch was before it.
    First,
    /// All of them, since this version.
    All(u64),
    /// Nothing, since this version: the raft log has given up some.
    Missing(u64),
    /// Nothing, since this version: they are too many bytes.
    TooLong(u64),
}

/// A backup that was made.
#[derive(Debug)]
pub struct Taken {
    /// Where it is.
    pub folder: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Bytes of the files that were copied, not linked.
    pub new_bytes: u64,
    /// Files of the backup before it that are damaged, and were copied anew.
    pub damaged: Vec<PathBuf>,
    /// What leads to it from the backup before.
    pub between: Between,
}

/// Makes a backup.
///
/// # Errors
/// The disk failed or is full: what there is of it is no backup.
pub fn take(shelf: &Shelf, content: Content<'_>) -> Result<Taken, ShelfError> {
    let Content { mut manifest, sources, log } = content;
    let before = Before::of(shelf.newest()?, &manifest.store);
    let begun = shelf.begin(manifest.time)?;
    let (mut new_bytes, mut damaged) = (0, vec![]);
    // First, because the log goes on giving up its beginning.
    let between = before.log(&begun.part, &mut manifest, log).map_err(at(&begun.part.join(LOG)))?;
    new_bytes += manifest.bytes();
    let state = begun.part.join(STATE);
    make(&state, false)?;
    for source in sources {
        let to = state.join(&source.name);
        let linked = before.link(source, &to, &mut damaged).map_err(at(&to))?;
        let file = match linked {
            Some(file) => file,
            None => {
                let file = copy(source, &to).map_err(at(&source.path))?;
                new_bytes += file.bytes;
                file
            }
        };
        manifest.files.push(file);
    }
    for folder in [&state, &begun.part] {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
    }
    manifest.write(&begun.part).map_err(at(&begun.part))?;
    let folder = shelf.finish(&begun)?;
    Ok(Taken { folder, manifest, new_bytes, damaged, between })
}

/// The backup before, as far as it can be read.
#[derive(Debug, Default)]
struct Before {
    folder: PathBuf,
    /// Its files by length and hash.
    files: HashMap<(u64, String), String>,
    standing: Option<Standing>,
}

/// Where the state of a backup stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    epoch: u64,
    version: u64,
    entry: u64,
}

impl Before {
    /// One of another store has nothing to link to, and one without a readable manifest neither.
    fn of(folder: Option<PathBuf>, store: &str) -> Self {
        let Some(folder) = folder else { return Self::default() };
        let Some(manifest) = Manifest::read(&folder).ok().filter(|manifest| manifest.store == store) else {
            return Self::default();
        };
        let (epoch, version) = (manifest.epoch, manifest.version);
        let standing = manifest.entry.map(|entry| Standing { epoch, version, entry });
        let files = manifest.files.into_iter().map(|file| ((file.bytes, file.blake3), file.path));
        Self { folder, files: files.collect(), standing }
    }

    /// Writes the log that leads from it to the state of a manifest.
    fn log(
        &self,
        part: &Path,
        manifest: &mut Manifest,
        log: &dyn Fn(LogSpan, &mut dyn Write) -> io::Result<SavedLog>,
    ) -> io::Result<Between> {
        let Some(before) = self.standing.filter(|before| before.epoch == manifest.epoch) else {
            return Ok(Between::First);
        };
        let Some(upto) = manifest.entry.filter(|entry| *entry >= before.entry) else { return Ok(Between::First) };
        let path = part.join(LOG);
        let mut out = BufWriter::new(Hashing::create(&path)?);
        let saved = log(LogSpan { after: before.entry, upto }, &mut out)?;
        if saved != SavedLog::Whole {
            std::fs::remove_file(&path)?;
        }
        match saved {
            SavedLog::Whole => {
                let blake3 = out.into_inner().map_err(io::Error::from)?.finish()?;
                manifest.files.push(BackedUpFile { path: LOG.into(), bytes: path.metadata()?.len(), blake3 });
                manifest.log_after = Some(before.entry);
                Ok(Between::All(before.version))
            }
            SavedLog::Missing => Ok(Between::Missing(before.version)),
            SavedLog::TooLong => Ok(Between::TooLong(before.version)),
        }
    }

    /// Gives a table that the backup before has a second name, if that is still what it was.
    fn link(&self, source: &Source, to: &Path, damaged: &mut Vec<PathBuf>) -> io::Result<Option<BackedUpFile>> {
        let bytes = source.path.metadata()?.len();
        let may_be = source.name.ends_with(TABLE) && self.files.keys().any(|(len, _)| *len == bytes);
        if !may_be {
            return Ok(None);
        }
        let file = hash_file(&source.path, path_of(source))?;
        let Some(known) = self.files.get(&(file.bytes, file.blake3.clone())) else { return Ok(None) };
        let from = self.folder.join(known);
        if hash_file(&from, path_of(source)).ok().as_ref() != Some(&file) {
            damaged.push(from);
            return Ok(None);
        }
        // Where it takes no more names, it is copied.
        Ok(std::fs::hard_link(&from, to).ok().map(|()| file))
    }
}

fn path_of(source: &Source) -> String {
    format!("{STATE}/{}", source.name)
}

/// Copies a file, durably, and hashes what is copied.
fn copy(source: &Source, to: &Path) -> io::Result<BackedUpFile> {
    let (mut from, mut copied) = (File::open(&source.path)?, Hashing::create(to)?);
    let bytes = io::copy(&mut from, &mut copied)?;
    Ok(BackedUpFile { path: path_of(source), bytes, blake3: copied.finish()? })
}

/// A new file whose bytes are hashed on their way.
#[derive(Debug)]
pub(super) struct Hashing {
    file: File,
    hasher: blake3::Hasher,
}

impl Hashing {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: options.open(path)?, hasher: blake3::Hasher::new() })
    }

    /// It is durable; its hash in hexadecimal.
    pub(super) fn finish(self) -> io::Result<String> {
        self.file.sync_all()?;
        Ok(self.hasher.finalize().to_hex().to_string())
    }
}

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::backup::verify;

    struct World {
        live: tempfile::TempDir,
        shelf: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            Self { live: tempfile::tempdir().unwrap(), shelf: tempfile::tempdir().unwrap() }
        }

        fn write(&self, name: &str, content: &str) {
            std::fs::write(self.live.path().join(name), content).unwrap();
        }

        fn take(&self, names: &[&str]) -> Taken {
            self.take_at(10, SavedLog::Missing, names)
        }

        /// The state has applied this entry of the log, and the log has this of what is before it.
        fn take_at(&self, entry: u64, saved: SavedLog, names: &[&str]) -> Taken {
            let saved = |span: LogSpan, out: &mut dyn Write| {
                write!(out, "{}-{}", span.after, span.upto)?;
                Ok(saved)
            };
            let source = |name: &&str| Source { name: (*name).to_owned(), path: self.live.path().join(name) };
            let sources: Vec<Source> = names.iter().map(source).collect();
            let shelf = Shelf::open(self.shelf.path()).unwrap();
            let manifest = Manifest { entry: Some(entry), ..Manifest::new("5".into(), 1, entry + 100, 3) };
            let taken = take(&shelf, Content { manifest, sources: &sources, log: &saved }).unwrap();
            assert_eq!(verify(&taken.folder).unwrap(), taken.manifest);
            taken
        }
    }

    fn file(taken: &Taken, name: &str) -> std::fs::Metadata {
        taken.folder.join(STATE).join(name).metadata().unwrap()
    }

    #[test]
    fn what_has_not_changed_is_one_file_with_two_names_and_none_of_the_live_ones() {
        let world = World::new();
        world.write("1.sst", "first");
        world.write("CURRENT", "same");
        let first = world.take(&["1.sst", "CURRENT"]);
        assert_eq!((first.new_bytes, first.manifest.bytes()), (9, 9));
        assert_eq!(file(&first, "1.sst").nlink(), 1, "not the live one");
        // A later database gives its numbers anew.
        world.write("2.sst", "first");
        world.write("1.sst", "other");
        let second = world.take(&["1.sst", "2.sst", "CURRENT"]);
        assert_eq!((second.new_bytes, second.manifest.bytes()), (9, 14));
        assert_eq!(file(&second, "2.sst").ino(), file(&first, "1.sst").ino());
        assert_eq!((file(&second, "1.sst").nlink(), file(&second, "CURRENT").nlink()), (1, 1));
        assert_eq!(file(&first, "1.sst").mode() & 0o777, 0o600);
        // Either is whole without the other.
        std::fs::remove_dir_all(&first.folder).unwrap();
        assert_eq!(verify(&second.folder).unwrap(), second.manifest);
    }

    #[test]
    fn damage_is_not_handed_on() {
        let world = World::new();
        world.write("1.sst", "first");
        let first = world.take(&["1.sst"]);
        std::fs::write(first.folder.join(STATE).join("1.sst"), "firsd").unwrap();
        let second = world.take(&["1.sst"]);
        assert_eq!(second.damaged, [first.folder.join("state/1.sst")]);
        assert_eq!(file(&second, "1.sst").nlink(), 1);
        assert!(verify(&first.folder).is_err());
    }

    #[test]
    fn a_backup_of_another_store_has_nothing_in_common() {
        let world = World::new();
        world.write("1.sst", "first");
        let shelf = Shelf::open(world.shelf.path()).unwrap();
        let source = [Source { name: "1.sst".into(), path: world.live.path().join("1.sst") }];
        let manifest = Manifest { entry: Some(1), ..Manifest::new("6".into(), 1, 2, 3) };
        take(&shelf, Content { manifest, sources: &source, log: &|_, _| unreachable!() }).unwrap();
        drop(shelf);
        let taken = world.take(&["1.sst"]);
        assert_eq!((taken.new_bytes, taken.between), (5, Between::First));
    }

    #[test]
    fn a_log_leads_from_the_backup_before_or_is_not_there() {
        let world = World::new();
        world.write("1.sst", "first");
        let names = &["1.sst"];
        assert_eq!(world.take_at(10, SavedLog::Whole, names).between, Between::First);
        let second = world.take_at(25, SavedLog::Whole, names);
        assert_eq!((second.between, second.manifest.log_after, second.new_bytes), (Between::All(110), Some(10), 5));
        assert_eq!(std::fs::read_to_string(second.folder.join(LOG)).unwrap(), "10-25");
        for (saved, between) in [(SavedLog::Missing, Between::Missing(125)), (SavedLog::TooLong, Between::TooLong(130))]
        {
            let entry = if saved == SavedLog::Missing { 30 } else { 31 };
            let taken = world.take_at(entry, saved, names);
            assert_eq!((taken.between, taken.manifest.log_after), (between, None));
            assert!(!taken.folder.join(LOG).exists());
        }
        // Of a core that is behind the one of which the backup before was taken.
        assert_eq!(world.take_at(20, SavedLog::Whole, names).between, Between::First);
    }
}
