//! Single records as people and the API write them.

use domain::base::iana::Rtype;
use thiserror::Error;
use zonecast_records::Name;

use crate::Rule;
use crate::lexer::Token;
use crate::presentation::{Origin, read_name, read_type};
use crate::rdata::read_rdata;
use crate::ttl::{MAX_TTL, parse_ttl};
use crate::words::{self, Values};

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
/// The name is relative to the zone, `@` is the apex, a final dot makes it absolute. The words of the data are read as
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

/// Reads the data of one record: one text as the API has it, or several words as a shell has taken them apart. The rule
/// is that of the module `words`; `docs/api.md` has it for users.
///
/// - One text such as `10 mail` may hold several fields. Of several words each is one field, spaces and all, since the
///   shell ate the quotes: `0`, `issue`, `ca.example; x=1`. A word with quotes in it is taken apart like one text.
/// - For TXT and SPF, every word that does not begin with a quote is a string, spaces and all, and several where it is
///   over 255 bytes.
/// - Data that begins with `\#` is that of RFC 3597, for any type.
///
/// # Errors
/// The rule that is broken.
pub fn parse_rdata_words(rtype: Rtype, words: &[&str], apex: &Name) -> Result<Vec<u8>, Rule> {
    if words.iter().map(|word| word.len()).sum::<usize>() > MAX_WORDS_LEN {
        return Err(Rule::TooLong);
    }
    let values = if matches!(rtype, Rtype::SVCB | Rtype::HTTPS) { Values::Quoted } else { Values::Plain };
    let is_generic =
        words.first().is_some_and(|word| word.split([' ', '\t']).find(|word| !word.is_empty()) == Some(r"\#"));
    let mut tokens = Vec::new();
    for word in words {
        let text = word.as_bytes();
        words::check_line(text)?;
        match rtype {
            Rtype::TXT | Rtype::SPF if !is_generic => words::strings(text, &mut tokens)?,
            _ if words.len() > 1 && !is_generic && !words::has_quote(text) => tokens.push(words::whole(text)),
            _ => words::split(text, values, &mut tokens)?,
        }
    }
    let mut rdata = Vec::new();
    read_rdata(rtype, &tokens, origin(apex), &mut rdata)?;
    Ok(rdata)
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
        assert_eq!(add("@", "CAA", &["0", "issue", "ca; x=1"]).unwrap(), r#"example.com. CAA 0 issue "ca; x=1""#);
        assert_eq!(add("@", "CAA", &["0", "issue", ";"]).unwrap(), r#"example.com. CAA 0 issue ";""#);
        assert_eq!(add("@", "CAA", &["0 issue ;"]).unwrap(), r#"example.com. CAA 0 issue ";""#);
        assert_eq!(add("x", "URI", &["1 2 http://x/;a(b)"]).unwrap(), r#"x.example.com. URI 1 2 "http://x/;a(b)""#);
        assert_eq!(add("x", "TXT", &[r"\#x y"]).unwrap(), r##"x.example.com. TXT "#x y""##);
        assert_eq!(add("x", "TXT", &[r"\# 2 0161"]).unwrap(), r#"x.example.com. TXT "a""#);
        assert_eq!(add("x", "TXT", &[r"\#", "2", "0161"]).unwrap(), r#"x.example.com. TXT "a""#);
        assert_eq!(add("x", "TXT", &[""]).unwrap(), r#"x.example.com. TXT """#);
        assert_eq!(add("x", "TXT", &[" a "]).unwrap(), r#"x.example.com. TXT " a ""#);
        let service = add("x", "HTTPS", &["1", ".", "alpn=\"h2,h3\"", "port=8443"]).unwrap();
        assert_eq!(service, add("x", "HTTPS", &["1 . alpn=h2,h3 port=8443"]).unwrap());
    }

    #[test]
    fn mistakes_are_named() {
        for (name, rtype, words, message) in [
            ("www.example.com", "A", &["192.0.2.1"][..], "name: name \"www.example.com\" is relative and already ends"),
            ("www.example.org.", "A", &["192.0.2.1"], "name: www.example.org. is not in zone example.com."),
            ("www", "CNAME", &["x.example.com"], "data: name \"x.example.com\" is relative and already ends"),
            ("www", "AXFR", &[], "type: type AXFR is never stored"),
            ("www", "A", &["192.0.2.1\nx"], "data: a line end"),
            ("www", "A", &["192.0.2.1 ; home"], "data: A data: takes an address, here are 3 fields"),
            ("www", "TXT", &["say \"hi\""], "data: a quote inside"),
            ("www", "TXT", &["\"say\"hi"], "data: a quote inside"),
            ("www", "TXT", &["\"say"], "data: a quoted string does not end"),
            ("www", "TXT", &["a\0b"], "data: a NUL byte"),
            ("www", "TXT", &["a \\300"], "data: bad escape"),
            ("www", "TXT", &["a \\"], "data: bad escape"),
            ("www", "A", &[], "data: A data: takes an address"),
        ] {
            let error = add(name, rtype, words).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
