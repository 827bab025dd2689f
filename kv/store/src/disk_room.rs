//! Whether a disk has room for files that are about to come.

use std::path::Path;

use crate::StoreError;

/// Free bytes beside the files: what opening them and the present database may write meanwhile.
const RESERVE: u64 = 64 * 1024 * 1024;

/// Whether so many bytes have room, and some more.
pub(crate) fn check_room(folder: &Path, bytes: u64) -> Result<(), StoreError> {
    // Where the system does not tell, trying will.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let (needed, free) = (bytes.saturating_add(RESERVE), disk.f_bavail.saturating_mul(disk.f_frsize));
    if free < needed {
        return Err(StoreError::NoRoom { path: folder.to_path_buf(), needed, free });
    }
    Ok(())
}
