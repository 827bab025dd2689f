//! Writes a file whole or not at all: an existing file stays until the new one is complete.

use std::fs::{File, Permissions};
use std::io::Write;
use std::path::{Path, PathBuf};

use zonecast_service::exit::{Failure, Outcome};

/// Writes to a temporary file and renames it to `path`. Pipes and devices are written directly.
///
/// # Errors
/// `write` fails, or the file cannot be written.
pub(super) fn save_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Outcome) -> Outcome {
    let failed = |error: std::io::Error| Failure::io("write", path, &error);
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return write(&mut File::options().write(true).open(path).map_err(failed)?);
    }
    // Where a link leads, so that it stays a link.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(".".into(), PathBuf::from);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".zonecast-");
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(NEW_FILE));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    write(&mut file)?;
    file.persist(&target).map(drop).map_err(|error| failed(error.error))
}

/// Mode of a new file, less what the umask takes.
#[cfg(unix)]
const NEW_FILE: u32 = 0o666;

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        folder.read_dir().unwrap().map(name).collect()
    }

    #[test]
    fn what_fails_in_the_middle_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zone");
        let half = |out: &mut dyn Write| {
            out.write_all(b"half").unwrap();
            Err(Failure::failed("broken off"))
        };
        save_whole(&path, half).unwrap_err();
        assert!(files(folder.path()).is_empty());
        save_whole(&path, |out| Ok(out.write_all(b"whole")?)).unwrap();
        save_whole(&path, half).unwrap_err();
        assert_eq!((std::fs::read(&path).unwrap(), files(folder.path())), (b"whole".to_vec(), vec!["zone".to_owned()]));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link] = ["target", "link"].map(|name| folder.path().join(name));
        std::fs::write(&target, "before").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        save_whole(&link, |out| Ok(out.write_all(b"after")?)).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&target).unwrap(), b"after");
        save_whole(Path::new("/dev/null"), |out| Ok(out.write_all(b"away")?)).unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
