//! A wrong clock for one process: its wall clock is moved, its monotonic clock is not.
//!
//! A library of ours is preloaded. `libfaketime` would do it, too, but not in a process with an allocator of its own:
//! it allocates while it starts.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

const SOURCE: &str = include_str!("wrong_clock.c");

/// A preloaded library and the file that tells it by how much it moves the wall clock of a process.
#[derive(Debug)]
pub struct WrongClock {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl WrongClock {
    /// That is right so far; compiled into a folder.
    ///
    /// # Errors
    /// There is no C compiler.
    pub fn new(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
        std::fs::write(&source, SOURCE)?;
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
        let compiled = compiled.context("cc (package build-essential)")?;
        ensure!(compiled.status.success(), "cc: {}", String::from_utf8_lossy(&compiled.stderr));
        let path = folder.join(format!("{name}.offset"));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        let clock = Self { library, path, file };
        clock.set(0)?;
        Ok(clock)
    }

    /// Wrong by so many hours from now on, in a running process, too.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set(&self, hours: i64) -> anyhow::Result<()> {
        Ok(self.file.write_all_at(&(hours * 3600).to_ne_bytes(), 0)?)
    }

    /// For the process that is to have it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        vec![("LD_PRELOAD".to_owned(), text(&self.library)), ("ZONECAST_TEST_CLOCK".to_owned(), text(&self.path))]
    }
}
