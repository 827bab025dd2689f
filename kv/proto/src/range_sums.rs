//! Hashes of ranges of keys, so that two copies find where they differ without sending what they hold.
//!
//! ```text
//! keys in order:  a b c│d e f g│h i│j          a range ends with a key whose hash ends in ten bits of 0, or when it is long
//! range           BLAKE3(entries a b c) ...    each with its last key
//! root            BLAKE3(all ranges)
//! ```
//! Where a range ends depends on what is in it alone, so copies need not agree on it: where one lacks a key or has one too
//! many, its ranges are those of the other again soon after.
//!
//! # Format
//! The hash of a range is over its entries as they stand in a snapshot ([`put_entry`](crate::put_entry)). The root is over
//! the ranges: the length of the last key (big-endian `u16`), the last key, the hash. A copy without keys has one range,
//! which ends with the empty key.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::positional;

/// A range ends on average after so many keys: what a difference costs to find and to put right, next to what the hashes
/// take in memory.
const KEYS_IN_RANGE: u64 = 1024;

/// A range with so many keys ends, whatever they are: somebody may choose names whose hashes never end one.
const MOST_KEYS: u64 = 8 * KEYS_IN_RANGE;

/// A range of so many bytes ends, so that it fits a message with the entry that goes beyond.
pub const MAX_RANGE_LEN: u64 = 1024 * 1024;

/// Most ranges in one message: about 150 bytes each with long keys.
pub const MAX_RANGES_IN_MESSAGE: usize = 4096;

/// BLAKE3 of a range or of all of them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RangeHash(#[serde(with = "serde_bytes")] [u8; 32]);

impl RangeHash {
    /// Of the entries of one range, as they stand in a snapshot.
    #[must_use]
    pub fn of_entries(entries: &[u8]) -> Self {
        Self(blake3::hash(entries).into())
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for RangeHash {
    /// The first eight bytes in hexadecimal: enough for a person to compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RangeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeHash({self})")
    }
}

positional! {
    /// One range: all keys after the last one of the range before it, up to its own.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct RangeSum {
        /// Its last key; of the last range of a copy, too.
        pub last: Bytes,
        /// Of its entries.
        pub hash: RangeHash,
    }
}

positional! {
    /// The keys that a range stands for, whether or not they are there.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Span {
        /// Before its first key; empty at the beginning.
        pub after: Bytes,
        /// The last one in it; without it, to the end.
        pub up_to: Option<Bytes>,
    }
}

/// All ranges of a copy, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSums {
    ranges: Vec<RangeSum>,
}

/// Sums up entries, which must come in ascending order of key.
#[derive(Debug, Default)]
pub struct RangeHasher {
    /// Boxed: it is 2 KiB.
    hasher: Box<blake3::Hasher>,
    ranges: Vec<RangeSum>,
    /// Of the present range.
    range_keys: u64,
    range_bytes: u64,
    last: Vec<u8>,
    /// Of all.
    keys: u64,
}

impl RangeHasher {
    /// Takes the next entry.
    ///
    /// # Panics
    /// A key over 65,535 bytes or a value over 4 GiB: no store holds either.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.hasher.update(&u16::try_from(key.len()).expect("keys are bounded").to_be_bytes());
        self.hasher.update(key);
        self.hasher.update(&u32::try_from(value.len()).expect("values are bounded").to_be_bytes());
        self.hasher.update(value);
        self.last.clear();
        self.last.extend_from_slice(key);
        self.range_keys += 1;
        self.keys += 1;
        self.range_bytes += (key.len() + value.len() + 6) as u64;
        if ends_range(key) || self.range_keys >= MOST_KEYS || self.range_bytes >= MAX_RANGE_LEN {
            self.end_range();
        }
    }

    /// How many entries there were.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// All ranges.
    #[must_use]
    pub fn finish(mut self) -> RangeSums {
        if self.range_keys > 0 || self.ranges.is_empty() {
            self.end_range();
        }
        RangeSums { ranges: self.ranges }
    }

    fn end_range(&mut self) {
        let hash = RangeHash(self.hasher.finalize().into());
        self.ranges.push(RangeSum { last: Bytes::copy_from_slice(&self.last), hash });
        self.hasher.reset();
        (self.range_keys, self.range_bytes) = (0, 0);
    }
}

/// Whether ranges end with this key.
fn ends_range(key: &[u8]) -> bool {
    let [first, second, ..] = *blake3::hash(key).as_bytes();
    u64::from(u16::from_be_bytes([first, second])) % KEYS_IN_RANGE == 0
}

impl RangeSums {
    /// Those that another node has told; `None` if they are none: there is at least one, and their last keys ascend.
    #[must_use]
    pub fn told(ranges: Vec<RangeSum>) -> Option<Self> {
        let ascend = ranges.windows(2).all(|pair| matches!(pair, [one, other] if one.last < other.last));
        (ascend && !ranges.is_empty()).then_some(Self { ranges })
    }

    /// In order.
    #[must_use]
    pub fn ranges(&self) -> &[RangeSum] {
        &self.ranges
    }

    /// The hash of all of them: equal copies have equal roots.
    #[must_use]
    pub fn root(&self) -> RangeHash {
        let mut hasher = blake3::Hasher::new();
        for range in &self.ranges {
            let len = u16::try_from(range.last.len()).unwrap_or(u16::MAX);
            hasher.update(&len.to_be_bytes());
            hasher.update(&range.last);
            hasher.update(&range.hash.0);
        }
        RangeHash(hasher.finalize().into())
    }

    /// The keys that the range of this number stands for.
    #[must_use]
    pub fn span(&self, number: usize) -> Option<Span> {
        let range = self.ranges.get(number)?;
        let before = number.checked_sub(1).and_then(|before| self.ranges.get(before));
        let after = before.map(|before| before.last.clone()).unwrap_or_default();
        let up_to = (number + 1 < self.ranges.len()).then(|| range.last.clone());
        Some(Span { after, up_to })
    }

    /// The numbers of the ranges here in which a copy with those other ranges differs, in order.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<usize> {
        let is_in = |ranges: &[RangeSum], range: &RangeSum| {
            let at = ranges.binary_search_by(|other| other.last.cmp(&range.last));
            at.ok().and_then(|at| ranges.get(at)).is_some_and(|other| other.hash == range.hash)
        };
        let mut differs: Vec<bool> = self.ranges.iter().map(|range| !is_in(&other.ranges, range)).collect();
        // What the other copy has beyond what is here is in one of its ranges only.
        for theirs in other.ranges.iter().filter(|range| !is_in(&self.ranges, range)) {
            let at = self.ranges.partition_point(|range| range.last < theirs.last).min(self.ranges.len() - 1);
            if let Some(differs) = differs.get_mut(at) {
                *differs = true;
            }
        }
        (0..).zip(differs).filter_map(|(number, differs)| differs.then_some(number)).collect()
    }
}

impl Span {
    /// Whether a key is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        key > &*self.after && self.up_to.as_ref().is_none_or(|up_to| key <= &**up_to)
    }

    /// The bounds of its keys as a scan takes them: from the first on, up to the second without it. Published keys all come
    /// before `end`.
    #[must_use]
    pub fn bounds(&self, end: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let next = |key: &[u8]| [key, &[0]].concat();
        let lower = if self.after.is_empty() { vec![] } else { next(&self.after) };
        (lower, self.up_to.as_ref().map_or_else(|| end.to_vec(), |up_to| next(up_to)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Copy = BTreeMap<Vec<u8>, Vec<u8>>;

    fn sums(copy: &Copy) -> RangeSums {
        let mut hasher = RangeHasher::default();
        copy.iter().for_each(|(key, value)| hasher.add(key, value));
        assert_eq!(hasher.keys(), copy.len() as u64);
        hasher.finish()
    }

    fn key(number: u32) -> Vec<u8> {
        [&[0, 1][..], &number.to_be_bytes()].concat()
    }

    fn copy(keys: u32) -> Copy {
        (0..keys).map(|number| (key(number * 2), format!("value {number}").into_bytes())).collect()
    }

    /// The keys on which two copies differ.
    fn differing_keys(one: &Copy, other: &Copy) -> Vec<Vec<u8>> {
        let keys = one.keys().chain(other.keys());
        let mut keys: Vec<_> = keys.filter(|key| one.get(*key) != other.get(*key)).cloned().collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Checks that the ranges found are those in which the copies differ, and no others.
    fn check(agreed: &Copy, found: &Copy) -> usize {
        let (agreed_sums, own) = (sums(agreed), sums(found));
        let differing = agreed_sums.differing(&own);
        let spans: Vec<Span> = differing.iter().map(|number| agreed_sums.span(*number).unwrap()).collect();
        let keys = differing_keys(agreed, found);
        assert_eq!(agreed_sums.root() == own.root(), keys.is_empty());
        for key in &keys {
            assert!(spans.iter().any(|span| span.contains(key)), "{key:?} is in no range that differs");
        }
        for (number, span) in differing.iter().zip(&spans) {
            let (lower, upper) = span.bounds(&[0x80, 0]);
            let entries: Vec<_> = agreed.range(lower..upper).map(|(key, value)| (key.clone(), value.clone())).collect();
            let entries: Vec<_> = entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            let hash = RangeHash::of_entries(&crate::encode_entries(&entries));
            assert_eq!(hash, agreed_sums.ranges()[*number].hash, "the entries of a range are what its hash is of");
        }
        spans.len()
    }

    #[test]
    fn a_flipped_byte_a_missing_and_an_extra_key_are_found_in_one_range_or_two() {
        let agreed = copy(20_000);
        let ranges = sums(&agreed).ranges().len();
        assert!((8..60).contains(&ranges), "{ranges} ranges");
        assert_eq!(check(&agreed, &agreed), 0);
        for number in [0, 1, 777, 10_000, 19_999] {
            let mut flipped = agreed.clone();
            flipped.get_mut(&key(number * 2)).unwrap()[0] ^= 1;
            assert_eq!(check(&agreed, &flipped), 1, "{number}");
            let mut missing = agreed.clone();
            missing.remove(&key(number * 2));
            assert!((1..=2).contains(&check(&agreed, &missing)), "{number}");
            let mut extra = agreed.clone();
            extra.insert(key(number * 2 + 1), b"extra".to_vec());
            assert!((1..=2).contains(&check(&agreed, &extra)), "{number}");
        }
    }

    #[test]
    fn where_ranges_end_is_found_too() {
        let agreed = copy(20_000);
        for range in sums(&agreed).ranges() {
            let mut missing = agreed.clone();
            missing.remove(&*range.last);
            assert!((1..=2).contains(&check(&agreed, &missing)));
        }
        // A key that is a range of its own, between two ranges that are as they should be.
        let end = (0..u32::MAX).map(|number| key(number * 2 + 1)).find(|key| ends_range(key)).unwrap();
        let mut extra = agreed.clone();
        extra.insert(end, vec![]);
        check(&agreed, &extra);
        let after_all = (1_000_000..u32::MAX).map(key).find(|key| ends_range(key)).unwrap();
        let mut agreed = agreed;
        agreed.insert(after_all.clone(), vec![]);
        let mut extra = agreed.clone();
        extra.insert([&after_all[..], b"x"].concat(), vec![]);
        assert_eq!(check(&agreed, &extra), 1);
    }

    #[test]
    fn empty_copies_have_a_range_and_long_ones_end() {
        let none = Copy::new();
        assert_eq!(sums(&none).ranges().len(), 1);
        assert_eq!((check(&none, &copy(3)), check(&copy(3), &none)), (1, 1));
        let long: Copy = (0..100).map(|number| (key(number), vec![7; 60_000])).collect();
        assert!(sums(&long).ranges().len() >= 5);
        let mut never = (0_u32..).map(key).filter(|key| !ends_range(key)).take(20_000).map(|key| (key, vec![]));
        assert!(sums(&never.by_ref().collect()).ranges().len() >= 2);
    }

    #[test]
    fn ranges_that_do_not_ascend_are_none() {
        let of = |lasts: &[&'static [u8]]| {
            let range = |last: &&'static [u8]| RangeSum { last: Bytes::from_static(last), ..RangeSum::default() };
            RangeSums::told(lasts.iter().map(range).collect())
        };
        assert!(of(&[b"a", b"b"]).is_some() && of(&[b""]).is_some());
        assert!(of(&[]).is_none() && of(&[b"b", b"a"]).is_none() && of(&[b"a", b"a"]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn every_difference_is_found(
            changes in prop::collection::vec((0..8_000_u32, prop::option::of(any::<u8>())), 0..12),
        ) {
            let agreed = copy(4_000);
            let mut other = agreed.clone();
            for (number, value) in changes {
                match value {
                    Some(value) => _ = other.insert(key(number), vec![value]),
                    None => _ = other.remove(&key(number)),
                }
            }
            check(&agreed, &other);
            check(&other, &agreed);
        }
    }
}
