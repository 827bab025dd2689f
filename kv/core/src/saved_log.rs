//! Committed entries of the raft log as one stream of bytes: what leads from the state of one backup to that of the next.
//!
//! # Format
//! Numbers are big-endian. `format (1 byte: 1), store id (16)`, then one entry after the other up to the end: its length (4)
//! and the bytes that the raft log has of it, as `entry.rs` describes them. Each entry has its index; they follow each other
//! without a gap.

use std::io::{self, Read, Write};

use thiserror::Error;
use zonecast_kv_proto::StoreId;
use zonecast_kv_store::{RaftLog, StoreError};

use crate::entry::decode_entry;
use crate::types::Entry;

const FORMAT: u8 = 1;
const HEADER_LEN: usize = 1 + size_of::<u128>();
/// Entries are read from the log in parts of about so many bytes: appends do not wait for long.
const PART_BYTES: usize = 1024 * 1024;
/// The same for small entries.
const PART_ENTRIES: u64 = 1024;
/// Most bytes of one that is written: 16 times what a core keeps of its log unless it is told otherwise. More of it is kept
/// only for a core that is behind, and must not make a backup huge.
const MAX_SAVED: u64 = 1024 * 1024 * 1024;
/// Most bytes of an entry that is read: a batch has up to 4 MiB, and preconditions can take twice as much beside it.
const MAX_ENTRY: u32 = 16 * 1024 * 1024;

/// Entries of the raft log: those after one, up to and with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSpan {
    /// The state before them has applied this one.
    pub after: u64,
    /// The last of them.
    pub upto: u64,
}

/// What was written of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedLog {
    /// Every entry.
    Whole,
    /// The log has given up the first ones, or does not have the last ones: what was written is of no use.
    Missing,
    /// They are more than a backup is to have: what was written is of no use.
    TooLong,
}

/// Why a saved log cannot be read.
#[derive(Debug, Error)]
pub enum SavedLogError {
    /// It is not what was written.
    #[error("at byte {at}: {why}")]
    Malformed {
        /// Where the part begins that is wrong.
        at: u64,
        /// What is.
        why: String,
    },
    /// The disk fails.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where entries are written, and for how many bytes there is room.
struct Out<'o> {
    to: &'o mut dyn Write,
    room: u64,
}

/// Writes the entries of a span, while the log goes on.
pub(crate) fn save(log: &RaftLog, store: StoreId, span: LogSpan, to: &mut dyn Write) -> io::Result<SavedLog> {
    to.write_all(&header(store))?;
    save_entries(log, span, &mut Out { to, room: MAX_SAVED })
}

fn save_entries(log: &RaftLog, span: LogSpan, out: &mut Out<'_>) -> io::Result<SavedLog> {
    let mut next = span.after + 1;
    while next <= span.upto {
        let end = span.upto.min(next + PART_ENTRIES - 1) + 1;
        let part = log.read(next..end, PART_BYTES).map_err(of_store)?;
        // What is purged meanwhile is left out at the beginning.
        if part.first().is_none_or(|(first, _)| *first != next) {
            return Ok(SavedLog::Missing);
        }
        for (index, entry) in part {
            if !out.put(&entry)? {
                return Ok(SavedLog::TooLong);
            }
            next = index + 1;
        }
    }
    Ok(SavedLog::Whole)
}

impl Out<'_> {
    /// Says whether there was room.
    fn put(&mut self, entry: &[u8]) -> io::Result<bool> {
        let Some(room) = self.room.checked_sub(entry.len() as u64) else { return Ok(false) };
        self.room = room;
        self.to.write_all(&u32::try_from(entry.len()).map_err(io::Error::other)?.to_be_bytes())?;
        self.to.write_all(entry)?;
        Ok(true)
    }
}

fn header(store: StoreId) -> [u8; HEADER_LEN] {
    let mut header = [FORMAT; HEADER_LEN];
    header[1..].copy_from_slice(&store.get().to_be_bytes());
    header
}

fn of_store(error: StoreError) -> io::Error {
    io::Error::other(error)
}

/// Reads entries back, one by one.
#[derive(Debug)]
pub(crate) struct SavedEntries<R> {
    from: R,
    at: u64,
}

impl<R: Read> SavedEntries<R> {
    /// # Errors
    /// It is none, or of another store.
    pub(crate) fn open(from: R, store: StoreId) -> Result<Self, SavedLogError> {
        let mut entries = Self { from, at: 0 };
        let found = entries.exactly(0, HEADER_LEN)?;
        match found.first() {
            Some(&FORMAT) if found == header(store) => Ok(entries),
            Some(&FORMAT) => Err(malformed(1, format!("it is not of store {store}"))),
            format => Err(malformed(0, format!("format {format:?} is not known to this release"))),
        }
    }

    /// The next entry, and where it is; nothing at the end.
    ///
    /// # Errors
    /// There is something else.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Entry)>, SavedLogError> {
        let begin = self.at;
        let len = match &self.upto(4)?[..] {
            [] => return Ok(None),
            &[a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => return Err(malformed(begin, "it ends within the length of an entry")),
        };
        if len > MAX_ENTRY {
            return Err(malformed(begin, format!("no entry has {len} bytes")));
        }
        let entry = self.exactly(begin, len as usize)?;
        let entry = decode_entry(entry.into()).map_err(|error| malformed(begin, error.to_string()))?;
        Ok(Some((begin, entry)))
    }

    fn exactly(&mut self, begin: u64, len: usize) -> Result<Vec<u8>, SavedLogError> {
        let bytes = self.upto(len)?;
        if bytes.len() == len { Ok(bytes) } else { Err(malformed(begin, "it ends too soon")) }
    }

    /// Fewer only at the end. Room is taken as bytes come, not by what a length says.
    fn upto(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.at += (&mut self.from).take(len as u64).read_to_end(&mut bytes)? as u64;
        Ok(bytes)
    }
}

pub(crate) fn malformed(at: u64, why: impl Into<String>) -> SavedLogError {
    SavedLogError::Malformed { at, why: why.into() }
}

#[cfg(test)]
pub(crate) fn written(store: StoreId, entries: &[Entry]) -> Vec<u8> {
    let mut bytes = header(store).to_vec();
    let mut out = Out { to: &mut bytes, room: u64::MAX };
    entries.iter().for_each(|entry| assert!(out.put(&crate::entry::encode_entry(entry)).unwrap()));
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use bytes::Bytes;
    use openraft::EntryPayload;
    use openraft::impls::leader_id_adv::LeaderId;
    use prometheus::Registry;
    use zonecast_kv_store::StoreMetrics;

    use super::*;
    use crate::entry::{encode_entry, encode_log_id};
    use crate::types::{LogId, Proposal};

    const STORE: StoreId = StoreId::new(7);

    fn entry(index: u64, len: usize) -> Entry {
        let payload = EntryPayload::Normal(Proposal(Bytes::from(vec![9; len])));
        Entry { log_id: LogId { leader_id: LeaderId { term: 3, node_id: 1 }, index }, payload }
    }

    /// A log with the entries of these lengths, from index 1 on.
    fn log(folder: &std::path::Path, lens: &[usize]) -> RaftLog {
        let log = RaftLog::open(folder, StoreMetrics::register(&Registry::new()).unwrap()).unwrap();
        let entries = (1..).zip(lens).map(|(index, len)| (index, encode_entry(&entry(index, *len))));
        let (done, durable) = channel();
        log.append(entries.collect(), Box::new(move |result| done.send(result).unwrap())).unwrap();
        durable.recv().unwrap().unwrap();
        log
    }

    fn read(bytes: &[u8]) -> Result<Vec<Entry>, SavedLogError> {
        let mut entries = SavedEntries::open(bytes, STORE)?;
        let mut found = vec![];
        while let Some((_, entry)) = entries.next()? {
            found.push(entry);
        }
        Ok(found)
    }

    #[test]
    fn entries_are_read_as_the_log_had_them_also_in_many_parts() {
        let folder = tempfile::tempdir().unwrap();
        let large = [PART_BYTES, 3, PART_BYTES / 2, PART_BYTES, 0];
        let lens = [vec![5; usize::try_from(PART_ENTRIES).unwrap() * 2 + 3], large.into()].concat();
        let log = log(folder.path(), &lens);
        let last = lens.len() as u64;
        for (after, upto) in [(0, last), (1, last), (9, 9), (last - 1, last), (last - 5, last - 1)] {
            let mut saved = vec![];
            assert_eq!(save(&log, STORE, LogSpan { after, upto }, &mut saved).unwrap(), SavedLog::Whole);
            let all = (1..).zip(&lens).map(|(index, len)| entry(index, *len));
            let expected: Vec<_> = all.filter(|entry| (after + 1..=upto).contains(&entry.log_id.index)).collect();
            assert!(read(&saved).unwrap() == expected, "after {after} up to {upto}");
            assert_eq!(saved, written(STORE, &expected));
        }
    }

    #[test]
    fn a_log_that_lacks_an_entry_or_has_too_much_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), &[10; 20]);
        let save = |after, upto| save(&log, STORE, LogSpan { after, upto }, &mut vec![]).unwrap();
        assert_eq!((save(5, 20), save(5, 21)), (SavedLog::Whole, SavedLog::Missing));
        log.purge(6, encode_log_id(&entry(6, 0).log_id)).unwrap();
        assert_eq!((save(5, 20), save(6, 20)), (SavedLog::Missing, SavedLog::Whole));
        let bytes = encode_entry(&entry(7, 10)).len() as u64;
        for (room, expected) in [(bytes * 3 - 1, SavedLog::TooLong), (bytes * 3, SavedLog::Whole)] {
            let mut out = Out { to: &mut vec![], room };
            assert_eq!(save_entries(&log, LogSpan { after: 6, upto: 9 }, &mut out).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_damaged_is_an_error_that_names_the_place() {
        let entries = [entry(4, 3), entry(5, 0), entry(6, 8)];
        let bytes = written(STORE, &entries);
        let second = HEADER_LEN as u64 + 4 + 26 + 3;
        let ends: Vec<usize> = [0, 1, 2, 3].map(|count| written(STORE, &entries[..count]).len()).into();
        for cut in 0..bytes.len() {
            match read(&bytes[..cut]) {
                Ok(found) => assert!(ends.contains(&cut) && found == entries[..found.len()], "cut at {cut}"),
                Err(error) => assert!(!ends.contains(&cut) && error.to_string().starts_with("at byte"), "{error}"),
            }
        }
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let _ = read(&flipped);
        }
        let at = usize::try_from(second).unwrap();
        let huge = [&bytes[..at], &(MAX_ENTRY + 1).to_be_bytes()].concat();
        assert_eq!(read(&huge).unwrap_err().to_string(), format!("at byte {second}: no entry has 16777217 bytes"));
        let short = [&bytes[..at], &MAX_ENTRY.to_be_bytes(), &[1]].concat();
        assert_eq!(read(&short).unwrap_err().to_string(), format!("at byte {second}: it ends too soon"));
        let other = written(StoreId::new(8), &entries);
        assert!(read(&other).unwrap_err().to_string().contains("not of store"));
    }
}
