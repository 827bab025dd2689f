//! Disks that fail when a test wants them to.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// A file system in memory of a fixed size; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Of so many MiB.
    ///
    /// # Errors
    /// This user may not mount.
    pub fn mount(mebibytes: u32) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zonecast-disk-").tempdir()?;
        let size = format!("size={mebibytes}m,mode=0700");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()))?;
        Ok(Self { folder })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left now, in addition to what it took before, until [`SmallDisk::make_room`].
    ///
    /// # Errors
    /// The file that takes it cannot be made.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = std::fs::File::options().create(true).append(true).open(self.ballast())?;
        // Large pieces first, then what is left of the last one.
        for piece in [1 << 20, 1 << 12, 1] {
            let bytes = vec![0; piece];
            while file.write_all(&bytes).is_ok() {}
        }
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// It was not taken.
    pub fn make_room(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.ballast()).context("nothing fills the disk")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may have files open.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.folder.path()));
    }
}

/// Makes every file below a folder refuse writes, open ones included, as a file system does that went read-only; or
/// takes that back.
///
/// # Errors
/// This user may not, or the file system knows no such thing.
pub fn set_read_only(folder: &Path, read_only: bool) -> anyhow::Result<()> {
    let flag = if read_only { "+i" } else { "-i" };
    run(Command::new("chattr").args(["-R", "-f", flag]).arg(folder))
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("{:?}", command.get_program()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {}", command.get_program(), said.trim());
    Ok(())
}
