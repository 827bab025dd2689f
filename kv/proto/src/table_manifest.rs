//! The manifest of a snapshot that travels as table files: which files it is made of, and who says so.
//!
//! A file is known by the hash of its bytes, so whoever holds the manifest can take the bytes from anybody. Nobody but a
//! core can make one: it signs the bytes of the manifest with the key of its certificate. A signature is made and checked
//! where certificates are known, in `kv/transport`; here it is bytes.
//!
//! # Limits
//! A manifest that was read holds files of at least one byte, in ascending ranges of published keys that do not touch.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Key, KeyError, KeyspaceId, MAX_MESSAGE_LEN, Position, positional, read_whole};

const FORMAT: u8 = 1;

/// Files of one snapshot: with 64 MiB each they are half a TiB, and a manifest with names of usual length fits a message.
pub const MAX_TABLE_FILES: usize = 8192;

/// Bytes of a signed manifest that are not the manifest: a certificate with many hosts, and a signature.
const MAX_AROUND: usize = 64 * 1024;

/// What a signature is made over begins with this, so that it can be taken for nothing else that the key has signed.
const SIGNED: &[u8] = b"zonecast table manifest\0";

/// BLAKE3 of a table file: its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TableHash(#[serde(with = "serde_bytes")] [u8; 32]);

impl TableHash {
    /// From the 32 bytes of the hash.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Display for TableHash {
    /// In hexadecimal, as in names of files.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

positional! {
    /// One table file.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct TableFile {
        /// Of its bytes.
        pub hash: TableHash,
        /// Its length in bytes.
        pub len: u64,
        /// Its first key.
        pub first: Bytes,
        /// Its last key.
        pub last: Bytes,
    }
}

positional! {
    #[derive(Default, PartialEq)]
    struct Wire {
        format: u8,
        position: Option<Position>,
        entries: u64,
        files: Vec<TableFile> where len <= MAX_TABLE_FILES,
    }
}

/// What a snapshot of table files is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableManifest {
    /// Where the snapshot stands.
    pub position: Position,
    /// Keys in all files together.
    pub entries: u64,
    /// The files, in ascending order of key.
    pub files: Vec<TableFile>,
}

/// Why bytes are not a manifest.
#[derive(Debug, Error)]
pub enum TableManifestError {
    /// Not the MessagePack of a manifest.
    #[error("not a manifest of table files: {0}")]
    Syntax(rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("manifest format {0} is not known to this release")]
    Format(u8),
    /// It does not say where the snapshot stands.
    #[error("the manifest has no position")]
    Position,
    /// A key out of bounds.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key that must not leave the core.
    #[error("a table file holds keys of the private keyspace {0:?}")]
    Private(KeyspaceId),
    /// An empty file, one that ends before it begins, or one that does not follow the file before.
    #[error("table file {0} is empty or does not follow the one before")]
    Order(usize),
    /// Two files with one hash, or lengths without end.
    #[error("the files of the manifest contradict each other")]
    Contradiction,
    /// Entries without files, or files without entries.
    #[error("the manifest says {0} entries, and has {1} files")]
    Entries(u64, usize),
    /// Over the limits of a message.
    #[error("a manifest of {0} files takes {1} bytes")]
    Long(usize, usize),
}

impl TableManifest {
    /// As one byte string.
    ///
    /// # Errors
    /// It has too many files, or does not fit a message.
    pub fn to_bytes(&self) -> Result<Bytes, TableManifestError> {
        let Self { position, entries, files } = self;
        let wire = Wire { format: FORMAT, position: Some(*position), entries: *entries, files: files.clone() };
        let bytes = rmp_serde::to_vec(&wire).expect("plain data always encodes");
        if files.len() > MAX_TABLE_FILES || bytes.len() > MAX_MESSAGE_LEN - MAX_AROUND {
            return Err(TableManifestError::Long(files.len(), bytes.len()));
        }
        Ok(bytes.into())
    }

    /// Back from [`TableManifest::to_bytes`].
    ///
    /// # Errors
    /// Not MessagePack of this shape, another format, or files that no snapshot has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TableManifestError> {
        let Wire { format, position, entries, files } = read_whole(bytes).map_err(TableManifestError::Syntax)?;
        if format != FORMAT {
            return Err(TableManifestError::Format(format));
        }
        let position = position.ok_or(TableManifestError::Position)?;
        check_ranges(&files)?;
        check_names(&files)?;
        if entries < files.len() as u64 || (files.is_empty() && entries > 0) {
            return Err(TableManifestError::Entries(entries, files.len()));
        }
        Ok(Self { position, entries, files })
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.files.iter().map(|file| file.len).fold(0, u64::saturating_add)
    }

    /// Lengths of the files.
    #[must_use]
    pub fn lens(&self) -> Vec<u64> {
        self.files.iter().map(|file| file.len).collect()
    }
}

fn check_ranges(files: &[TableFile]) -> Result<(), TableManifestError> {
    let mut before: &[u8] = &[];
    for (number, TableFile { len, first, last, .. }) in files.iter().enumerate() {
        for key in [first, last] {
            let keyspace = Key::check(key)?;
            if !keyspace.is_published() {
                return Err(TableManifestError::Private(keyspace));
            }
        }
        // The empty key is none, so every first key comes after it.
        if *len == 0 || **first <= *before || last < first {
            return Err(TableManifestError::Order(number));
        }
        before = last;
    }
    Ok(())
}

fn check_names(files: &[TableFile]) -> Result<(), TableManifestError> {
    let mut names: Vec<TableHash> = files.iter().map(|file| file.hash).collect();
    names.sort_unstable();
    names.dedup();
    let total = files.iter().try_fold(0_u64, |total, file| total.checked_add(file.len));
    if names.len() != files.len() || total.is_none() {
        return Err(TableManifestError::Contradiction);
    }
    Ok(())
}

positional! {
    /// A manifest as it travels: its bytes, and the signature of the core that made it.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct SignedManifest {
        /// 1.
        pub format: u8,
        /// A [`TableManifest`], encoded.
        pub manifest: Bytes,
        /// The certificate of the core, in DER.
        pub certificate: Bytes,
        /// How it was signed: a signature scheme of TLS.
        pub scheme: u16,
        /// The signature over [`SignedManifest::signed`].
        pub signature: Bytes,
    }
}

impl SignedManifest {
    /// With its signature.
    #[must_use]
    pub fn new(manifest: Bytes, certificate: Bytes, scheme: u16, signature: Bytes) -> Self {
        Self { format: FORMAT, manifest, certificate, scheme, signature }
    }

    /// What the signature of a manifest is made over.
    #[must_use]
    pub fn signed(manifest: &[u8]) -> Vec<u8> {
        [SIGNED, manifest].concat()
    }

    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(self).expect("plain data always encodes").into()
    }

    /// Back from [`SignedManifest::to_bytes`]. Neither the signature nor the manifest is looked at.
    ///
    /// # Errors
    /// Not MessagePack of this shape, or another format.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TableManifestError> {
        let signed: Self = read_whole(bytes).map_err(TableManifestError::Syntax)?;
        if signed.format != FORMAT {
            return Err(TableManifestError::Format(signed.format));
        }
        Ok(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreId;

    fn file(number: u8) -> TableFile {
        let key = |last| Bytes::copy_from_slice(&[0, 1, number, last]);
        TableFile { hash: TableHash::new([number; 32]), len: 9, first: key(0), last: key(9) }
    }

    fn manifest() -> TableManifest {
        let position = Position::origin(StoreId::new(5));
        TableManifest { position, entries: 7, files: vec![file(1), file(2), file(3)] }
    }

    fn read(manifest: &TableManifest) -> Result<TableManifest, TableManifestError> {
        TableManifest::from_bytes(&manifest.to_bytes().unwrap())
    }

    #[test]
    fn what_was_written_is_read_back_and_every_truncation_is_an_error() {
        let empty = TableManifest { entries: 0, files: vec![], ..manifest() };
        for manifest in [manifest(), empty] {
            assert_eq!(read(&manifest).unwrap(), manifest);
            let signed = SignedManifest::new(manifest.to_bytes().unwrap(), vec![1].into(), 0x403, vec![2].into());
            let wire = signed.to_bytes();
            assert_eq!(SignedManifest::from_bytes(&wire).unwrap(), signed);
            for cut in 0..wire.len() {
                assert!(SignedManifest::from_bytes(&wire[..cut]).is_err(), "cut at {cut}");
            }
            for cut in 0..signed.manifest.len() {
                assert!(TableManifest::from_bytes(&signed.manifest[..cut]).is_err(), "cut at {cut}");
            }
        }
        assert_eq!(manifest().total_len(), 27);
    }

    #[test]
    fn files_that_no_snapshot_has_are_refused() {
        let with = |change: &dyn Fn(&mut TableManifest)| {
            let mut changed = manifest();
            change(&mut changed);
            read(&changed)
        };
        let keys = |first: &'static [u8], last: &'static [u8]| {
            move |manifest: &mut TableManifest| {
                (manifest.files[1].first, manifest.files[1].last) = (first.into(), last.into());
            }
        };
        assert!(matches!(with(&|manifest| manifest.files[1].len = 0), Err(TableManifestError::Order(1))));
        assert!(matches!(with(&keys(b"\0\x01\x01\x09", b"\0\x01\x02")), Err(TableManifestError::Order(1))));
        assert!(matches!(with(&keys(b"\0\x01\x02", b"\0\x01\x01")), Err(TableManifestError::Order(1))));
        assert!(matches!(with(&keys(b"\0\x01\x02", b"\0\x01\x03\0")), Err(TableManifestError::Order(2))));
        assert!(matches!(with(&keys(b"\0\x01\x02", b"\x80\0a")), Err(TableManifestError::Private(KeyspaceId::CORE))));
        assert!(matches!(with(&keys(b"\0", b"\0\x01")), Err(TableManifestError::Key(_))));
        let twice = |manifest: &mut TableManifest| manifest.files[1].hash = manifest.files[0].hash;
        assert!(matches!(with(&twice), Err(TableManifestError::Contradiction)));
        assert!(matches!(with(&|manifest| manifest.files[2].len = u64::MAX), Err(TableManifestError::Contradiction)));
        assert!(matches!(with(&|manifest| manifest.entries = 2), Err(TableManifestError::Entries(2, 3))));
        assert!(matches!(with(&|manifest| manifest.files.clear()), Err(TableManifestError::Entries(7, 0))));
    }

    #[test]
    fn thousands_of_files_are_refused_on_both_sides_before_they_are_kept() {
        let mut many = manifest();
        many.files = vec![file(1); MAX_TABLE_FILES + 1];
        assert!(matches!(many.to_bytes(), Err(TableManifestError::Long(..))));
        // An array that claims so many, of one byte each.
        let head =
            [&[0x94, 1, 0xc0, 7, 0xdd][..], &(u32::try_from(MAX_TABLE_FILES).unwrap() + 1).to_be_bytes()].concat();
        let wire = [head, vec![0x90; MAX_TABLE_FILES + 1]].concat();
        assert!(matches!(TableManifest::from_bytes(&wire), Err(TableManifestError::Syntax(_))));
        let long = TableFile { first: vec![0; 1024].into(), ..file(1) };
        many.files = vec![long; MAX_TABLE_FILES / 2];
        assert!(matches!(many.to_bytes(), Err(TableManifestError::Long(..))));
    }

    #[test]
    fn another_format_says_so() {
        let wire = manifest().to_bytes().unwrap();
        let later = [&[wire[0], 2], &wire[2..]].concat();
        assert!(matches!(TableManifest::from_bytes(&later), Err(TableManifestError::Format(2))));
        let signed = SignedManifest { format: 2, ..SignedManifest::default() };
        assert!(matches!(SignedManifest::from_bytes(&signed.to_bytes()), Err(TableManifestError::Format(2))));
    }
}
