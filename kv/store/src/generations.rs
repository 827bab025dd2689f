//! Databases that replace each other in one folder: each a numbered subfolder, and one line that says which is live.
//!
//! # Format
//! ```text
//! <folder>/lock         empty; locked while a process works here
//! <folder>/current      one line: the name of the live generation
//! <folder>/<name>-<n>/  a generation
//! ```
//!
//! # Invariants
//! - `current` is replaced by a rename, after the generation that it names is complete: an end of the process at any
//!   instant leaves the one before or the new one, whole.
//! - What `current` may name stays: where it is not known whether the new line outlives a power cut, both do.
//! - No number is used again while its folder is there.
//! - What begins with the name of generations and is not live is removed at the next start.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::folder_lock::lock_file;
use crate::{StoreError, options};

const LOCK: &str = "lock";
const CURRENT: &str = "current";
const NEXT: &str = "current.new";

/// A folder of generations, for one process at a time.
#[derive(Debug)]
pub(crate) struct Generations {
    folder: PathBuf,
    /// What the name of every generation begins with.
    prefix: &'static str,
    _lock: File,
}

/// One of them. Its folder goes with it, unless it is live.
#[derive(Debug)]
pub(crate) struct Generation {
    path: PathBuf,
    number: u64,
    is_live: AtomicBool,
}

impl Generations {
    /// Opens the folder, made if it is missing.
    ///
    /// # Errors
    /// It cannot be used, or is in use.
    pub(crate) fn open(folder: &Path, prefix: &'static str) -> Result<Self, StoreError> {
        options::make_folder(folder)?;
        // Held before anything is looked at, so that whatever else is there is nobody's.
        let lock = lock(folder)?;
        Ok(Self { folder: folder.to_path_buf(), prefix, _lock: lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The one that `current` names. Without it there was never one, and what is there is what an end in the middle of a
    /// first start has left.
    ///
    /// # Errors
    /// `current` cannot be read, or names none.
    pub(crate) fn live(&self) -> Result<Option<Generation>, StoreError> {
        let path = self.folder.join(CURRENT);
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path)(error)),
        };
        let number = text.strip_suffix('\n').and_then(|name| self.number(name));
        let number = number.ok_or_else(|| StoreError::damaged(&self.folder, format!("`current` holds {text:?}")))?;
        Ok(Some(self.generation(number, true)))
    }

    /// Lays out a folder that is not there yet, with a first generation, which `fill` makes in the empty folder that it is
    /// given, complete and durable.
    ///
    /// # Errors
    /// The folder is there or cannot be used, or `fill` failed.
    pub(crate) fn lay_out<E: From<StoreError>>(
        folder: &Path,
        prefix: &'static str,
        fill: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        options::make_new_folder(folder)?;
        let generations = Self::open(folder, prefix)?;
        let first = generations.begin()?;
        fill(&first.path)?;
        Ok(generations.switch(&first)?)
    }

    /// Whether there is a live one in this folder.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(CURRENT).exists()
    }

    /// Begins a new one, in an empty folder.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub(crate) fn begin(&self) -> Result<Generation, StoreError> {
        loop {
            let new = self.unused()?;
            match options::make_new_folder(&new.path) {
                Ok(()) => return Ok(new),
                // Another thread was faster, and what it has made must not be removed here.
                Err(StoreError::Folder { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                    std::mem::forget(new);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes a folder beside the generations, which is complete, a new one.
    ///
    /// # Errors
    /// The folder cannot be moved.
    pub(crate) fn adopt(&self, folder: &Path) -> Result<Generation, StoreError> {
        let new = self.begin()?;
        // Onto an empty folder.
        std::fs::rename(folder, &new.path).map_err(io_error(&new.path))?;
        // Before `current` can name it.
        sync_folder(&self.folder)?;
        Ok(new)
    }

    /// Makes a new one, which is complete and durable, the live one: at once or not at all.
    ///
    /// # Errors
    /// The disk failed. The one before is live, but either may be at the next start.
    pub(crate) fn switch(&self, new: &Generation) -> Result<(), StoreError> {
        sync_folder(&new.path)?;
        self.write_next(new)?;
        self.rename_next(new)?;
        sync_folder(&self.folder)
    }

    /// Removes all but this one.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub(crate) fn sweep(&self, live: Option<&Generation>) -> Result<(), StoreError> {
        let live = live.map(|live| self.name(live.number));
        for name in self.names()?.into_iter().filter(|name| Some(name) != live.as_ref()) {
            let path = self.folder.join(name);
            std::fs::remove_dir_all(&path).map_err(io_error(&path))?;
        }
        Ok(())
    }

    fn write_next(&self, new: &Generation) -> Result<(), StoreError> {
        let path = self.folder.join(NEXT);
        let mut file = File::create(&path).map_err(io_error(&path))?;
        file.write_all(format!("{}\n", self.name(new.number)).as_bytes()).map_err(io_error(&path))?;
        file.sync_all().map_err(io_error(&path))
    }

    fn rename_next(&self, new: &Generation) -> Result<(), StoreError> {
        let path = self.folder.join(NEXT);
        std::fs::rename(&path, self.folder.join(CURRENT)).map_err(io_error(&path))?;
        // From here on the next start may find it named, whatever else fails.
        new.is_live.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// With a number above all that are there.
    fn unused(&self) -> Result<Generation, StoreError> {
        let highest = self.names()?.iter().filter_map(|name| self.number(name)).max().unwrap_or_default();
        Ok(self.generation(highest.saturating_add(1), false))
    }

    fn generation(&self, number: u64, is_live: bool) -> Generation {
        Generation { path: self.folder.join(self.name(number)), number, is_live: AtomicBool::new(is_live) }
    }

    fn name(&self, number: u64) -> String {
        format!("{}{number}", self.prefix)
    }

    fn number(&self, name: &str) -> Option<u64> {
        name.strip_prefix(self.prefix)?.parse().ok()
    }

    /// Of all that are there, finished or not.
    fn names(&self) -> Result<Vec<String>, StoreError> {
        let entries = std::fs::read_dir(&self.folder).map_err(io_error(&self.folder))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: std::io::Result<Vec<String>> = names.collect();
        let mut names = names.map_err(io_error(&self.folder))?;
        names.retain(|name| name.starts_with(self.prefix));
        Ok(names)
    }
}

impl Generation {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_live(&self) -> bool {
        self.is_live.load(Ordering::Relaxed)
    }

    /// Another one has replaced it.
    pub(crate) fn retire(&self) {
        self.is_live.store(false, Ordering::Relaxed);
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.is_live()
            && let Err(error) = std::fs::remove_dir_all(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            let folder = self.path.display();
            tracing::warn!(%folder, %error, "a database that nobody uses stays on disk until the next start");
        }
    }
}

pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error(path))
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io_error(&path))?;
    match lock_file(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: folder.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(io_error(&path)(error)),
    }
}

pub(crate) fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_path_buf();
    |source| StoreError::Folder { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Generations {
        Generations::open(folder, "copy-").unwrap()
    }

    fn fill(generation: &Generation, content: &str) {
        std::fs::write(generation.path().join("content"), content).unwrap();
    }

    fn content(generation: &Generation) -> String {
        std::fs::read_to_string(generation.path().join("content")).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names = open(folder).names().unwrap();
        names.sort();
        names
    }

    /// What the next start finds live, after it has swept: all that there is then.
    fn restarted(folder: &Path) -> Option<String> {
        let generations = open(folder);
        let live = generations.live().unwrap();
        generations.sweep(live.as_ref()).unwrap();
        assert_eq!(generations.names().unwrap().len(), usize::from(live.is_some()));
        live.as_ref().map(content)
    }

    fn replaced(folder: &Path) -> Generation {
        let generations = open(folder);
        let first = generations.begin().unwrap();
        fill(&first, "old");
        generations.switch(&first).unwrap();
        first
    }

    #[test]
    fn the_first_one_is_there_once_it_is_switched_to() {
        let folder = tempfile::tempdir().unwrap();
        let generations = open(folder.path());
        assert!(generations.live().unwrap().is_none());
        let first = generations.begin().unwrap();
        assert!(first.path().ends_with("copy-1"));
        // The process ends here; nothing is removed.
        std::mem::forget(first);
        drop(generations);
        assert_eq!(restarted(folder.path()), None);
        replaced(folder.path());
        assert_eq!(restarted(folder.path()).as_deref(), Some("old"));
    }

    #[test]
    fn an_end_between_any_two_steps_leaves_the_old_one_or_the_new_one_whole() {
        type Step = fn(&Generations, &Generation);
        let steps: [Step; 5] = [
            |_, new| fill(new, "new"),
            |_, new| sync_folder(new.path()).unwrap(),
            |generations, new| generations.write_next(new).unwrap(),
            |generations, new| generations.rename_next(new).unwrap(),
            |generations, _| sync_folder(&generations.folder).unwrap(),
        ];
        for done in 0..=steps.len() {
            let folder = tempfile::tempdir().unwrap();
            let old = replaced(folder.path());
            let generations = open(folder.path());
            let new = generations.begin().unwrap();
            steps[..done].iter().for_each(|step| step(&generations, &new));
            // A process that is killed drops nothing.
            std::mem::forget((old, new));
            drop(generations);
            let expected = if done < 4 { "old" } else { "new" };
            assert_eq!(restarted(folder.path()).as_deref(), Some(expected), "after {done} steps");
        }
    }

    #[test]
    fn an_end_while_the_old_one_is_removed_is_made_good_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let old = replaced(folder.path());
        let generations = open(folder.path());
        let new = generations.begin().unwrap();
        fill(&new, "new");
        generations.switch(&new).unwrap();
        std::fs::remove_file(old.path().join("content")).unwrap();
        std::mem::forget(old);
        drop((new, generations));
        assert_eq!(names(folder.path()), ["copy-1", "copy-2"]);
        assert_eq!(restarted(folder.path()).as_deref(), Some("new"));
    }

    #[test]
    fn a_folder_goes_with_its_last_user_unless_it_is_live() {
        let folder = tempfile::tempdir().unwrap();
        let old = replaced(folder.path());
        let generations = open(folder.path());
        drop(generations.begin().unwrap());
        assert_eq!(generations.names().unwrap(), ["copy-1"], "it was never finished");
        let [given_up, kept] = [(); 2].map(|()| generations.begin().unwrap());
        drop(given_up);
        fill(&kept, "of its own");
        drop(kept);
        let new = generations.begin().unwrap();
        fill(&new, "new");
        generations.switch(&new).unwrap();
        old.retire();
        assert_eq!(content(&old), "old", "somebody still reads it");
        drop((old, new));
        assert_eq!(generations.names().unwrap(), ["copy-2"]);
    }

    #[test]
    fn one_that_may_be_named_stays_though_the_switch_failed() {
        let folder = tempfile::tempdir().unwrap();
        let old = replaced(folder.path());
        let generations = open(folder.path());
        let new = generations.begin().unwrap();
        fill(&new, "new");
        // The rename is done, and then the disk fails.
        generations.write_next(&new).unwrap();
        generations.rename_next(&new).unwrap();
        drop(new);
        let another = generations.begin().unwrap();
        assert!(another.path().ends_with("copy-3"), "what is named is not begun anew");
        drop((old, another, generations));
        assert_eq!(restarted(folder.path()).as_deref(), Some("new"));
    }

    #[test]
    fn a_folder_from_beside_them_is_adopted_whole() {
        let folder = tempfile::tempdir().unwrap();
        let old = replaced(folder.path());
        let generations = open(folder.path());
        let beside = folder.path().join("beside");
        std::fs::create_dir(&beside).unwrap();
        std::fs::write(beside.join("content"), "new").unwrap();
        let new = generations.adopt(&beside).unwrap();
        assert!(!beside.exists() && new.path().ends_with("copy-2"));
        generations.switch(&new).unwrap();
        drop((old, new, generations));
        assert_eq!(restarted(folder.path()).as_deref(), Some("new"));
    }

    #[test]
    fn threads_that_begin_at_once_get_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let generations = open(folder.path());
        let begun: Vec<Generation> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| generations.begin().unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let paths: std::collections::BTreeSet<&Path> = begun.iter().map(Generation::path).collect();
        assert_eq!(paths.len(), 8);
        assert!(paths.iter().all(|path| path.is_dir()));
    }

    #[test]
    fn a_line_that_names_nothing_is_damage_and_a_second_process_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let generations = open(folder.path());
        assert!(matches!(Generations::open(folder.path(), "copy-"), Err(StoreError::Locked { .. })));
        for line in ["", "copy-", "copy-1", "copy-x\n", "other-1\n"] {
            std::fs::write(folder.path().join(CURRENT), line).unwrap();
            assert!(generations.live().unwrap_err().is_damage(), "{line:?}");
        }
    }
}
