//! The fields of RDATA: the positions of names and strings in the RDATA of each type, which names may be compressed in
//! a message and which are in lower case in the canonical form. It stands here once, for whoever checks, compares or
//! sends RDATA.
//!
//! A6 (RFC 2874, historic) is taken as opaque. How RDATA is written as text is finer and belongs to whoever reads zone
//! files.

use domain::base::iana::Rtype;

/// One field of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RdataField {
    /// A field of so many bytes.
    Bytes(usize),
    /// A name that is compressed in messages and in lower case in the canonical form. RFC 3597 section 4 allows it for all
    /// types of RFC 1035; those that nobody uses any more are [`RdataField::Name`].
    CompressedName,
    /// A name that is in lower case in the canonical form, RFC 4034 section 6.2.
    Name,
    /// A name that keeps its case in the canonical form (RFC 6840 section 5.1, RFC 3597 section 7).
    KeptName,
    /// A character string: its length, then that many bytes.
    Text,
    /// Character strings to the end, at least one.
    Texts,
    /// All bytes that are left.
    Rest,
}

/// Names of RDATA that are compressed in messages; they stand one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressedNames {
    /// Bytes in front of the first.
    pub after: usize,
    /// The number of names.
    pub count: usize,
}

use RdataField::{Bytes, CompressedName, KeptName, Name, Rest, Text, Texts};

/// Types of RFC 1035, those whose names may be compressed among them, have numbers below this.
const RFC_1035_TYPES: usize = 17;

/// By number; whoever writes messages asks for each record.
#[expect(clippy::indexing_slicing, reason = "decided when this is compiled")]
static COMPRESSED: [Option<CompressedNames>; RFC_1035_TYPES] = {
    let mut names = [None; RFC_1035_TYPES];
    let mut number: u16 = 0;
    while (number as usize) < RFC_1035_TYPES {
        names[number as usize] = compressed_among(RdataField::all_of(Rtype::from_int(number)));
        number += 1;
    }
    names
};

const fn compressed_among(fields: &[RdataField]) -> Option<CompressedNames> {
    match fields {
        [CompressedName, CompressedName, ..] => Some(CompressedNames { after: 0, count: 2 }),
        [CompressedName, ..] => Some(CompressedNames { after: 0, count: 1 }),
        [Bytes(after), CompressedName, ..] => Some(CompressedNames { after: *after, count: 1 }),
        _ => None,
    }
}

impl RdataField {
    /// The fields of a type, in order; of one that is not known, that it has bytes.
    #[inline]
    #[must_use]
    pub const fn all_of(rtype: Rtype) -> &'static [Self] {
        match rtype {
            Rtype::A => &[Bytes(4)],
            Rtype::AAAA => &[Bytes(16)],
            Rtype::NS | Rtype::CNAME | Rtype::PTR => &[CompressedName],
            Rtype::MD | Rtype::MF | Rtype::MB | Rtype::MG | Rtype::MR | Rtype::DNAME => &[Name],
            Rtype::SOA => &[CompressedName, CompressedName, Bytes(20)],
            Rtype::MINFO | Rtype::RP => &[Name, Name],
            Rtype::MX => &[Bytes(2), CompressedName],
            Rtype::AFSDB | Rtype::RT | Rtype::KX => &[Bytes(2), Name],
            Rtype::PX => &[Bytes(2), Name, Name],
            Rtype::SRV => &[Bytes(6), Name],
            Rtype::NAPTR => &[Bytes(4), Text, Text, Text, Name],
            Rtype::SIG | Rtype::RRSIG => &[Bytes(18), Name, Rest],
            Rtype::NXT => &[Name, Rest],
            Rtype::NSEC => &[KeptName, Rest],
            Rtype::NSEC3 => &[Bytes(4), Text, Text, Rest],
            Rtype::SVCB | Rtype::HTTPS => &[Bytes(2), KeptName, Rest],
            Rtype::TXT | Rtype::SPF => &[Texts],
            Rtype::HINFO => &[Text, Text],
            Rtype::CAA => &[Bytes(1), Text, Rest],
            Rtype::DS | Rtype::CDS | Rtype::DNSKEY | Rtype::CDNSKEY => &[Bytes(4), Rest],
            _ => &[Rest],
        }
    }

    /// Which names of a type are compressed.
    #[inline]
    #[must_use]
    pub fn compressed(rtype: Rtype) -> Option<CompressedNames> {
        COMPRESSED.get(usize::from(rtype.to_int())).copied().flatten()
    }

    /// Bytes in front of the first name; `None` for a type that has none, or none that always stands at one place.
    #[inline]
    #[must_use]
    pub fn first_name_at(rtype: Rtype) -> Option<usize> {
        match Self::all_of(rtype) {
            [CompressedName | Name | KeptName, ..] => Some(0),
            [Bytes(count), CompressedName | Name | KeptName, ..] => Some(*count),
            _ => None,
        }
    }

    /// Whether it is in lower case in the canonical form.
    pub(crate) const fn is_lowered(self) -> bool {
        matches!(self, CompressedName | Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_rfc_1035_are_compressed() {
        let is_compressed = |rtype: &Rtype| RdataField::all_of(*rtype).contains(&CompressedName);
        let compressed: Vec<Rtype> = (0..=u16::MAX).map(Rtype::from_int).filter(is_compressed).collect();
        assert_eq!(compressed, [Rtype::NS, Rtype::CNAME, Rtype::SOA, Rtype::PTR, Rtype::MX]);
        let names = compressed.into_iter().filter_map(RdataField::compressed).map(|names| (names.after, names.count));
        assert_eq!(names.collect::<Vec<_>>(), [(0, 1), (0, 1), (0, 2), (0, 1), (2, 1)]);
        assert_eq!([Rtype::A, Rtype::SRV, Rtype::ANY].map(RdataField::compressed), [None; 3]);
    }

    #[test]
    fn the_first_name_is_found() {
        let types = [Rtype::CNAME, Rtype::MX, Rtype::HTTPS, Rtype::SRV, Rtype::NAPTR, Rtype::TXT, Rtype::A];
        let places = types.map(RdataField::first_name_at);
        assert_eq!(places, [Some(0), Some(2), Some(2), Some(6), None, None, None]);
    }
}
