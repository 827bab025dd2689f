//! A cache of the recent reads of one thread, in front of the store. The stamps of [`Changes`] make it exact at every
//! version.
//!
//! Present and missing keys have separate space, so that queries for random names do not evict the names that clients
//! ask for often.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use zonecast_kv_proto::{View, ViewError};

use crate::changes::{Changes, KeyHash, prefix};
use crate::ring::{CachedRead, Ring};

/// What misses get of a cache: one part in so many.
const MISSES_PART: usize = 4;

/// Set apart the hash of an ordered read from that of a get of the same key.
const ORDERED: u64 = 0x5851_f42d_4c95_7f2d;

/// Cache of the recent reads of one thread. It holds entries of one copy of a store at a time.
pub struct HotCache {
    values: Ring,
    misses: Ring,
    /// Those of the copy that everything here was read from.
    changes: Option<Arc<Changes>>,
    counts: CacheCounts,
}

/// Counts of the reads of a [`HotCache`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounts {
    /// Reads that the cache answered.
    pub hits: u64,
    /// Reads that went to the store.
    pub misses: u64,
}

impl HotCache {
    /// Makes a cache that grows to about `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let misses = bytes / MISSES_PART;
        Self {
            values: Ring::new(bytes - misses),
            misses: Ring::new(misses),
            changes: None,
            counts: CacheCounts::default(),
        }
    }

    /// Puts the cache in front of a view. The view must stand at `version` of the copy that `changes` belongs to.
    pub fn view<'c, V: View>(&'c mut self, view: V, changes: &'c Arc<Changes>, version: u64) -> HotView<'c, V> {
        if !self.changes.as_ref().is_some_and(|known| Arc::ptr_eq(known, changes)) {
            self.values.clear();
            self.misses.clear();
            self.changes = Some(Arc::clone(changes));
        }
        HotView { view, cache: RefCell::new(self), changes, version }
    }

    /// Returns the counts since the last call.
    pub fn take_counts(&mut self) -> CacheCounts {
        std::mem::take(&mut self.counts)
    }
}

impl fmt::Debug for HotCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotCache").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// A view behind a [`HotCache`].
#[derive(Debug)]
pub struct HotView<'c, V> {
    view: V,
    cache: RefCell<&'c mut HotCache>,
    changes: &'c Changes,
    version: u64,
}

impl<V: View> View for HotView<'_, V> {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ViewError> {
        let hash = self.changes.hash(key);
        let changed = self.changes.last(key, hash);
        let mut cache = self.cache.borrow_mut();
        let cache = &mut **cache;
        if changed <= self.version {
            let kept = cache.values.find(hash, key, changed).or_else(|| cache.misses.find(hash, key, changed));
            match kept {
                Some(CachedRead::Value(bytes)) => {
                    cache.counts.hits += 1;
                    bytes.clone_into(value);
                    return Ok(true);
                }
                Some(CachedRead::Absent) => {
                    cache.counts.hits += 1;
                    return Ok(false);
                }
                Some(CachedRead::Last(..)) | None => {}
            }
        }
        cache.counts.misses += 1;
        let found = self.view.get(key, value)?;
        if changed <= self.version {
            if found {
                cache.values.keep(hash, key, self.version, CachedRead::Value(value));
            } else {
                cache.misses.keep(hash, key, self.version, CachedRead::Absent);
            }
        }
        Ok(found)
    }

    fn last_in(&self, lower: &[u8], upper: &[u8], key: &mut Vec<u8>, value: &mut Vec<u8>) -> Result<bool, ViewError> {
        // Only a read that looks at one generation of a zone has a stamp that tells of every change in its range.
        let stamped = prefix(upper) == lower;
        let changed = if stamped { self.changes.last(lower, self.changes.hash(lower)) } else { u64::MAX };
        if changed > self.version {
            self.cache.borrow_mut().counts.misses += 1;
            return self.view.last_in(lower, upper, key, value);
        }
        let KeyHash(hash) = self.changes.hash(upper);
        let hash = KeyHash(hash ^ ORDERED);
        let mut cache = self.cache.borrow_mut();
        let cache = &mut **cache;
        if let Some(CachedRead::Last(found, bytes)) = cache.misses.find(hash, upper, changed) {
            cache.counts.hits += 1;
            found.clone_into(key);
            bytes.clone_into(value);
            return Ok(true);
        }
        cache.counts.misses += 1;
        let found = self.view.last_in(lower, upper, key, value)?;
        if found {
            cache.misses.keep(hash, upper, self.version, CachedRead::Last(key, value));
        }
        Ok(found)
    }

    fn scan(
        &self,
        lower: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ViewError> {
        self.view.scan(lower, end, visit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zonecast_kv_proto::{Key, KeyspaceId, MemoryView, Op, OpRef, Value};
    use zonecast_records::{ADDRESS_KIND, Generation, KeyBuffer, KeySection, Path, generation_range};

    use super::*;

    /// Small, so that entries are overwritten all the time.
    const BYTES: usize = 2048;

    #[derive(Clone, Debug)]
    enum Step {
        Put(u64, u8, Vec<u8>),
        Delete(u64, u8),
        DeleteGeneration(u64),
        Get(u64, u8, usize),
        LastIn(u64, u8, usize),
        NewCopy,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let (generation, name) = (1..4_u64, 0..12_u8);
        let step = prop_oneof![
            2 => (generation.clone(), name.clone(), prop::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(generation, name, value)| Step::Put(generation, name, value)),
            1 => (generation.clone(), name.clone()).prop_map(|(generation, name)| Step::Delete(generation, name)),
            1 => generation.clone().prop_map(Step::DeleteGeneration),
            8 => (generation.clone(), name.clone(), 0..3_usize).prop_map(|(g, name, back)| Step::Get(g, name, back)),
            4 => (generation, name, 0..3_usize).prop_map(|(g, name, back)| Step::LastIn(g, name, back)),
            1 => Just(Step::NewCopy),
        ];
        prop::collection::vec(step, 1..200)
    }

    fn key(generation: u64, name: u8) -> Vec<u8> {
        let path = [b'a' + name, 0];
        let mut buffer = KeyBuffer::default();
        let generation = Generation::new(generation);
        let path = Path::new(&path).unwrap();
        buffer.path(KeyspaceId::DNS, generation, KeySection::Name, path, ADDRESS_KIND).to_vec()
    }

    proptest! {
        /// Whatever was read before, at whichever version, and whatever has changed since.
        #[test]
        fn it_says_what_the_store_says(steps in steps()) {
            let (mut cache, mut changes) = (HotCache::new(BYTES), Arc::new(Changes::default()));
            let mut versions = vec![MemoryView::new()];
            for step in steps {
                let mut next = versions.last().unwrap().clone();
                let op = match &step {
                    Step::Put(generation, name, value) => Some(Op::Put {
                        key: Key::new(key(*generation, *name)).unwrap(),
                        value: Value::new(value.clone()).unwrap(),
                    }),
                    Step::Delete(generation, name) => {
                        Some(Op::Delete { key: Key::new(key(*generation, *name)).unwrap() })
                    }
                    Step::DeleteGeneration(generation) => {
                        let (start, end) = generation_range(KeyspaceId::DNS, Generation::new(*generation));
                        Some(Op::DeleteRange { start, end })
                    }
                    _ => None,
                };
                if let Some(op) = op {
                    let seen = match &op {
                        Op::Put { key, value } => OpRef::Put { key: key.as_bytes(), value: value.as_bytes() },
                        Op::Delete { key } => OpRef::Delete { key: key.as_bytes() },
                        Op::DeleteRange { start, end } => {
                            OpRef::DeleteRange { start: start.as_bytes(), end: end.as_bytes() }
                        }
                    };
                    changes.stamp(seen, versions.len() as u64);
                    next.apply_op(&op);
                    versions.push(next);
                    continue;
                }
                if matches!(step, Step::NewCopy) {
                    (versions, changes) = (vec![MemoryView::new()], Arc::new(Changes::default()));
                    continue;
                }
                let (Step::Get(generation, name, back) | Step::LastIn(generation, name, back)) = step else { continue };
                let at = versions.len().saturating_sub(1 + back);
                let (store, view) = (&versions[at], cache.view(&versions[at], &changes, at as u64));
                let upper = key(generation, name);
                let (mut ours, mut theirs) = ((vec![], vec![]), (vec![], vec![]));
                if matches!(step, Step::Get(..)) {
                    let found = view.get(&upper, &mut ours.1).unwrap();
                    prop_assert_eq!(found, store.get(&upper, &mut theirs.1).unwrap());
                } else {
                    let lower = prefix(&upper);
                    let found = view.last_in(lower, &upper, &mut ours.0, &mut ours.1).unwrap();
                    prop_assert_eq!(found, store.last_in(lower, &upper, &mut theirs.0, &mut theirs.1).unwrap());
                }
                prop_assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let mut store = MemoryView::new();
        store.insert(&key(1, 0), b"value");
        let (mut cache, changes) = (HotCache::new(1 << 16), Arc::new(Changes::default()));
        let (mut found_key, mut value) = (Vec::new(), Vec::new());
        for round in 0..3 {
            let view = cache.view(&store, &changes, round);
            assert!(view.get(&key(1, 0), &mut value).unwrap());
            assert!(!view.get(&key(1, 1), &mut value).unwrap());
            assert!(view.last_in(prefix(&key(1, 1)), &key(1, 1), &mut found_key, &mut value).unwrap());
            assert_eq!((found_key.as_slice(), value.as_slice()), (key(1, 0).as_slice(), &b"value"[..]));
        }
        assert_eq!(cache.take_counts(), CacheCounts { hits: 6, misses: 3 });
    }

    #[test]
    fn random_names_do_not_push_out_what_is_asked_for() {
        let mut store = MemoryView::new();
        store.insert(&key(1, 0), b"value");
        let (mut cache, changes) = (HotCache::new(1 << 16), Arc::new(Changes::default()));
        let view = cache.view(&store, &changes, 0);
        let mut value = Vec::new();
        assert!(view.get(&key(1, 0), &mut value).unwrap());
        for number in 0_u32..100_000 {
            let mut other = key(1, 1);
            other.extend_from_slice(&number.to_be_bytes());
            assert!(!view.get(&other, &mut value).unwrap());
        }
        assert!(view.get(&key(1, 0), &mut value).unwrap());
        assert_eq!(cache.take_counts(), CacheCounts { hits: 1, misses: 100_001 });
    }
}
