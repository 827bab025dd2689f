//! What the builder must know of RDATA: where names stand in it, for the canonical form of RFC 4034 section 6.2, and
//! whether it has the shape of its type at all.
//!
//! RDATA is stored as given; the canonical form only compares. A6 (RFC 2874, historic) is taken as opaque.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use domain::base::iana::Rtype;

/// One field of RDATA.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// That many bytes.
    Bytes(usize),
    /// A name that is in lower case in the canonical form.
    Name,
    /// A name that keeps its case in the canonical form (RFC 6840 section 5.1, RFC 3597 section 7).
    KeptName,
    /// A character string: its length, then that many bytes.
    Text,
    /// Character strings to the end, at least one.
    Texts,
    /// Whatever is left.
    Rest,
}

use Field::{Bytes, KeptName, Name, Rest, Text, Texts};

fn fields(rtype: Rtype) -> &'static [Field] {
    match rtype {
        Rtype::A => &[Bytes(4)],
        Rtype::AAAA => &[Bytes(16)],
        Rtype::NS
        | Rtype::MD
        | Rtype::MF
        | Rtype::CNAME
        | Rtype::MB
        | Rtype::MG
        | Rtype::MR
        | Rtype::PTR
        | Rtype::DNAME => &[Name],
        Rtype::SOA => &[Name, Name, Bytes(20)],
        Rtype::MINFO | Rtype::RP => &[Name, Name],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX => &[Bytes(2), Name],
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

/// Whether the bytes have the shape that the type asks for.
pub(crate) fn is_well_formed(rtype: Rtype, rdata: &[u8]) -> bool {
    walk(rtype, rdata, |_| ()) == Some(rdata.len())
}

/// RDATA in canonical form, RFC 4034 section 6.2. Malformed RDATA is left as it is.
pub(crate) fn canonical(rtype: Rtype, rdata: &[u8]) -> Cow<'_, [u8]> {
    let has_names = fields(rtype).iter().any(|field| matches!(field, Name));
    if !has_names || !rdata.iter().any(u8::is_ascii_uppercase) {
        return Cow::Borrowed(rdata);
    }
    let mut lower = rdata.to_vec();
    walk(rtype, rdata, |name| {
        if let Some(name) = lower.get_mut(name) {
            name.make_ascii_lowercase();
        }
    });
    Cow::Owned(lower)
}

/// The order of RFC 4034 section 6.3. Equal means: one RR.
pub(crate) fn canonical_cmp(rtype: Rtype, one: &[u8], other: &[u8]) -> Ordering {
    canonical(rtype, one).cmp(&canonical(rtype, other))
}

/// Goes over the fields, shows the place of each name in lower case, and gives the end of the last field.
fn walk(rtype: Rtype, rdata: &[u8], mut on_name: impl FnMut(Range<usize>)) -> Option<usize> {
    let mut at = 0_usize;
    for field in fields(rtype) {
        let rest = rdata.get(at..)?;
        let len = match field {
            Bytes(count) => rest.get(..*count)?.len(),
            Name | KeptName => zonecast_records::Name::from_wire(rest).ok()?.as_wire().len(),
            Text => text_len(rest)?,
            Texts => {
                let mut end = text_len(rest)?;
                while end < rest.len() {
                    end += text_len(rest.get(end..)?)?;
                }
                end
            }
            Rest => rest.len(),
        };
        if matches!(field, Name) {
            on_name(at..at + len);
        }
        at += len;
    }
    Some(at)
}

/// The name that data of this type leads clients to, in wire form, and what follows it.
pub(crate) fn target(rtype: Rtype, rdata: &[u8]) -> Option<&[u8]> {
    let at = match rtype {
        Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR => 0,
        Rtype::MX | Rtype::KX | Rtype::AFSDB | Rtype::SVCB | Rtype::HTTPS => 2,
        Rtype::SRV => 6,
        _ => return None,
    };
    rdata.get(at..)
}

fn text_len(bytes: &[u8]) -> Option<usize> {
    let len = 1 + usize::from(*bytes.first()?);
    (len <= bytes.len()).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_in_lower_case() {
        // Priority, weight and port that look like letters stay.
        assert_eq!(*canonical(Rtype::SRV, b"ABCDEF\x01X\x00"), *b"ABCDEF\x01x\x00");
        assert_eq!(*canonical(Rtype::TXT, b"\x02AB"), *b"\x02AB");
        assert_eq!(*canonical(Rtype::NSEC, b"\x01X\x00\x00\x01A"), *b"\x01X\x00\x00\x01A");
        assert_eq!(*canonical(Rtype::NAPTR, b"\0A\0B\x01U\x00\x00\x01X\x00"), *b"\0A\0B\x01U\x00\x00\x01x\x00");
        let sig = [&[b'A'; 18][..], b"\x01X\x00", b"SIG"].concat();
        assert_eq!(*canonical(Rtype::RRSIG, &sig), *[&[b'A'; 18][..], b"\x01x\x00", b"SIG"].concat());
        assert_eq!(canonical_cmp(Rtype::NS, b"\x01A\x00", b"\x01a\x00"), Ordering::Equal);
        assert_eq!(canonical_cmp(Rtype::TXT, b"\x01A", b"\x01a"), Ordering::Less);
    }

    #[test]
    fn shapes_are_told_from_damage() {
        assert!(is_well_formed(Rtype::A, &[0; 4]) && !is_well_formed(Rtype::A, &[0; 5]));
        assert!(is_well_formed(Rtype::TXT, b"\x01a\x00") && !is_well_formed(Rtype::TXT, b""));
        assert!(!is_well_formed(Rtype::TXT, b"\x01a\x05b"));
        assert!(is_well_formed(Rtype::MX, b"\x00\x0a\x00") && !is_well_formed(Rtype::MX, b"\x00\x0a\xc0\x0c"));
        assert!(!is_well_formed(Rtype::MX, b"\x00\x0a\x00\x00"));
        assert!(is_well_formed(Rtype::from_int(65280), b""));
    }
}
