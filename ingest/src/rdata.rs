//! RDATA from presentation format to uncompressed wire form.
//!
//! ```text
//! \# length hex      RFC 3597, any type; checked against the type where it is known
//! A AAAA NS CNAME PTR DNAME MX TXT SOA    here: they are nearly all there is, and domain takes an allocation per field
//! what domain knows  through TokenScanner
//! older types        by the field tables of crate::fields
//! ```

use domain::base::ParsedName;
use domain::base::iana::Rtype;
use domain::base::rdata::{ComposeRecordData, ParseAnyRecordData};
use domain::dep::octseq::Parser;
use domain::rdata::{AllRecordData, ZoneRecordData};
use zonecast_records::Name;

use crate::Rule;
use crate::fields;
use crate::lexer::{Lexer, Token};
use crate::presentation::{Origin, problem, read_name, read_number, with_type, write_octets, write_string};
use crate::scanner::{ScannedName, TokenScanner};
use crate::svcb;
use crate::ttl::parse_seconds;

/// Longest RDATA, RFC 1035 section 3.2.1.
pub(crate) const MAX_RDATA_LEN: usize = 65_535;

/// Reads presentation format such as `10 mail` for MX; relative names are relative to `origin`.
///
/// # Errors
/// The rule that the text breaks.
pub fn parse_rdata(rtype: Rtype, text: &str, origin: &Name) -> Result<Vec<u8>, Rule> {
    let mut out = Vec::new();
    read_rdata_text(rtype, text.as_bytes(), Origin { name: origin, refuse_repeated: false }, &mut out)?;
    Ok(out)
}

/// Reads one entry of data, whatever stands at its beginning.
pub(crate) fn read_rdata_text(rtype: Rtype, text: &[u8], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let mut tokens = Vec::new();
    let mut lexer = Lexer::new(text);
    if let Some(problem) = lexer.next_entry(&mut tokens).and_then(|entry| entry.problem) {
        return Err(problem);
    }
    if lexer.next_entry(&mut Vec::new()).is_some() {
        return Err(with_type(problem("goes on after a line end"), rtype));
    }
    read_rdata(rtype, &tokens, origin, out)
}

/// Puts the wire form in place of what `out` holds.
pub(crate) fn read_rdata(
    rtype: Rtype,
    tokens: &[Token<'_>],
    origin: Origin<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Rule> {
    out.clear();
    read_any(rtype, tokens, origin, out).map_err(|rule| with_type(rule, rtype))?;
    if out.len() > MAX_RDATA_LEN {
        return Err(with_type(problem("over 65,535 bytes"), rtype));
    }
    Ok(())
}

fn read_any(rtype: Rtype, tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    if let Some((first, rest)) = tokens.split_first()
        && first.raw == br"\#"
        && !first.quoted
    {
        read_unknown(rest, out)?;
        return check_wire(rtype, out);
    }
    if let Some(known) = read_common(rtype, tokens, origin, out) {
        return known;
    }
    if let Some(fields) = fields::of(rtype) {
        return fields::read(fields, tokens, origin, out);
    }
    if tokens.len() < least_fields(rtype) {
        return Err(problem("ends early"));
    }
    if matches!(rtype, Rtype::SVCB | Rtype::HTTPS) {
        return svcb::read(rtype, tokens, origin, out);
    }
    match algorithm_index(rtype) {
        Some(index) => read_with_algorithm(rtype, tokens, index, origin, out),
        None => read_by_domain(rtype, tokens, origin, out),
    }
}

/// Where `domain` takes nothing for data to the end, but NSD and BIND want some.
fn least_fields(rtype: Rtype) -> usize {
    match rtype {
        Rtype::DNSKEY | Rtype::CDNSKEY | Rtype::DS | Rtype::CDS | Rtype::TLSA | Rtype::ZONEMD => 4,
        Rtype::SSHFP => 3,
        Rtype::OPENPGPKEY => 1,
        _ => 0,
    }
}

/// Which field is a security algorithm.
fn algorithm_index(rtype: Rtype) -> Option<usize> {
    match rtype {
        Rtype::DS | Rtype::CDS => Some(1),
        Rtype::DNSKEY | Rtype::CDNSKEY => Some(2),
        _ => None,
    }
}

/// `domain` knows algorithms by number only; RFC 4034 section 2.2 has mnemonics too.
fn read_with_algorithm(
    rtype: Rtype,
    tokens: &[Token<'_>],
    index: usize,
    origin: Origin<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Rule> {
    let mnemonic = tokens.get(index).filter(|token| !token.raw.first().is_some_and(u8::is_ascii_digit));
    let Some(mnemonic) = mnemonic else { return read_by_domain(rtype, tokens, origin, out) };
    let number = fields::read_algorithm(*mnemonic)?.to_string();
    let mut tokens = tokens.to_vec();
    if let Some(token) = tokens.get_mut(index) {
        token.raw = number.as_bytes();
    }
    read_by_domain(rtype, &tokens, origin, out)
}

/// The types written out here; `None` for all others.
fn read_common(rtype: Rtype, tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Option<Result<(), Rule>> {
    let result = match (rtype, tokens) {
        (Rtype::A, [address]) => read_address::<std::net::Ipv4Addr>(*address).map(|a| out.extend(a.octets())),
        (Rtype::AAAA, [address]) => read_address::<std::net::Ipv6Addr>(*address).map(|a| out.extend(a.octets())),
        (Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME, [name]) => write_name(*name, origin, out),
        (Rtype::MX, [preference, name]) => read_number::<u16>(*preference).and_then(|preference| {
            out.extend(preference.to_be_bytes());
            write_name(*name, origin, out)
        }),
        (Rtype::TXT, [_, ..]) => tokens.iter().try_for_each(|token| write_string(*token, out)),
        (Rtype::SOA, [mname, rname, serial, times @ ..]) if times.len() == 4 => {
            read_soa(*mname, *rname, *serial, times, origin, out)
        }
        (Rtype::A | Rtype::AAAA | Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME | Rtype::MX | Rtype::SOA, _) => {
            Err(problem(format!("takes {}, here are {}", common_fields(rtype), tokens.len())))
        }
        (Rtype::TXT, []) => Err(problem("takes at least one string")),
        _ => return None,
    };
    Some(result)
}

fn common_fields(rtype: Rtype) -> &'static str {
    match rtype {
        Rtype::A | Rtype::AAAA => "one address",
        Rtype::MX => "a preference and a name",
        Rtype::SOA => "two names and five numbers",
        _ => "one name",
    }
}

fn read_address<T: std::str::FromStr>(token: Token<'_>) -> Result<T, Rule> {
    let text = std::str::from_utf8(token.raw).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| problem(format!("{:?} is not an address", token.lossy())))
}

fn write_name(token: Token<'_>, origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    out.extend_from_slice(read_name(token, origin)?.as_wire());
    Ok(())
}

/// The times of a SOA may have units; its serial may not.
fn read_soa(
    mname: Token<'_>,
    rname: Token<'_>,
    serial: Token<'_>,
    times: &[Token<'_>],
    origin: Origin<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Rule> {
    write_name(mname, origin, out)?;
    write_name(rname, origin, out)?;
    out.extend(read_number::<u32>(serial)?.to_be_bytes());
    for time in times {
        let seconds = parse_seconds(time.raw);
        let seconds = seconds.ok_or_else(|| problem(format!("{:?} is not a time", time.lossy())))?;
        out.extend(seconds.to_be_bytes());
    }
    Ok(())
}

/// `length hex...` of RFC 3597 section 5.
fn read_unknown(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    let (length, digits) = tokens.split_first().ok_or_else(|| problem(r"\# takes a length"))?;
    let length: u16 = read_number(*length)?;
    let mut high = None;
    let mut word = Vec::new();
    for token in digits {
        word.clear();
        write_octets(*token, &mut word)?;
        for digit in &word {
            let value = char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            let value = value.ok_or_else(|| problem(r"\# takes a length and hex digits"))?;
            match high.take() {
                Some(high) => out.push(high << 4 | value),
                None => high = Some(value),
            }
        }
    }
    if high.is_some() || out.len() != usize::from(length) {
        return Err(problem(format!(r"\# says {length} bytes, here are {}", out.len())));
    }
    Ok(())
}

pub(crate) fn read_by_domain(
    rtype: Rtype,
    tokens: &[Token<'_>],
    origin: Origin<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Rule> {
    let mut scanner = TokenScanner::new(tokens, origin);
    let data: ZoneRecordData<Vec<u8>, ScannedName> = match ZoneRecordData::scan(rtype, &mut scanner) {
        Ok(data) => data,
        Err(_) if !is_known_to_domain(rtype) => {
            return Err(problem(r"its text form is not known here: write it as \# length hex (RFC 3597)"));
        }
        Err(error) => return Err(error.0),
    };
    if !scanner.rest().is_empty() {
        return Err(problem("has more fields than the type"));
    }
    data.compose_rdata(out).map_err(|_| problem("over 65,535 bytes"))
}

fn is_known_to_domain(rtype: Rtype) -> bool {
    let known = parse_by_domain(rtype, &[]);
    !matches!(known, Ok(AllRecordData::Unknown(_)))
}

pub(crate) type ParsedData<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;

/// Wire form as the `domain` crate's typed data; what it does not know comes as unknown data.
pub(crate) fn parse_by_domain(rtype: Rtype, wire: &[u8]) -> Result<ParsedData<'_>, Rule> {
    let mut parser = Parser::from_ref(wire);
    let data = ParsedData::parse_any_rdata(rtype, &mut parser).map_err(|error| problem(error.to_string()))?;
    if parser.remaining() > 0 {
        return Err(problem("bytes left over after the last field"));
    }
    Ok(data)
}

/// Checks that wire form is what its type asks for, without compression pointers. Any bytes pass for types unknown
/// here.
///
/// # Errors
/// [`Rule::Rdata`] or the rule that a name in it breaks.
pub fn check_rdata(rtype: Rtype, wire: &[u8]) -> Result<(), Rule> {
    if wire.len() > MAX_RDATA_LEN {
        return Err(with_type(problem("over 65,535 bytes"), rtype));
    }
    check_wire(rtype, wire).map_err(|rule| with_type(rule, rtype))
}

fn check_wire(rtype: Rtype, wire: &[u8]) -> Result<(), Rule> {
    if let Some(fields) = fields::of(rtype) {
        return fields::check(fields, wire);
    }
    if rtype == Rtype::TXT && wire.is_empty() {
        return Err(problem("takes at least one string"));
    }
    let data = parse_by_domain(rtype, wire)?;
    // A pointer into the RDATA itself parses, but does not come out again.
    let mut again = Vec::with_capacity(wire.len());
    data.compose_rdata(&mut again).map_err(|_| problem("over 65,535 bytes"))?;
    if again == wire { Ok(()) } else { Err(problem("is not in plain, uncompressed form")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words for the types that are read here and by `domain`.
    fn words() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "192.0.2.1",
            "1.2.3",
            "2001:db8::1",
            "::ffff:1.2.3.4",
            "a",
            "b.c.",
            "@",
            ".",
            "*.x",
            r"a\.b\255",
            "a..b",
            "10",
            "0",
            "65536",
            "4294967295",
            "4294967296",
            "007",
            "-1",
            r#""a b""#,
            r#""""#,
            r"\034x",
            "1.1.1.1.1",
            "+5",
            ")",
            "(",
            r"\#",
        ]);
        prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        #[test]
        fn types_read_here_come_out_as_from_domain(index in 0_usize..10, text in words()) {
            let types = [
                (Rtype::A, "192.0.2.1"), (Rtype::AAAA, "2001:db8::1"), (Rtype::NS, "a"), (Rtype::CNAME, "a"), (Rtype::PTR, "a"),
                (Rtype::DNAME, "a"), (Rtype::MX, "10 a"), (Rtype::TXT, "a"), (Rtype::SOA, "a b.c. 1 2 3 4 5"),
                (Rtype::RRSIG, "A 8 2 300 20300101000000 1577836800 1 example. AQ =="),
            ];
            let (rtype, good) = types[index];
            let apex: Name = "example.org".parse().unwrap();
            let origin = Origin { name: &apex, refuse_repeated: false };
            for text in [&text, good] {
                let mut tokens = Vec::new();
                let entry = Lexer::new(text.as_bytes()).next_entry(&mut tokens);
                if entry.is_some_and(|entry| entry.problem.is_none()) && tokens[0].raw != br"\#" {
                    let (mut here, mut there) = (Vec::new(), Vec::new());
                    let read = match read_common(rtype, &tokens, origin, &mut here) {
                        Some(done) => done,
                        None => fields::read(fields::of(rtype).unwrap(), &tokens, origin, &mut here),
                    };
                    let here = read.map(|()| here);
                    let there = read_by_domain(rtype, &tokens, origin, &mut there).map(|()| there);
                    prop_assert_eq!(here.ok(), there.ok(), "{} {}", rtype, text);
                }
            }
        }
    }
}
