//! Private data of one owner name that the published keys do not hold.
//!
//! The private keys of a generation mirror the section `name`: the kind of an address key holds a [`CoreNode`], and the
//! kind of a type holds, as an [`RrsetValue`](crate::RrsetValue), an RRset that no answer may show: occluded data
//! other than addresses, and under RRSIG the signatures over types that the name does not have. A name that has
//! nothing of this has no private key.

use serde_bytes::Bytes;
use zonecast_kv_proto::{positional, read_whole};

use crate::ValueError;

const FORMAT: u8 = 1;

/// Most RRsets of one name with TTLs of their own: there are no more types.
const MAX_TTLS: usize = 65_536;

/// Most records of one name that are not served: far more than RRsets that fit messages have. The builder refuses a
/// name with more.
pub const MAX_ASIDE: usize = 65_536;

positional! {
    /// The private value of one owner name.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct CoreNode<'a> {
        /// 1.
        pub format: u8,
        /// Labels below the apex in wire form without the root's, in the letter case of the source; empty when they
        /// are all lower-case.
        pub owner: &'a Bytes,
        /// RRsets whose records do not all have the TTL of the RRset, by ascending type.
        pub ttls: Vec<OwnTtls> where len <= MAX_TTLS,
        /// Overridden types, ascending. An overridden type without published records is answered with no records.
        pub overridden: Vec<u16> where len <= MAX_TTLS,
        /// Records of the source that are not served, by ascending type and data.
        pub aside: Vec<AsideRecord<'a>> where len <= MAX_ASIDE,
    }
}

positional! {
    /// A record of the source that is not served.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct AsideRecord<'a> {
        /// Type.
        pub rtype: u16,
        /// Seconds.
        pub ttl: u32,
        /// RDATA in wire form.
        pub rdata: &'a Bytes,
        /// Number of the [`NotServed`].
        pub why: u8,
    }
}

/// Why a record of the source is not served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum NotServed {
    /// An override replaces the records of its type.
    #[default]
    Overridden = 0,
    /// The record is disabled.
    Disabled = 1,
    /// It is the CNAME of an apex, which stands for the addresses of its target.
    Flattened = 2,
}

impl NotServed {
    /// The reason of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Overridden, Self::Disabled, Self::Flattened].into_iter().find(|why| *why as u8 == number)
    }
}

positional! {
    /// The TTL of each record of one RRset.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct OwnTtls {
        /// Type of the RRset.
        pub rtype: u16,
        /// Of its records in canonical order; empty when all have that of the RRset.
        pub records: Vec<u32>,
        /// Of the RRSIGs that cover it in canonical order; empty when all have that of the RRset.
        pub sigs: Vec<u32>,
    }
}

impl<'a> CoreNode<'a> {
    /// With these parts.
    #[must_use]
    pub fn new(owner: &'a [u8], ttls: Vec<OwnTtls>) -> Self {
        Self { format: FORMAT, owner: Bytes::new(owner), ttls, ..Self::default() }
    }

    /// Whether there is nothing to keep, and so no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.owner.is_empty() && self.ttls.is_empty() && !self.is_layered()
    }

    /// Whether the name has overridden types or disabled records.
    #[must_use]
    pub fn is_layered(&self) -> bool {
        !self.overridden.is_empty() || !self.aside.is_empty()
    }

    /// Reads a stored value.
    ///
    /// # Errors
    /// The bytes are damaged or of another format.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let value: Self = read_whole(bytes)?;
        match value.aside.iter().all(|record| NotServed::from_number(record.why).is_some()) {
            _ if value.format != FORMAT => Err(ValueError::Format(value.format)),
            false => Err(ValueError::Field("aside")),
            true => Ok(value),
        }
    }

    /// The bytes to store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data always encodes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_refuses_every_truncation() {
        let ttls = vec![OwnTtls { rtype: 1, records: vec![60, 300], sigs: vec![] }];
        let aside = vec![AsideRecord { rtype: 16, ttl: 60, rdata: Bytes::new(b"\x01a"), why: 1 }];
        let value = CoreNode { overridden: vec![1, 28], aside, ..CoreNode::new(b"\x03WwW", ttls) };
        let bytes = value.encode();
        assert_eq!(CoreNode::decode(&bytes).unwrap(), value);
        assert!(!value.is_empty() && CoreNode::new(b"", vec![]).is_empty());
        for cut in 0..bytes.len() {
            assert!(CoreNode::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
