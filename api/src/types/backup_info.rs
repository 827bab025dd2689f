//! Backups and restores.

use serde::{Deserialize, Serialize};

/// A restore, or a recovery of the one core that was left: where an epoch begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkInfo {
    /// The epoch that begins.
    pub epoch: u64,
    /// Its first version.
    pub version: u64,
    /// Random id of the restore.
    pub restore: String,
    /// When it was made, in seconds of Unix time.
    pub time: u64,
}

/// Body of `POST /v1/backup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// Absolute path on the machine of the core: a folder of backups, or one that is empty or not there yet.
    pub folder: String,
}

/// A backup that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// The folder of the backup on the machine of the core.
    pub folder: String,
    /// Files in it, without its manifest.
    pub files: usize,
    /// Bytes of these files.
    pub bytes: u64,
    /// Bytes of those that were copied: the others are links to files of the backup before it in the same folder.
    #[serde(default)]
    pub new_bytes: u64,
    /// Identity of the store.
    pub store: String,
    /// The epoch of the store.
    pub epoch: u64,
    /// The version that it holds.
    pub version: u64,
    /// The version of the backup before it in the same folder, if every one between them can be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// What is not in it.
    pub lacks: Vec<String>,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}
