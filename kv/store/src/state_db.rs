//! The open database of a voter's state, and what is known of it without asking it: what writing, reading and applying
//! share.

use std::path::PathBuf;
use std::sync::{Mutex, RwLock};

use bytes::Bytes;
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, WriteBatch, WriteOptions};
use zonecast_kv_proto::{Edition, Head, SectionId, Version};

use crate::batch_log::{BatchLog, Segment};
use crate::pins::Pins;
use crate::state_keys::{APPLIED, BATCHES, FAMILIES, HEAD, INSTALLING, MEMBERSHIP, META, edition_key};
use crate::{StoreError, StoreMetrics};

/// Above every key.
const END: &[u8] = &[0xff; zonecast_kv_proto::MAX_KEY_LEN + 1];

/// A voter's database with its position in memory, so that a read of the position does not touch the disk.
#[derive(Debug)]
pub(crate) struct StateDb {
    pub(crate) db: DB,
    pub(crate) path: PathBuf,
    pub(crate) metrics: StoreMetrics,
    pub(crate) current: RwLock<Current>,
    /// Held by the one who applies.
    pub(crate) log: Mutex<BatchLog>,
    /// What the log keeps for those who load a snapshot.
    pub(crate) pins: Pins,
}

/// What the database holds, for those who need not ask it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Current {
    pub(crate) head: Head,
    pub(crate) applied: Option<Bytes>,
    pub(crate) membership: Option<Bytes>,
    /// The first version of the batch log.
    pub(crate) first: Option<Version>,
}

impl StateDb {
    pub(crate) fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("opened with every family")
    }

    pub(crate) fn fail(&self, error: rocksdb::Error) -> StoreError {
        StoreError::from_rocksdb(&self.path, error)
    }

    pub(crate) fn current(&self) -> Current {
        self.current.read().expect("no holder panics").clone()
    }

    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let found = self.db.get_cf(self.family(family), key).map_err(|error| self.fail(error))?;
        Ok(found.map(Bytes::from))
    }

    pub(crate) fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        let found = self.db.get_pinned_cf(self.family(META), edition_key(section)).map_err(|error| self.fail(error))?;
        let Some(bytes) = found else { return Ok(Edition::ZERO) };
        self.number(&bytes).map(Edition::new)
    }

    pub(crate) fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options).map_err(|error| self.fail(error))
    }

    /// Leaves nothing but the mark that says so.
    pub(crate) fn wipe(&self) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for name in FAMILIES {
            batch.delete_range_cf(self.family(name), &[][..], END);
        }
        batch.put_cf(self.family(META), INSTALLING, b"");
        self.write(batch, true)
    }

    pub(crate) fn load(&self, cap: u64) -> Result<(), StoreError> {
        let log = self.load_log(cap)?;
        self.load_current(log.first())?;
        *self.log.lock().expect("no holder panics") = log;
        Ok(())
    }

    /// Removes that mark, durably.
    pub(crate) fn write_done(&self) -> Result<(), StoreError> {
        let mut done = WriteBatch::default();
        done.delete_cf(self.family(META), INSTALLING);
        self.write(done, true)
    }

    pub(crate) fn load_current(&self, first: Option<Version>) -> Result<(), StoreError> {
        let head = match self.get(META, HEAD)? {
            None => Head::default(),
            Some(bytes) => {
                Head::from_bytes(&bytes).map_err(|error| StoreError::damaged(&self.path, error.to_string()))?
            }
        };
        let current =
            Current { head, applied: self.get(META, APPLIED)?, membership: self.get(META, MEMBERSHIP)?, first };
        *self.current.write().expect("no holder panics") = current;
        Ok(())
    }

    pub(crate) fn load_log(&self, cap: u64) -> Result<BatchLog, StoreError> {
        let mut segments = Vec::new();
        let mode = IteratorMode::From(b"s", Direction::Forward);
        for item in self.db.iterator_cf(self.family(META), mode) {
            let (key, value) = item.map_err(|error| self.fail(error))?;
            let Some(first) = key.strip_prefix(b"s").filter(|rest| rest.len() == 8) else { break };
            segments.push(Segment { first: Version::new(self.number(first)?), bytes: self.number(&value)? });
        }
        if let Some(open) = segments.last_mut() {
            open.bytes = 0;
            let start = open.first.get().to_be_bytes();
            let mode = IteratorMode::From(&start, Direction::Forward);
            for item in self.db.iterator_cf(self.family(BATCHES), mode) {
                open.bytes += item.map_err(|error| self.fail(error))?.1.len() as u64;
            }
        }
        let log = BatchLog::new(cap, segments);
        self.metrics.batch_log_bytes.set(i64::try_from(log.total()).unwrap_or(i64::MAX));
        Ok(log)
    }

    pub(crate) fn number(&self, bytes: &[u8]) -> Result<u64, StoreError> {
        let bytes = bytes.try_into().map_err(|_| StoreError::damaged(&self.path, "a number is not 8 bytes long"))?;
        Ok(u64::from_be_bytes(bytes))
    }
}
