//! The RDATA of an RRset, packed: for each record a 16-bit big-endian length and that many bytes.

use serde_bytes::Bytes;

use crate::ValueError;

/// Checked, borrowed items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RdataList<'a>(&'a [u8]);

impl<'a> RdataList<'a> {
    /// Checks that the bytes are whole items. `field` names them in the error.
    ///
    /// # Errors
    /// The last item ends early.
    pub fn check(bytes: &'a Bytes, field: &'static str) -> Result<Self, ValueError> {
        let mut rest: &[u8] = bytes;
        while !rest.is_empty() {
            (_, rest) = split_item(rest).ok_or(ValueError::Field(field))?;
        }
        Ok(Self(bytes))
    }

    /// Trusts that the bytes passed [`RdataList::check`]; iteration ends where they do not.
    #[must_use]
    pub fn checked(bytes: &'a Bytes) -> Self {
        Self(bytes)
    }

    /// Items in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (item, after) = split_item(rest)?;
            rest = after;
            Some(item)
        })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

fn split_item(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Packs items.
#[derive(Clone, Debug, Default)]
pub struct RdataListBuilder(Vec<u8>);

impl RdataListBuilder {
    /// Nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Packs all items.
    pub fn from_items<I: AsRef<[u8]>>(items: impl IntoIterator<Item = I>) -> Self {
        let mut list = Self::new();
        for item in items {
            list.push(item.as_ref());
        }
        list
    }

    /// Adds one item.
    ///
    /// # Panics
    /// The item is over 65,535 bytes, which no RDATA is.
    pub fn push(&mut self, item: &[u8]) {
        let length = u16::try_from(item.len()).expect("RDATA is at most 65,535 bytes");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(item);
    }

    /// The packed bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The packed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        Bytes::new(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_packed() {
        let items: [&[u8]; 3] = [b"one", b"", &[0; 300]];
        let list = RdataListBuilder::from_items(items);
        let read = RdataList::check(list.as_bytes(), "data").unwrap();
        assert!(read.iter().eq(items));
    }

    #[test]
    fn a_cut_item_is_an_error() {
        let list = RdataListBuilder::from_items([b"abc"]);
        for cut in 1..5 {
            let bytes = Bytes::new(&list.as_bytes()[..cut]);
            assert!(matches!(RdataList::check(bytes, "data"), Err(ValueError::Field("data"))), "cut at {cut}");
        }
    }
}
