//! Entries of one section, one after the other in one buffer.

use std::ops::ControlFlow;

use bytes::Bytes;
use zonecast_kv_proto::{KeyspaceId, View};
use zonecast_records::{Generation, generation_range};

use crate::read_error::ReadError;

/// Where in a key its generation stands: behind the keyspace.
const GENERATION_AT: usize = 2;

/// Entries of one section in ascending order.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntryList {
    /// Keys and values, one after the other.
    bytes: Bytes,
    /// Lengths of key and value.
    lengths: Vec<(u32, u32)>,
}

/// One entry, sharing the buffer of its section.
pub(crate) type Entry = (Bytes, Bytes);

impl EntryList {
    /// The entries of a generation of a zone, under another one.
    pub(crate) fn moved(
        view: &dyn View,
        keyspace: KeyspaceId,
        from: Generation,
        to: Generation,
    ) -> Result<Self, ReadError> {
        let (start, end) = generation_range(keyspace, from);
        let mut entries = EntryListBuilder::default();
        view.scan(start.as_bytes(), end.as_bytes(), &mut |key, value| {
            entries.push(key, value);
            ControlFlow::Continue(())
        })?;
        let mut at = 0;
        for (key_len, value_len) in &entries.lengths {
            if let Some(number) = entries.bytes.get_mut(at + GENERATION_AT..at + GENERATION_AT + 8) {
                number.copy_from_slice(&to.get().to_be_bytes());
            }
            at += *key_len as usize + *value_len as usize;
        }
        Ok(entries.into())
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// The same in ascending order, whatever order they came in.
    pub(crate) fn sorted(self) -> Self {
        let mut entries: Vec<Entry> = self.entries().collect();
        if entries.is_sorted() {
            return self;
        }
        entries.sort();
        let mut sorted = EntryListBuilder::default();
        entries.iter().for_each(|(key, value)| sorted.push(key, value));
        sorted.into()
    }

    /// In ascending order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        cut(self.bytes.clone(), self.lengths.iter().copied())
    }

    /// The same, without the list.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry> {
        cut(self.bytes, self.lengths.into_iter())
    }
}

/// Entries of these lengths, one after the other.
fn cut(mut bytes: Bytes, lengths: impl Iterator<Item = (u32, u32)>) -> impl Iterator<Item = Entry> {
    lengths.map(move |(key_len, value_len)| (bytes.split_to(key_len as usize), bytes.split_to(value_len as usize)))
}

/// A list being filled.
#[derive(Debug, Default)]
pub(crate) struct EntryListBuilder {
    bytes: Vec<u8>,
    lengths: Vec<(u32, u32)>,
}

impl EntryListBuilder {
    /// Adds an entry at the end.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        let length = |len| u32::try_from(len).expect("keys and values are far below 4 GiB");
        self.lengths.push((length(key.len()), length(value.len())));
    }
}

impl From<EntryListBuilder> for EntryList {
    fn from(EntryListBuilder { bytes, lengths }: EntryListBuilder) -> Self {
        Self { bytes: bytes.into(), lengths }
    }
}
