//! The batch log of a copy that is passed on: the versions that led to where the copy stands, as they came, so that a relay
//! can give them to whoever is behind.
//!
//! # Format
//! The family `batches` of the copy has a version by its number, 8 bytes big-endian. A version and its operations are one
//! write, so the log ends where the copy stands. A log that does not was kept by a process that was no relay in between:
//! it is dropped, and so is the log of a copy that is not passed on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rocksdb::{ColumnFamily, DB, IteratorMode, WriteBatch};
use zonecast_kv_proto::{Position, Version};

use crate::batch_log::BatchLog;
use crate::pins::Pins;

pub(crate) const LOG_FAMILY: &str = "batches";

/// Beyond every version.
const END: [u8; 9] = [0xff; 9];

/// How much a log keeps, and what it must not give up; the same for all copies of a folder.
#[derive(Clone, Debug)]
pub(crate) struct LogLimits {
    /// 0: there is no log.
    pub(crate) bytes: u64,
    pub(crate) pins: Pins,
}

/// The accounting of one copy's log.
pub(crate) struct EdgeLog {
    log: Mutex<BatchLog>,
    pins: Pins,
}

impl EdgeLog {
    /// Counts what a copy has that stands at this position. Nothing where no log is kept.
    pub(crate) fn open(
        db: &DB,
        limits: &LogLimits,
        position: Option<&Position>,
    ) -> Result<Option<Self>, rocksdb::Error> {
        let family = db.cf_handle(LOG_FAMILY).expect("opened with it");
        if limits.bytes == 0 {
            if db.iterator_cf(family, IteratorMode::Start).next().is_some() {
                clear(db, family)?;
            }
            return Ok(None);
        }
        let mut log = BatchLog::new(limits.bytes, []);
        let mut last: Option<Version> = None;
        let mut is_dense = true;
        for item in db.iterator_cf(family, IteratorMode::Start) {
            let (key, value) = item?;
            let version = <[u8; 8]>::try_from(&*key).map_or(Version::ZERO, |key| Version::new(u64::from_be_bytes(key)));
            is_dense &= last.is_none_or(|last| last.next() == Some(version));
            last = Some(version);
            log.add(version, value.len() as u64, None);
        }
        if !is_dense || last.is_some() && last != position.map(|position| position.version) {
            clear(db, family)?;
            log = BatchLog::new(limits.bytes, []);
        }
        Ok(Some(Self { log: Mutex::new(log), pins: limits.pins.clone() }))
    }

    /// Puts a version into a write, and takes out of it what is too old.
    pub(crate) fn append(&self, batch: &mut WriteBatch, family: &ColumnFamily, version: Version, bytes: &[u8]) {
        batch.put_cf(family, version.get().to_be_bytes(), bytes);
        let change = self.lock().add(version, bytes.len() as u64, self.pins.first());
        if let Some(trimmed) = change.trimmed {
            batch.delete_range_cf(family, trimmed.start.get().to_be_bytes(), trimmed.end.get().to_be_bytes());
        }
    }

    /// Whether it holds the version that follows this one.
    pub(crate) fn reaches(&self, version: Version) -> bool {
        self.lock().reaches(version)
    }

    /// The first version it holds, if it holds any.
    pub(crate) fn first(&self) -> Option<Version> {
        self.lock().first()
    }

    fn lock(&self) -> MutexGuard<'_, BatchLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clear(db: &DB, family: &ColumnFamily) -> Result<(), rocksdb::Error> {
    db.delete_range_cf(family, &[][..], &END[..])
}
