//! Files that only their owner may read, written whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::Path;

const OWNER_ONLY: u32 = 0o600;

/// Puts a file in the place of `path`: whoever reads it reads the old one or the new one. Its owner stays, so that
/// root may change what a service reads.
///
/// # Errors
/// It cannot be written; then the old one is as it was.
pub(super) fn replace_private(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    let mut file = tempfile::Builder::new()
        .prefix(".zonecast-")
        .permissions(Permissions::from_mode(OWNER_ONLY))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(before) = std::fs::metadata(path) {
        let mine = file.as_file().metadata()?;
        if (before.uid(), before.gid()) != (mine.uid(), mine.gid()) {
            fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
        }
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use zonecast_kv_transport::{PrivateFileError, read_private};

    use super::*;

    #[test]
    fn it_is_written_for_the_owner_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for text in ["one", "two"] {
            replace_private(&path, text).unwrap();
            assert_eq!(read_private(&path, 3).unwrap(), text);
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn what_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace_private(&path, "text").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(matches!(read_private(&path, 9), Err(PrivateFileError::Open { .. })), "{mode:o}");
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        read_private(&path, 9).unwrap();
    }

    #[test]
    fn it_is_read_up_to_its_limit_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace_private(&path, "1234").unwrap();
        assert!(matches!(read_private(&path, 3), Err(PrivateFileError::Long { .. })));
        assert!(matches!(read_private(&folder.path().join("none"), 3), Err(PrivateFileError::Io { .. })));
    }
}
