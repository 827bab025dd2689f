//! Taking a backup: the files of a state are copied, and those that the backup before has already are linked to its files.
//!
//! # Invariants
//! - No file of a backup is a file of the live database: what happens to one happens to no other.
//! - A file is linked only when what the earlier backup holds of it was read just now and has its hash: damage is not handed
//!   on.
//! - Only table files are linked, which nobody ever writes again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::contents::{STATE, hash_file};
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
}

/// Makes a backup of these files.
///
/// # Errors
/// The disk failed or is full: what there is of it is no backup.
pub fn take(shelf: &Shelf, sources: &[Source], mut manifest: Manifest) -> Result<Taken, ShelfError> {
    let before = Before::of(shelf.newest()?, &manifest.store);
    let begun = shelf.begin(manifest.time)?;
    let state = begun.part.join(STATE);
    make(&state, false)?;
    let (mut new_bytes, mut damaged) = (0, vec![]);
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
    Ok(Taken { folder, manifest, new_bytes, damaged })
}

/// The backup before, as far as it can be read.
#[derive(Debug, Default)]
struct Before {
    folder: PathBuf,
    /// Its files by length and hash.
    files: HashMap<(u64, String), String>,
}

impl Before {
    /// One of another store has nothing to link to, and one without a readable manifest neither.
    fn of(folder: Option<PathBuf>, store: &str) -> Self {
        let Some(folder) = folder else { return Self::default() };
        let Some(manifest) = Manifest::read(&folder).ok().filter(|manifest| manifest.store == store) else {
            return Self::default();
        };
        let files = manifest.files.into_iter().map(|file| ((file.bytes, file.blake3), file.path));
        Self { folder, files: files.collect() }
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
            let source = |name: &&str| Source { name: (*name).to_owned(), path: self.live.path().join(name) };
            let sources: Vec<Source> = names.iter().map(source).collect();
            let shelf = Shelf::open(self.shelf.path()).unwrap();
            let taken = take(&shelf, &sources, Manifest::new("5".into(), 1, 2, 3)).unwrap();
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
        take(&shelf, &source, Manifest::new("6".into(), 1, 2, 3)).unwrap();
        drop(shelf);
        assert_eq!(world.take(&["1.sst"]).new_bytes, 5);
    }
}
