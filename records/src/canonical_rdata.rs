//! RDATA seen by its fields: whether it has the shape of its type at all, and its canonical form and order.
//!
//! RDATA is stored as given; the canonical form only compares.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use domain::base::iana::Rtype;

use crate::{Name, RdataField};

/// Whether the bytes have the shape that the type asks for.
#[must_use]
pub fn is_well_formed_rdata(rtype: Rtype, rdata: &[u8]) -> bool {
    walk(rtype, rdata, |_| ()) == Some(rdata.len())
}

/// RDATA in canonical form, RFC 4034 section 6.2. Malformed RDATA is left as it is.
#[must_use]
pub fn canonical_rdata(rtype: Rtype, rdata: &[u8]) -> Cow<'_, [u8]> {
    let has_names = RdataField::all_of(rtype).iter().any(|field| field.is_lowered());
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
#[must_use]
pub fn canonical_rdata_cmp(rtype: Rtype, one: &[u8], other: &[u8]) -> Ordering {
    canonical_rdata(rtype, one).cmp(&canonical_rdata(rtype, other))
}

/// Goes over the fields, shows the place of each name in lower case, and gives the end of the last field.
fn walk(rtype: Rtype, rdata: &[u8], mut on_name: impl FnMut(Range<usize>)) -> Option<usize> {
    let mut at = 0_usize;
    for field in RdataField::all_of(rtype) {
        let rest = rdata.get(at..)?;
        let len = match field {
            RdataField::Bytes(count) => rest.get(..*count)?.len(),
            RdataField::CompressedName | RdataField::Name | RdataField::KeptName => {
                Name::from_wire(rest).ok()?.as_wire().len()
            }
            RdataField::Text => text_len(rest)?,
            RdataField::Texts => {
                let mut end = text_len(rest)?;
                while end < rest.len() {
                    end += text_len(rest.get(end..)?)?;
                }
                end
            }
            RdataField::Rest => rest.len(),
        };
        if field.is_lowered() {
            on_name(at..at + len);
        }
        at += len;
    }
    Some(at)
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
        assert_eq!(*canonical_rdata(Rtype::SRV, b"ABCDEF\x01X\x00"), *b"ABCDEF\x01x\x00");
        assert_eq!(*canonical_rdata(Rtype::TXT, b"\x02AB"), *b"\x02AB");
        assert_eq!(*canonical_rdata(Rtype::NSEC, b"\x01X\x00\x00\x01A"), *b"\x01X\x00\x00\x01A");
        assert_eq!(*canonical_rdata(Rtype::NAPTR, b"\0A\0B\x01U\x00\x00\x01X\x00"), *b"\0A\0B\x01U\x00\x00\x01x\x00");
        let sig = [&[b'A'; 18][..], b"\x01X\x00", b"SIG"].concat();
        assert_eq!(*canonical_rdata(Rtype::RRSIG, &sig), *[&[b'A'; 18][..], b"\x01x\x00", b"SIG"].concat());
        assert_eq!(canonical_rdata_cmp(Rtype::NS, b"\x01A\x00", b"\x01a\x00"), Ordering::Equal);
        assert_eq!(canonical_rdata_cmp(Rtype::TXT, b"\x01A", b"\x01a"), Ordering::Less);
    }

    #[test]
    fn shapes_are_told_from_damage() {
        assert!(is_well_formed_rdata(Rtype::A, &[0; 4]) && !is_well_formed_rdata(Rtype::A, &[0; 5]));
        assert!(is_well_formed_rdata(Rtype::TXT, b"\x01a\x00") && !is_well_formed_rdata(Rtype::TXT, b""));
        assert!(!is_well_formed_rdata(Rtype::TXT, b"\x01a\x05b"));
        assert!(
            is_well_formed_rdata(Rtype::MX, b"\x00\x0a\x00") && !is_well_formed_rdata(Rtype::MX, b"\x00\x0a\xc0\x0c")
        );
        assert!(!is_well_formed_rdata(Rtype::MX, b"\x00\x0a\x00\x00"));
        assert!(is_well_formed_rdata(Rtype::from_int(65280), b""));
    }
}
