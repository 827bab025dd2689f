//! The replicated list of revoked certificates. It is published, so that edges refuse a core that is revoked, too.
//!
//! # Format
//! A key is the keyspace `0002`, then 0 for the number of the list, or 1 and the serial number of a revoked certificate
//! without leading zeros. The value is the positional MessagePack array `[format, number]`; of a certificate the number
//! is 0. All of them are one section, of partition 0.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use thiserror::Error;

use crate::{Key, KeyspaceId, Op, SectionId, Value, View, ViewError, positional, read_whole};

const FORMAT: u8 = 1;

/// After the keyspace in a key.
const NUMBER: u8 = 0;
const CERTIFICATE: u8 = 1;

/// RFC 5280 section 4.1.2.2: a serial number has at most 20 bytes.
const MAX_SERIAL: usize = 20;

positional! {
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct Stored {
        format: u8,
        number: u64,
    }
}

/// The revoked certificates, as the list of this number names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedList {
    /// A later list has a greater one.
    pub number: u64,
    /// Their serial numbers.
    pub serials: BTreeSet<Vec<u8>>,
}

/// Why the list cannot be read.
#[derive(Debug, Error)]
pub enum RevokedListError {
    /// The store could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// Damage, or the work of a later release.
    #[error("revoked certificate at key {key}: {what}")]
    Entry {
        /// The key of the entry.
        key: String,
        /// What is wrong with it.
        what: String,
    },
}

impl RevokedList {
    /// The section that all of it is in.
    pub const SECTION: SectionId = SectionId { keyspace: KeyspaceId::REVOKED, partition: 0 };

    /// What leads here from another list.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Op> {
        let gone = before.serials.difference(&self.serials).map(|serial| Op::Delete { key: key(CERTIFICATE, serial) });
        let new = self.serials.difference(&before.serials).map(|serial| put(CERTIFICATE, serial, 0));
        let number = (self.number != before.number).then(|| put(NUMBER, &[], self.number));
        gone.chain(new).chain(number).collect()
    }

    /// The list in a store, empty if there never was one.
    ///
    /// # Errors
    /// The store cannot be read, or holds something else there.
    pub fn read(view: &(impl View + ?Sized)) -> Result<Self, RevokedListError> {
        let [start, end] = [KeyspaceId::REVOKED.get(), KeyspaceId::REVOKED.get() + 1].map(u16::to_be_bytes);
        let (mut list, mut bad) = (Self::default(), None);
        view.scan(&start, &end, &mut |key, value| match list.take(key, value) {
            Ok(()) => ControlFlow::Continue(()),
            Err(what) => {
                bad = Some(RevokedListError::Entry { key: key.escape_ascii().to_string(), what });
                ControlFlow::Break(())
            }
        })?;
        bad.map_or(Ok(list), Err)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let Stored { format, number } = read_whole(value).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("format {format} is not known to this release"));
        }
        match key.get(2..) {
            Some([NUMBER]) => self.number = number,
            Some([CERTIFICATE, serial @ ..]) if serial.len() <= MAX_SERIAL => _ = self.serials.insert(serial.to_vec()),
            _ => return Err("not a serial number".into()),
        }
        Ok(())
    }
}

fn put(kind: u8, serial: &[u8], number: u64) -> Op {
    let value = rmp_serde::to_vec(&Stored { format: FORMAT, number }).expect("plain data always encodes");
    Op::Put { key: key(kind, serial), value: Value::new(value).expect("a number is short") }
}

fn key(kind: u8, serial: &[u8]) -> Key {
    let keyspace = KeyspaceId::REVOKED.get().to_be_bytes();
    Key::new(Bytes::from([&keyspace[..], &[kind], serial].concat())).expect("a serial number has at most 20 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, MemoryView, Section};

    fn list(number: u64, serials: &[&[u8]]) -> RevokedList {
        RevokedList { number, serials: serials.iter().map(|serial| serial.to_vec()).collect() }
    }

    fn apply(view: &mut MemoryView, ops: Vec<Op>) {
        view.apply(&Batch { preconditions: vec![], sections: vec![Section { id: RevokedList::SECTION, ops }] });
    }

    #[test]
    fn reads_what_it_wrote_and_forgets_what_the_next_list_leaves_out() {
        assert!(RevokedList::SECTION.keyspace.is_published(), "edges need it");
        let mut view = MemoryView::new();
        assert_eq!(RevokedList::read(&view).unwrap(), RevokedList::default());
        let (one, two) = (list(7, &[b"\x0a\xff", b"\x01"]), list(8, &[b"\x01", b"\x02"]));
        apply(&mut view, one.since(&RevokedList::default()));
        assert_eq!(RevokedList::read(&view).unwrap(), one);
        apply(&mut view, two.since(&one));
        assert_eq!(RevokedList::read(&view).unwrap(), two);
        assert_eq!(two.since(&two), []);
    }

    #[test]
    fn damage_is_said() {
        let Op::Put { key, value } = put(CERTIFICATE, b"\x01", 0) else { panic!("not a put") };
        let long = Key::new(Bytes::from([&[0, 2, CERTIFICATE][..], &[7; 21]].concat())).unwrap();
        let cut = Value::new(Bytes::new()).unwrap();
        for (key, value) in [(key, cut), (long, value)] {
            let mut view = MemoryView::new();
            apply(&mut view, vec![Op::Put { key, value }]);
            assert!(matches!(RevokedList::read(&view), Err(RevokedListError::Entry { .. })));
        }
    }
}
