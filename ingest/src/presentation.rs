//! Single words: names, types, classes, numbers, strings.

use domain::base::iana::{Class, Rtype};
use domain::utils::base64;
use zonecast_records::{MAX_NAME_LEN, Name};

use crate::Rule;
use crate::lexer::Token;

const MAX_LABEL_LEN: usize = 63;

/// Where relative names hang.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    /// Appended to relative names.
    pub(crate) name: &'a Name,
    /// Refuses relative names that already end in it: people who type single records forget the dot.
    pub(crate) refuse_repeated: bool,
}

/// A name as it stands in owner or data; `@` is the origin.
pub(crate) fn read_name(token: Token<'_>, origin: Origin<'_>) -> Result<Name, Rule> {
    match token.raw {
        b"@" if !token.quoted => return Ok(*origin.name),
        b"." => return Ok(Name::ROOT),
        _ => {}
    }
    let mut wire = [0; MAX_NAME_LEN];
    let relative_len = write_labels(token, &mut wire)?;
    let long = || Rule::LongName(token.lossy());
    let Some(relative_len) = relative_len else {
        return Name::from_wire(&wire).map_err(|_| long());
    };
    if origin.refuse_repeated && origin.name.label_count() > 0 {
        let written = wire.get(..=relative_len).and_then(|written| Name::from_wire(written).ok());
        if written.is_some_and(|written| written.is_within(origin.name)) {
            return Err(Rule::ForgottenDot(token.lossy()));
        }
    }
    let end = relative_len + origin.name.as_wire().len();
    wire.get_mut(relative_len..end).ok_or_else(long)?.copy_from_slice(origin.name.as_wire());
    Name::from_wire(&wire).map_err(|_| long())
}

/// Writes the labels and returns their length where the name is relative, `None` where it is absolute and whole.
fn write_labels(token: Token<'_>, wire: &mut [u8; MAX_NAME_LEN]) -> Result<Option<usize>, Rule> {
    let long = || Rule::LongName(token.lossy());
    let mut start = 0;
    let mut at = 1;
    for octet in token.symbols() {
        let octet = octet?;
        if octet.byte == b'.' && !octet.escaped {
            end_label(token, wire, start, at)?;
            start = at;
        } else {
            *wire.get_mut(at).ok_or_else(long)? = octet.byte;
        }
        at += 1;
    }
    if start > 0 && at == start + 1 {
        *wire.get_mut(start).ok_or_else(long)? = 0;
        return Ok(None);
    }
    end_label(token, wire, start, at)?;
    Ok(Some(at))
}

fn end_label(token: Token<'_>, wire: &mut [u8; MAX_NAME_LEN], start: usize, end: usize) -> Result<(), Rule> {
    let length = end - start - 1;
    if length == 0 {
        return Err(Rule::EmptyLabel(token.lossy()));
    }
    if length > MAX_LABEL_LEN {
        return Err(Rule::LongLabel(token.lossy()));
    }
    let target = wire.get_mut(start).ok_or_else(|| Rule::LongName(token.lossy()))?;
    *target = u8::try_from(length).expect("checked against 63");
    Ok(())
}

/// Reads a type mnemonic or `TYPE123`, in any case.
///
/// # Errors
/// [`Rule::Type`] where it is neither, [`Rule::MetaType`] where no zone holds such a record: type 0, OPT, 128 to 255
/// and 65535, RFC 6895 section 3.1.
pub fn parse_type(text: &str) -> Result<Rtype, Rule> {
    read_type(text.as_bytes())
}

pub(crate) fn read_type(word: &[u8]) -> Result<Rtype, Rule> {
    let common = [
        (&b"A"[..], Rtype::A),
        (b"AAAA", Rtype::AAAA),
        (b"NS", Rtype::NS),
        (b"CNAME", Rtype::CNAME),
        (b"MX", Rtype::MX),
        (b"TXT", Rtype::TXT),
        (b"DS", Rtype::DS),
        (b"RRSIG", Rtype::RRSIG),
    ];
    if let Some((_, rtype)) = common.into_iter().find(|(name, _)| *name == word) {
        return Ok(rtype);
    }
    let unknown = || Rule::Type(crate::lexer::bounded_text(word));
    // The one mnemonic with a hyphen, which `domain` writes without.
    let rtype = match word.to_ascii_uppercase().as_slice() {
        b"NSAP-PTR" => Rtype::NSAPPTR,
        upper => Rtype::from_bytes(upper).ok_or_else(unknown)?,
    };
    match rtype.to_int() {
        0 | 41 | 128..=255 | u16::MAX => Err(Rule::MetaType(type_name(rtype))),
        _ => Ok(rtype),
    }
}

/// The mnemonic, or `TYPE123`, as BIND reads it.
pub(crate) fn type_name(rtype: Rtype) -> String {
    match rtype {
        Rtype::NSAPPTR => "NSAP-PTR".into(),
        // Too young for servers that are in use.
        Rtype::NXNAME | Rtype::CLA | Rtype::IPN => format!("TYPE{}", rtype.to_int()),
        _ => rtype.to_string(),
    }
}

/// A class, where the word is one.
pub(crate) fn read_class(token: Token<'_>) -> Option<Class> {
    if token.is("IN") {
        return Some(Class::IN);
    }
    match token.raw.first()?.to_ascii_uppercase() {
        b'C' | b'H' | b'N' => Class::from_bytes(token.raw),
        _ => None,
    }
}

/// A character-string with its length byte, RFC 1035 section 3.3.
pub(crate) fn write_string(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    let at = out.len();
    out.push(0);
    write_octets(token, out)?;
    let length = u8::try_from(out.len() - at - 1);
    let length = length.map_err(|_| problem("a string is over 255 bytes: split it into several"))?;
    if let Some(first) = out.get_mut(at) {
        *first = length;
    }
    Ok(())
}

/// The bytes of a word, escapes resolved.
pub(crate) fn write_octets(token: Token<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    if token.plain {
        out.extend_from_slice(token.raw);
        return Ok(());
    }
    for octet in token.symbols() {
        out.push(octet?.byte);
    }
    Ok(())
}

/// A decimal number without sign.
pub(crate) fn read_number<T: TryFrom<u64>>(token: Token<'_>) -> Result<T, Rule> {
    let digits = token.raw.iter().all(u8::is_ascii_digit) && (1..=20).contains(&token.raw.len());
    let value = std::str::from_utf8(token.raw).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
    value
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| problem(format!("{:?} is not a number of this field's range", token.lossy())))
}

/// A broken rule of RDATA whose type the caller fills in, see [`with_type`].
pub(crate) fn problem(problem: impl Into<String>) -> Rule {
    Rule::Rdata { rtype: String::new(), problem: problem.into() }
}

/// Names the type in a [`problem`].
pub(crate) fn with_type(rule: Rule, rtype: Rtype) -> Rule {
    match rule {
        Rule::Rdata { problem, .. } => Rule::Rdata { rtype: type_name(rtype), problem },
        other => other,
    }
}

/// With a length byte.
pub(crate) fn write_short(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Rule> {
    out.push(u8::try_from(bytes.len()).map_err(|_| problem("a field is over 255 bytes"))?);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Older types write types as numbers, too.
pub(crate) fn read_type_or_number(token: Token<'_>) -> Result<u16, Rule> {
    read_number(token).or_else(|_| Ok(read_any_type(token.raw)?.to_int()))
}

/// Bitmaps and signatures may name types that are never stored.
pub(crate) fn read_any_type(word: &[u8]) -> Result<Rtype, Rule> {
    match read_type(word) {
        Err(Rule::MetaType(_)) => Rtype::from_bytes(word).ok_or_else(|| problem("unknown type")),
        other => other,
    }
}

/// A word that is what it says, `what`.
pub(crate) fn parse_text<T: std::str::FromStr>(token: Token<'_>, what: &str) -> Result<T, Rule> {
    let parsed = std::str::from_utf8(token.raw).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| problem(format!("{:?} is not {what}", token.lossy())))
}

/// RFC 4648 section 4.
pub(crate) fn from_base64(text: &[u8]) -> Result<Vec<u8>, Rule> {
    let decoded = std::str::from_utf8(text).ok().and_then(|text| base64::decode(text).ok());
    decoded.ok_or_else(|| problem("is not base64"))
}

/// Pairs of hexadecimal digits.
pub(crate) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, odd) = digits.as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    odd.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}
