//! One resource record on its way from a source into the builder.

use domain::base::iana::Rtype;

use crate::Name;

/// A record of class IN, borrowed from whoever read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Owner in the letter case of the source.
    pub owner: &'a Name,
    /// The type of the record.
    pub rtype: Rtype,
    /// The TTL in seconds.
    pub ttl: u32,
    /// Uncompressed wire form, letter case of the source.
    pub rdata: &'a [u8],
}
