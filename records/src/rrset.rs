//! RRsets as they are stored.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::{RdataList, ValueError};

const FORMAT: u8 = 1;

positional! {
    /// One RRset. Where it stands says its type.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Rrset<'a> {
        /// Seconds; the smallest of its records'.
        pub ttl: u32,
        /// Its RDATA in canonical order: packed A are 4 bytes each and packed AAAA 16, everything else is a
        /// [`RdataList`] of uncompressed wire form.
        pub data: &'a Bytes,
        /// RDATA of the RRSIGs that cover it, as a [`RdataList`].
        pub sigs: &'a Bytes,
    }
}

positional! {
    /// The value of an RRset key.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RrsetValue<'a> {
        /// 1.
        pub format: u8,
        /// The RRset.
        pub rrset: Rrset<'a>,
    }
}

impl<'a> Rrset<'a> {
    /// RDATA of each record, for every type but A and AAAA.
    #[must_use]
    pub fn rdata(&self) -> RdataList<'a> {
        RdataList::checked(self.data)
    }

    /// RDATA of each covering RRSIG.
    #[must_use]
    pub fn signatures(&self) -> RdataList<'a> {
        RdataList::checked(self.sigs)
    }

    /// RDATA of each record where each has `width` bytes: 4 for A, 16 for AAAA.
    #[inline]
    pub fn fixed(&self, width: usize) -> impl Iterator<Item = &'a [u8]> + Clone {
        let data: &'a [u8] = self.data;
        data.chunks_exact(width)
    }

    pub(crate) fn check(&self, field: &'static str) -> Result<(), ValueError> {
        RdataList::check(self.data, field)?;
        RdataList::check(self.sigs, field)?;
        Ok(())
    }

    pub(crate) fn check_fixed(&self, width: usize, field: &'static str) -> Result<(), ValueError> {
        RdataList::check(self.sigs, field)?;
        if self.data.len().is_multiple_of(width) { Ok(()) } else { Err(ValueError::Field(field)) }
    }
}

impl<'a> RrsetValue<'a> {
    /// Around this RRset.
    #[must_use]
    pub fn new(rrset: Rrset<'a>) -> Self {
        Self { format: FORMAT, rrset }
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let value: Self = read_whole(bytes)?;
        if value.format != FORMAT {
            return Err(ValueError::Format(value.format));
        }
        value.rrset.check("rrset")?;
        Ok(value)
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Writes the bytes to store to the end of `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        rmp_serde::encode::write(out, self).expect("writing plain data into memory cannot fail");
    }
}
