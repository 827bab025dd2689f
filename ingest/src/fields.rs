//! Types that the `domain` crate does not read as text but NSD and BIND do, each as a list of fields; and RRSIG, since
//! `domain` writes its times in a form that NSD does not read.
//!
//! One table serves reading, checking and writing. Not here, and so only as RFC 3597 data: A6, AMTRELAY, HIP, NXT,
//! WKS.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Rtype, SecurityAlgorithm};
use domain::utils::base64;
use serde_bytes::Bytes;
use zonecast_records::{Name, TypeBitmap, TypeBitmapBuilder};

use crate::Rule;
use crate::format::{format_name, write_quoted};
use crate::lexer::Token;
use crate::old_fields::{format_apl, format_loc, format_nsap, read_apl, read_loc, read_nsap};
use crate::presentation::{Origin, problem, read_name, read_number, read_type, type_name, write_octets, write_string};
use crate::signature_time;

/// One field, as text and as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Name,
    U8,
    U16,
    U32,
    /// A security algorithm: mnemonic or number.
    Algorithm,
    /// A certificate type of RFC 4398 section 2.1: mnemonic or number.
    CertType,
    /// A type: mnemonic or `TYPE123`.
    Type,
    /// The time of a signature.
    Time,
    /// A character-string.
    Text,
    /// A character-string that may be missing.
    OptionalText,
    /// One or more character-strings to the end.
    Texts,
    /// One quoted string of any length to the end, without a length byte.
    Octets,
    /// To the end.
    Hex,
    /// To the end.
    Base64,
    /// A type bitmap to the end.
    Types,
    Ipv4,
    /// 64 bits in four groups, RFC 6742 section 2.1.
    Groups,
    /// Bytes with hyphens between them, RFC 7043.
    Eui(usize),
    /// All of a LOC.
    Loc,
    /// All of an APL.
    Apl,
    /// All of an NSAP.
    Nsap,
}

use Field::{
    Algorithm, Apl, Base64, CertType, Eui, Groups, Hex, Ipv4, Loc, Name as NameField, Nsap, Octets, OptionalText, Text,
    Texts, Time, Type, Types, U8, U16, U32,
};

/// The fields of a type; `None` where this table does not have it.
pub(crate) fn of(rtype: Rtype) -> Option<&'static [Field]> {
    Some(match rtype {
        Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[U16, NameField],
        Rtype::X25 => &[Text],
        Rtype::ISDN => &[Text, OptionalText],
        Rtype::GPOS => &[Text, Text, Text],
        Rtype::NSAPPTR => &[NameField],
        Rtype::PX => &[U16, NameField, NameField],
        Rtype::TALINK => &[NameField, NameField],
        Rtype::CERT => &[CertType, U16, Algorithm, Base64],
        Rtype::KEY | Rtype::RKEY => &[U16, U8, Algorithm, Base64],
        Rtype::DLV | Rtype::TA => &[U16, Algorithm, U8, Hex],
        Rtype::DHCID => &[Base64],
        Rtype::SMIMEA => &[U8, U8, U8, Hex],
        Rtype::CSYNC => &[U32, U16, Types],
        Rtype::SPF | Rtype::AVC | Rtype::NINFO | Rtype::RESINFO | Rtype::WALLET => &[Texts],
        Rtype::NID | Rtype::L64 => &[U16, Groups],
        Rtype::L32 => &[U16, Ipv4],
        Rtype::EUI48 => &[Eui(6)],
        Rtype::EUI64 => &[Eui(8)],
        Rtype::URI => &[U16, U16, Octets],
        Rtype::RRSIG | Rtype::SIG => &[Type, Algorithm, U8, U32, Time, Time, U16, NameField, Base64],
        Rtype::LOC => &[Loc],
        Rtype::APL => &[Apl],
        Rtype::NSAP => &[Nsap],
        _ => return None,
    })
}

const CERT_TYPES: [(u16, &str); 10] = [
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

/// Reads the tokens into `out`.
pub(crate) fn read(fields: &[Field], tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let mut rest = tokens;
    for field in fields {
        rest = read_field(*field, rest, origin, out)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(problem("has more fields than the type")) }
}

/// Reads one field and returns the tokens after it.
fn read_field<'t, 'a>(
    field: Field,
    tokens: &'t [Token<'a>],
    origin: Origin<'_>,
    out: &mut Vec<u8>,
) -> Result<&'t [Token<'a>], Rule> {
    let Some((token, rest)) = tokens.split_first() else {
        let may_be_empty = matches!(field, OptionalText | Types | Apl);
        return if may_be_empty { Ok(tokens) } else { Err(problem("ends early")) };
    };
    let token = *token;
    match field {
        NameField => out.extend_from_slice(read_name(token, origin)?.as_wire()),
        U8 => out.push(read_number(token)?),
        U16 => out.extend(read_number::<u16>(token)?.to_be_bytes()),
        U32 => out.extend(read_number::<u32>(token)?.to_be_bytes()),
        Algorithm => out.push(read_algorithm(token)?),
        Type => out.extend(read_any_type(token.raw)?.to_int().to_be_bytes()),
        Time => {
            let seconds = signature_time::read(token.raw);
            let wrong = || problem(format!("{:?} is not YYYYMMDDHHmmSS or seconds, before 2106", token.lossy()));
            out.extend(seconds.ok_or_else(wrong)?.to_be_bytes());
        }
        CertType => out.extend(read_cert_type(token)?.to_be_bytes()),
        Text | OptionalText => write_string(token, out)?,
        Octets => write_octets(token, out)?,
        Ipv4 => out.extend(parse_text::<Ipv4Addr>(token, "an IPv4 address")?.octets()),
        Groups => read_groups(token, out)?,
        Eui(bytes) => read_eui(token, bytes, out)?,
        Nsap => read_nsap(token, out)?,
        Loc => {
            read_loc(tokens, out)?;
            return Ok(&[]);
        }
        Apl => {
            read_apl(tokens, out)?;
            return Ok(&[]);
        }
        Texts => {
            tokens.iter().try_for_each(|token| write_string(*token, out))?;
            return Ok(&[]);
        }
        Hex => {
            out.extend(from_hex(&join(tokens)?).ok_or_else(|| problem("is not hex"))?);
            return Ok(&[]);
        }
        Base64 => {
            let joined = join(tokens)?;
            let decoded: Option<Vec<u8>> = std::str::from_utf8(&joined).ok().and_then(|text| base64::decode(text).ok());
            out.extend(decoded.ok_or_else(|| problem("is not base64"))?);
            return Ok(&[]);
        }
        Types => {
            let types: Result<Vec<Rtype>, Rule> = tokens.iter().map(|token| read_any_type(token.raw)).collect();
            out.extend_from_slice(TypeBitmapBuilder::from_types(types?).as_bytes());
            return Ok(&[]);
        }
    }
    Ok(rest)
}

/// Bitmaps may name types that are never stored.
fn read_any_type(word: &[u8]) -> Result<Rtype, Rule> {
    match read_type(word) {
        Err(Rule::MetaType(_)) => Rtype::from_bytes(word).ok_or_else(|| problem("unknown type")),
        other => other,
    }
}

pub(crate) fn read_algorithm(token: Token<'_>) -> Result<u8, Rule> {
    let upper = token.raw.to_ascii_uppercase();
    SecurityAlgorithm::from_mnemonic(&upper).map_or_else(|| read_number(token), |algorithm| Ok(algorithm.to_int()))
}

fn read_cert_type(token: Token<'_>) -> Result<u16, Rule> {
    let known = CERT_TYPES.iter().find(|(_, mnemonic)| token.is(mnemonic));
    known.map_or_else(|| read_number(token), |(number, _)| Ok(*number))
}

fn parse_text<T: std::str::FromStr>(token: Token<'_>, what: &str) -> Result<T, Rule> {
    let parsed = std::str::from_utf8(token.raw).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| problem(format!("{:?} is not {what}", token.lossy())))
}

fn read_groups(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    // An IPv6 address of four more groups has the same grammar for each group.
    let text = format!("{}:0:0:0:0", String::from_utf8_lossy(token.raw));
    let four = token.raw.iter().filter(|byte| **byte == b':').count() == 3 && !token.raw.windows(2).any(|w| w == b"::");
    let address: Option<Ipv6Addr> = text.parse().ok().filter(|_| four);
    let octets = address.ok_or_else(|| problem(format!("{:?} is not four groups of hex", token.lossy())))?.octets();
    out.extend(octets.iter().take(8));
    Ok(())
}

fn read_eui(token: Token<'_>, bytes: usize, out: &mut Vec<u8>) -> Result<(), Rule> {
    let wrong = || problem(format!("{:?} is not {bytes} bytes with hyphens", token.lossy()));
    let start = out.len();
    for part in token.raw.split(|byte| *byte == b'-') {
        let byte = from_hex(part).filter(|byte| byte.len() == 1).ok_or_else(wrong)?;
        out.extend(byte);
    }
    if out.len() - start == bytes { Ok(()) } else { Err(wrong()) }
}

fn join(tokens: &[Token<'_>]) -> Result<Vec<u8>, Rule> {
    let mut joined = Vec::new();
    tokens.iter().try_for_each(|token| write_octets(*token, &mut joined))?;
    Ok(joined)
}

pub(crate) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    odd.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}

pub(crate) fn write_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
}

/// Checks that the bytes are these fields.
pub(crate) fn check(fields: &[Field], wire: &[u8]) -> Result<(), Rule> {
    format(fields, wire).map(drop)
}

/// Writes the fields with a space between them.
pub(crate) fn format(fields: &[Field], wire: &[u8]) -> Result<String, Rule> {
    let mut text = String::new();
    let mut rest = wire;
    for field in fields {
        if rest.is_empty() && matches!(field, OptionalText | Types | Apl) {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        rest = format_field(*field, rest, &mut text).ok_or_else(|| problem("bytes do not fit the fields"))?;
    }
    if rest.is_empty() { Ok(text) } else { Err(problem("bytes left over after the last field")) }
}

/// Writes one field and returns the bytes after it.
fn format_field<'w>(field: Field, wire: &'w [u8], text: &mut String) -> Option<&'w [u8]> {
    let length = match field {
        NameField => Name::from_wire(wire).ok()?.as_wire().len(),
        U8 | Algorithm => 1,
        U16 | CertType | Type => 2,
        U32 | Ipv4 | Time => 4,
        Groups => 8,
        Eui(bytes) => bytes,
        Text | OptionalText => 1 + usize::from(*wire.first()?),
        Texts | Octets | Hex | Base64 | Types | Loc | Apl | Nsap => wire.len(),
    };
    let (piece, rest) = wire.split_at_checked(length)?;
    let number = || piece.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let _ = match field {
        NameField => write!(text, "{}", format_name(&Name::from_wire(piece).ok()?)),
        U8 | Algorithm | U16 | U32 | CertType => write!(text, "{}", number()),
        Type => write!(text, "{}", type_name(Rtype::from_int(u16::try_from(number()).ok()?))),
        Time => write!(text, "{}", signature_time::format(number())),
        Ipv4 => write!(text, "{}", Ipv4Addr::from_bits(number())),
        Groups => {
            let groups: Vec<String> = piece.chunks(2).map(hex_string).collect();
            write!(text, "{}", groups.join(":").to_ascii_lowercase())
        }
        Eui(_) => {
            let bytes: Vec<String> = piece.chunks(1).map(hex_string).collect();
            write!(text, "{}", bytes.join("-").to_ascii_lowercase())
        }
        Octets => {
            write_quoted(piece, text);
            Ok(())
        }
        Text | OptionalText => {
            write_quoted(piece.get(1..)?, text);
            Ok(())
        }
        Texts => Ok(format_texts(piece, text)?),
        Loc => Ok(format_loc(piece, text)?),
        Apl => Ok(format_apl(piece, text)?),
        Nsap => Ok(format_nsap(piece, text)?),
        Hex if !piece.is_empty() => {
            write_hex(piece, text);
            Ok(())
        }
        Base64 if !piece.is_empty() => write!(text, "{}", base64::encode_string(piece)),
        Hex | Base64 => return None,
        Types => {
            let types = TypeBitmap::check(Bytes::new(piece), "types").ok()?;
            let names: Vec<String> = types.iter().map(type_name).collect();
            write!(text, "{}", names.join(" "))
        }
    };
    Some(rest)
}

fn hex_string(bytes: &[u8]) -> String {
    let mut text = String::new();
    write_hex(bytes, &mut text);
    text
}

/// Character-strings to the end; at least one.
pub(crate) fn format_texts(mut wire: &[u8], text: &mut String) -> Option<()> {
    let mut first = true;
    while first || !wire.is_empty() {
        let (length, rest) = wire.split_first()?;
        let (string, rest) = rest.split_at_checked(usize::from(*length))?;
        if !first {
            text.push(' ');
        }
        first = false;
        write_quoted(string, text);
        wire = rest;
    }
    Some(())
}
