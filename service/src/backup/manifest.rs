//! The manifest of a backup: its content, and the files that it does not contain.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Its name in the folder of a backup.
const NAME: &str = "manifest.json";

/// Of this release.
const FORMAT: u32 = 3;
/// The one before had nothing of the raft log, and is read, too.
const WITHOUT_LOG: u32 = 2;

/// Longest manifest that is read: a file of a database takes some 150 bytes of it.
const MAX_LEN: u64 = 64 * 1024 * 1024;

/// What somebody needs beside a backup to run a core from it.
const LACKS: [&str; 4] = [
    "the certificate authority with its key (the folder of `zonecast ca`)",
    "the certificate of the core (`identity` in its configuration)",
    "the configuration of the core",
    "zone files (`[zones]` in its configuration)",
];

/// The manifest of a backup: its content and what it does not contain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Now 3.
    pub format: u32,
    /// Release that made it.
    pub release: String,
    /// When, in seconds of Unix time.
    pub time: u64,
    /// Identity of the store.
    pub store: String,
    /// Its epoch.
    pub epoch: u64,
    /// The version of the state.
    pub version: u64,
    /// Index of the last entry of the raft log that the state has applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// With a log in the backup: it has the entries after this one, up to and with `entry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_after: Option<u64>,
    /// What is not in it.
    pub lacks: Vec<String>,
    /// What is in it.
    pub files: Vec<BackedUpFile>,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpFile {
    /// Below the folder of the backup, with `/` between its parts.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// BLAKE3 of all of it, in hexadecimal.
    pub blake3: String,
}

impl Manifest {
    /// Of a backup without files so far.
    pub fn new(store: String, epoch: u64, version: u64, time: u64) -> Self {
        let (release, lacks) = (env!("CARGO_PKG_VERSION").to_owned(), LACKS.map(str::to_owned).to_vec());
        let (entry, log_after) = (None, None);
        Self { format: FORMAT, release, time, store, epoch, version, entry, log_after, lacks, files: vec![] }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Puts it into the folder, whole and durable or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join("manifest.json.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&new, folder.join(NAME))?;
        File::open(folder)?.sync_all()
    }

    /// The one in the folder.
    ///
    /// # Errors
    /// There is none, or it is not one that this release knows.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let odd = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let path = folder.join(NAME);
        if path.metadata()?.len() > MAX_LEN {
            return Err(odd("it is too long for a manifest".to_owned()));
        }
        let manifest: Self = serde_json::from_slice(&std::fs::read(path)?)?;
        if ![FORMAT, WITHOUT_LOG].contains(&manifest.format) {
            return Err(odd(format!("format {} is not known to this release", manifest.format)));
        }
        Ok(manifest)
    }

    /// Where its manifest is.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_before_is_read_and_none_after() {
        let folder = tempfile::tempdir().unwrap();
        let write = |format: u32| {
            let text = format!(
                r#"{{"format": {format}, "release": "0", "time": 3, "store": "5", "epoch": 1, "version": 2,
                    "lacks": [], "files": []}}"#
            );
            std::fs::write(folder.path().join(NAME), text).unwrap();
            Manifest::read(folder.path())
        };
        let before = write(WITHOUT_LOG).unwrap();
        assert_eq!((before.version, before.entry, before.log_after), (2, None, None));
        assert!(write(FORMAT + 1).unwrap_err().to_string().contains("format 4 is not known"));
    }
}
