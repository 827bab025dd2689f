//! A small part of the zone table: the zones whose names hash into it, copied whole when one of them changes.
//!
//! # Format
//! `hashes` is sorted and dense, so the place of a hash is guessed from its value and the walk from there stays within
//! a cache line or two; `entries` goes in step with it; `names` holds the paths of all apexes one after the other.

use std::mem::size_of;

use zonecast_records::{Generation, Summary, ZoneId};

#[derive(Clone, Debug, Default)]
pub(crate) struct Shard {
    hashes: Vec<u32>,
    entries: Vec<Entry>,
    names: Vec<u8>,
}

/// What the table knows of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: ZoneId,
    pub(crate) generation: Generation,
    pub(crate) summary: Summary,
}

impl Stored {
    pub(crate) fn has_data(&self) -> bool {
        self.generation != Generation::ZONES
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    stored: Stored,
    name_at: u32,
    name_len: u16,
}

impl Shard {
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    pub(crate) fn get(&self, hash: u32, path: &[u8]) -> Option<&Stored> {
        self.position(hash, path).ok().and_then(|at| self.entries.get(at)).map(|entry| &entry.stored)
    }

    /// Says whether the zone is new.
    pub(crate) fn put(&mut self, hash: u32, path: &[u8], stored: Stored) -> bool {
        match self.position(hash, path) {
            Ok(at) => {
                if let Some(entry) = self.entries.get_mut(at) {
                    entry.stored = stored;
                }
                false
            }
            Err(at) => {
                let entry = self.append_name(path, stored);
                grow(&mut self.hashes, 1);
                grow(&mut self.entries, 1);
                self.hashes.insert(at, hash);
                self.entries.insert(at, entry);
                true
            }
        }
    }

    /// Adds a zone that is known to be absent, out of order; [`Shard::sort`] must follow.
    pub(crate) fn push(&mut self, hash: u32, path: &[u8], stored: Stored) {
        let entry = self.append_name(path, stored);
        grow(&mut self.hashes, 1);
        grow(&mut self.entries, 1);
        self.hashes.push(hash);
        self.entries.push(entry);
    }

    pub(crate) fn sort(&mut self) {
        let mut both: Vec<(u32, Entry)> = self.hashes.iter().copied().zip(self.entries.iter().copied()).collect();
        both.sort_unstable_by_key(|(hash, _)| *hash);
        (self.hashes, self.entries) = both.into_iter().unzip();
        self.hashes.shrink_to_fit();
        self.entries.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    /// Says whether it was there.
    pub(crate) fn remove(&mut self, hash: u32, path: &[u8]) -> bool {
        let Ok(at) = self.position(hash, path) else { return false };
        self.hashes.remove(at);
        let gone = self.entries.remove(at);
        let start = gone.name_at as usize;
        self.names.drain(start..start + usize::from(gone.name_len));
        for entry in self.entries.iter_mut().filter(|entry| entry.name_at > gone.name_at) {
            entry.name_at -= u32::from(gone.name_len);
        }
        true
    }

    /// Paths and zones in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Stored)> {
        self.entries.iter().map(|entry| (self.name(entry), &entry.stored))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.hashes.capacity() * size_of::<u32>()
            + self.entries.capacity() * size_of::<Entry>()
            + self.names.capacity()
    }

    fn append_name(&mut self, path: &[u8], stored: Stored) -> Entry {
        let name_at = u32::try_from(self.names.len()).expect("a shard's names are far below 4 GiB");
        let name_len = u16::try_from(path.len()).expect("a path is at most 510 bytes");
        grow(&mut self.names, path.len());
        self.names.extend_from_slice(path);
        Entry { stored, name_at, name_len }
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        let start = entry.name_at as usize;
        self.names.get(start..start + usize::from(entry.name_len)).unwrap_or_default()
    }

    /// Where the zone is, or where it would be inserted.
    fn position(&self, hash: u32, path: &[u8]) -> Result<usize, usize> {
        let hashes = &self.hashes;
        // Hashes are spread evenly, so the share of the range is the share of the vector.
        let mut at = usize::try_from((u64::from(hash) * hashes.len() as u64) >> 32).unwrap_or(0);
        while at > 0 && hashes.get(at - 1).is_some_and(|before| *before >= hash) {
            at -= 1;
        }
        while hashes.get(at).is_some_and(|here| *here < hash) {
            at += 1;
        }
        while hashes.get(at) == Some(&hash) {
            if self.entries.get(at).is_some_and(|entry| self.name(entry) == path) {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }
}

/// Makes room for `more` items, an eighth of the length at a time instead of doubling: a shard is copied more often
/// than it grows, and memory counts.
fn grow<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        items.reserve_exact(more.max(items.len() / 8));
    }
}
