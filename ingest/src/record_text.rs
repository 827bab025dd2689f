//! Single records as people and the API write them.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_records::Name;

use crate::Rule;
use crate::format::write_quoted;
use crate::lexer::{Lexer, Token};
use crate::presentation::{Origin, read_name, read_type};
use crate::rdata::read_rdata_text;
use crate::ttl::{MAX_TTL, parse_ttl};

/// Most bytes of the words of one record; the largest RDATA written as `\DDD` takes 262,140.
const MAX_WORDS_LEN: usize = 1 << 19;

/// A record read from its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordText {
    /// Absolute.
    pub owner: Name,
    /// Never a meta type.
    pub rtype: Rtype,
    /// Seconds; `None` where none was given.
    pub ttl: Option<u32>,
    /// Uncompressed wire form.
    pub rdata: Vec<u8>,
}

/// Which part of a record is refused.
#[derive(Debug, Error)]
pub enum RecordTextError {
    /// The owner.
    #[error("name: {0}")]
    Name(#[source] Rule),
    /// Absolute and elsewhere.
    #[error("name: {name} is not in zone {zone}")]
    OutOfZone {
        /// Of the record.
        name: Box<Name>,
        /// Which was asked for.
        zone: Box<Name>,
    },
    /// The type.
    #[error("type: {0}")]
    Type(#[source] Rule),
    /// The TTL.
    #[error("TTL: {0}")]
    Ttl(#[source] Rule),
    /// The data.
    #[error("data: {0}")]
    Data(#[source] Rule),
}

/// Reads a record of zone `apex` from its parts, as `zonecast record add` has them.
///
/// The name is relative to the zone, `@` is the apex, a final dot makes it absolute. The words of the data are joined as
/// [`parse_rdata_words`] says; names in them are relative to the zone. A relative name that already ends in the zone's
/// name, in either place, is refused: `www.example.com` in zone `example.com` lacks a dot.
///
/// # Errors
/// Which part breaks which rule.
pub fn parse_record_text(
    apex: &Name,
    name: &str,
    rtype: &str,
    ttl: Option<&str>,
    words: &[&str],
) -> Result<RecordText, RecordTextError> {
    let owner = parse_owner(name, apex)?;
    let rtype = read_type(rtype.as_bytes()).map_err(RecordTextError::Type)?;
    let ttl = match ttl {
        None => None,
        Some(text) => {
            let seconds = parse_ttl(text).filter(|seconds| *seconds <= MAX_TTL);
            Some(seconds.ok_or_else(|| RecordTextError::Ttl(Rule::Ttl(text.to_owned())))?)
        }
    };
    let rdata = parse_rdata_words(rtype, words, apex).map_err(RecordTextError::Data)?;
    Ok(RecordText { owner, rtype, ttl, rdata })
}

/// Reads the name of a record of zone `apex`, by the rules of [`parse_record_text`].
///
/// # Errors
/// No name, outside the zone, or a forgotten dot.
pub fn parse_owner(text: &str, apex: &Name) -> Result<Name, RecordTextError> {
    let token = Token { raw: text.as_bytes(), quoted: false, glued: false, plain: false };
    let name = read_name(token, origin(apex)).map_err(RecordTextError::Name)?;
    if name.is_within(apex) {
        return Ok(name);
    }
    Err(RecordTextError::OutOfZone { name: Box::new(name), zone: Box::new(*apex) })
}

/// Reads data from words that a shell has taken apart: `10 mail`, or `10` and `mail`, for MX.
///
/// For types made of strings, a word with white space in it and no quotes around it is one string, since the shell ate
/// the quotes: `TXT "v=spf1 -all"`. Otherwise words may hold several fields.
///
/// # Errors
/// The rule that is broken.
pub fn parse_rdata_words(rtype: Rtype, words: &[&str], apex: &Name) -> Result<Vec<u8>, Rule> {
    if words.iter().map(|word| word.len()).sum::<usize>() > MAX_WORDS_LEN {
        return Err(Rule::TooLong);
    }
    let holds_strings = matches!(rtype, Rtype::TXT | Rtype::SPF);
    let mut text = String::new();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        if holds_strings && !word.starts_with(r"\#") && !is_one_token(word) && !word.contains('"') {
            write_quoted(word.as_bytes(), &mut text);
        } else {
            text.push_str(word);
        }
    }
    let mut rdata = Vec::new();
    // The first word of an entry may be anything, also one that begins with a dollar sign.
    read_rdata_text(rtype, text.as_bytes(), origin(apex), &mut rdata)?;
    Ok(rdata)
}

fn is_one_token(word: &str) -> bool {
    let mut tokens = Vec::new();
    let mut lexer = Lexer::new(word.as_bytes());
    let entry = lexer.next_entry(&mut tokens);
    let whole = matches!(&tokens[..], [token] if token.raw.len() + if token.quoted { 2 } else { 0 } == word.len());
    entry.is_some_and(|entry| entry.problem.is_none()) && whole
}

fn origin(apex: &Name) -> Origin<'_> {
    Origin { name: apex, refuse_repeated: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format_rdata;

    fn add(name: &str, rtype: &str, words: &[&str]) -> Result<String, String> {
        let apex: Name = "example.com".parse().unwrap();
        let record = parse_record_text(&apex, name, rtype, Some("1h"), words).map_err(|error| error.to_string())?;
        assert_eq!(record.ttl, Some(3600));
        Ok(format!("{} {} {}", record.owner, record.rtype, format_rdata(record.rtype, &record.rdata)))
    }

    #[test]
    fn words_from_a_shell_make_a_record() {
        assert_eq!(add("www", "a", &["192.0.2.1"]).unwrap(), "www.example.com. A 192.0.2.1");
        assert_eq!(add("@", "MX", &["10", "mail"]).unwrap(), "example.com. MX 10 mail.example.com.");
        assert_eq!(add("www.example.com.", "MX", &["10 mail"]).unwrap(), "www.example.com. MX 10 mail.example.com.");
        assert_eq!(add("x", "TXT", &["v=spf1 -all", "b"]).unwrap(), r#"x.example.com. TXT "v=spf1 -all" "b""#);
        assert_eq!(add("x", "TXT", &[r#""a b" "c""#]).unwrap(), r#"x.example.com. TXT "a b" "c""#);
        assert_eq!(add("x", "TXT", &["a;b"]).unwrap(), r#"x.example.com. TXT "a;b""#);
    }

    #[test]
    fn mistakes_are_named() {
        for (name, rtype, words, message) in [
            ("www.example.com", "A", &["192.0.2.1"][..], "name: name \"www.example.com\" is relative and already ends"),
            ("www.example.org.", "A", &["192.0.2.1"], "name: www.example.org. is not in zone example.com."),
            ("www", "CNAME", &["x.example.com"], "data: name \"x.example.com\" is relative and already ends"),
            ("www", "AXFR", &[], "type: type AXFR is never stored"),
            ("www", "A", &["192.0.2.1\nx"], "data: A data: goes on after a line end"),
            ("www", "A", &[], "data: A data: takes one address"),
        ] {
            let error = add(name, rtype, words).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
