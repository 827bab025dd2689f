//! Process, disk and certificate of a node.

use serde::{Deserialize, Serialize};

/// How the process of a node and its machine stand. What the system does not tell is 0 or absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vitals {
    /// The node's wall clock when it answered, seconds of Unix time.
    pub now: f64,
    /// The id of the process.
    pub pid: u32,
    /// Bytes of memory it holds (resident set).
    pub memory_bytes: u64,
    /// Files and sockets it has open.
    pub open_files: u64,
    /// How many it may have open; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u64>,
    /// The disk of the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskSpace>,
    /// The certificate of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateInfo>,
}

/// Room on the disk of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Bytes of the whole file system.
    pub total_bytes: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes that the folder takes.
    pub used_bytes: u64,
}

/// A node's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateInfo {
    /// Whose it is: role and name.
    pub node: String,
    /// The serial number of the certificate, hexadecimal.
    pub serial: String,
    /// When it expires, seconds of Unix time.
    pub not_after: u64,
    /// Whether the node's own list of the revoked names it.
    pub revoked: bool,
}
