//! The interface from which a publisher reads table files: a folder of the core, or of a relay that has them from one.

use bytes::Bytes;

use crate::{SignedManifest, SourceError, TableHash, TableManifest};

/// Table files with everything published at one position, shared by all downstreams that take them. Calls may block on
/// the disk. The files go with the last user.
pub trait TableSource: Send + Sync {
    /// What they are.
    fn manifest(&self) -> &TableManifest;

    /// The manifest as a core has signed it; `None` where whoever serves the files made them, and signs for them.
    fn signed(&self) -> Option<&SignedManifest> {
        None
    }

    /// Bytes of a file from an offset on: `max_bytes` of them, or fewer at its end.
    ///
    /// # Errors
    /// There is no such file, or it cannot be read.
    fn read(&self, file: &TableHash, offset: u64, max_bytes: usize) -> Result<Bytes, SourceError>;
}
