//! A disk whose power can be cut: ext4 on a file of its own, shut down by the kernel at once.
//!
//! What was not synced is then gone, file by file as on a machine that lost its power: `kill -9` alone loses nothing,
//! because the kernel writes out later what a process has written.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use rustix::ioctl::{Opcode, Setter, ioctl, opcode};
use tempfile::TempDir;

use crate::disk::run;

/// `EXT4_IOC_SHUTDOWN`, in Linux `fs/ext4/ext4.h`.
const SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal is written out.
const NO_LOG_FLUSH: u32 = 2;

/// A mounted ext4 file system in a file; cutting its power loses all that was not synced. Unmounted when dropped.
#[derive(Debug)]
pub struct PowerDisk {
    image: PathBuf,
    mount: PathBuf,
    _folder: TempDir,
}

impl PowerDisk {
    /// An empty one of so many MiB.
    ///
    /// # Errors
    /// This user may not mount, or there is no loop device.
    pub fn mount(mebibytes: u64) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zonecast-power-").tempdir()?;
        let (image, mount) = (folder.path().join("image"), folder.path().join("mount"));
        std::fs::create_dir(&mount)?;
        File::create(&image)?.set_len(mebibytes * 1024 * 1024)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let disk = Self { image, mount, _folder: folder };
        disk.attach()?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power, and mounts again what is left. Everybody who writes there must have been killed: a sync that is
    /// under way while the file system is shut down may return success for what is lost.
    ///
    /// # Errors
    /// The file system cannot be shut down, or somebody has files open in it.
    pub fn cut_power(&self) -> anyhow::Result<()> {
        shut_down(&File::open(&self.mount)?).context("shut down ext4")?;
        run(Command::new("umount").arg(&self.mount))?;
        self.attach()
    }

    fn attach(&self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount))
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may have files open.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.mount));
    }
}

#[allow(unsafe_code, reason = "no crate has a safe call for this ioctl")]
fn shut_down(folder: &File) -> std::io::Result<()> {
    // SAFETY: the kernel reads a `u32` for this opcode, and keeps no pointer to it.
    let request = unsafe { Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH) };
    // SAFETY: the request touches no memory but its own, and the folder is open.
    unsafe { ioctl(folder, request) }.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// What the proofs stand on: the disk forgets what was not synced, and nothing else.
    #[test]
    fn only_what_was_synced_survives() {
        let Some(disk) = crate::or_skip(PowerDisk::mount(64), "no disk that can be shut down here") else { return };
        let synced = disk.path().join("synced");
        let mut file = File::create(&synced).unwrap();
        file.write_all(b"first").unwrap();
        file.sync_all().unwrap();
        File::open(disk.path()).unwrap().sync_all().unwrap();
        file.write_all(b"second").unwrap();
        std::fs::write(disk.path().join("unsynced"), b"third").unwrap();
        drop(file);
        disk.cut_power().unwrap();
        assert_eq!(std::fs::read(&synced).unwrap(), b"first");
        assert!(!disk.path().join("unsynced").exists());
    }
}
