//! The entries of a snapshot on their way: how they are written, checked and summed up.
//!
//! # Format
//! An entry is the length of its key (big-endian `u16`), the key, the length of its value (big-endian `u32`), the
//! value. Entries follow each other in ascending order of key; a message holds whole ones. The digest is the BLAKE3 of
//! all of them, so it does not depend on how they were cut into messages.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::{Filter, Key, KeyError, KeyspaceId, MAX_VALUE_LEN, ValueError};

/// Why bytes are not entries of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryError {
    /// It ends within an entry.
    #[error("an entry is incomplete")]
    Short,
    /// A key out of bounds.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A value out of bounds.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A key that must not leave the core.
    #[error("a key is of the private keyspace {0:?}")]
    Private(KeyspaceId),
    /// A key that was not asked for.
    #[error("a key is of keyspace {0:?}, which the filter does not hold")]
    Filtered(KeyspaceId),
    /// Not after the key before it.
    #[error("a key is not after the key before it")]
    Order,
}

/// Count and digest of the entries of a snapshot, and the check of each: both ends run it over the same bytes.
#[derive(Clone, Debug, Default)]
pub struct SnapshotCheck {
    /// Boxed: it is 2 KiB, and states that hold this are moved about.
    hasher: Box<blake3::Hasher>,
    entries: u64,
    last: Vec<u8>,
}

impl SnapshotCheck {
    /// Before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a message of entries of what a filter holds, or of anything.
    ///
    /// # Errors
    /// An entry cut short, out of bounds, private, not held, or not after the one before.
    pub fn add(&mut self, message: &[u8], filter: Option<&Filter>) -> Result<(), EntryError> {
        for entry in decode_entries(message) {
            let (key, value) = entry?;
            let keyspace = Key::check(key)?;
            if !keyspace.is_published() {
                return Err(EntryError::Private(keyspace));
            }
            if filter.is_some_and(|filter| !filter.holds_keyspace(keyspace)) {
                return Err(EntryError::Filtered(keyspace));
            }
            if value.len() > MAX_VALUE_LEN {
                return Err(ValueError(value.len()).into());
            }
            // The empty key is none, so every first key comes after it.
            if *self.last >= *key {
                return Err(EntryError::Order);
            }
            self.last.clear();
            self.last.extend_from_slice(key);
            self.entries += 1;
        }
        self.hasher.update(message);
        Ok(())
    }

    /// How many there were.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Digest of all so far.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}

/// Writes one entry to the end of a message.
///
/// # Panics
/// A key over 65,535 bytes or a value over 4 GiB: no store holds either.
pub fn put_entry(message: &mut BytesMut, key: &[u8], value: &[u8]) {
    message.put_u16(u16::try_from(key.len()).expect("keys are bounded"));
    message.put_slice(key);
    message.put_u32(u32::try_from(value.len()).expect("values are bounded"));
    message.put_slice(value);
}

/// Entries as one message.
///
/// # Panics
/// As [`put_entry`].
#[must_use]
pub fn encode_entries(entries: &[(Bytes, Bytes)]) -> Bytes {
    let mut out = BytesMut::with_capacity(entries.iter().map(|(key, value)| key.len() + value.len() + 6).sum());
    entries.iter().for_each(|(key, value)| put_entry(&mut out, key, value));
    out.freeze()
}

/// Back from [`encode_entries`], borrowed, in order; after an error the iterator ends. Only the lengths are checked
/// here, the rest by [`SnapshotCheck::add`].
pub fn decode_entries(message: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), EntryError>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = split_entry(rest);
        rest = entry.map_or(&[], |(_, after)| after);
        Some(entry.map(|(entry, _)| entry).ok_or(EntryError::Short))
    })
}

type Entry<'a> = (&'a [u8], &'a [u8]);

fn split_entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    Some(((key, value), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<(Bytes, Bytes)> {
        [("\0\x01a", "one"), ("\0\x01b", ""), ("\0\x02", "two")]
            .map(|(key, value)| (Bytes::from_static(key.as_bytes()), Bytes::from_static(value.as_bytes())))
            .to_vec()
    }

    fn check(entries: &[(Bytes, Bytes)]) -> Result<SnapshotCheck, EntryError> {
        let mut check = SnapshotCheck::new();
        entries.iter().try_for_each(|entry| check.add(&encode_entries(std::slice::from_ref(entry)), None))?;
        Ok(check)
    }

    #[test]
    fn the_digest_does_not_depend_on_the_cuts() {
        let mut whole = SnapshotCheck::new();
        whole.add(&encode_entries(&entries()), None).unwrap();
        let single = check(&entries()).unwrap();
        assert_eq!((whole.entries(), whole.digest()), (3, single.digest()));
        assert_ne!(check(&entries()[..2]).unwrap().digest(), single.digest());
    }

    #[test]
    fn private_unordered_and_doubled_keys_are_refused() {
        let mut turned = entries();
        turned.swap(0, 1);
        assert_eq!(check(&turned).unwrap_err(), EntryError::Order);
        let first = &entries()[0];
        assert_eq!(check(&[first.clone(), first.clone()]).unwrap_err(), EntryError::Order);
        let leak = (Bytes::from_static(b"\x80\x00a"), Bytes::new());
        assert_eq!(check(&[leak]).unwrap_err(), EntryError::Private(KeyspaceId::CORE));
    }

    #[test]
    fn every_truncation_within_an_entry_is_an_error() {
        let wire = encode_entries(&entries());
        let ends: Vec<usize> = (0..=3).map(|count| encode_entries(&entries()[..count]).len()).collect();
        for cut in 0..wire.len() {
            let read: Result<Vec<_>, _> = decode_entries(&wire[..cut]).collect();
            assert_eq!(read.is_ok(), ends.contains(&cut), "cut at {cut}");
        }
    }
}
