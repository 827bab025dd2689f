//! Every type that has a text form here, as a list of fields: one table for reading, checking and writing.
//!
//! ```text
//! text ── field_text ──▶ wire form ── field_check, agreement ──▶ taken
//! wire form ── field_check, field_text ──▶ text
//! ```
//! What is not in the table is read and written as RFC 3597 says, and any bytes of it pass.

use domain::base::iana::Rtype;

/// Mnemonics and their numbers.
pub(crate) type Names = &'static [(u16, &'static str)];

/// One field, as text and as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Name,
    U8,
    U16,
    U32,
    /// A number of one byte that has mnemonics.
    Named8(Names),
    /// A number of two bytes that has mnemonics.
    Named16(Names),
    /// A security algorithm: mnemonic or number.
    Algorithm,
    /// A type: mnemonic, `TYPE123` or number.
    Type,
    /// Seconds, with or without units.
    Seconds,
    /// The time of a signature.
    Time,
    /// A character-string.
    Text,
    /// A character-string that may be missing.
    OptionalText,
    /// A character-string of at least four digits, RFC 1183 section 3.1.
    Digits,
    /// A character-string that is a decimal number from minus to plus this, RFC 1712 section 3.
    Degrees(u16),
    /// A character-string that is empty or a substitution expression, RFC 3402 section 3.2.
    Substitution,
    /// One or more character-strings to the end.
    Texts,
    /// A word of letters and digits with a length byte, RFC 8659 section 4.1.
    Tag,
    /// One quoted string of any length to the end, without a length byte.
    Octets,
    /// The same, not empty.
    Target,
    /// To the end, not empty.
    Hex,
    /// To the end, not empty.
    Base64,
    /// To the end.
    OptionalBase64,
    /// The same in one word, `-` for nothing.
    DashBase64,
    /// Hex in one word with a length byte, `-` for nothing.
    Salt,
    /// Base 32 in one word with a length byte, RFC 5155 section 3.3.
    Hash,
    /// A type bitmap to the end.
    Types,
    /// The same, not empty.
    SomeTypes,
    /// The bitmap of RFC 2535 section 5.2 to the end: types 1 to 127.
    OldTypes,
    Ipv4,
    Ipv6,
    /// 64 bits in four groups, RFC 6742 section 2.1.
    Groups,
    /// That many bytes with hyphens between them, RFC 7043.
    Eui(usize),
    /// Parameters of SVCB and HTTPS to the end.
    Params,
    /// All of a LOC.
    Loc,
    /// All of an APL.
    Apl,
    /// All of an NSAP.
    Nsap,
    /// All of an ATMA.
    Atma,
    /// All of an A6.
    A6,
    /// The bitmap of ports of a WKS to the end.
    Ports,
    /// All of an IPSECKEY.
    IpsecKey,
    /// All of an AMTRELAY.
    AmtRelay,
    /// All of a HIP.
    Hip,
}

use Field::{
    A6, Algorithm, AmtRelay, Apl, Atma, Base64, DashBase64, Degrees, Digits, Eui, Groups, Hash, Hex, Hip, IpsecKey,
    Ipv4, Ipv6, Loc, Name as NameField, Named8, Named16, Nsap, Octets, OldTypes, OptionalBase64, OptionalText, Params,
    Ports, Salt, Seconds, SomeTypes, Substitution, Tag, Target, Text, Texts, Time, Type, Types, U8, U16, U32,
};

/// The fields of a type; `None` where this table does not have it.
pub(crate) fn of(rtype: Rtype) -> Option<&'static [Field]> {
    Some(match rtype {
        Rtype::A => &[Ipv4],
        Rtype::AAAA => &[Ipv6],
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => &[NameField],
        Rtype::MX => &[U16, NameField],
        Rtype::TXT => &[Texts],
        Rtype::SOA => &[NameField, NameField, U32, Seconds, Seconds, Seconds, Seconds],
        Rtype::SRV => &[U16, U16, U16, NameField],
        Rtype::CAA => &[U8, Tag, Octets],
        Rtype::NAPTR => &[U16, U16, Text, Text, Substitution, NameField],
        Rtype::SVCB | Rtype::HTTPS => &[U16, NameField, Params],
        Rtype::DS | Rtype::CDS | Rtype::DLV | Rtype::TA => &[U16, Algorithm, Named8(DIGESTS), Hex],
        Rtype::DNSKEY | Rtype::CDNSKEY | Rtype::KEY | Rtype::RKEY => &[U16, Named8(PROTOCOLS), Algorithm, Base64],
        Rtype::RRSIG | Rtype::SIG => &[Type, Algorithm, U8, U32, Time, Time, U16, NameField, Base64],
        Rtype::NSEC => &[NameField, SomeTypes],
        Rtype::NSEC3 => &[Named8(HASHES), U8, U16, Salt, Hash, Types],
        Rtype::NSEC3PARAM => &[Named8(HASHES), U8, U16, Salt],
        Rtype::TLSA | Rtype::SMIMEA => &[U8, U8, U8, Hex],
        Rtype::SSHFP => &[U8, U8, Hex],
        Rtype::ZONEMD => &[U32, U8, U8, Hex],
        Rtype::HINFO => &[Text, Text],
        Rtype::RP | Rtype::MINFO | Rtype::TALINK => &[NameField, NameField],
        Rtype::OPENPGPKEY | Rtype::DHCID | Rtype::HHIT | Rtype::BRID => &[Base64],
        Rtype::IPSECKEY => &[IpsecKey],
        Rtype::AMTRELAY => &[AmtRelay],
        Rtype::HIP => &[Hip],
        Rtype::DSYNC => &[Type, Named8(&[(1, "NOTIFY")]), U16, NameField],
        Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[U16, NameField],
        Rtype::X25 => &[Digits],
        Rtype::ISDN => &[Text, OptionalText],
        Rtype::GPOS => &[Degrees(90), Degrees(180), Degrees(u16::MAX)],
        Rtype::NSAPPTR | Rtype::MB | Rtype::MG | Rtype::MR => &[NameField],
        Rtype::PX => &[U16, NameField, NameField],
        Rtype::CERT => &[Named16(CERT_TYPES), U16, Algorithm, Base64],
        Rtype::CSYNC => &[U32, U16, Types],
        Rtype::SPF | Rtype::AVC | Rtype::NINFO | Rtype::RESINFO | Rtype::WALLET => &[Texts],
        Rtype::NID | Rtype::L64 => &[U16, Groups],
        Rtype::L32 => &[U16, Ipv4],
        Rtype::EUI48 => &[Eui(6)],
        Rtype::EUI64 => &[Eui(8)],
        Rtype::URI => &[U16, U16, Target],
        Rtype::LOC => &[Loc],
        Rtype::APL => &[Apl],
        Rtype::NSAP => &[Nsap],
        Rtype::WKS => &[Ipv4, Named8(&[(6, "TCP"), (17, "UDP")]), Ports],
        Rtype::NXT => &[NameField, OldTypes],
        Rtype::EID | Rtype::NIMLOC => &[Hex],
        Rtype::ATMA => &[Atma],
        Rtype::A6 => &[A6],
        Rtype::SINK => &[U8, U8, U8, OptionalBase64],
        Rtype::DOA => &[U32, U32, U8, Text, DashBase64],
        _ => return None,
    })
}

/// Certificate types of RFC 4398 section 2.1.
const CERT_TYPES: Names = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];

/// As BIND reads them.
const DIGESTS: Names = &[(1, "SHA-1"), (1, "SHA1"), (2, "SHA-256"), (2, "SHA256"), (4, "SHA-384"), (4, "SHA384")];

/// RFC 2535 section 7.1.
const PROTOCOLS: Names = &[(0, "NONE"), (1, "TLS"), (2, "EMAIL"), (3, "DNSSEC"), (4, "IPSEC"), (255, "ALL")];

/// RFC 5155 section 11.
const HASHES: Names = &[(1, "SHA-1")];

impl Field {
    /// Whether a record may end before it.
    pub(crate) fn may_be_empty(self) -> bool {
        matches!(self, OptionalText | Types | OldTypes | Apl | Params | Ports | OptionalBase64)
    }

    /// Whether it takes all that is left, however many words that is.
    pub(crate) fn takes_the_rest(self) -> bool {
        let to_the_end = matches!(self, Texts | Hex | Base64 | OptionalBase64 | SomeTypes | Loc);
        to_the_end || matches!(self, IpsecKey | AmtRelay | Hip | A6) || (self.may_be_empty() && self != OptionalText)
    }

    /// For messages.
    pub(crate) fn what(self) -> &'static str {
        match self {
            NameField => "a name",
            U8 | U16 | U32 => "a number",
            Named8(_) | Named16(_) | Algorithm => "a number or mnemonic",
            Type => "a type",
            Seconds | Time => "a time",
            Text | Substitution | Digits | Degrees(_) | Octets | Target => "a string",
            OptionalText => "perhaps a string",
            Texts => "strings",
            Tag => "a word",
            Hex | Salt => "hex",
            Base64 | OptionalBase64 | DashBase64 => "base64",
            Hash => "base32",
            Types | SomeTypes | OldTypes => "types",
            Ipv4 | Ipv6 => "an address",
            Groups => "four groups of hex",
            Eui(_) => "bytes with hyphens",
            Params => "parameters",
            Ports => "ports",
            Loc => "a place",
            Apl => "prefixes",
            Nsap | Atma => "an address",
            A6 => "a prefix length, a suffix and a name",
            IpsecKey => "precedence, gateway type, algorithm, gateway and key",
            AmtRelay => "precedence, discovery, relay type and relay",
            Hip => "algorithm, identity tag, key and servers",
        }
    }
}

#[cfg(test)]
mod tests {
    use zonecast_records::RdataField;

    use super::*;

    /// Bytes of a field that always has as many.
    fn width(field: Field) -> Option<usize> {
        Some(match field {
            U8 | Named8(_) | Algorithm => 1,
            U16 | Named16(_) | Type => 2,
            U32 | Seconds | Time | Ipv4 => 4,
            Groups => 8,
            Ipv6 => 16,
            Eui(count) => count,
            _ => return None,
        })
    }

    /// The fields seen as coarsely as `records` sees them: equal ones up to its [`RdataField::Rest`], and no name after that.
    fn agree(fine: &[Field], coarse: &[RdataField]) -> bool {
        let has_name = |field: &Field| *field == NameField;
        match (coarse, fine) {
            ([], fine) => fine.is_empty(),
            ([RdataField::Rest, ..], fine) => !fine.iter().any(has_name),
            ([RdataField::Bytes(0), coarse @ ..], fine) => agree(fine, coarse),
            ([RdataField::Bytes(count), coarse @ ..], [field, fine @ ..]) => {
                let left = width(*field).and_then(|width| count.checked_sub(width));
                left.is_some_and(|left| agree(fine, &[&[RdataField::Bytes(left)], coarse].concat()))
            }
            ([RdataField::Text, coarse @ ..], [Text | Substitution | Tag | Salt | Hash, fine @ ..])
            | ([RdataField::Texts, coarse @ ..], [Texts, fine @ ..])
            | (
                [RdataField::CompressedName | RdataField::Name | RdataField::KeptName, coarse @ ..],
                [NameField, fine @ ..],
            ) => agree(fine, coarse),
            _ => false,
        }
    }

    /// Types with names that have no canonical form but their bytes: none of RFC 4034 section 6.2, to which no type is added
    /// (RFC 3597 section 7).
    const KEPT_AS_BYTES: [Rtype; 4] = [Rtype::TALINK, Rtype::DSYNC, Rtype::LP, Rtype::NSAPPTR];

    #[test]
    fn text_and_records_see_the_same_fields() {
        for rtype in (0..=u16::MAX).map(Rtype::from_int).filter(|rtype| !KEPT_AS_BYTES.contains(rtype)) {
            if let Some(fine) = of(rtype) {
                let coarse = RdataField::all_of(rtype);
                assert!(agree(fine, coarse), "{rtype}: {fine:?} and {coarse:?}");
            }
        }
    }
}
