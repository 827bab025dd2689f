//! Whether all copies hold the same: markers, which say where every node sums up what it has, and what a majority of the
//! voters has come to.
//!
//! Both are published keys like any other, so every node that follows versions gets them in their place, and releases that
//! know nothing of them keep them.
//!
//! # Format
//! A key is the keyspace `0004`, then 0 for the last marker and 1 for the last agreement. The values are positional
//! MessagePack arrays. All of them are one section, of partition 0.
//!
//! | key | value |
//! |---|---|
//! | 0 | `[format, number, time, bytes a second]`: a marker |
//! | 1 | `[format, number, root, ranges, keys, agreeing, voters]`: the agreement on the marker of this number |

use bytes::Bytes;
use thiserror::Error;

use crate::{
    Key, KeyspaceId, Op, OpRef, Published, RangeHash, SectionId, Value, View, ViewError, decode_ops, positional,
    read_whole,
};

const FORMAT: u8 = 1;

/// After the keyspace in a key.
const MARKER: u8 = 0;
const AGREEMENT: u8 = 1;

/// The section of markers and agreements.
pub const VERIFICATION: SectionId = SectionId { keyspace: KeyspaceId::VERIFIED, partition: 0 };

positional! {
    /// Every node sums up its copy as it is at the version that holds this.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Marker {
        /// 1.
        pub format: u8,
        /// A later one has a greater one; the first is 1.
        pub number: u64,
        /// When it was made, microseconds of Unix time.
        pub time_us: u64,
        /// Bytes of keys and values that a node reads for it in a second.
        pub bytes_per_second: u64,
    }
}

positional! {
    /// What voters have come to at a marker, if more than half of them agree.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Agreement {
        /// 1.
        pub format: u8,
        /// That of its marker.
        pub number: u64,
        /// Of everything published.
        pub root: RangeHash,
        /// How many ranges that is.
        pub ranges: u64,
        /// How many keys.
        pub keys: u64,
        /// How many voters have come to this.
        pub agreeing: u32,
        /// How many there were.
        pub voters: u32,
    }
}

/// The last marker and the last agreement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The marker.
    pub marker: Option<Marker>,
    /// The agreement, perhaps on an earlier marker.
    pub agreement: Option<Agreement>,
}

/// Why it cannot be read.
#[derive(Debug, Error)]
pub enum VerificationError {
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Damage, or the work of a later release.
    #[error("{0}")]
    Entry(String),
}

impl Marker {
    /// One with this number.
    #[must_use]
    pub fn new(number: u64, time_us: u64, bytes_per_second: u64) -> Self {
        Self { format: FORMAT, number, time_us, bytes_per_second }
    }

    /// What writes it.
    #[must_use]
    pub fn put(&self) -> Op {
        put(MARKER, rmp_serde::to_vec(self).expect("plain data always encodes"))
    }
}

impl Agreement {
    /// Makes it one of this release.
    #[must_use]
    pub fn written(self) -> Self {
        Self { format: FORMAT, ..self }
    }

    /// What writes it.
    #[must_use]
    pub fn put(&self) -> Op {
        put(AGREEMENT, rmp_serde::to_vec(self).expect("plain data always encodes"))
    }

    /// Whether a copy may be put right after it: more than one voter says so. One that is alone may be what is damaged.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.agreeing > 1
    }
}

impl Verification {
    /// What a store holds.
    ///
    /// # Errors
    /// The store cannot be read, or holds something else there.
    pub fn read(view: &(impl View + ?Sized)) -> Result<Self, VerificationError> {
        let (mut found, mut value) = (Self::default(), Vec::new());
        for kind in [MARKER, AGREEMENT] {
            if view.get(key(kind).as_bytes(), &mut value)? {
                found.take(kind, &value).map_err(VerificationError::Entry)?;
            }
        }
        Ok(found)
    }

    /// What a version puts there. Whatever makes no sense is left out: a later release may say more.
    #[must_use]
    pub fn in_version(published: &Published) -> Self {
        let mut found = Self::default();
        for section in published.sections.iter().filter(|section| section.id == VERIFICATION) {
            for op in decode_ops(section) {
                if let Ok(OpRef::Put { key, value }) = op
                    && let Some([kind]) = key.get(2..)
                {
                    // See above.
                    let _ = found.take(*kind, value);
                }
            }
        }
        found
    }

    /// The agreement on the last marker.
    #[must_use]
    pub fn present_agreement(&self) -> Option<Agreement> {
        self.agreement.filter(|agreement| self.marker.is_some_and(|marker| marker.number == agreement.number))
    }

    fn take(&mut self, kind: u8, value: &[u8]) -> Result<(), String> {
        let known = |format: u8| match format {
            FORMAT => Ok(()),
            format => Err(format!("format {format} of a verification is not known to this release")),
        };
        match kind {
            MARKER => {
                let marker: Marker = read_whole(value).map_err(|error| format!("a marker: {error}"))?;
                known(marker.format)?;
                self.marker = Some(marker);
            }
            AGREEMENT => {
                let agreement: Agreement = read_whole(value).map_err(|error| format!("an agreement: {error}"))?;
                known(agreement.format)?;
                self.agreement = Some(agreement);
            }
            kind => return Err(format!("a verification has no part {kind}")),
        }
        Ok(())
    }
}

fn put(kind: u8, value: Vec<u8>) -> Op {
    Op::Put { key: key(kind), value: Value::new(value).expect("some numbers are short") }
}

fn key(kind: u8) -> Key {
    let keyspace = KeyspaceId::VERIFIED.get().to_be_bytes();
    Key::new(Bytes::from([&keyspace[..], &[kind]].concat())).expect("three bytes with a keyspace")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, MemoryView, Position, Section, StoreId};

    fn batch(ops: Vec<Op>) -> Batch {
        Batch { preconditions: vec![], sections: vec![Section { id: VERIFICATION, ops }] }
    }

    fn agreement(number: u64) -> Agreement {
        let root = RangeHash::of_entries(b"entries");
        Agreement { number, root, ranges: 3, keys: 99, agreeing: 2, voters: 3, ..Agreement::default() }.written()
    }

    #[test]
    fn a_marker_and_a_agreement_are_read_from_a_version_and_from_a_store() {
        let (marker, agreement) = (Marker::new(7, 1_000, 5), agreement(7));
        let batch = batch(vec![marker.put(), agreement.put()]);
        let sections = batch.encode().unwrap().sections;
        let published = Published::after(&Position::origin(StoreId::new(9)), 0, sections).unwrap();
        let expected = Verification { marker: Some(marker), agreement: Some(agreement) };
        assert_eq!(Verification::in_version(&published), expected);
        let mut view = MemoryView::new();
        assert_eq!(Verification::read(&view).unwrap(), Verification::default());
        view.apply(&batch);
        assert_eq!(Verification::read(&view).unwrap(), expected);
        assert_eq!(expected.present_agreement(), Some(agreement));
        let later = Verification { marker: Some(Marker::new(8, 2_000, 5)), ..expected };
        assert_eq!(later.present_agreement(), None);
        assert!(KeyspaceId::VERIFIED.is_published());
    }

    #[test]
    fn damage_and_later_formats_are_told_and_no_version_is_refused_for_them() {
        let Op::Put { value, .. } = agreement(1).put() else { panic!("not a put") };
        let value = value.as_bytes();
        for bad in (0..value.len()).map(|cut| value[..cut].to_vec()).chain([vec![0x91, 9]]) {
            let op = Op::Put { key: key(AGREEMENT), value: Value::new(bad).unwrap() };
            let batch = batch(vec![op, Marker::new(1, 2, 3).put()]);
            let mut view = MemoryView::new();
            view.apply(&batch);
            assert!(matches!(Verification::read(&view), Err(VerificationError::Entry(_))));
            let sections = batch.encode().unwrap().sections;
            let published = Published::after(&Position::origin(StoreId::new(9)), 0, sections).unwrap();
            let found = Verification::in_version(&published);
            assert_eq!((found.marker.map(|marker| marker.number), found.agreement), (Some(1), None));
        }
    }

    #[test]
    fn one_voter_alone_has_nothing_put_right() {
        assert!(agreement(1).is_agreed());
        assert!(!Agreement { agreeing: 1, voters: 1, ..agreement(1) }.is_agreed());
    }
}
