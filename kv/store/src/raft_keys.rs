//! The keys of a raft log's database.
//!
//! # Format
//! `e` + index (8 bytes, big-endian) holds an entry; `m/vote`, `m/committed` and `m/purged` hold what the caller gave,
//! the last with the index (8 bytes, big-endian) in front.

pub(crate) const VOTE: &[u8] = b"m/vote";
pub(crate) const COMMITTED: &[u8] = b"m/committed";
pub(crate) const PURGED: &[u8] = b"m/purged";

pub(crate) fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [b'e'; 9];
    if let Some((_, number)) = key.split_first_chunk_mut::<1>() {
        number.copy_from_slice(&index.to_be_bytes());
    }
    key
}

pub(crate) fn entry_index(key: &[u8]) -> Option<u64> {
    let (prefix, number) = key.split_first()?;
    (*prefix == b'e').then(|| number.try_into().map(u64::from_be_bytes).ok()).flatten()
}
