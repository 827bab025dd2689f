//! Which files a state that is sent may have: those that RocksDB makes, and nothing that leads elsewhere.
//!
//! A name comes from another machine and becomes a path here. What a file holds leads nowhere else either: RocksDB takes
//! only the name of a manifest from `CURRENT`, and from a manifest only numbers.

use std::collections::BTreeSet;

use zonecast_kv_proto::{MAX_STATE_FILES, StateFile};

use crate::StoreError;

/// Whether RocksDB gives a file of a database this name.
pub(crate) fn is_database_file(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_manifest = ["MANIFEST-", "OPTIONS-"].iter().any(|kind| name.strip_prefix(kind).is_some_and(is_number));
    let is_data = [".sst", ".blob", ".log"].iter().any(|kind| name.strip_suffix(kind).is_some_and(is_number));
    name == "CURRENT" || is_manifest || is_data
}

/// Whether these files may be those of one state; how long they are together.
///
/// # Errors
/// Too many, a name that is none or is there twice, or a length that is no number.
pub(crate) fn check(files: &[StateFile]) -> Result<u64, StoreError> {
    if files.len() > MAX_STATE_FILES {
        return Err(StoreError::BadState(format!("{} files", files.len())));
    }
    let mut names = BTreeSet::new();
    let (mut total, bad) = (0_u64, |what: &str, name: &str| StoreError::BadState(format!("{what} {name:?}")));
    for StateFile { name, len } in files {
        if !is_database_file(name) {
            return Err(bad("no file of a database is named", name));
        }
        if !names.insert(name) {
            return Err(bad("two files are named", name));
        }
        total = total.checked_add(*len).ok_or_else(|| bad("the length of", name))?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_rocksdb_makes_are_taken() {
        for name in ["CURRENT", "MANIFEST-000005", "OPTIONS-000007", "000012.sst", "1.log", "000003.blob"] {
            assert!(is_database_file(name), "{name}");
        }
        let not = [
            "",
            ".",
            "..",
            "/",
            "LOCK",
            "LOG",
            "IDENTITY",
            "current",
            "CURRENT.",
            "CURRENT-1",
            "MANIFEST",
            "MANIFEST-",
            "MANIFEST.1",
            "MANIFEST-1/../../x",
            "OPTIONS-1.dbtmp",
            "OPTIONS.1",
            "OPTIONS-x",
            "../000012.sst",
            "/000012.sst",
            "000012.sst/..",
            "000012.sst\0",
            "000012-sst",
            "000012.SST",
            ".sst",
            "1.2.sst",
            "-1.sst",
            "+1.sst",
            "1 .sst",
            "\u{0661}.sst",
            "000000000000000000001.sst",
            "sub/1.sst",
            "1.sst.part",
        ];
        for name in not {
            assert!(!is_database_file(name), "{name:?}");
        }
    }

    #[test]
    fn too_many_files_or_one_twice_or_lengths_without_end_are_refused() {
        let file = |name: &str, len| StateFile { name: name.to_owned(), len };
        assert_eq!(check(&[file("CURRENT", 16), file("1.sst", 5)]).unwrap(), 21);
        let many: Vec<StateFile> = (0..=MAX_STATE_FILES).map(|number| file(&format!("{number}.sst"), 1)).collect();
        assert!(check(&many[..MAX_STATE_FILES]).is_ok());
        for bad in [&many[..], &[file("1.sst", 5), file("1.sst", 5)], &[file("1.sst", u64::MAX), file("2.sst", 1)]] {
            assert!(matches!(check(bad), Err(StoreError::BadState(_))));
        }
    }
}
