//! Fields of one type each: LOC (RFC 1876), APL (RFC 3123), NSAP (RFC 1706), ATMA (af-dans-0152.000), A6 (RFC 2874), and
//! the bitmaps of WKS (RFC 1035) and NXT (RFC 2535).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::Rtype;
use zonecast_records::Name;

use crate::Rule;
use crate::lexer::Token;
use crate::presentation::{
    Origin, from_hex, parse_text, problem, read_name, read_number, read_type_or_number, type_name,
};
use crate::writing::{format_name, write_hex};

/// Thousandths of an arc second in a degree.
const DEGREE: u32 = 3_600_000;

/// The equator and the prime meridian.
const MIDDLE: u32 = 1 << 31;

/// Centimetres from the lowest altitude up to the WGS 84 spheroid.
const BASE_ALTITUDE: i64 = 10_000_000;

/// `d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]]`, metres with or without `m`.
pub(crate) fn read_loc(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    let wrong = || problem("use d [m [s]] N|S d [m [s]] E|W altitude [size [horizontal [vertical]]] (RFC 1876)");
    let words: Option<Vec<&str>> = tokens.iter().map(|token| std::str::from_utf8(token.raw).ok()).collect();
    let words = words.ok_or_else(wrong)?;
    let (latitude, rest) = read_angle(&words, "N", "S", 90).ok_or_else(wrong)?;
    let (longitude, rest) = read_angle(rest, "E", "W", 180).ok_or_else(wrong)?;
    let (altitude, sizes) = rest.split_first().ok_or_else(wrong)?;
    let altitude = read_decimal(altitude, 2).and_then(|metres| u32::try_from(metres + BASE_ALTITUDE).ok());
    // One metre, ten kilometres, ten metres.
    let mut encoded = [0x12, 0x16, 0x13];
    if sizes.len() > encoded.len() {
        return Err(wrong());
    }
    for (target, size) in encoded.iter_mut().zip(sizes) {
        *target = read_decimal(size, 2).and_then(encode_size).ok_or_else(wrong)?;
    }
    out.push(0);
    out.extend(encoded);
    for number in [latitude, longitude, altitude.ok_or_else(wrong)?] {
        out.extend(number.to_be_bytes());
    }
    Ok(())
}

/// The angle and the words after its hemisphere.
fn read_angle<'w, 'a>(words: &'w [&'a str], plus: &str, minus: &str, most: u32) -> Option<(u32, &'w [&'a str])> {
    let end = words.iter().take(4).position(|word| [plus, minus].iter().any(|side| word.eq_ignore_ascii_case(side)))?;
    let (numbers, rest) = words.split_at(end);
    let (side, rest) = rest.split_first()?;
    let whole = |text: &&str, below: u32| text.parse::<u32>().ok().filter(|number| *number < below);
    let degrees = whole(numbers.first()?, most + 1)?;
    let minutes = numbers.get(1).map_or(Some(0), |text| whole(text, 60))?;
    let seconds = numbers.get(2).map_or(Some(0), |text| read_decimal(text, 3))?;
    let seconds = u32::try_from(seconds).ok().filter(|seconds| *seconds < 60_000)?;
    let angle = degrees * DEGREE + minutes * 60_000 + seconds;
    if angle > most * DEGREE {
        return None;
    }
    Some((if side.eq_ignore_ascii_case(plus) { MIDDLE + angle } else { MIDDLE - angle }, rest))
}

/// A number with up to `places` decimals, in units of the last; an `m` at the end is ignored where those are two.
fn read_decimal(text: &str, places: u32) -> Option<i64> {
    let text = if places == 2 { text.strip_suffix(['m', 'M']).unwrap_or(text) } else { text };
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = whole.len() <= 10 && fraction.len() <= usize::try_from(places).ok()?;
    if whole.is_empty() || !fits || !digits(whole) || !digits(fraction) {
        return None;
    }
    let missing = places - u32::try_from(fraction.len()).ok()?;
    let fraction: i64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let number = whole.parse::<i64>().ok()? * 10_i64.pow(places) + fraction * 10_i64.pow(missing);
    Some(if negative { -number } else { number })
}

/// Centimetres as one digit and a power of ten, RFC 1876 section 2.
fn encode_size(centimetres: i64) -> Option<u8> {
    let mut mantissa = u64::try_from(centimetres).ok()?;
    let mut exponent: u8 = 0;
    while mantissa > 9 {
        mantissa /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some(u8::try_from(mantissa).ok()? << 4 | exponent)
}

pub(crate) fn format_loc(wire: &[u8], text: &mut String) -> Option<()> {
    let &[0, size, horizontal, vertical, a, b, c, d, e, f, g, h, i, j, k, l] = wire else { return None };
    format_angle(u32::from_be_bytes([a, b, c, d]), "N", "S", 90, text)?;
    format_angle(u32::from_be_bytes([e, f, g, h]), "E", "W", 180, text)?;
    let altitude = i64::from(u32::from_be_bytes([i, j, k, l])) - BASE_ALTITUDE;
    let sign = if altitude < 0 { "-" } else { "" };
    let _ = write!(text, "{sign}{}m", metres(altitude.unsigned_abs()));
    for size in [size, horizontal, vertical] {
        let (mantissa, exponent) = (size >> 4, size & 0xf);
        if mantissa > 9 || exponent > 9 || (mantissa == 0 && exponent > 0) {
            return None;
        }
        let _ = write!(text, " {}m", metres(u64::from(mantissa) * 10_u64.pow(exponent.into())));
    }
    Some(())
}

fn metres(centimetres: u64) -> String {
    format!("{}.{:02}", centimetres / 100, centimetres % 100)
}

fn format_angle(angle: u32, plus: &str, minus: &str, most: u32, text: &mut String) -> Option<()> {
    let size = angle.abs_diff(MIDDLE);
    if size > most * DEGREE {
        return None;
    }
    let (degrees, minutes, thousandths) = (size / DEGREE, size / 60_000 % 60, size % 60_000);
    let side = if angle < MIDDLE { minus } else { plus };
    let _ = write!(text, "{degrees} {minutes} {}.{:03} {side} ", thousandths / 1000, thousandths % 1000);
    Some(())
}

/// `[!]family:address/prefix`, any number of them.
pub(crate) fn read_apl(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    for token in tokens {
        let wrong =
            || problem(format!("{:?} is not [!]family:address/prefix, family 1 or 2 (RFC 3123)", token.lossy()));
        let text = std::str::from_utf8(token.raw).map_err(|_| wrong())?;
        read_prefix(text, out).ok_or_else(wrong)?;
    }
    Ok(())
}

fn read_prefix(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (negation, text) = text.strip_prefix('!').map_or((0, text), |text| (0x80, text));
    let (family, rest) = text.split_once(':')?;
    let (address, prefix) = rest.split_once('/')?;
    let (family, address): (u16, Vec<u8>) = match family {
        "1" => (1, address.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        _ => return None,
    };
    let prefix: u8 = prefix.parse().ok().filter(|prefix| usize::from(*prefix) <= address.len() * 8)?;
    let used = address.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    out.extend(family.to_be_bytes());
    out.extend([prefix, negation | u8::try_from(used).ok()?]);
    out.extend(address.get(..used)?);
    Some(())
}

pub(crate) fn format_apl(mut wire: &[u8], text: &mut String) -> Option<()> {
    let mut first = true;
    while !wire.is_empty() {
        let (&[0, family, prefix, length], rest) = wire.split_first_chunk::<4>()? else { return None };
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        wire = rest;
        let mut address = [0_u8; 16];
        address.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let [a, b, c, d, ..] = address;
        let (shown, width) = match family {
            1 => (Ipv4Addr::new(a, b, c, d).to_string(), 4),
            2 => (Ipv6Addr::from(address).to_string(), 16),
            _ => return None,
        };
        if bytes.len() > width || usize::from(prefix) > width * 8 || bytes.last() == Some(&0) {
            return None;
        }
        let space = if first { "" } else { " " };
        let negation = if length & 0x80 == 0 { "" } else { "!" };
        let _ = write!(text, "{space}{negation}{family}:{shown}/{prefix}");
        first = false;
    }
    Some(())
}

/// `0x` and hex digits, dots anywhere between them.
pub(crate) fn read_nsap(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let wrong = || problem(format!("{:?} is not 0x and hex digits", token.lossy()));
    let digits = token.raw.strip_prefix(b"0x").or_else(|| token.raw.strip_prefix(b"0X")).ok_or_else(wrong)?;
    let digits: Vec<u8> = digits.iter().copied().filter(|byte| *byte != b'.').collect();
    out.extend(from_hex(&digits).filter(|bytes| !bytes.is_empty()).ok_or_else(wrong)?);
    Ok(())
}

pub(crate) fn format_nsap(wire: &[u8], text: &mut String) -> Option<()> {
    text.push_str("0x");
    write_hex(wire, text);
    (!wire.is_empty()).then_some(())
}

/// `+` and digits for E.164, or hex digits for an ATM end system address; single dots anywhere between them.
pub(crate) fn read_atma(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let wrong = || problem(format!("{:?} is neither + and digits nor hex digits, with single dots", token.lossy()));
    let (format, text) = token.raw.strip_prefix(b"+").map_or((0, token.raw), |digits| (1, digits));
    let parts: Vec<&[u8]> = text.split(|byte| *byte == b'.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(wrong());
    }
    out.push(format);
    let digits = parts.concat();
    let bytes = if format == 1 { Some(digits) } else { from_hex(&digits) };
    out.extend(bytes.ok_or_else(wrong)?);
    Ok(())
}

pub(crate) fn format_atma(wire: &[u8], text: &mut String) -> Option<()> {
    match wire.split_first()? {
        (0, address) if !address.is_empty() => write_hex(address, text),
        (1, digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let _ = write!(text, "+{}", std::str::from_utf8(digits).ok()?);
        }
        _ => return None,
    }
    Some(())
}

/// Prefix length, then the bits of the suffix unless there are none, then the name of the prefix unless it is empty.
pub(crate) fn read_a6(tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let wrong = || problem("use prefix length, suffix as an IPv6 address, name of the prefix (RFC 2874)");
    let (length, mut rest) = tokens.split_first().ok_or_else(wrong)?;
    let length: u8 = read_number(*length)?;
    let skipped = usize::from(length / 8);
    out.push(length);
    if length < 128 {
        let (suffix, after) = rest.split_first().ok_or_else(wrong)?;
        rest = after;
        let mut suffix = parse_text::<Ipv6Addr>(*suffix, "an IPv6 address")?.octets();
        if let Some(first) = suffix.get_mut(skipped) {
            *first &= 0xff >> (length % 8);
        }
        out.extend(suffix.iter().skip(skipped));
    }
    match (length, rest) {
        (0, []) => {}
        (1.., [name]) => out.extend_from_slice(read_name(*name, origin)?.as_wire()),
        _ => return Err(wrong()),
    }
    Ok(())
}

pub(crate) fn format_a6(wire: &[u8], text: &mut String) -> Option<()> {
    let (&length, rest) = wire.split_first().filter(|(length, _)| **length <= 128)?;
    let skipped = usize::from(length / 8);
    let (bits, name) = rest.split_at_checked(16 - skipped)?;
    let mut suffix = [0; 16];
    suffix.get_mut(skipped..)?.copy_from_slice(bits);
    if bits.first().is_some_and(|first| u32::from(*first) > 0xff_u32 >> (length % 8)) {
        return None;
    }
    let _ = write!(text, "{length}");
    if length < 128 {
        let _ = write!(text, " {}", Ipv6Addr::from(suffix));
    }
    if length > 0 {
        let read = Name::from_wire(name).ok().filter(|read| read.as_wire().len() == name.len())?;
        let _ = write!(text, " {}", format_name(&read));
        return Some(());
    }
    name.is_empty().then_some(())
}

/// Types up to 127 as one row of bits.
pub(crate) fn read_types(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    let types = tokens.iter().map(|token| read_type_or_number(*token));
    out.extend(bits(&types.collect::<Result<Vec<u16>, Rule>>()?));
    Ok(())
}

pub(crate) fn format_types(wire: &[u8]) -> String {
    let types: Vec<String> = numbers(wire).map(|number| type_name(Rtype::from_int(number))).collect();
    types.join(" ")
}

/// Services as zone files of the time name them.
const SERVICES: [(u16, &str); 28] = [
    (7, "echo"),
    (9, "discard"),
    (11, "systat"),
    (13, "daytime"),
    (15, "netstat"),
    (17, "qotd"),
    (19, "chargen"),
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (37, "time"),
    (43, "whois"),
    (53, "domain"),
    (69, "tftp"),
    (70, "gopher"),
    (79, "finger"),
    (80, "http"),
    (109, "pop2"),
    (110, "pop3"),
    (111, "sunrpc"),
    (113, "auth"),
    (119, "nntp"),
    (123, "ntp"),
    (143, "imap2"),
    (161, "snmp"),
    (179, "bgp"),
];

/// Ports, as numbers or names of services.
pub(crate) fn read_ports(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    let ports = tokens.iter().map(|token| {
        let known = SERVICES.iter().find(|(_, service)| token.is(service));
        let port = known.map_or_else(|| read_number(*token), |(port, _)| Ok(*port));
        port.map_err(|_| problem(format!("{:?} is neither a port nor a service known here", token.lossy())))
    });
    out.extend(bits(&ports.collect::<Result<Vec<u16>, Rule>>()?));
    Ok(())
}

pub(crate) fn format_ports(wire: &[u8]) -> String {
    let ports: Vec<String> = numbers(wire).map(|port| port.to_string()).collect();
    ports.join(" ")
}

/// Whether it is a bitmap of ports without zero bytes at its end.
pub(crate) fn is_ports(wire: &[u8]) -> bool {
    wire.len() <= 65_536 / 8 && wire.last() != Some(&0)
}

/// The bits of these numbers, the highest first, up to the last that is set.
fn bits(numbers: &[u16]) -> Vec<u8> {
    let mut bits = vec![0_u8; numbers.iter().max().map_or(0, |last| usize::from(last / 8) + 1)];
    for number in numbers {
        if let Some(byte) = bits.get_mut(usize::from(number / 8)) {
            *byte |= 0x80 >> (number % 8);
        }
    }
    bits
}

fn numbers(bits: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let is_set =
        |number: &u16| bits.get(usize::from(number / 8)).is_some_and(|byte| byte & (0x80 >> (number % 8)) != 0);
    (0..=u16::MAX).filter(is_set)
}
