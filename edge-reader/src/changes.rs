//! Records which version changed a key last, so that a reader knows whether a cached value is still valid.
//!
//! Keys hash into [`STAMPS`] places, each of which holds the last version that changed any key there. A value that was
//! read at version `r` is that of version `v`, earlier or later, if no change lies between them: if the stamp is neither
//! above `r` nor above `v`. Ranges that are deleted have stamps of their own, by generation. Two keys of one place make each other stale, which costs a read and never an answer.
//!
//! # Threads
//! The thread that applies stamps a version before readers get to see it. So a reader that holds version `v` sees all
//! stamps up to `v`, and perhaps later ones, which only make it read the store.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use zonecast_kv_proto::OpRef;
use zonecast_records::KEY_PREFIX_LEN;

/// Places, 2 MiB of them: a thousand changes a second make one in two hundred of them stale each second.
const STAMPS: usize = 1 << 18;

/// Places for deleted ranges, of which there is one for each zone that is replaced or deleted.
const GENERATIONS: usize = 1 << 12;

/// Where the generation of a key ends: before the section.
const GENERATION_END: usize = KEY_PREFIX_LEN - 1;

/// Change stamps of one copy of a store since it was loaded or opened. Readers with a cache compare them with the
/// version at which they read a value.
#[derive(Debug)]
pub struct Changes {
    /// Of names from outside, so keyed; not by SipHash, because whoever finds names of one place makes others stale and
    /// cannot make an answer wrong.
    hashing: RandomState,
    stamps: Box<[AtomicU64]>,
    /// The last versions that deleted a range within a generation, such as all of it.
    generations: Box<[AtomicU64]>,
    /// The last version that deleted any other range.
    all: AtomicU64,
}

/// Hash of a key; says where its stamp is, and where a cache has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(pub(crate) u64);

impl Default for Changes {
    fn default() -> Self {
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            hashing: RandomState::default(),
            stamps: zeros(STAMPS),
            generations: zeros(GENERATIONS),
            all: AtomicU64::new(0),
        }
    }
}

impl Changes {
    /// Stamps the keys of an operation. Must be called before readers can see `version`.
    pub fn stamp(&self, op: OpRef<'_>, version: u64) {
        let places = match op {
            OpRef::Put { key, .. } | OpRef::Delete { key } => {
                // The second is for what was found beside a key that is not there.
                [self.place(self.hash(key)), self.place(self.hash(prefix(key)))]
            }
            OpRef::DeleteRange { start, end } if is_same_generation(start, end) => [self.generation(start), None],
            OpRef::DeleteRange { .. } => [Some(&self.all), None],
        };
        for place in places.into_iter().flatten() {
            place.fetch_max(version, Ordering::Relaxed);
        }
    }

    /// The last version that may have changed this key, or the prefix of keys, which has this hash.
    pub(crate) fn last(&self, key: &[u8], hash: KeyHash) -> u64 {
        let places = [self.place(hash), self.generation(key), Some(&self.all)];
        places.into_iter().map(|place| place.map_or(u64::MAX, |place| place.load(Ordering::Relaxed))).max().unwrap_or(0)
    }

    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(key);
        KeyHash(hasher.finish())
    }

    fn place(&self, KeyHash(hash): KeyHash) -> Option<&AtomicU64> {
        #[allow(clippy::cast_possible_truncation, reason = "the lower bits of a hash are as good as any")]
        self.stamps.get(hash as usize % STAMPS)
    }

    fn generation(&self, key: &[u8]) -> Option<&AtomicU64> {
        let (_, number) = key.get(..GENERATION_END)?.split_last_chunk::<8>()?;
        // Numbers that follow each other, so no hash is needed.
        #[allow(clippy::cast_possible_truncation, reason = "the lower bits tell them apart")]
        self.generations.get(u64::from_be_bytes(*number) as usize % GENERATIONS)
    }
}

/// Whether all keys of a range are of one generation.
fn is_same_generation(start: &[u8], end: &[u8]) -> bool {
    start.len() >= GENERATION_END && start.get(..GENERATION_END) == end.get(..GENERATION_END)
}

/// Keyspace, generation and section of a key: what no ordered read of a zone leaves.
pub(crate) fn prefix(key: &[u8]) -> &[u8] {
    key.get(..KEY_PREFIX_LEN).unwrap_or(key)
}
