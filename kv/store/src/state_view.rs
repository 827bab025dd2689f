//! Reading an unchanging state: a RocksDB snapshot behind [`View`].
//!
//! Published and private keys look like one sorted map: the highest bit of the keyspace says which column family a
//! key lives in, so all published keys sort before all private ones.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use rocksdb::{DB, DBRawIterator, ReadOptions, Snapshot};
use self_cell::self_cell;
use zonecast_kv_proto::{Edition, Head, Position, SectionId, View, ViewError};

use crate::StoreError;
use crate::range_checks::{Summed, Visit};
use crate::state_db::StateDb;
use crate::state_keys::{
    APPLIED, FAMILIES, HEAD, MEMBERSHIP, META, PRIVATE, PUBLISHED, REQUESTS, SEGMENT, edition_key,
};

/// The first private key.
const FIRST_PRIVATE: &[u8] = &[0x80, 0];
/// Above every published key.
const LAST_PUBLISHED: &[u8] = &[0x7f; zonecast_kv_proto::MAX_KEY_LEN + 1];

/// Above every key of every family.
const END: &[u8] = &[0xff; zonecast_kv_proto::MAX_KEY_LEN + 1];
/// Before what stands beside the private keys, where everything private is summed up: no keyspace begins with it.
const BESIDE: [u8; 2] = [0xff; 2];

/// An unchanging [`View`] of the state, from a RocksDB snapshot. It keeps the database open.
pub struct StateView {
    cell: Cell,
}

self_cell!(
    struct Cell {
        owner: Arc<StateDb>,
        #[not_covariant]
        dependent: Reader,
    }
);

/// A snapshot, and an iterator over each column family that was iterated over: making one costs more than a seek.
struct Reader<'d> {
    iterators: [RefCell<Option<DBRawIterator<'d>>>; FAMILIES.len()],
    inner: &'d StateDb,
    snapshot: Snapshot<'d>,
}

impl StateView {
    pub(crate) fn new(inner: Arc<StateDb>) -> Self {
        let cell =
            Cell::new(inner, |inner| Reader { iterators: Default::default(), inner, snapshot: inner.db.snapshot() });
        Self { cell }
    }

    /// Where the state stands.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn head(&self) -> Result<Head, StoreError> {
        match self.meta(HEAD)? {
            None => Ok(Head::default()),
            Some(bytes) => {
                Head::from_bytes(&bytes).map_err(|error| self.cell.borrow_owner().damaged(error.to_string()))
            }
        }
    }

    /// Its last version and what it is a version of.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn position(&self) -> Result<Position, StoreError> {
        self.head().map(|head| head.position)
    }

    /// How many batches have touched a section.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn edition(&self, section: SectionId) -> Result<Edition, StoreError> {
        match self.meta(&edition_key(section))? {
            None => Ok(Edition::ZERO),
            Some(bytes) => self.cell.borrow_owner().number(&bytes).map(Edition::new),
        }
    }

    /// The log id it stands for.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn applied(&self) -> Result<Option<Bytes>, StoreError> {
        self.meta(APPLIED)
    }

    /// The membership in force.
    ///
    /// # Errors
    /// The state could not be read.
    pub fn membership(&self) -> Result<Option<Bytes>, StoreError> {
        self.meta(MEMBERSHIP)
    }

    pub(crate) fn database(&self) -> &StateDb {
        self.cell.borrow_owner()
    }

    fn meta(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let mut value = Vec::new();
        let found = self.cell.with_dependent(|_, reader| reader.get(META, key, &mut value))?;
        Ok(found.then(|| value.into()))
    }
}

impl View for StateView {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        let family = if key < FIRST_PRIVATE { PUBLISHED } else { PRIVATE };
        Ok(self.cell.with_dependent(|_, reader| reader.get(family, key, value))?)
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        self.cell.with_dependent(|_, reader| {
            if upper >= FIRST_PRIVATE && reader.last_in(PRIVATE, lower, upper, key, value)? {
                return Ok(true);
            }
            Ok(lower < FIRST_PRIVATE && reader.last_in(PUBLISHED, lower, upper.min(LAST_PUBLISHED), key, value)?)
        })
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.cell.with_dependent(|_, reader| {
            if lower < FIRST_PRIVATE && reader.scan(PUBLISHED, lower, end, visit)?.is_break() {
                return Ok(());
            }
            if end > FIRST_PRIVATE {
                let _ = reader.scan(PRIVATE, lower, end, visit)?;
            }
            Ok(())
        })
    }
}

impl Summed for StateView {
    fn published(&self, lower: &[u8], end: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.cell.with_dependent(|_, reader| reader.scan_aside(PUBLISHED, lower, end, visit)).map(drop)
    }

    /// Private keys, then head, editions and forks, then requests. The log ids, the membership and what is kept of the batch
    /// log are each voter's own.
    fn private(&self, visit: &mut Visit<'_>) -> Result<bool, StoreError> {
        let beside = |family: u8, key: &[u8]| [&BESIDE[..], &[family], key].concat();
        let is_own = |key: &[u8]| key == APPLIED || key == MEMBERSHIP || key.starts_with(SEGMENT);
        self.cell.with_dependent(|_, reader| {
            if reader.scan_aside(PRIVATE, &[], END, visit)?.is_break() {
                return Ok(true);
            }
            let meta = reader.scan_aside(META, &[], END, &mut |key, value| {
                if is_own(key) { ControlFlow::Continue(()) } else { visit(&beside(0, key), value) }
            })?;
            if meta.is_continue() {
                let _ = reader.scan_aside(REQUESTS, &[], END, &mut |key, value| visit(&beside(1, key), value))?;
            }
            Ok(true)
        })
    }
}

impl fmt::Debug for StateView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateView({})", self.cell.borrow_owner().path().display())
    }
}

impl<'d> Reader<'d> {
    fn options(&self) -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options
    }

    fn get(&self, family: &str, key: &[u8], value: &mut Vec<u8>) -> Result<bool, StoreError> {
        let family = self.inner.family(family);
        let found = self.snapshot.get_pinned_cf(family, key).map_err(|error| self.inner.fail(error))?;
        if let Some(bytes) = &found {
            value.clear();
            value.extend_from_slice(bytes);
        }
        Ok(found.is_some())
    }

    /// As [`Reader::scan`], with an iterator of its own; what is read replaces nothing in the cache.
    fn scan_aside(
        &self,
        family: &str,
        lower: &[u8],
        end: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut options = self.options();
        options.fill_cache(false);
        let mut iterator = self.inner.db.raw_iterator_cf_opt(self.inner.family(family), options);
        iterator.seek(lower);
        let mut flow = ControlFlow::Continue(());
        while let Some((key, value)) = iterator.item().filter(|(key, _)| *key < end) {
            flow = visit(key, value);
            if flow.is_break() {
                break;
            }
            iterator.next();
        }
        iterator.status().map_err(|error| self.inner.fail(error))?;
        Ok(flow)
    }

    /// Lends an iterator to `read`; a reader inside another gets one of its own.
    fn iterate<T>(&self, family: &str, read: impl FnOnce(&mut DBRawIterator<'d>) -> T) -> Result<T, StoreError> {
        let db: &'d DB = &self.inner.db;
        let kept = FAMILIES.iter().zip(&self.iterators).find(|(name, _)| **name == family).map(|(_, kept)| kept);
        let mut iterator = kept
            .and_then(RefCell::take)
            .unwrap_or_else(|| db.raw_iterator_cf_opt(self.inner.family(family), self.options()));
        let result = read(&mut iterator);
        iterator.status().map_err(|error| self.inner.fail(error))?;
        if let Some(kept) = kept {
            kept.replace(Some(iterator));
        }
        Ok(result)
    }

    fn last_in(
        &self,
        family: &str,
        lower: &[u8],
        upper: &[u8],
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        self.iterate(family, |iterator| {
            iterator.seek_for_prev(upper);
            match iterator.item() {
                Some((found, bytes)) if found >= lower => {
                    key.clear();
                    key.extend_from_slice(found);
                    value.clear();
                    value.extend_from_slice(bytes);
                    true
                }
                _ => false,
            }
        })
    }

    fn scan(
        &self,
        family: &str,
        lower: &[u8],
        end: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        self.iterate(family, |iterator| {
            iterator.seek(lower);
            while let Some((key, value)) = iterator.item() {
                if key >= end {
                    break;
                }
                visit(key, value)?;
                iterator.next();
            }
            ControlFlow::Continue(())
        })
    }
}
