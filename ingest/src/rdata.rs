//! RDATA from presentation format to uncompressed wire form.
//!
//! ```text
//! \# length hex      RFC 3597, any type
//! all other text     by the table of crate::fields
//! ```
//! Either way the wire form is then checked against its type by [`check_rdata`], where the type is known.

use domain::base::iana::Rtype;
use zonecast_records::Name;

use crate::Rule;
use crate::lexer::{Lexer, Token};
use crate::presentation::{Origin, from_hex, problem, read_number, with_type, write_octets};
use crate::{field_check, field_text, fields};

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
    check_rdata(rtype, out)
}

fn read_any(rtype: Rtype, tokens: &[Token<'_>], origin: Origin<'_>, out: &mut Vec<u8>) -> Result<(), Rule> {
    if let Some((first, rest)) = tokens.split_first()
        && first.raw == br"\#"
        && !first.quoted
    {
        return read_unknown(rest, out);
    }
    match fields::of(rtype) {
        Some(fields) => field_text::read(fields, tokens, origin, out),
        None => Err(problem(r"its text form is not known here: write it as \# length hex (RFC 3597)")),
    }
}

/// `length hex...` of RFC 3597 section 5.
fn read_unknown(tokens: &[Token<'_>], out: &mut Vec<u8>) -> Result<(), Rule> {
    let (length, digits) = tokens.split_first().ok_or_else(|| problem(r"\# takes a length"))?;
    let length: u16 = read_number(*length)?;
    let mut joined = Vec::new();
    digits.iter().try_for_each(|token| write_octets(*token, &mut joined))?;
    out.extend(from_hex(&joined).ok_or_else(|| problem(r"\# takes a length and pairs of hex digits"))?);
    if out.len() != usize::from(length) {
        return Err(problem(format!(r"\# says {length} bytes, here are {}", out.len())));
    }
    Ok(())
}

/// Checks that wire form is what its type asks for, without compression pointers, and that other software can read it.
/// Any bytes pass for types unknown here.
///
/// # Errors
/// [`Rule::Rdata`] or the rule that a name in it breaks.
pub fn check_rdata(rtype: Rtype, wire: &[u8]) -> Result<(), Rule> {
    if wire.len() > MAX_RDATA_LEN {
        return Err(with_type(problem("over 65,535 bytes"), rtype));
    }
    field_check::check(rtype, fields::of(rtype), wire).map_err(|rule| with_type(rule, rtype))
}
