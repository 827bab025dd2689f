//! A folder of backups of one store: each in a folder of its own, named after its time. Files that two of them have in
//! common are one file with two names, so any of them can be removed by itself.
//!
//! # Format
//! ```text
//! lock                       locked while a backup is made
//! 2026-11-29T15-56-19Z/      a backup
//! 2026-11-30T03-00-00Z.part/ one that is being made, or was cut off; the next one removes it
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zonecast_kv_store::lock_file;

use super::Manifest;
use crate::day::day_and_time;

const LOCK: &str = "lock";
const PART: &str = ".part";
/// Of the year 9999: names rise with time up to there.
const LAST_SECOND: u64 = 253_402_300_799;

/// Why a folder takes no backup, or gives none.
#[derive(Debug, Error)]
pub enum ShelfError {
    /// It cannot be used.
    #[error("{} cannot be used, as the user of this process: {source}", path.display())]
    Io {
        /// What cannot.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("{} holds {entry:?}, which is no backup: give the backups a folder of their own", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The first such file in it.
        entry: String,
    },
    /// Somebody else makes a backup there.
    #[error("another backup is being made in {}", .0.display())]
    Busy(PathBuf),
    /// It has none.
    #[error("{} is no backup and holds none", .0.display())]
    Empty(PathBuf),
}

/// A folder that this process makes a backup in.
#[derive(Debug)]
pub struct Shelf {
    folder: PathBuf,
    _lock: File,
}

/// A backup that is being made. Dropped before it is finished, it stays for the next one to remove.
#[derive(Debug)]
pub struct Begun {
    /// Where its files go.
    pub part: PathBuf,
    name: String,
}

impl Shelf {
    /// Opens the folder, made if it is missing.
    ///
    /// # Errors
    /// It cannot be used, is in use, or holds something else.
    pub fn open(folder: &Path) -> Result<Self, ShelfError> {
        make(folder, true)?;
        if let Some(entry) = names(folder)?.into_iter().find(|name| !belongs(name)) {
            return Err(ShelfError::Foreign { path: folder.to_owned(), entry });
        }
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        match lock_file(&lock) {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ShelfError::Busy(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// The newest backup, if there is one.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn newest(&self) -> Result<Option<PathBuf>, ShelfError> {
        newest_in(&self.folder)
    }

    /// Begins one, at a time in seconds of Unix time. Its name is later than that of every other one.
    ///
    /// # Errors
    /// Its folder cannot be made, or one that was cut off not be removed.
    pub fn begin(&self, time: u64) -> Result<Begun, ShelfError> {
        let names = names(&self.folder)?;
        for cut_off in names.iter().filter(|name| name.ends_with(PART)) {
            let path = self.folder.join(cut_off);
            std::fs::remove_dir_all(&path).map_err(at(&path))?;
        }
        let last = names.iter().filter(|name| is_backup(name)).max();
        let name = name_of(last.map_or(time, |last| first_after(last, time)));
        let part = self.folder.join(format!("{name}{PART}"));
        make(&part, false)?;
        Ok(Begun { part, name })
    }

    /// It is whole and durable, its manifest, too: from here on it is a backup.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn finish(&self, begun: &Begun) -> Result<PathBuf, ShelfError> {
        let to = self.folder.join(&begun.name);
        std::fs::rename(&begun.part, &to).map_err(at(&to))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))?;
        Ok(to)
    }
}

/// The backup that a folder is, or the newest one that it holds.
///
/// # Errors
/// It is none and holds none.
pub fn backup_at(folder: &Path) -> Result<PathBuf, ShelfError> {
    if Manifest::path(folder).exists() {
        return Ok(folder.to_owned());
    }
    newest_in(folder)?.ok_or_else(|| ShelfError::Empty(folder.to_owned()))
}

/// The backup that a folder is, or all that it holds, the oldest first.
///
/// # Errors
/// It is none and holds none.
pub(super) fn backups_at(folder: &Path) -> Result<Vec<PathBuf>, ShelfError> {
    if Manifest::path(folder).exists() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut names: Vec<String> = names(folder)?.into_iter().filter(|name| is_backup(name)).collect();
    names.sort_unstable();
    if names.is_empty() {
        return Err(ShelfError::Empty(folder.to_owned()));
    }
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

fn newest_in(folder: &Path) -> Result<Option<PathBuf>, ShelfError> {
    let newest = names(folder)?.into_iter().filter(|name| is_backup(name)).max();
    Ok(newest.map(|name| folder.join(name)))
}

fn name_of(time: u64) -> String {
    format!("{}Z", day_and_time(time).replace(' ', "T").replace(':', "-"))
}

/// The first second, not before this time, whose name is later than that of a backup: the clock may have been ahead.
fn first_after(last: &str, time: u64) -> u64 {
    let (mut low, mut high) = (time, LAST_SECOND.max(time));
    while low < high {
        let middle = low + (high - low) / 2;
        if name_of(middle).as_str() > last {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// Whether it has the form of [`name_of`].
fn is_backup(name: &str) -> bool {
    let form = |(at, byte): (usize, u8)| match at {
        4 | 7 | 13 | 16 => byte == b'-',
        10 => byte == b'T',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    name.len() == 20 && name.bytes().enumerate().all(form)
}

fn belongs(name: &str) -> bool {
    name == LOCK || is_backup(name.strip_suffix(PART).unwrap_or(name))
}

fn names(folder: &Path) -> Result<Vec<String>, ShelfError> {
    let entries = folder.read_dir().map_err(at(folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(at(folder))
}

/// For its user only: it holds what is private.
pub(super) fn make(path: &Path, may_exist: bool) -> Result<(), ShelfError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(may_exist && path.is_dir());
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(at(path))
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ShelfError {
    let path = path.to_owned();
    |source| ShelfError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(shelf: &Shelf, time: u64) -> String {
        let begun = shelf.begin(time).unwrap();
        std::fs::write(begun.part.join("manifest.json"), "").unwrap();
        shelf.finish(&begun).unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn names_are_times_and_each_is_later_than_the_last() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("backups");
        let shelf = Shelf::open(&folder).unwrap();
        assert_eq!(shelf.newest().unwrap(), None);
        assert!(matches!(backup_at(&folder), Err(ShelfError::Empty(_))));
        let names: Vec<String> = [1_796_000_000, 1_796_000_000, 5].map(|time| made(&shelf, time)).into();
        assert_eq!(names, ["2026-11-30T00-53-20Z", "2026-11-30T00-53-21Z", "2026-11-30T00-53-22Z"]);
        assert_eq!(shelf.newest().unwrap(), Some(folder.join(&names[2])));
        assert_eq!(backup_at(&folder).unwrap(), folder.join(&names[2]));
        assert_eq!(backup_at(&folder.join(&names[0])).unwrap(), folder.join(&names[0]));
        assert!(matches!(Shelf::open(&folder), Err(ShelfError::Busy(_))));
    }

    #[test]
    fn what_was_cut_off_is_no_backup_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        let cut_off = shelf.begin(7).unwrap();
        std::fs::write(cut_off.part.join("some"), "thing").unwrap();
        drop(shelf);
        let shelf = Shelf::open(folder.path()).unwrap();
        assert_eq!(shelf.newest().unwrap(), None);
        assert_eq!(made(&shelf, 7), "1970-01-01T00-00-07Z");
        assert_eq!(names(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["letters", "2026-11-30T00:53:20Z", ".part", "2026-11-30"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            assert!(matches!(Shelf::open(folder.path()), Err(ShelfError::Foreign { .. })), "{name}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(names(folder.path()).unwrap().is_empty(), "nothing was made");
    }
}
