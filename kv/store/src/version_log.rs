//! Reading a column family that holds versions by their number: the batch log of a core, and that of a relay.

use std::path::Path;

use bytes::Bytes;
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode};
use zonecast_kv_proto::{Chain, Published, Version};

use crate::StoreError;

/// The versions in one column family: the key is the number of a version, 8 bytes big-endian, the value its bytes.
pub(crate) struct VersionLog<'a> {
    pub(crate) db: &'a DB,
    pub(crate) family: &'a ColumnFamily,
    pub(crate) path: &'a Path,
}

/// What follows a version in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// These, dense and ascending, as many as were wanted.
    Versions(Vec<Bytes>),
    /// This one is not there, though it was wanted.
    Missing(Version),
}

impl VersionLog<'_> {
    /// The chain at a version, if the log holds it.
    pub(crate) fn chain_at(&self, version: Version) -> Result<Option<Chain>, StoreError> {
        let found =
            self.db.get_pinned_cf(self.family, version.get().to_be_bytes()).map_err(|error| self.fail(error))?;
        let Some(bytes) = found else { return Ok(None) };
        let damaged = |error| self.damaged(format!("version {version} of the batch log: {error}"));
        Ok(Some(Published::from_bytes(&bytes).map_err(damaged)?.chain))
    }

    /// The versions after one, up to and with `last`, until `max_bytes` are reached; at least one.
    pub(crate) fn after(&self, after: Version, last: Version, max_bytes: usize) -> Result<Found, StoreError> {
        let (mut expected, mut total, mut found) = (after, 0, Vec::new());
        let start = after.get().saturating_add(1).to_be_bytes();
        for item in self.db.iterator_cf(self.family, IteratorMode::From(&start, Direction::Forward)) {
            let (key, value) = item.map_err(|error| self.fail(error))?;
            expected = expected.next().ok_or_else(|| self.damaged("versions are at their end"))?;
            if *key != expected.get().to_be_bytes() {
                return Ok(Found::Missing(expected));
            }
            total += value.len();
            found.push(Bytes::from(value.into_vec()));
            if total >= max_bytes || expected == last {
                return Ok(Found::Versions(found));
            }
        }
        Ok(Found::Missing(expected.next().unwrap_or(expected)))
    }

    fn fail(&self, error: rocksdb::Error) -> StoreError {
        StoreError::from_rocksdb(self.path, error)
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::damaged(self.path, what)
    }
}
