//! The data of one record as the API and the command line have it: words, for which there are no lines.
//!
//! A zone file has comments, and parentheses to go on in the next line. In a string that is one record, either would
//! make bytes disappear. So here they mean themselves.
//!
//! # Rule
//! ```text
//! space, tab      between words
//! " at a word     begins a quoted word, which ends at the next "; white space or the end of the text follows
//! \DDD \X         the byte of that number; that character. Inside and outside of quotes
//! NUL LF CR       refused: written as \000 \010 \013
//! all else        stands for itself
//! ```
//! A quote inside a word is refused, but for a value of SVCB and HTTPS such as `alpn="h2"`.

use crate::Rule;
use crate::lexer::Token;

/// Longest character-string, RFC 1035 section 3.3.
const MAX_STRING_LEN: usize = 255;

/// Whether a quote may follow on a `=` without white space between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Quoted,
    Plain,
}

/// Refuses what has no place in a line of text.
pub(crate) fn check_line(text: &[u8]) -> Result<(), Rule> {
    match text.iter().find(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        None => Ok(()),
        Some(0) => Err(Rule::Nul),
        Some(_) => Err(Rule::LineEnd),
    }
}

/// Takes a text apart, by the rule of the module.
pub(crate) fn split<'a>(text: &'a [u8], values: Values, tokens: &mut Vec<Token<'a>>) -> Result<(), Rule> {
    let (mut rest, mut glued) = (text, false);
    while let Some(first) = rest.first() {
        if is_blank(*first) {
            (rest, glued) = (skip_blanks(rest), false);
            continue;
        }
        let quoted = *first == b'"';
        let body = if quoted { rest.get(1..).unwrap_or_default() } else { rest };
        let (raw, after) = body.split_at(word_len(body, quoted));
        tokens.push(token(raw, quoted, glued));
        let next = after.first();
        rest = after;
        if quoted {
            let (_, after) = after.split_first().ok_or(Rule::Quote)?;
            if after.first().is_some_and(|byte| !is_blank(*byte)) {
                return Err(Rule::QuoteInside);
            }
            rest = after;
        } else if next == Some(&b'"') && !(values == Values::Quoted && raw.ends_with(b"=")) {
            return Err(Rule::QuoteInside);
        }
        glued = true;
    }
    Ok(())
}

/// A text that is one word, spaces and all.
pub(crate) fn whole(text: &[u8]) -> Token<'_> {
    token(text, text.is_empty() || text.iter().any(|byte| is_blank(*byte)), false)
}

/// A text that is one string or, where it is too long for one, several.
pub(crate) fn strings<'a>(text: &'a [u8], tokens: &mut Vec<Token<'a>>) -> Result<(), Rule> {
    if skip_blanks(text).starts_with(b"\"") {
        return split(text, Values::Plain, tokens);
    }
    if has_quote(text) {
        return Err(Rule::QuoteInside);
    }
    let mut rest = text;
    loop {
        let mut len = 0;
        for _ in 0..MAX_STRING_LEN {
            len += unit_len(rest.get(len..).unwrap_or_default());
        }
        let (raw, after) = rest.split_at(len.min(rest.len()));
        tokens.push(token(raw, true, false));
        if after.is_empty() {
            return Ok(());
        }
        rest = after;
    }
}

/// Whether there is a quote that no backslash takes as it is.
pub(crate) fn has_quote(text: &[u8]) -> bool {
    text.get(word_len(text, true)..).is_some_and(|rest| !rest.is_empty())
}

/// Up to the next quote and, outside of quotes, the next white space.
fn word_len(text: &[u8], quoted: bool) -> usize {
    let mut len = 0;
    while let Some(byte) = text.get(len) {
        if *byte == b'"' || !quoted && is_blank(*byte) {
            break;
        }
        len += unit_len(text.get(len..).unwrap_or_default());
    }
    len
}

/// Of one character, which an escape may take four bytes to write. What is wrong with an escape is said where it is
/// read.
fn unit_len(text: &[u8]) -> usize {
    match text {
        [] => 0,
        [b'\\', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => 4,
        [b'\\', _, ..] => 2,
        _ => 1,
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    text.get(blanks..).unwrap_or_default()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn token(raw: &[u8], quoted: bool, glued: bool) -> Token<'_> {
    let plain = raw.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\');
    Token { raw, quoted, glued, plain }
}
