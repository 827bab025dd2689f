//! Something read from files, and read again when they change, without a restart and without a thread of its own:
//! whoever uses it looks.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

/// Between two looks at the files: soon enough for who has just revoked something.
const LOOK: Duration = Duration::from_secs(1);

/// Between two lines about files that cannot be used.
const COMPLAIN: Duration = Duration::from_secs(60);

/// Looks that fail in a row before a line says so: one may fall between two files that are replaced together.
const PATIENCE: u32 = 2;

/// A value that is loaded from files and loaded again by the next user after the files have changed; what cannot be
/// loaded leaves the present value.
pub(crate) struct Watched<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    load: Box<Load<T>>,
    present: ArcSwap<T>,
    looks: Mutex<Looks>,
}

type Load<T> = dyn Fn() -> Result<T, String> + Send + Sync;

#[derive(Debug)]
struct Looks {
    next: Instant,
    /// Of what was loaded last.
    stamps: Vec<Option<Stamp>>,
    failures: u32,
    complained: Option<Instant>,
}

/// What differs when a file was written, replaced, or got other permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl<T> Watched<T> {
    /// Loads it; `what` it is stands in log lines.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub(crate) fn open<E: fmt::Display>(
        what: &'static str,
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Stamps first: what changes while it is read is read once more.
        let stamps = stamps(&files);
        let present = ArcSwap::from_pointee(load()?);
        let looks = Looks { next: Instant::now() + LOOK, stamps, failures: 0, complained: None };
        let load = Box::new(move || load().map_err(|error| error.to_string()));
        Ok(Self { what, files, load, present, looks: Mutex::new(looks) })
    }

    /// As the files say now, or said a second ago. When they cannot be used, as they said last.
    pub(crate) fn current(&self, now: Instant) -> Arc<T> {
        // Whoever comes while another one looks takes what is there.
        if let Ok(mut looks) = self.looks.try_lock()
            && now >= looks.next
        {
            looks.next = now + LOOK;
            self.look(&mut looks, now);
        }
        self.present.load_full()
    }

    /// Reads the files again, changed or not.
    ///
    /// # Errors
    /// They cannot be used; what was read last stays.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        self.present.store(Arc::new((self.load)()?));
        *looks = Looks { stamps, failures: 0, complained: None, next: looks.next };
        Ok(())
    }

    fn look(&self, looks: &mut Looks, now: Instant) {
        let stamps = stamps(&self.files);
        if stamps == looks.stamps {
            return;
        }
        match (self.load)() {
            Ok(news) => {
                self.present.store(Arc::new(news));
                *looks = Looks { stamps, failures: 0, complained: None, next: looks.next };
                tracing::info!(what = self.what, "changed and read again");
            }
            Err(error) => {
                looks.failures += 1;
                let quiet = looks.complained.is_some_and(|last| now < last + COMPLAIN);
                if looks.failures >= PATIENCE && !quiet {
                    looks.complained = Some(now);
                    tracing::error!(
                        what = self.what,
                        "{error}; the last valid content stays in force until this is corrected"
                    );
                }
            }
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("what", &self.what).field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(file).ok()?;
    Some(Stamp {
        file: (about.dev(), about.ino()),
        length: about.len(),
        written: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_again_only_when_the_files_changed_and_at_most_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let (read, reads) = (path.clone(), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&reads);
        let load = move || {
            *counted.lock().unwrap() += 1;
            std::fs::read_to_string(&read)
        };
        let watched = Watched::open("file", vec![path.clone()], load).unwrap();
        let begin = Instant::now() + Duration::from_secs(10);
        let at = |millis| watched.current(begin + Duration::from_millis(millis));
        assert_eq!(*at(0), "one");
        assert_eq!(*reads.lock().unwrap(), 1);
        std::fs::write(&path, "other").unwrap();
        assert_eq!((&**at(999), *reads.lock().unwrap()), ("one", 1));
        assert_eq!((&**at(1000), *reads.lock().unwrap()), ("other", 2));
        assert_eq!((&**at(9000), *reads.lock().unwrap()), ("other", 2));
        // Gone: the last one stays, and every look tries again.
        std::fs::remove_file(&path).unwrap();
        assert_eq!((&**at(10_000), *reads.lock().unwrap()), ("other", 3));
        assert_eq!((&**at(11_000), *reads.lock().unwrap()), ("other", 4));
        std::fs::write(&path, "third").unwrap();
        assert_eq!((&**at(12_000), *reads.lock().unwrap()), ("third", 5));
    }
}
