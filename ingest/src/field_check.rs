//! Whether bytes are the fields of their type, and agree with each other.
//!
//! Everything that is served has passed here, whether it came as text, as `\#`, in a file or through the API. The rule
//! is that other software can read it: where BIND or dnspython refuse what a field says, so does this.

use std::ops::ControlFlow;

use domain::base::iana::Rtype;
use serde_bytes::Bytes;
use zonecast_records::{Name, TypeBitmap};

use crate::Rule;
use crate::fields::Field;
use crate::presentation::problem;
use crate::substitution::is_substitution;
use crate::{gateway, old_fields, svcb};

/// Checks that the bytes are the fields of this type, where it has any.
pub(crate) fn check(rtype: Rtype, fields: Option<&[Field]>, wire: &[u8]) -> Result<(), Rule> {
    if let Some(fields) = fields {
        let mut rest = wire;
        for field in fields {
            (_, rest) = split(*field, rest)?;
        }
        if !rest.is_empty() {
            return Err(problem("bytes left over after the last field"));
        }
    }
    agreement(rtype, wire)
}

/// Cuts one field off, checked.
pub(crate) fn split(field: Field, wire: &[u8]) -> Result<(&[u8], &[u8]), Rule> {
    let early = || problem(format!("ends early: {} is missing or not whole", field.what()));
    let length = length(field, wire).ok_or_else(early)?;
    let (piece, rest) = wire.split_at_checked(length).ok_or_else(early)?;
    check_piece(field, piece)?;
    Ok((piece, rest))
}

fn length(field: Field, wire: &[u8]) -> Option<usize> {
    Some(match field {
        Field::Name => Name::from_wire(wire).ok()?.as_wire().len(),
        Field::U8 | Field::Named8(_) | Field::Algorithm => 1,
        Field::U16 | Field::Named16(_) | Field::Type => 2,
        Field::U32 | Field::Ipv4 | Field::Time | Field::Seconds => 4,
        Field::Groups => 8,
        Field::Ipv6 => 16,
        Field::Eui(bytes) => bytes,
        Field::OptionalText if wire.is_empty() => 0,
        Field::Text
        | Field::OptionalText
        | Field::Digits
        | Field::Degrees(_)
        | Field::Substitution
        | Field::Tag
        | Field::Salt
        | Field::Hash => 1 + usize::from(*wire.first()?),
        _ => wire.len(),
    })
}

fn check_piece(field: Field, piece: &[u8]) -> Result<(), Rule> {
    let text = piece.get(1..).unwrap_or_default();
    let mut scratch = String::new();
    let (holds, what) = match field {
        Field::Hex | Field::Base64 => (!piece.is_empty(), "ends early"),
        Field::Target => (!piece.is_empty(), "the target is empty"),
        Field::Texts => {
            (each_text(piece, |_| ControlFlow::Continue(())).is_some(), "takes whole strings, at least one")
        }
        Field::Hash => (!text.is_empty(), "the hash is empty"),
        Field::Tag => (
            !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric),
            "a tag is letters and digits, at least one",
        ),
        Field::Digits => (text.len() >= 4 && text.iter().all(u8::is_ascii_digit), "takes four digits or more"),
        Field::Degrees(most) => (is_number_within(text, most), "takes decimal numbers, of degrees and metres"),
        Field::Substitution => (is_substitution(text), "the regular expression is not one of RFC 3402 section 3.2"),
        Field::Types | Field::SomeTypes => {
            let whole = is_bitmap(piece) && (field == Field::Types || !piece.is_empty());
            (whole, "the type bitmap is empty, damaged or ends in zeros")
        }
        Field::OldTypes => (is_old_bitmap(piece), "the type bitmap has types over 127, type 0 or ends in zeros"),
        Field::Ports => (old_fields::is_ports(piece), "the bitmap of ports is too long or ends in zeros"),
        Field::Params => return svcb::check_params(piece),
        Field::Loc => (old_fields::format_loc(piece, &mut scratch).is_some(), "is not a place of RFC 1876"),
        Field::Apl => (old_fields::format_apl(piece, &mut scratch).is_some(), "is not a list of prefixes"),
        Field::Nsap => (!piece.is_empty(), "ends early"),
        Field::Atma => (old_fields::format_atma(piece, &mut scratch).is_some(), "is not an ATM address"),
        Field::A6 => (old_fields::format_a6(piece, &mut scratch).is_some(), "is not prefix length, suffix and name"),
        Field::IpsecKey => (gateway::is_ipseckey(piece), "gateway and its type do not agree, or the key is missing"),
        Field::AmtRelay => (gateway::is_amtrelay(piece), "relay and its type do not agree"),
        Field::Hip => (gateway::format_hip(piece, &mut scratch).is_some(), "identity tag, key or servers are damaged"),
        _ => return Ok(()),
    };
    if holds { Ok(()) } else { Err(problem(what)) }
}

/// Shows each character-string to the end; `None` where there is none, or the last is cut.
pub(crate) fn each_text(mut wire: &[u8], mut show: impl FnMut(&[u8]) -> ControlFlow<()>) -> Option<()> {
    loop {
        let (length, rest) = wire.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        if show(text).is_break() || rest.is_empty() {
            return Some(());
        }
        wire = rest;
    }
}

/// A decimal number without exponent, of this size at most; 65,535 stands for no bound.
fn is_number_within(text: &[u8], most: u16) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let plain = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let number = std::str::from_utf8(text).ok().filter(|_| plain).and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(|number| most == u16::MAX || number.abs() <= f64::from(most))
}

/// Windows ascend, are whole, and none ends in a zero byte, RFC 4034 section 4.1.2.
fn is_bitmap(piece: &[u8]) -> bool {
    let mut rest = piece;
    while let Some((&[_, length], after)) = rest.split_first_chunk::<2>() {
        let Some((bits, after)) = after.split_at_checked(usize::from(length)) else { return false };
        if bits.last().is_none_or(|last| *last == 0) {
            return false;
        }
        rest = after;
    }
    TypeBitmap::check(Bytes::new(piece), "types").is_ok()
}

fn is_old_bitmap(piece: &[u8]) -> bool {
    piece.len() <= 16 && piece.first().is_none_or(|first| first & 0x80 == 0) && piece.last() != Some(&0)
}

/// Where a digest stands, and how long it is by the number that says which one it is.
struct Digest {
    kind_at: usize,
    starts_at: usize,
    lengths: &'static [(u8, usize)],
    /// Of those that are not listed.
    least: usize,
}

fn digest(rtype: Rtype) -> Option<Digest> {
    Some(match rtype {
        Rtype::DS | Rtype::DLV | Rtype::TA => Digest {
            kind_at: 3,
            starts_at: 4,
            lengths: &[(1, 20), (2, 32), (3, 32), (4, 48), (5, 32), (6, 32)],
            least: 1,
        },
        // One byte with type 0 asks for the removal of the DS set, RFC 8078 section 4.
        Rtype::CDS => {
            Digest { lengths: &[(0, 1), (1, 20), (2, 32), (3, 32), (4, 48), (5, 32), (6, 32)], ..digest(Rtype::DS)? }
        }
        Rtype::TLSA | Rtype::SMIMEA => Digest { kind_at: 2, starts_at: 3, lengths: &[(1, 32), (2, 64)], least: 1 },
        Rtype::SSHFP => Digest { kind_at: 1, starts_at: 2, lengths: &[(1, 20), (2, 32)], least: 1 },
        Rtype::ZONEMD => Digest { kind_at: 5, starts_at: 6, lengths: &[(1, 48), (2, 64)], least: 12 },
        _ => return None,
    })
}

/// What fields say about each other.
fn agreement(rtype: Rtype, wire: &[u8]) -> Result<(), Rule> {
    let byte = |at: usize| wire.get(at).copied().unwrap_or_default();
    if let Some(Digest { kind_at, starts_at, lengths, least }) = digest(rtype) {
        let (kind, length) = (byte(kind_at), wire.len().saturating_sub(starts_at));
        match lengths.iter().find(|(number, _)| *number == kind) {
            Some((_, wanted)) if length != *wanted => {
                return Err(problem(format!("a digest of type {kind} has {wanted} bytes, here are {length}")));
            }
            None if length < least => {
                return Err(problem(format!("a digest has at least {least} bytes, here are {length}")));
            }
            _ => {}
        }
    }
    let wrong = match rtype {
        Rtype::MD | Rtype::MF => Some("is obsolete: use MX (RFC 1035 section 3.3.4)"),
        Rtype::DS | Rtype::DLV if byte(3) == 0 => Some("digest type 0 is reserved"),
        Rtype::ZONEMD if byte(4) == 0 || byte(5) == 0 => Some("scheme 0 and hash algorithm 0 are reserved"),
        // Servers do not agree on whether there is a key in it all the same.
        Rtype::KEY if byte(0) & 0xc0 == 0xc0 => Some("flags that say that there is no key (RFC 2535 section 3.1.2)"),
        Rtype::RRSIG if signer_labels(wire).is_some_and(|signer| usize::from(byte(3)) < signer) => {
            Some("fewer labels than its signer has (RFC 4034 section 3.1.3)")
        }
        Rtype::RKEY if (byte(0), byte(1)) != (0, 0) => Some("the flags of an RKEY are 0"),
        Rtype::NSEC3 if byte(0) == 1 && wire.get(5 + usize::from(byte(4))) != Some(&20) => {
            Some("a hash of algorithm 1 has 20 bytes")
        }
        Rtype::NSEC3 if wire.get(5 + usize::from(byte(4))).is_some_and(|length| *length > MAX_HASH_LEN) => {
            Some("a hash has at most 155 bytes")
        }
        Rtype::SVCB | Rtype::HTTPS => svcb::alias_with_params(wire),
        _ => None,
    };
    wrong.map_or(Ok(()), |wrong| Err(problem(wrong)))
}

fn signer_labels(wire: &[u8]) -> Option<usize> {
    const SIGNER_AT: usize = 18;
    Name::from_wire(wire.get(SIGNER_AT..)?).ok().map(|signer| signer.label_count())
}

/// What base 32 makes a label of 63 bytes of would be less; BIND takes this much.
const MAX_HASH_LEN: u8 = 155;
