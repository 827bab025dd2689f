//! SVCB and HTTPS, RFC 9460, where `domain` 0.12.3 stumbles: it refuses the digit 9 in keys such as `key999`, escapes
//! in `alpn`, and so also both of them in `mandatory`.
//!
//! Such parameters are read here, the rest by `domain`, and both are put in order.

use domain::base::iana::{Rtype, SvcParamKey};
use zonecast_records::Name;

use crate::Rule;
use crate::lexer::Token;
use crate::presentation::{Origin, problem, write_octets};
use crate::rdata::read_by_domain;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;

/// Number and value.
type Param = (u16, Vec<u8>);

pub(crate) fn read(rtype: Rtype, tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let mut rest = tokens;
    let mut left = Vec::with_capacity(tokens.len());
    let mut params: Vec<Param> = Vec::new();
    while let Some((token, after)) = rest.split_first() {
        let glued = after.split_first().filter(|(next, _)| token.raw.ends_with(b"=") && next.quoted && next.glued);
        let word = *token;
        match own_key(word, glued.map(|(next, _)| *next)) {
            Some((key, value)) => {
                let mut bytes = Vec::new();
                write_octets(Token { raw: value, ..word }, &mut bytes)?;
                rest = after;
                if let Some((quoted, after)) = glued {
                    write_octets(*quoted, &mut bytes)?;
                    rest = after;
                }
                params.push((key, own_value(key, bytes)?));
            }
            None => {
                left.push(word);
                rest = after;
            }
        }
    }
    read_by_domain(rtype, &left, origin, out)?;
    if params.is_empty() { Ok(()) } else { merge(params, out) }
}

/// Puts the parameters among those that `out` ends in.
fn merge(mut params: Vec<Param>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let head_len = 2 + Name::from_wire(out.get(2..).unwrap_or_default()).map_or(0, |name| name.as_wire().len());
    let known = split_params(out.get(head_len..).unwrap_or_default());
    params.extend(known.ok_or_else(|| problem("parameters are damaged"))?);
    params.sort_unstable();
    if !params.is_sorted_by(|(one, _), (other, _)| one < other) {
        return Err(problem("a parameter is given twice"));
    }
    if let Some((MANDATORY, keys)) = params.first() {
        let is_present = |key: &[u8; 2]| params.iter().any(|(number, _)| number.to_be_bytes() == *key);
        let (keys, _) = keys.as_chunks::<2>();
        if !keys.iter().all(is_present) || !keys.is_sorted_by(|one, other| one < other) || keys.contains(&[0, 0]) {
            return Err(problem("a mandatory parameter is missing, given twice, or mandatory itself"));
        }
    }
    out.truncate(head_len);
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| problem("a parameter is over 65,535 bytes"))?;
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

/// Number and value of a parameter that `domain` would refuse.
fn own_key<'a>(token: Token<'a>, quoted: Option<Token<'a>>) -> Option<(u16, &'a [u8])> {
    if token.quoted {
        return None;
    }
    let value = quoted.map_or(token.raw, |quoted| quoted.raw);
    if let Some(rest) = token.raw.strip_prefix(b"alpn=") {
        return value.contains(&b'\\').then_some((ALPN, rest));
    }
    if let Some(rest) = token.raw.strip_prefix(b"mandatory=") {
        return value.windows(3).any(|word| word == b"key").then_some((MANDATORY, rest));
    }
    numbered_key(token)
}

/// The value in wire form, from the bytes of its character-string.
fn own_value(key: u16, text: Vec<u8>) -> Result<Vec<u8>, Rule> {
    if !matches!(key, MANDATORY | ALPN) {
        return Ok(text);
    }
    let items = split_list(&text);
    let mut value = Vec::new();
    if key == ALPN {
        for item in items {
            let length = u8::try_from(item.len()).ok().filter(|length| *length > 0);
            value.push(length.ok_or_else(|| problem("an ALPN id is empty or over 255 bytes"))?);
            value.extend(item);
        }
        return Ok(value);
    }
    let keys: Option<Vec<u16>> = items
        .iter()
        .map(|item| std::str::from_utf8(item).ok()?.parse::<SvcParamKey>().ok().map(SvcParamKey::to_int))
        .collect();
    let mut keys = keys.ok_or_else(|| problem("unknown key in mandatory"))?;
    keys.sort_unstable();
    value.extend(keys.iter().flat_map(|key| key.to_be_bytes()));
    Ok(value)
}

/// Items between commas; a backslash takes the next byte as it is, RFC 9460 appendix A.1.
fn split_list(text: &[u8]) -> Vec<Vec<u8>> {
    let mut items = vec![Vec::new()];
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, items.last_mut()) {
            (b',', _) => items.push(Vec::new()),
            (b'\\', Some(item)) => item.extend(bytes.next()),
            (byte, Some(item)) => item.push(byte),
            (_, None) => {}
        }
    }
    items
}

/// A key written as a number with a 9 in it.
fn numbered_key(token: Token<'_>) -> Option<(u16, &[u8])> {
    let rest = token.raw.strip_prefix(b"key").filter(|_| !token.quoted)?;
    let digits = rest.iter().position(|byte| *byte == b'=').unwrap_or(rest.len());
    let (digits, value) = rest.split_at(digits);
    let canonical = digits.contains(&b'9') && !digits.starts_with(b"0") && digits.iter().all(u8::is_ascii_digit);
    let key = std::str::from_utf8(digits).ok().filter(|_| canonical)?.parse().ok()?;
    Some((key, value.get(1..).unwrap_or_default()))
}

fn split_params(mut wire: &[u8]) -> Option<Vec<Param>> {
    let mut params = Vec::new();
    while !wire.is_empty() {
        let (&[k1, k2, l1, l2], rest) = wire.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        params.push((u16::from_be_bytes([k1, k2]), value.to_vec()));
        wire = rest;
    }
    Some(params)
}
