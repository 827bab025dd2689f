//! Fields as text, both ways.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use domain::base::iana::{Rtype, SecurityAlgorithm};
use domain::utils::{base32, base64};
use serde_bytes::Bytes;
use zonecast_records::{Name, TypeBitmap, TypeBitmapBuilder};

use crate::Rule;
use crate::field_check::{each_text, split};
use crate::fields::{Field, Names};
use crate::lexer::Token;
use crate::presentation::{
    Origin, from_base64, from_hex, parse_text, problem, read_any_type, read_name, read_number, read_type_or_number,
    type_name, write_octets, write_short, write_string,
};
use crate::ttl::parse_seconds;
use crate::writing::{format_name, write_hex, write_quoted};
use crate::{gateway, old_fields, signature_time, svcb};

/// Reads the tokens into `out`. What they say is not checked yet.
pub(crate) fn read(fields: &[Field], tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let mut rest = tokens;
    for field in fields {
        if rest.is_empty() && !field.may_be_empty() {
            return Err(wrong_count(fields, tokens));
        }
        let (mine, after) = if field.takes_the_rest() { (rest, &[][..]) } else { rest.split_at(rest.len().min(1)) };
        read_field(*field, mine, origin, out)?;
        rest = after;
    }
    if rest.is_empty() { Ok(()) } else { Err(wrong_count(fields, tokens)) }
}

fn wrong_count(fields: &[Field], tokens: &[Token<'_>]) -> Rule {
    let wanted: Vec<&str> = fields.iter().map(|field| field.what()).collect();
    problem(format!("takes {}, here are {} fields", wanted.join(", "), tokens.len()))
}

/// Reads the tokens of one field: one, or for a field to the end all that are left.
fn read_field(field: Field, tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    match field {
        Field::Texts => return tokens.iter().try_for_each(|token| write_string(*token, out)),
        Field::Hex => out.extend(from_hex(&join(tokens)?).ok_or_else(|| problem("is not hex"))?),
        Field::Base64 | Field::OptionalBase64 => out.extend(from_base64(&join(tokens)?)?),
        Field::Types | Field::SomeTypes => {
            let types: Result<Vec<Rtype>, Rule> = tokens.iter().map(|token| read_any_type(token.raw)).collect();
            out.extend_from_slice(TypeBitmapBuilder::from_types(types?).as_bytes());
        }
        Field::OldTypes => return old_fields::read_types(tokens, out),
        Field::Params => return svcb::read_params(tokens, out),
        Field::Loc => return old_fields::read_loc(tokens, out),
        Field::Apl => return old_fields::read_apl(tokens, out),
        Field::Ports => return old_fields::read_ports(tokens, out),
        Field::A6 => return old_fields::read_a6(tokens, origin, out),
        Field::IpsecKey => return gateway::read_ipseckey(tokens, origin, out),
        Field::AmtRelay => return gateway::read_amtrelay(tokens, origin, out),
        Field::Hip => return gateway::read_hip(tokens, origin, out),
        _ => return tokens.first().map_or(Ok(()), |token| read_word(field, *token, origin, out)),
    }
    Ok(())
}

fn read_word(field: Field, token: Token<'_>, origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    match field {
        Field::Name => out.extend_from_slice(read_name(token, origin)?.as_wire()),
        Field::U8 => out.push(read_number(token)?),
        Field::U16 => out.extend(read_number::<u16>(token)?.to_be_bytes()),
        Field::U32 => out.extend(read_number::<u32>(token)?.to_be_bytes()),
        Field::Named8(names) => {
            let number = u8::try_from(read_named(token, names)?);
            out.push(number.map_err(|_| problem(format!("{:?} is over 255", token.lossy())))?);
        }
        Field::Named16(names) => out.extend(read_named(token, names)?.to_be_bytes()),
        Field::Algorithm => out.push(read_algorithm(token)?),
        Field::Type => out.extend(read_type_or_number(token)?.to_be_bytes()),
        Field::Seconds => {
            let seconds = parse_seconds(token.raw);
            out.extend(seconds.ok_or_else(|| problem(format!("{:?} is not a time", token.lossy())))?.to_be_bytes());
        }
        Field::Time => {
            let seconds = signature_time::read(token.raw);
            let wrong = || problem(format!("{:?} is not YYYYMMDDHHmmSS, nor seconds below 2^32", token.lossy()));
            out.extend(seconds.ok_or_else(wrong)?.to_be_bytes());
        }
        Field::Octets | Field::Target => write_octets(token, out)?,
        Field::DashBase64 if token.raw == b"-" => {}
        Field::DashBase64 => out.extend(from_base64(&join(&[token])?)?),
        Field::Salt if token.raw == b"-" => out.push(0),
        Field::Salt => {
            let salt = from_hex(token.raw).filter(|salt| !salt.is_empty()).ok_or_else(|| problem("is not hex"))?;
            write_short(&salt, out)?;
        }
        Field::Hash => {
            let text = std::str::from_utf8(token.raw).ok();
            let hash: Option<Vec<u8>> = text.and_then(|text| base32::decode_hex(text).ok());
            write_short(&hash.ok_or_else(|| problem("is not base 32 of RFC 5155"))?, out)?;
        }
        Field::Ipv4 => out.extend(parse_text::<Ipv4Addr>(token, "an address")?.octets()),
        Field::Ipv6 => out.extend(parse_text::<Ipv6Addr>(token, "an address")?.octets()),
        Field::Groups => read_groups(token, out)?,
        Field::Eui(bytes) => read_eui(token, bytes, out)?,
        Field::Nsap => old_fields::read_nsap(token, out)?,
        Field::Atma => old_fields::read_atma(token, out)?,
        _ => write_string(token, out)?,
    }
    Ok(())
}

fn read_algorithm(token: Token<'_>) -> Result<u8, Rule> {
    let upper = token.raw.to_ascii_uppercase();
    SecurityAlgorithm::from_mnemonic(&upper).map_or_else(|| read_number(token), |algorithm| Ok(algorithm.to_int()))
}

fn read_named(token: Token<'_>, names: Names) -> Result<u16, Rule> {
    let known = names.iter().find(|(_, mnemonic)| token.is(mnemonic));
    known.map_or_else(|| read_number(token), |(number, _)| Ok(*number))
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
        // BIND takes bytes without their leading zero.
        let byte = if let [digit] = part { from_hex(&[b'0', *digit]) } else { from_hex(part) };
        out.extend(byte.filter(|byte| byte.len() == 1).ok_or_else(wrong)?);
    }
    if out.len() - start == bytes { Ok(()) } else { Err(wrong()) }
}

fn join(tokens: &[Token<'_>]) -> Result<Vec<u8>, Rule> {
    let mut joined = Vec::new();
    tokens.iter().try_for_each(|token| write_octets(*token, &mut joined))?;
    Ok(joined)
}

/// Writes the fields with a space between them.
pub(crate) fn format(fields: &[Field], wire: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut rest = wire;
    for field in fields {
        if rest.is_empty() && field.may_be_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        let piece;
        (piece, rest) = split(*field, rest).ok()?;
        write_field(*field, piece, &mut text)?;
    }
    rest.is_empty().then_some(text)
}

fn write_field(field: Field, piece: &[u8], text: &mut String) -> Option<()> {
    let number = || piece.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let after_length = piece.get(1..);
    let written = match field {
        Field::Name => write!(text, "{}", format_name(&Name::from_wire(piece).ok()?)),
        Field::U8 | Field::U16 | Field::U32 | Field::Seconds | Field::Algorithm => write!(text, "{}", number()),
        Field::Named8(_) | Field::Named16(_) => write!(text, "{}", number()),
        Field::Type => write!(text, "{}", type_name(Rtype::from_int(u16::try_from(number()).ok()?))),
        Field::Time => write!(text, "{}", signature_time::format(number())),
        Field::Ipv4 => write!(text, "{}", Ipv4Addr::from_bits(number())),
        Field::Ipv6 => write!(text, "{}", Ipv6Addr::from(<[u8; 16]>::try_from(piece).ok()?)),
        Field::Groups => write!(text, "{}", hex_parts(piece, 2, ":")),
        Field::Eui(_) => write!(text, "{}", hex_parts(piece, 1, "-")),
        Field::Tag => write!(text, "{}", std::str::from_utf8(after_length?).ok()?),
        Field::Octets | Field::Target => {
            write_quoted(piece, text);
            Ok(())
        }
        Field::Text | Field::OptionalText | Field::Digits | Field::Degrees(_) | Field::Substitution => {
            write_quoted(after_length?, text);
            Ok(())
        }
        Field::Texts => return format_texts(piece, text),
        Field::Salt if after_length?.is_empty() => write!(text, "-"),
        Field::Hex | Field::Salt => {
            write_hex(if field == Field::Hex { piece } else { after_length? }, text);
            Ok(())
        }
        Field::Hash => write!(text, "{}", base32::encode_string_hex(after_length?)),
        Field::DashBase64 if piece.is_empty() => write!(text, "-"),
        Field::Base64 | Field::OptionalBase64 | Field::DashBase64 => write!(text, "{}", base64::encode_string(piece)),
        Field::Types | Field::SomeTypes => {
            let types = TypeBitmap::check(Bytes::new(piece), "types").ok()?;
            let names: Vec<String> = types.iter().map(type_name).collect();
            write!(text, "{}", names.join(" "))
        }
        Field::OldTypes => write!(text, "{}", old_fields::format_types(piece)),
        Field::Params => return svcb::format_params(piece, text),
        Field::Ports => write!(text, "{}", old_fields::format_ports(piece)),
        Field::Loc => return old_fields::format_loc(piece, text),
        Field::Apl => return old_fields::format_apl(piece, text),
        Field::Nsap => return old_fields::format_nsap(piece, text),
        Field::Atma => return old_fields::format_atma(piece, text),
        Field::A6 => return old_fields::format_a6(piece, text),
        Field::IpsecKey => return gateway::format_ipseckey(piece, text),
        Field::AmtRelay => return gateway::format_amtrelay(piece, text),
        Field::Hip => return gateway::format_hip(piece, text),
    };
    written.ok()
}

/// Lower-case hex of so many bytes each.
fn hex_parts(piece: &[u8], bytes: usize, between: &str) -> String {
    let part = |bytes: &[u8]| {
        let mut text = String::new();
        write_hex(bytes, &mut text);
        text.to_ascii_lowercase()
    };
    piece.chunks(bytes).map(part).collect::<Vec<String>>().join(between)
}

/// Character-strings to the end; at least one.
fn format_texts(wire: &[u8], text: &mut String) -> Option<()> {
    let start = text.len();
    each_text(wire, |string| {
        if text.len() > start {
            text.push(' ');
        }
        write_quoted(string, text);
        ControlFlow::Continue(())
    })
}
