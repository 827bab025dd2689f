//! Parameters of SVCB and HTTPS, RFC 9460.
//!
//! A key has a name or is written `keyN`, where the value is wire form, whatever the key (section 2.1). Text of either
//! kind becomes wire form and is put in order; what a value must be, and what parameters say about each other, is then
//! checked in wire form, so the same holds for `\#`.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::utils::base64;
use zonecast_records::Name;

use crate::Rule;
use crate::lexer::Token;
use crate::presentation::{from_base64, problem, write_octets};
use crate::uri_template::is_dns_template;
use crate::writing::write_quoted;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

/// Keys with a name, RFC 9460 section 14.3.2 and its registry.
const KEYS: [(u16, &str); 9] = [
    (MANDATORY, "mandatory"),
    (ALPN, "alpn"),
    (NO_DEFAULT_ALPN, "no-default-alpn"),
    (PORT, "port"),
    (IPV4_HINT, "ipv4hint"),
    (ECH, "ech"),
    (IPV6_HINT, "ipv6hint"),
    (DOHPATH, "dohpath"),
    (OHTTP, "ohttp"),
];

/// The last key whose name NSD and BIND of Debian 12 read; others are written as numbers.
const LAST_WRITTEN: u16 = DOHPATH;

/// One parameter in wire form.
struct Param<'w> {
    key: u16,
    value: &'w [u8],
}

/// Reads parameters in any order.
pub(crate) fn read_params(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    let mut rest = tokens;
    while let Some((token, after)) = rest.split_first() {
        let (key, text) = match token.raw.iter().position(|byte| *byte == b'=') {
            Some(at) => (token.raw.get(..at), token.raw.get(at + 1..).unwrap_or_default()),
            None => (Some(token.raw), &[][..]),
        };
        let mut words = vec![Token { raw: text, ..*token }];
        rest = after;
        if let [quoted, after @ ..] = rest
            && token.raw.ends_with(b"=")
            && quoted.glued
            && quoted.quoted
        {
            words.push(*quoted);
            rest = after;
        }
        params.push(read_param(key.unwrap_or_default(), &words)?);
    }
    params.sort_by_key(|(key, _)| *key);
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| problem("a parameter is over 65,535 bytes"))?;
        out.extend(key.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend(value);
    }
    Ok(())
}

fn read_param(name: &[u8], words: &[Token<'_>]) -> Result<(u16, Vec<u8>), Rule> {
    let mut text = Vec::new();
    words.iter().try_for_each(|word| write_octets(*word, &mut text))?;
    let Some((key, _)) = KEYS.iter().find(|(_, known)| known.as_bytes() == name) else {
        let shown = || problem(format!("unknown parameter {:?}", crate::lexer::bounded_text(name)));
        return Ok((numbered_key(name).ok_or_else(shown)?, text));
    };
    let escapes = matches!(*key, MANDATORY | PORT | IPV4_HINT | ECH | IPV6_HINT);
    if escapes && words.iter().any(|word| word.raw.contains(&b'\\')) {
        return Err(wrong(*key));
    }
    Ok((*key, read_value(*key, text)?))
}

fn wrong(key: u16) -> Rule {
    let form = match key {
        MANDATORY => "the names of other parameters that are there, with commas between them, each once",
        ALPN => "protocol ids of 1 to 255 bytes, with commas between them",
        NO_DEFAULT_ALPN | OHTTP => "nothing",
        PORT => "a port",
        IPV4_HINT => "IPv4 addresses, with commas between them",
        ECH => "base64",
        IPV6_HINT => "IPv6 addresses, with commas between them",
        DOHPATH => "a URI template in UTF-8 that begins with / and has the variable dns (RFC 9461 section 5)",
        _ => "something else",
    };
    problem(format!("the value of {} is {form}", key_name(key)))
}

/// The value in wire form, from the bytes of its character-string.
fn read_value(key: u16, text: Vec<u8>) -> Result<Vec<u8>, Rule> {
    let value = match key {
        MANDATORY => split_list(&text).and_then(|items| {
            let keys: Option<Vec<u16>> = items.iter().map(|item| known_key(item)).collect();
            let mut keys = keys?;
            keys.sort_unstable();
            Some(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }),
        ALPN => split_list(&text).and_then(|items| {
            let mut value = Vec::new();
            for item in items {
                value.push(u8::try_from(item.len()).ok()?);
                value.extend(item);
            }
            Some(value)
        }),
        PORT => {
            let digits = std::str::from_utf8(&text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u16>().ok()).map(|port| port.to_be_bytes().to_vec())
        }
        IPV4_HINT => addresses(&text, |address: Ipv4Addr| address.octets()),
        IPV6_HINT => addresses(&text, |address: Ipv6Addr| address.octets()),
        ECH => from_base64(&text).ok(),
        _ => Some(text),
    };
    value.ok_or_else(|| wrong(key))
}

fn addresses<A: std::str::FromStr, const LEN: usize>(text: &[u8], octets: fn(A) -> [u8; LEN]) -> Option<Vec<u8>> {
    let items = std::str::from_utf8(text).ok()?.split(',');
    let read: Option<Vec<[u8; LEN]>> = items.map(|item| item.parse().ok().map(octets)).collect();
    Some(read?.concat())
}

/// Items between commas, none empty; a backslash takes the next byte as it is, RFC 9460 appendix A.1.
fn split_list(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = Vec::new();
    let mut item = Vec::new();
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' => items.push(std::mem::take(&mut item)),
            b'\\' => item.push(bytes.next()?),
            byte => item.push(byte),
        }
    }
    items.push(item);
    items.iter().all(|item| !item.is_empty()).then_some(items)
}

fn known_key(name: &[u8]) -> Option<u16> {
    let known = KEYS.iter().find(|(_, known)| known.as_bytes() == name);
    known.map_or_else(|| numbered_key(name), |(key, _)| Some(*key))
}

/// `keyN`, without zeros in front.
fn numbered_key(name: &[u8]) -> Option<u16> {
    let digits = name.strip_prefix(b"key").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let canonical = digits == b"0" || !digits.starts_with(b"0");
    std::str::from_utf8(digits).ok().filter(|_| canonical)?.parse().ok()
}

fn key_name(key: u16) -> String {
    let known = KEYS.iter().find(|(number, _)| *number == key && key <= LAST_WRITTEN);
    known.map_or_else(|| format!("key{key}"), |(_, name)| (*name).to_owned())
}

fn params(mut wire: &[u8]) -> Option<Vec<Param<'_>>> {
    let mut params = Vec::new();
    while !wire.is_empty() {
        let (&[k1, k2, l1, l2], rest) = wire.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        params.push(Param { key: u16::from_be_bytes([k1, k2]), value });
        wire = rest;
    }
    Some(params)
}

/// Each parameter is once, in order, has a value of its key, and what is mandatory is there.
pub(crate) fn check_params(wire: &[u8]) -> Result<(), Rule> {
    let params = params(wire).ok_or_else(|| problem("parameters are damaged"))?;
    if !params.is_sorted_by(|one, other| one.key < other.key) {
        return Err(problem("a parameter is given twice, or parameters are out of order"));
    }
    for Param { key, value } in &params {
        if !is_value(*key, value) {
            return Err(wrong(*key));
        }
    }
    let has = |key: u16| params.iter().any(|param| param.key == key);
    if let Some(Param { key: MANDATORY, value }) = params.first()
        && !value.as_chunks::<2>().0.iter().all(|key| has(u16::from_be_bytes(*key)))
    {
        return Err(wrong(MANDATORY));
    }
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err(problem("no-default-alpn goes with alpn (RFC 9460 section 7.1.1)"));
    }
    Ok(())
}

fn is_value(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => {
            let (keys, odd) = value.as_chunks::<2>();
            let ascends = keys.is_sorted_by(|one, other| one < other);
            odd.is_empty() && ascends && keys.first().is_some_and(|first| *first != [0, 0])
        }
        ALPN => ids(value).is_some_and(|ids| !ids.is_empty() && ids.iter().all(|id| !id.is_empty())),
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4_HINT => !value.is_empty() && value.len().is_multiple_of(4),
        ECH => !value.is_empty(),
        IPV6_HINT => !value.is_empty() && value.len().is_multiple_of(16),
        DOHPATH => is_dns_template(value),
        _ => true,
    }
}

/// Protocol ids, each with a length byte.
fn ids(mut value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut ids = Vec::new();
    while let Some((length, rest)) = value.split_first() {
        let id;
        (id, value) = rest.split_at_checked(usize::from(*length))?;
        ids.push(id);
    }
    Some(ids)
}

/// Priority 0 is an alias, which has no parameters, RFC 9460 section 2.4.2.
pub(crate) fn alias_with_params(wire: &[u8]) -> Option<&'static str> {
    let target = wire.strip_prefix(&[0, 0])?;
    let name = Name::from_wire(target).ok()?;
    (target.len() > name.as_wire().len()).then_some("priority 0 is an alias, which has no parameters")
}

pub(crate) fn format_params(wire: &[u8], text: &mut String) -> Option<()> {
    let mut between = "";
    for Param { key, value } in params(wire)? {
        let _ = write!(text, "{between}{}", key_name(key));
        between = " ";
        if !value.is_empty() {
            text.push('=');
            write_value(&value_text(key, value)?, text);
        }
    }
    Some(())
}

/// The bytes of the character-string.
fn value_text(key: u16, value: &[u8]) -> Option<Vec<u8>> {
    let listed = |items: Vec<String>| items.join(",").into_bytes();
    Some(match key {
        MANDATORY => {
            let (keys, _) = value.as_chunks::<2>();
            listed(keys.iter().map(|key| key_name(u16::from_be_bytes(*key))).collect())
        }
        ALPN => {
            let mut list = Vec::new();
            for id in ids(value)? {
                if !list.is_empty() {
                    list.push(b',');
                }
                for byte in id {
                    if matches!(byte, b',' | b'\\') {
                        list.push(b'\\');
                    }
                    list.push(*byte);
                }
            }
            list
        }
        PORT => u16::from_be_bytes(value.try_into().ok()?).to_string().into_bytes(),
        IPV4_HINT => listed(value.as_chunks::<4>().0.iter().map(|four| Ipv4Addr::from(*four).to_string()).collect()),
        IPV6_HINT => listed(value.as_chunks::<16>().0.iter().map(|all| Ipv6Addr::from(*all).to_string()).collect()),
        ECH => base64::encode_string(value).into_bytes(),
        _ => value.to_vec(),
    })
}

/// Quoted where other servers might read it otherwise.
fn write_value(value: &[u8], text: &mut String) {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b';' | b'(' | b')');
    match std::str::from_utf8(value) {
        Ok(value) if value.bytes().all(|byte| plain(&byte)) => text.push_str(value),
        _ => write_quoted(value, text),
    }
}
