//! Files and folders on the command line: values of keys, and the content of a group.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use zonecast_api::types::{GroupContent, GroupEntry, Octets};
use zonecast_service::exit::{Failure, Outcome};

/// Most bytes that are read: what a request may have.
const MAX_READ: u64 = 8 * 1024 * 1024;

/// The content of a file, or of standard input for `-`.
pub(super) fn read(path: &Path) -> Outcome<Vec<u8>> {
    let failed = |error: io::Error| Failure::io("read", path, &error);
    if path.as_os_str() == "-" {
        return take(io::stdin(), path);
    }
    take(File::open(path).map_err(failed)?, path)
}

fn take(from: impl Read, path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_READ + 1).read_to_end(&mut bytes).map_err(|error| Failure::io("read", path, &error))?;
    if bytes.len() as u64 > MAX_READ {
        return Err(Failure::usage(format_args!("{} has over {MAX_READ} bytes", path.display())));
    }
    Ok(bytes)
}

/// All files of these folders, by their paths in them, and these files, by their names.
pub(super) fn content(paths: &[PathBuf]) -> Outcome<GroupContent> {
    let mut found = Found::default();
    for path in paths {
        let is_folder = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?.is_dir();
        if is_folder {
            found.folder(path, &mut Vec::new())?;
        } else {
            let name =
                path.file_name().ok_or_else(|| Failure::usage(format_args!("{} has no name", path.display())))?;
            found.file(path, name.as_bytes().to_vec())?;
        }
    }
    let files = found.files.into_iter();
    let entry = |(path, value): (Vec<u8>, Vec<u8>)| GroupEntry { path: Octets::of(&path), value: Octets::of(&value) };
    Ok(GroupContent { files: files.map(entry).collect() })
}

#[derive(Default)]
struct Found {
    files: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: u64,
}

impl Found {
    /// `inside` is the path from the folder that was named.
    fn folder(&mut self, folder: &Path, inside: &mut Vec<u8>) -> Outcome {
        let failed = |error: io::Error| Failure::io("read", folder, &error);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, before) = (entry.path(), inside.len());
            if !inside.is_empty() {
                inside.push(b'/');
            }
            inside.extend_from_slice(entry.file_name().as_bytes());
            // A link to a folder may lead round in circles; one to a file is the file.
            if entry.file_type().map_err(failed)?.is_dir() {
                self.folder(&path, inside)?;
            } else {
                self.file(&path, inside.clone())?;
            }
            inside.truncate(before);
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, key: Vec<u8>) -> Outcome {
        let is_file = fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?.is_file();
        if !is_file {
            return Err(Failure::usage(format_args!("{} is no file", path.display())));
        }
        let content = read(path)?;
        self.bytes += content.len() as u64;
        if self.bytes > MAX_READ {
            return Err(Failure::usage(format_args!("the files have over {MAX_READ} bytes together")));
        }
        let text = String::from_utf8_lossy(&key).into_owned();
        match self.files.insert(key, content) {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format_args!("two files would be the key `{text}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_with_its_paths_and_a_file_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("set/a/b")).unwrap();
        fs::write(at("set/a/b/one"), "1").unwrap();
        fs::write(at("set/two"), [0xff]).unwrap();
        fs::write(at("three"), "3").unwrap();
        let content = content(&[at("set"), at("three")]).unwrap();
        let paths: Vec<_> = content.files.iter().map(|file| file.path.clone().into_bytes().unwrap()).collect();
        assert_eq!(paths, [&b"a/b/one"[..], b"three", b"two"]);
        assert_eq!(content.files[2].value.clone().into_bytes().unwrap(), [0xff]);
        assert!(super::content(&[at("three"), at("three")]).unwrap_err().message.contains("two files"));
        std::os::unix::fs::symlink(at("set"), at("set/circle")).unwrap();
        assert!(super::content(&[at("set")]).unwrap_err().message.contains("is no file"));
    }
}
