//! The unit of commit: puts, deletes and range deletes in sections, with optional preconditions.
//!
//! A batch is proposed, replicated, applied and published whole. A section's operations are encoded once, where the
//! batch is built, and travel as those bytes from then on: through the raft log, the batch log and every stream.
//!
//! # Format
//! A batch is the positional MessagePack array `[format, preconditions, sections]`, a section is
//! `[[keyspace, partition], count, operations]`, and operations are a byte string of `count` MessagePack arrays one
//! after the other: `[0, key, value]` put, `[1, key]` delete, `[2, start, end]` delete `start <= key < end`.
//!
//! # Limits
//! A section counts with [`SECTION_OVERHEAD`] on top of its operations, so [`MAX_BATCH_LEN`] bounds what a batch takes
//! on the wire and, within a factor of two, in memory, however it is cut into sections. Both sides check.

use std::collections::HashSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wire_reader::WireReader;
use crate::{Edition, Key, KeyError, KeyspaceId, MAX_VALUE_LEN, Value, ValueError, positional, read_whole};

/// Largest batch in bytes, see [`EncodedBatch::len`]: what an edge must be able to hold and apply in one write.
pub const MAX_BATCH_LEN: usize = 4 * 1024 * 1024;

/// What a section costs beside its operations: at most 24 bytes encoded, and 56 in memory.
pub const SECTION_OVERHEAD: usize = 64;

/// Most sections of a batch: more are over [`MAX_BATCH_LEN`] even when they are empty. An import puts two sections a
/// zone into batches of 512 KiB, so the smallest zones come nowhere near.
pub const MAX_SECTIONS: usize = MAX_BATCH_LEN / SECTION_OVERHEAD;

/// Most preconditions: one for each section, and as many for sections that are only read.
const MAX_PRECONDITIONS: usize = 2 * MAX_SECTIONS;

const FORMAT: u8 = 1;
const PUT: u8 = 0;
const DELETE: u8 = 1;
const DELETE_RANGE: u8 = 2;

/// The id of a section: the part of a keyspace that can be filtered and compared separately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SectionId {
    /// Keyspace of every key in the section.
    pub keyspace: KeyspaceId,
    /// Number within the keyspace. For DNS it is the zone id.
    pub partition: u64,
}

/// One operation. Later ones win over earlier ones in the same batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Put this value, whatever was there.
    Put {
        /// The key that gets the value.
        key: Key,
        /// The value that replaces the present one.
        value: Value,
    },
    /// Delete the key if it is there.
    Delete {
        /// The key that is deleted.
        key: Key,
    },
    /// Delete every key with `start <= key < end`; both lie in the keyspace of the section, or the end is where it ends.
    DeleteRange {
        /// The first key of the range that is deleted.
        start: Key,
        /// The first key behind the range.
        end: Key,
    },
}

/// One operation, borrowed from its encoded form. Keys and values are within their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpRef<'a> {
    /// See [`Op::Put`].
    Put {
        /// The key that gets the value.
        key: &'a [u8],
        /// The value that replaces the present one.
        value: &'a [u8],
    },
    /// See [`Op::Delete`].
    Delete {
        /// The key that is deleted.
        key: &'a [u8],
    },
    /// See [`Op::DeleteRange`].
    DeleteRange {
        /// The first key of the range that is deleted.
        start: &'a [u8],
        /// The first key behind the range.
        end: &'a [u8],
    },
}

impl Op {
    /// What it is about; the first key of a range.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key } | Self::DeleteRange { start: key, .. } => key,
        }
    }
}

/// Operations on one section, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Section that the operations belong to.
    pub id: SectionId,
    /// The operations, applied in this order.
    pub ops: Vec<Op>,
}

/// A condition that must hold when the batch is applied; otherwise the batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// This section
    pub section: SectionId,
    /// has been touched by exactly this many batches.
    pub edition: Edition,
}

/// The unit of commit, as its builder sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The preconditions; the batch is refused unless all of them hold.
    pub preconditions: Vec<Precondition>,
    /// In order; a section id stands at most once.
    pub sections: Vec<Section>,
}

positional! {
    /// A section whose operations are encoded.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct EncodedSection {
        /// Section that the operations belong to.
        pub id: SectionId,
        /// The number of operations.
        pub count: u32,
        /// The encoded operations; [`decode_ops`] reads them.
        pub ops: Bytes,
    }
}

positional! {
    /// A batch on its way through the log.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct EncodedBatch {
        /// 1.
        pub format: u8,
        /// All must hold.
        pub preconditions: Vec<Precondition> where len <= MAX_PRECONDITIONS,
        /// In order.
        pub sections: Vec<EncodedSection> where len <= MAX_SECTIONS,
    }
}

/// Why a batch cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The batch is over [`MAX_BATCH_LEN`].
    #[error("a batch of {0} bytes is over the limit of {MAX_BATCH_LEN}")]
    Long(usize),
    /// A key outside its section's keyspace.
    #[error("key {0:?} is outside keyspace {1:?} of its section")]
    OtherKeyspace(Key, KeyspaceId),
    /// A range that does not end in its section's keyspace, where it ends.
    #[error("range from {start:?} to {end:?} leaves keyspace {keyspace:?} of its section")]
    RangeEnd {
        /// The first key of the range that is deleted.
        start: Key,
        /// The first key behind the range.
        end: Key,
        /// The keyspace of the section.
        keyspace: KeyspaceId,
    },
    /// Two sections of the batch have the same id.
    #[error("section {0:?} occurs twice in the batch")]
    SectionTwice(SectionId),
    /// More than a batch of so many sections has use for.
    #[error("{0} preconditions are over the limit of {MAX_SECTIONS}")]
    Preconditions(usize),
}

/// Why bytes are not a batch or its operations.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not the MessagePack of a batch.
    #[error("not a batch: {0}")]
    Batch(rmp_serde::decode::Error),
    /// A format this release does not know.
    #[error("batch format {0} is not known to this release")]
    Format(u8),
    /// The batch is over a limit.
    #[error(transparent)]
    Limit(#[from] EncodeError),
    /// An operation is invalid.
    #[error("operation {number} of section {section:?}: {problem}")]
    Op {
        /// The section of the operation.
        section: SectionId,
        /// The place of the operation in its section, counted from 0.
        number: u32,
        /// What is wrong with it.
        problem: OpError,
    },
}

/// Why an operation is invalid.
#[derive(Debug, Error)]
pub enum OpError {
    /// Not the MessagePack of an operation, or it ends early.
    #[error(transparent)]
    Syntax(#[from] rmp_serde::decode::Error),
    /// More follows after the last one.
    #[error("there are bytes after the last operation")]
    Trailing,
    /// An operation this release does not know.
    #[error("operation kind {0} is not known to this release")]
    Unknown(u8),
    /// A key out of bounds.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key of another keyspace than its section's.
    #[error("a key is of keyspace {0:?}, not of that of its section")]
    OtherKeyspace(KeyspaceId),
    /// A range that ends outside its section's keyspace.
    #[error("a range ends at {0:?}, outside its keyspace")]
    RangeEnd(Key),
    /// A value out of bounds.
    #[error(transparent)]
    Value(#[from] ValueError),
}

impl Batch {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.iter().all(|section| section.ops.is_empty())
    }

    /// Adds what another batch says: its operations come after those that are here.
    pub fn join(&mut self, other: Self) {
        self.preconditions.extend(other.preconditions);
        for other in other.sections {
            match self.sections.iter_mut().find(|section| section.id == other.id) {
                Some(section) => section.ops.extend(other.ops),
                None => self.sections.push(other),
            }
        }
    }

    /// Encodes the operations; sections without any are left out.
    ///
    /// # Errors
    /// The batch is over [`MAX_BATCH_LEN`], has a section twice, a key or the end of a range outside its section's
    /// keyspace, or more preconditions than sections can be.
    pub fn encode(&self) -> Result<EncodedBatch, EncodeError> {
        if self.preconditions.len() > MAX_SECTIONS {
            return Err(EncodeError::Preconditions(self.preconditions.len()));
        }
        let mut sections: Vec<EncodedSection> = Vec::new();
        for section in self.sections.iter().filter(|section| !section.ops.is_empty()) {
            let ops = encode_ops(section)?;
            let count = u32::try_from(section.ops.len()).map_err(|_| EncodeError::Long(ops.len()))?;
            sections.push(EncodedSection { id: section.id, count, ops });
        }
        check_sections(&sections)?;
        Ok(EncodedBatch { format: FORMAT, preconditions: self.preconditions.clone(), sections })
    }
}

impl EncodedBatch {
    /// Its bytes as limits count them: all operations, and [`SECTION_OVERHEAD`] for each section.
    #[must_use]
    pub fn len(&self) -> usize {
        sections_len(&self.sections)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// As one byte string.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(self).expect("plain data always encodes").into()
    }

    /// Back from [`EncodedBatch::to_bytes`]. Operations are not looked into; see [`decode_ops`].
    ///
    /// # Errors
    /// Not MessagePack of this shape, another format, too long, or a section twice.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let batch: Self = read_whole(bytes).map_err(DecodeError::Batch)?;
        batch.check()?;
        Ok(batch)
    }

    /// What [`EncodedBatch::from_bytes`] checks beyond the syntax, for a batch inside something else.
    ///
    /// # Errors
    /// Another format, too long, or a section twice.
    pub fn check(&self) -> Result<(), DecodeError> {
        if self.format != FORMAT {
            return Err(DecodeError::Format(self.format));
        }
        Ok(check_sections(&self.sections)?)
    }
}

/// See [`EncodedBatch::len`].
pub(crate) fn sections_len(sections: &[EncodedSection]) -> usize {
    sections.iter().map(|section| section.ops.len() + SECTION_OVERHEAD).sum()
}

/// What must hold of the sections of a batch or of its published part.
pub(crate) fn check_sections(sections: &[EncodedSection]) -> Result<(), EncodeError> {
    let len = sections_len(sections);
    if len > MAX_BATCH_LEN {
        return Err(EncodeError::Long(len));
    }
    let mut seen = HashSet::new();
    match sections.iter().find(|section| !seen.insert(section.id)) {
        Some(twice) => Err(EncodeError::SectionTwice(twice.id)),
        None => Ok(()),
    }
}

/// Whether a range may end here: in the keyspace, or at the first key of the next.
fn is_range_end(end: &[u8], keyspace: KeyspaceId) -> bool {
    let next = keyspace.get().checked_add(1).map(u16::to_be_bytes);
    Key::check(end) == Ok(keyspace) || next.is_some_and(|next| end == next)
}

fn encode_ops(section: &Section) -> Result<Bytes, EncodeError> {
    let mut out = Vec::new();
    for op in &section.ops {
        let (tag, key, second) = match op {
            Op::Put { key, value } => (PUT, key, Some(value.as_bytes())),
            Op::Delete { key } => (DELETE, key, None),
            Op::DeleteRange { start, end } => (DELETE_RANGE, start, Some(end.as_bytes())),
        };
        if key.keyspace() != section.id.keyspace {
            return Err(EncodeError::OtherKeyspace(key.clone(), section.id.keyspace));
        }
        if let Op::DeleteRange { start, end } = op
            && !is_range_end(end.as_bytes(), section.id.keyspace)
        {
            let (start, end) = (start.clone(), end.clone());
            return Err(EncodeError::RangeEnd { start, end, keyspace: section.id.keyspace });
        }
        let key = serde_bytes::Bytes::new(key.as_bytes());
        match second {
            Some(second) => rmp_serde::encode::write(&mut out, &(tag, key, serde_bytes::Bytes::new(second))),
            None => rmp_serde::encode::write(&mut out, &(tag, key)),
        }
        .expect("writing plain data into memory cannot fail");
    }
    Ok(out.into())
}

positional! {
    /// Any operation as it stands in the byte string.
    #[derive(Debug, Default, PartialEq)]
    struct WireOp<'a> {
        tag: u8,
        key: &'a serde_bytes::Bytes,
        second: &'a serde_bytes::Bytes,
    }
}

/// The operations of one section, borrowed, in order. After an error the iterator ends.
pub fn decode_ops(section: &EncodedSection) -> impl Iterator<Item = Result<OpRef<'_>, DecodeError>> {
    let mut slice = WireReader::new(&section.ops);
    let mut number = 0;
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let op = if number < section.count {
            WireOp::deserialize(&mut slice).map_err(OpError::from).and_then(|op| op.check(section.id.keyspace))
        } else if slice.is_at_end() {
            ended = true;
            return None;
        } else {
            Err(OpError::Trailing)
        };
        let here = number;
        number += 1;
        ended = op.is_err();
        Some(op.map_err(|problem| DecodeError::Op { section: section.id, number: here, problem }))
    })
}

impl<'a> WireOp<'a> {
    fn check(self, keyspace: KeyspaceId) -> Result<OpRef<'a>, OpError> {
        let found = Key::check(self.key)?;
        if found != keyspace {
            return Err(OpError::OtherKeyspace(found));
        }
        match self.tag {
            PUT if self.second.len() > MAX_VALUE_LEN => Err(ValueError(self.second.len()).into()),
            PUT => Ok(OpRef::Put { key: self.key, value: self.second }),
            DELETE => Ok(OpRef::Delete { key: self.key }),
            DELETE_RANGE => {
                if !is_range_end(self.second, keyspace) {
                    return Err(OpError::RangeEnd(Key::new(self.second.to_vec())?));
                }
                Ok(OpRef::DeleteRange { start: self.key, end: self.second })
            }
            tag => Err(OpError::Unknown(tag)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let id = SectionId { keyspace: KeyspaceId::DNS, partition: 7 };
        let key = |tail: &[u8]| Key::new([&[0, 1], tail].concat()).unwrap();
        Batch {
            preconditions: vec![Precondition { section: id, edition: Edition::new(3) }],
            sections: vec![Section {
                id,
                ops: vec![
                    Op::Put { key: key(b"a"), value: Value::new(&b"value"[..]).unwrap() },
                    Op::Delete { key: key(b"b") },
                    Op::DeleteRange { start: key(b"c"), end: Key::new(vec![0, 2]).unwrap() },
                ],
            }],
        }
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
        let batch = EncodedBatch::from_bytes(bytes)?;
        batch.sections.iter().flat_map(decode_ops).map(|op| op.map(|op| format!("{op:?}"))).collect()
    }

    #[test]
    fn half_a_value_after_the_last_operation_is_noticed() {
        let encoded = batch().encode().unwrap();
        let section = &encoded.sections[0];
        for rest in [&[0x91][..], &[0xc1], &[0xd9], &[0xdc, 0], &[0x00], &[0xc3]] {
            let ops = [&section.ops[..], rest].concat().into();
            let with_rest = EncodedSection { ops, ..section.clone() };
            let last = decode_ops(&with_rest).last();
            assert!(
                matches!(last, Some(Err(DecodeError::Op { problem: OpError::Trailing, number: 3, .. }))),
                "{rest:x?}"
            );
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let encoded = batch().encode().unwrap();
        let back = EncodedBatch::from_bytes(&encoded.to_bytes()).unwrap();
        assert_eq!(back, encoded);
        let ops: Vec<_> = decode_ops(&back.sections[0]).map(Result::unwrap).collect();
        assert_eq!(ops.len(), 3);
        assert_eq!(ops[0], OpRef::Put { key: &[0, 1, b'a'], value: b"value" });
        assert_eq!(ops[2], OpRef::DeleteRange { start: &[0, 1, b'c'], end: &[0, 2] });
    }

    #[test]
    fn every_truncation_is_an_error_and_no_flip_panics() {
        let bytes = batch().encode().unwrap().to_bytes();
        for cut in 0..bytes.len() {
            assert!(read_all(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                let _ = read_all(&flipped);
            }
        }
    }

    #[test]
    fn a_key_outside_its_section_is_refused_on_both_sides() {
        let mut batch = batch();
        batch.sections[0].id.keyspace = KeyspaceId::CORE;
        assert!(matches!(batch.encode(), Err(EncodeError::OtherKeyspace(..))));

        let mut encoded = super::tests::batch().encode().unwrap();
        encoded.sections[0].id.keyspace = KeyspaceId::CORE;
        assert!(matches!(
            read_all(&encoded.to_bytes()),
            Err(DecodeError::Op { number: 0, problem: OpError::OtherKeyspace(_), .. })
        ));
    }

    #[test]
    fn count_and_operations_must_agree() {
        let mut encoded = batch().encode().unwrap();
        encoded.sections[0].count = 2;
        assert!(matches!(read_all(&encoded.to_bytes()), Err(DecodeError::Op { problem: OpError::Trailing, .. })));
        encoded.sections[0].count = 4;
        assert!(matches!(read_all(&encoded.to_bytes()), Err(DecodeError::Op { number: 3, .. })));
    }
}
