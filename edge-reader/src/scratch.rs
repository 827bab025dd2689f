//! Buffers for answering, reused from one query to the next.

use zonecast_records::{KeyBuffer, Name, ZoneId};

use crate::finder::Finder;
use crate::hot_cache::{CacheCounts, HotCache};
use crate::message::WrittenNames;
use crate::{MAX_ADDITIONAL_TARGETS, MAX_CHAIN};

/// The buffers and the read cache of one thread that answers. The buffers grow to the size of the largest answer and
/// keep it.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) buffers: Buffers,
    pub(crate) cache: Option<Box<HotCache>>,
}

/// What an answer is written on.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) finder: Finder,
    /// The name being looked up.
    pub(crate) name: Name,
    /// The name asked for as a path from the root.
    pub(crate) path: Vec<u8>,
    /// The same of where an alias leads.
    pub(crate) target_path: Vec<u8>,
    pub(crate) chain: Chain,
    pub(crate) extra: Extra,
    pub(crate) names: WrittenNames,
    /// What an answer became SERVFAIL for, if a value makes no sense.
    pub(crate) damage: Option<String>,
}

/// What a chain has passed already.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    names: Vec<Name>,
    /// Owners of the DNAMEs that it has used.
    dnames: Vec<Name>,
}

/// Buffers for what is read beside the name itself: zone keys, additional data, glue.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) key: KeyBuffer,
    pub(crate) path: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) targets: Vec<Name>,
    /// Names of the answer that a wildcard has made and that a proof is due for, with the depths of their closest
    /// enclosers.
    pub(crate) expanded: Vec<(Name, usize)>,
    /// Zones and owners of the proofs that are there already.
    pub(crate) proved: Vec<(ZoneId, Name)>,
    /// The key of an ordered read.
    pub(crate) found: Vec<u8>,
    /// RDATA of the zone's NSEC3PARAM record.
    pub(crate) parameters: Vec<u8>,
    /// For targets that only a wildcard makes.
    pub(crate) finder: Finder,
}

impl Scratch {
    /// Makes buffers that fit most answers, without a cache.
    #[must_use]
    pub fn new() -> Self {
        let buffers = Buffers {
            chain: Chain { names: Vec::with_capacity(MAX_CHAIN), dnames: Vec::with_capacity(MAX_CHAIN) },
            extra: Extra {
                targets: Vec::with_capacity(MAX_ADDITIONAL_TARGETS),
                expanded: Vec::with_capacity(MAX_CHAIN + 1),
                proved: Vec::with_capacity(MAX_CHAIN + 4),
                ..Extra::default()
            },
            ..Buffers::default()
        };
        Self { buffers, cache: None }
    }

    /// Like [`Scratch::new`], with a read cache of about `bytes` (0 for none), which readers [with
    /// changes](crate::Reader::with_changes).
    #[must_use]
    pub fn with_cache(bytes: usize) -> Self {
        let cache = (bytes > 0).then(|| Box::new(HotCache::new(bytes)));
        Self { cache, ..Self::new() }
    }

    /// Takes the description of the damage that made one of the last answers SERVFAIL. `None` if there was none, or if
    /// a read itself failed, which the store reports.
    pub fn take_damage(&mut self) -> Option<String> {
        self.buffers.damage.take()
    }

    /// Returns the counts of the cache since the last call.
    pub fn take_cache_counts(&mut self) -> CacheCounts {
        self.cache.as_mut().map(|cache| cache.take_counts()).unwrap_or_default()
    }
}

impl Extra {
    /// For the next answer.
    pub(crate) fn clear(&mut self) {
        self.expanded.clear();
        self.proved.clear();
        self.parameters.clear();
    }
}

impl Chain {
    pub(crate) fn clear(&mut self) {
        self.names.clear();
        self.dnames.clear();
    }

    /// Remembers a name that it leads on from.
    pub(crate) fn pass(&mut self, name: &Name) {
        self.names.push(*name);
    }

    /// Whether it has been at this name.
    pub(crate) fn passed(&self, name: &Name) -> bool {
        self.names.contains(name)
    }

    /// Remembers that it uses the DNAME of this owner, and says whether that is the first time.
    pub(crate) fn use_dname(&mut self, owner: &Name) -> bool {
        let is_new = !self.dnames.contains(owner);
        if is_new {
            self.dnames.push(*owner);
        }
        is_new
    }
}
