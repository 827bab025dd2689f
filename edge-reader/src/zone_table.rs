//! The table of the hosted zones: finds the zone of a name, with the fields that are needed to build its keys.
//!
//! A persistent hash table: 64 branches of 64 shards, each behind an `Arc`. A clone is one reference count; a writer
//! that changes a clone copies the way to one shard and the shard, at most once for each shard and clone. So readers
//! hold the table that belongs to their snapshot, without a lock, while the writer prepares the next one.
//!
//! # Memory
//! 44 bytes a zone above its name, up to an eighth of slack after changes. See [`ZoneTable::memory_bytes`].

use std::hash::{BuildHasher, Hasher};
use std::mem::size_of;
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::quality::RandomState;
use zonecast_kv_proto::{KeyspaceId, OpRef, View, ViewError};
use zonecast_records::{DnsKey, Generation, KeyBuffer, KeySection, Name, Path, Summary, ZoneId, ZoneValue};

use crate::shard::{Shard, Stored};

const FAN_OUT: usize = 64;

/// A zone of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Number of labels of the apex, without the root label.
    pub apex_labels: usize,
    /// The id of the zone; a zone that is created again gets another one.
    pub id: ZoneId,
    /// Generation of the keys of the zone. [`Generation::ZONES`], which no zone can have, means that there are no keys:
    /// the zone is listed but was never loaded, or its zone key is damaged.
    pub generation: Generation,
    /// Depths of the wildcards, cuts and DNAMEs of the zone.
    pub summary: Summary,
    /// Bytes of the apex in a path from the root.
    pub(crate) apex_len: usize,
}

impl Zone {
    /// Whether the zone has data; a zone without data answers SERVFAIL.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.generation != Generation::ZONES
    }
}

/// The table of all hosted zones. Clones share their shards, so a clone costs one reference count.
#[derive(Clone, Debug, Default)]
pub struct ZoneTable {
    root: Arc<Root>,
}

#[derive(Clone, Debug)]
struct Root {
    /// Keyed, because customers name zones; not by SipHash, which was a third of finding one.
    hashing: RandomState,
    /// Zones that have data.
    len: usize,
    /// How many apexes have this many labels, as far as there are any: depths without are not looked at, and names are
    /// not walked beyond the last.
    depths: Vec<u32>,
    branches: [Arc<Branch>; FAN_OUT],
}

#[derive(Clone, Debug)]
struct Branch {
    shards: [Arc<Shard>; FAN_OUT],
}

/// Where in the table a hash leads.
#[derive(Clone, Copy)]
struct Place {
    branch: usize,
    shard: usize,
    rest: u32,
}

impl Default for Root {
    fn default() -> Self {
        let shard = Arc::new(Shard::default());
        let branch = Arc::new(Branch { shards: std::array::from_fn(|_| Arc::clone(&shard)) });
        Self {
            hashing: RandomState::default(),
            len: 0,
            depths: Vec::new(),
            branches: std::array::from_fn(|_| Arc::clone(&branch)),
        }
    }
}

impl ZoneTable {
    /// Makes an empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the table from a store.
    ///
    /// # Errors
    /// The store could not be read. A damaged zone key is no error: that zone answers SERVFAIL.
    pub fn load(view: &(impl View + ?Sized)) -> Result<Self, ViewError> {
        let mut buffer = KeyBuffer::new();
        let lower = buffer.prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Zone).to_vec();
        let end = buffer.prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Name).to_vec();
        let mut table = Self::new();
        let root = Arc::make_mut(&mut table.root);
        view.scan(&lower, &end, &mut |key, value| {
            if let Some(path) = zone_path(key) {
                let stored = stored(value);
                let shard = root.shard_mut(root.place(path.as_bytes()));
                shard.0.push(shard.1, path.as_bytes(), stored);
                root.count(path, true);
                root.len += usize::from(stored.has_data());
            }
            ControlFlow::Continue(())
        })?;
        for branch in &mut root.branches {
            for shard in &mut Arc::make_mut(branch).shards {
                if shard.len() > 0 {
                    Arc::make_mut(shard).sort();
                }
            }
        }
        Ok(table)
    }

    /// Applies one operation of a batch. Operations that do not touch a zone key change nothing.
    pub fn apply(&mut self, op: OpRef<'_>) {
        match op {
            OpRef::Put { key, value } => {
                if let Some(path) = zone_path(key) {
                    self.put(path, stored(value));
                }
            }
            OpRef::Delete { key } => {
                if let Some(path) = zone_path(key) {
                    self.remove(path);
                }
            }
            OpRef::DeleteRange { start, end } => self.remove_range(start, end),
        }
    }

    /// Finds the zone with the longest apex that contains `path`, which is a path from the root.
    #[must_use]
    pub fn find(&self, path: Path<'_>) -> Option<Zone> {
        let root = &*self.root;
        let (bytes, mut end, mut found) = (path.as_bytes(), 0, None);
        for (labels, count) in root.depths.iter().enumerate() {
            if labels > 0 {
                let below = bytes.get(end..).unwrap_or_default();
                let Some(len) = below.iter().position(|byte| *byte == 0) else { break };
                end += len + 1;
            }
            if *count > 0 {
                let apex = bytes.get(..end).unwrap_or_default();
                found = root.probe(apex).map(|stored| (stored, end, labels)).or(found);
            }
        }
        found.map(|(stored, apex_len, apex_labels)| zone(stored, apex_len, apex_labels))
    }

    /// The zone with exactly this apex.
    #[must_use]
    pub fn get(&self, apex: &Name) -> Option<Zone> {
        let mut path = Vec::new();
        let zone = self.find(Path::of(apex, 0, &mut path));
        zone.filter(|zone| zone.apex_len == path.len())
    }

    /// Paths of all apexes from the root, with their zones, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Path<'_>, Zone)> {
        let shards = self.root.branches.iter().flat_map(|branch| branch.shards.iter());
        shards.flat_map(|shard| shard.iter()).filter_map(|(path, stored)| {
            let path = Path::new(path)?;
            Some((path, zone(stored, path.as_bytes().len(), path.depth())))
        })
    }

    /// Number of zones that have data.
    #[must_use]
    pub fn len(&self) -> usize {
        self.root.len
    }

    /// Whether no zone has data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.len == 0
    }

    /// Size of the table in bytes, names included; shards that are shared with other clones count in full.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let shards = self.root.branches.iter().flat_map(|branch| branch.shards.iter());
        let shards: usize = shards.filter(|shard| shard.len() > 0).map(|shard| shard.memory_bytes()).sum();
        size_of::<Root>() + self.root.depths.capacity() * size_of::<u32>() + FAN_OUT * size_of::<Branch>() + shards
    }

    fn put(&mut self, path: Path<'_>, stored: Stored) {
        let place = self.root.place(path.as_bytes());
        let before = self.root.shard(place).get(place.rest, path.as_bytes()).copied();
        if before == Some(stored) {
            // Most changes of a zone key are a new serial: nothing that is kept here.
            return;
        }
        let root = Arc::make_mut(&mut self.root);
        let (shard, hash) = root.shard_mut(place);
        if shard.put(hash, path.as_bytes(), stored) {
            root.count(path, true);
        }
        root.len -= usize::from(before.is_some_and(|before| before.has_data()));
        root.len += usize::from(stored.has_data());
    }

    fn remove(&mut self, path: Path<'_>) {
        let place = self.root.place(path.as_bytes());
        let Some(before) = self.root.shard(place).get(place.rest, path.as_bytes()).copied() else { return };
        let root = Arc::make_mut(&mut self.root);
        let (shard, hash) = root.shard_mut(place);
        if shard.remove(hash, path.as_bytes()) {
            root.count(path, false);
            root.len -= usize::from(before.has_data());
        }
    }

    /// Looks at every zone, but only when the range reaches into the zone keys at all, which is rare.
    fn remove_range(&mut self, start: &[u8], end: &[u8]) {
        let mut buffer = KeyBuffer::new();
        if start >= buffer.prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Name)
            || end <= buffer.prefix(KeyspaceId::DNS, Generation::ZONES, KeySection::Zone)
        {
            return;
        }
        let kind = domain::base::iana::Rtype::SOA.to_int();
        let mut gone = Vec::new();
        for (path, _) in self.iter() {
            let key = buffer.path(KeyspaceId::DNS, Generation::ZONES, KeySection::Zone, path, kind);
            if start <= key && key < end {
                gone.push(path.as_bytes().to_vec());
            }
        }
        for path in gone {
            self.remove(Path::new(&path).expect("it was one before"));
        }
    }
}

impl Root {
    fn place(&self, path: &[u8]) -> Place {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(path);
        Place::of(hasher.finish())
    }

    fn probe(&self, path: &[u8]) -> Option<&Stored> {
        let place = self.place(path);
        self.shard(place).get(place.rest, path)
    }

    fn shard(&self, place: Place) -> &Shard {
        let branch = self.branches.get(place.branch).expect("six bits");
        branch.shards.get(place.shard).expect("six bits")
    }

    /// The shard of a place, ready to be changed, and the hash within it.
    fn shard_mut(&mut self, place: Place) -> (&mut Shard, u32) {
        let branch = Arc::make_mut(self.branches.get_mut(place.branch).expect("six bits"));
        (Arc::make_mut(branch.shards.get_mut(place.shard).expect("six bits")), place.rest)
    }

    fn count(&mut self, path: Path<'_>, comes: bool) {
        let depth = path.depth();
        if self.depths.len() <= depth {
            self.depths.resize(depth + 1, 0);
        }
        if let Some(count) = self.depths.get_mut(depth) {
            *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        }
        while self.depths.last() == Some(&0) {
            self.depths.pop();
        }
    }
}

impl Place {
    fn of(hash: u64) -> Self {
        let [top, next, _, _, rest @ ..] = hash.to_be_bytes();
        Self { branch: usize::from(top) % FAN_OUT, shard: usize::from(next) % FAN_OUT, rest: u32::from_be_bytes(rest) }
    }
}

/// The path of a zone key; `None` for every other key.
fn zone_path(key: &[u8]) -> Option<Path<'_>> {
    let key = DnsKey::parse(key).ok()?;
    let is_zone = key.keyspace == KeyspaceId::DNS && key.section == KeySection::Zone;
    if is_zone { key.node_path().ok() } else { None }
}

fn stored(value: &[u8]) -> Stored {
    match ZoneValue::decode(value) {
        Ok(zone) => Stored { id: zone.id, generation: zone.generation, summary: zone.summary },
        Err(_) => Stored { id: ZoneId::default(), generation: Generation::ZONES, summary: Summary::default() },
    }
}

fn zone(stored: &Stored, apex_len: usize, apex_labels: usize) -> Zone {
    Zone { apex_labels, id: stored.id, generation: stored.generation, summary: stored.summary, apex_len }
}
