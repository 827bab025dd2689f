//! Entries one after the other in a fixed number of bytes: a new one takes the room of the oldest.
//!
//! # Format
//! An entry begins at a multiple of [`UNIT`] and never goes over the end: version at which it was read (8 bytes), length
//! of the key and of each part (2 each), whether it is one of [`CachedRead`] (2), then the bytes.

use crate::changes::KeyHash;

/// Entries begin at multiples of this.
const UNIT: usize = 16;

/// Bytes before the key.
const HEAD: usize = 16;

/// An entry that is longer is not kept: one such would take the room of hundreds.
const MAX_ENTRY: usize = 4096;

/// Entries that share a hash's place.
const WAYS: usize = 4;

/// A place for each so many bytes: entries are longer, so that places are not what runs out.
const BYTES_A_PLACE: usize = 64;

/// Which bits of a place say where the entry begins, in units; those above are of its hash.
const POSITION_BITS: u32 = 48;

/// What is kept of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CachedRead<'a> {
    /// There was no such key.
    Absent,
    /// The value under the key.
    Value(&'a [u8]),
    /// The last entry not above the key: its key and value.
    Last(&'a [u8], &'a [u8]),
}

/// A cache of reads in a fixed number of bytes: each new entry overwrites the oldest ones, and a table of hashes finds
/// the entries.
#[derive(Debug)]
pub(crate) struct Ring {
    bytes: Vec<u8>,
    /// Where entries are, [`WAYS`] places for each hash; 0 is nowhere.
    places: Vec<[u64; WAYS]>,
    /// Where the next entry goes, in units since the beginning; the ring has gone round many times.
    head: u64,
}

impl Ring {
    /// One of about so many bytes. Memory is taken as it is used.
    pub(crate) fn new(bytes: usize) -> Self {
        let sets = (bytes / BYTES_A_PLACE / WAYS).next_power_of_two();
        let mut ring = Self { bytes: vec![0; bytes / UNIT * UNIT], places: vec![[0; WAYS]; sets], head: 0 };
        // Position 0 is nowhere.
        ring.head = ring.units();
        ring
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.places.fill([0; WAYS]);
    }

    /// What was kept of a key, if it was read at `since` or later.
    pub(crate) fn find(&self, hash: KeyHash, key: &[u8], since: u64) -> Option<CachedRead<'_>> {
        let places = self.places.get(self.set(hash))?;
        let same = places.iter().filter(|place| **place != 0 && *place >> POSITION_BITS == tag(hash));
        same.filter_map(|place| self.entry(*place)).find_map(|entry| entry.kept(key, since))
    }

    /// Keeps what was read at a version, if it is not too long.
    pub(crate) fn keep(&mut self, hash: KeyHash, key: &[u8], version: u64, kept: CachedRead<'_>) {
        let (kind, first, second): (u16, &[u8], &[u8]) = match kept {
            CachedRead::Absent => (0, &[], &[]),
            CachedRead::Value(value) => (1, value, &[]),
            CachedRead::Last(found, value) => (2, found, value),
        };
        let len = HEAD + key.len() + first.len() + second.len();
        if len > MAX_ENTRY.min(self.bytes.len()) {
            return;
        }
        let at = self.take(len);
        let set = self.set(hash);
        let Some(places) = self.places.get_mut(set) else { return };
        // That of the same key, if it is stale, ages like every other.
        let oldest = places.iter_mut().min_by_key(|place| **place & position_mask());
        if let Some(oldest) = oldest {
            *oldest = (tag(hash) << POSITION_BITS) | at;
        }
        let start = self.offset(at);
        let Some(mut room) = self.bytes.get_mut(start..start + len) else { return };
        let lengths = [key.len(), first.len(), second.len()].map(|len| u16::try_from(len).unwrap_or(0).to_le_bytes());
        let [key_len, first_len, second_len] = &lengths;
        for part in
            [&version.to_le_bytes()[..], key_len, first_len, second_len, &kind.to_le_bytes(), key, first, second]
        {
            let Some((here, rest)) = room.split_at_mut_checked(part.len()) else { return };
            here.copy_from_slice(part);
            room = rest;
        }
    }

    /// Room for so many bytes, in place of the oldest entries.
    fn take(&mut self, len: usize) -> u64 {
        let units = len.div_ceil(UNIT) as u64;
        let left = self.units() - self.head % self.units();
        if left < units {
            self.head += left;
        }
        let at = self.head;
        self.head += units;
        at
    }

    fn entry(&self, place: u64) -> Option<Entry<'_>> {
        let at = place & position_mask();
        // Overwritten since, or about to be.
        if at + self.units() < self.head {
            return None;
        }
        let (head, rest) = self.bytes.get(self.offset(at)..)?.split_first_chunk::<HEAD>()?;
        Some(Entry { head, rest })
    }

    fn set(&self, KeyHash(hash): KeyHash) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "some bits of a hash")]
        let bits = (hash >> 16) as usize;
        bits & (self.places.len() - 1)
    }

    fn units(&self) -> u64 {
        (self.bytes.len() / UNIT).max(1) as u64
    }

    #[allow(clippy::cast_possible_truncation, reason = "less than the number of bytes")]
    fn offset(&self, at: u64) -> usize {
        (at % self.units()) as usize * UNIT
    }
}

struct Entry<'a> {
    head: &'a [u8; HEAD],
    rest: &'a [u8],
}

impl<'a> Entry<'a> {
    fn kept(&self, key: &[u8], since: u64) -> Option<CachedRead<'a>> {
        let [a, b, c, d, e, f, g, h, lengths @ ..] = self.head;
        let [k0, k1, f0, f1, s0, s1, kind0, kind1] = lengths;
        let part = |low: &u8, high: &u8| usize::from(u16::from_le_bytes([*low, *high]));
        if u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) < since {
            return None;
        }
        let (same, rest) = self.rest.split_at_checked(part(k0, k1))?;
        if same != key {
            return None;
        }
        let (first, rest) = rest.split_at_checked(part(f0, f1))?;
        let (second, _) = rest.split_at_checked(part(s0, s1))?;
        match u16::from_le_bytes([*kind0, *kind1]) {
            0 => Some(CachedRead::Absent),
            1 => Some(CachedRead::Value(first)),
            2 => Some(CachedRead::Last(first, second)),
            _ => None,
        }
    }
}

/// Bits of the hash that neither a set nor a stamp is chosen by.
fn tag(KeyHash(hash): KeyHash) -> u64 {
    hash >> POSITION_BITS
}

const fn position_mask() -> u64 {
    (1 << POSITION_BITS) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_where_an_entry_was_is_no_entry() {
        let mut ring = Ring::new(256);
        let (first, victim) = (KeyHash(1 << 60), KeyHash(2 << 60));
        ring.keep(first, &[1; 16], 1, CachedRead::Absent);
        ring.keep(victim, &[2; 16], 1, CachedRead::Value(&[3; 16]));
        assert_eq!(ring.find(victim, &[2; 16], 0), Some(CachedRead::Value(&[3; 16])));
        // The same bytes as the value of another key, at the same place once the ring has gone round.
        let forged =
            ring.bytes[32..80].to_vec().iter().map(|byte| if *byte == 3 { 4 } else { *byte }).collect::<Vec<_>>();
        ring.keep(first, &[1; 16], 1, CachedRead::Value(&[0; 144]));
        ring.keep(first, &[1; 16], 1, CachedRead::Value(&forged));
        assert_eq!(ring.bytes[32..80], forged);
        assert_eq!(ring.find(victim, &[2; 16], 0), None);
    }

    #[test]
    fn the_oldest_go_first_and_long_ones_are_not_kept() {
        let mut ring = Ring::new(1 << 10);
        let hash = |number: u64| KeyHash(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for number in 0..100_u64 {
            ring.keep(hash(number), &number.to_be_bytes(), number, CachedRead::Value(b"value"));
        }
        // An entry of 29 bytes takes 32 of 1,024; there are 16 places for them.
        let found = (0..100_u64).filter(|number| ring.find(hash(*number), &number.to_be_bytes(), 0).is_some());
        let found: Vec<u64> = found.collect();
        assert!(found.iter().all(|number| *number >= 68) && found.len() > 8, "{found:?}");
        assert_eq!(ring.find(hash(99), &99_u64.to_be_bytes(), 100), None, "it was read before");
        ring.keep(hash(7), b"long", 1, CachedRead::Value(&[0; MAX_ENTRY]));
        assert_eq!(ring.find(hash(7), b"long", 0), None);
        ring.clear();
        assert_eq!(ring.find(hash(99), &99_u64.to_be_bytes(), 0), None);
    }
}
