//! The files of a backup, compared with their hashes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

use super::{BackedUpFile, Manifest};

/// Where the files of the state are in a backup.
pub(super) const STATE: &str = "state";
/// The file of the entries of the raft log that lead to it.
pub(super) const LOG: &str = "log";

/// Why a folder is no good backup.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// There is no manifest that this release can read: it was not finished, or is none.
    #[error("{} cannot be used: {source}", path.display())]
    Manifest {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is missing, or the disk fails.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("{} is damaged: its length or hash is not that of the manifest", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A file that the manifest does not name, or one outside the folder that it does.
    #[error("{path} does not belong to the backup")]
    Stray {
        /// Which.
        path: String,
    },
}

/// Compares every file with the manifest.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(folder: &Path) -> Result<Manifest, VerifyError> {
    let manifest =
        Manifest::read(folder).map_err(|source| VerifyError::Manifest { path: Manifest::path(folder), source })?;
    let known: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    for path in files(folder)? {
        if !known.contains(path.as_str()) && folder.join(&path) != Manifest::path(folder) {
            return Err(VerifyError::Stray { path });
        }
    }
    for file in &manifest.files {
        check_path(&file.path)?;
        let path = folder.join(&file.path);
        let found = hash_file(&path, file.path.clone())
            .map_err(|source| VerifyError::Unreadable { path: path.clone(), source })?;
        if found != *file {
            return Err(VerifyError::Damaged { path });
        }
    }
    Ok(manifest)
}

/// Paths of all files below a folder, in order.
fn files(folder: &Path) -> Result<BTreeSet<String>, VerifyError> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![String::new()]);
    while let Some(below) = folders.pop() {
        let path = folder.join(&below);
        let unreadable = |source| VerifyError::Unreadable { path: path.clone(), source };
        for entry in path.read_dir().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name =
                entry.file_name().into_string().map_err(|name| VerifyError::Stray { path: format!("{name:?}") })?;
            let at = if below.is_empty() { name } else { format!("{below}/{name}") };
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(at);
            } else {
                found.insert(at);
            }
        }
    }
    Ok(found)
}

/// A manifest names nothing outside its folder.
pub(super) fn check_path(path: &str) -> Result<(), VerifyError> {
    let is_below = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if is_below { Ok(()) } else { Err(VerifyError::Stray { path: path.to_owned() }) }
}

/// Reads a file to its end; how a manifest has it, under this path.
pub(super) fn hash_file(file: &Path, path: String) -> io::Result<BackedUpFile> {
    let mut hasher = blake3::Hasher::new();
    let bytes = io::copy(&mut File::open(file)?, &mut hasher)?;
    Ok(BackedUpFile { path, bytes, blake3: hasher.finalize().to_hex().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(folder: &Path) -> Manifest {
        std::fs::create_dir(folder.join("state")).unwrap();
        std::fs::write(folder.join("state/one"), b"first").unwrap();
        std::fs::write(folder.join("state/two"), b"").unwrap();
        let mut manifest = Manifest::new("5".into(), 1, 2, 3);
        let files = ["state/one", "state/two"].map(|path| hash_file(&folder.join(path), path.into()).unwrap());
        manifest.files = files.into();
        manifest.write(folder).unwrap();
        manifest
    }

    #[test]
    fn a_backup_is_good_as_it_was_taken_and_in_no_other_way() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let manifest = sealed(folder);
        assert_eq!(manifest.files.iter().map(|file| file.bytes).collect::<Vec<_>>(), [5, 0]);
        assert_eq!(verify(folder).unwrap(), manifest);

        let one = folder.join("state/one");
        for damage in [&b"firsd"[..], b"firs", b"firstt"] {
            std::fs::write(&one, damage).unwrap();
            assert!(matches!(verify(folder), Err(VerifyError::Damaged { path }) if path == one));
        }
        std::fs::remove_file(&one).unwrap();
        assert!(matches!(verify(folder), Err(VerifyError::Unreadable { .. })));
        std::fs::write(&one, b"first").unwrap();
        std::fs::write(folder.join("state/three"), b"").unwrap();
        assert!(matches!(verify(folder), Err(VerifyError::Stray { path }) if path == "state/three"));
        std::fs::remove_file(folder.join("state/three")).unwrap();
        assert_eq!(verify(folder).unwrap(), manifest);
        std::fs::remove_file(folder.join("manifest.json")).unwrap();
        assert!(matches!(verify(folder), Err(VerifyError::Manifest { .. })));
    }

    #[test]
    fn a_manifest_names_nothing_outside_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut manifest = sealed(folder.path());
        manifest.files[0].path = "../one".into();
        std::fs::remove_file(folder.path().join("state/one")).unwrap();
        manifest.write(folder.path()).unwrap();
        assert!(matches!(verify(folder.path()), Err(VerifyError::Stray { path }) if path == "../one"));
    }
}
