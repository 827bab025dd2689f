//! `$GENERATE` of BIND: one line that stands for many records.
//!
//! ```text
//! $GENERATE 1-254 $ PTR host-${0,3,d}.example.com.      1.. 2.. PTR host-001.example.com. host-002...
//! ```
//! `$` is the counter; `${offset,width,base}` adds to it and pads it, base d, o, x, X, or n and N for reversed nibbles;
//! `$$` and `\$` are a dollar sign. What an offset takes below zero is written as BIND does it: with a minus sign in base
//! d, as 32 bits of two's complement in the others.

use std::fmt::Write as _;

use crate::Rule;
use crate::lexer::{MAX_ENTRY_LEN, Token, bounded_text};

/// Most records that the `$GENERATE` lines of one zone may make together: the reverse of a /12.
pub const MAX_GENERATED: u64 = 1 << 20;

/// Most bytes that a zone may grow by beside its files: what `$GENERATE` lines write out, and files that are included
/// again. It is far more than [`MAX_GENERATED`] records of a reverse zone take, and bounds what a small file can ask for.
pub const MAX_EXPANDED_BYTES: u64 = 256 << 20;

/// Widest padding; a label has at most 63 bytes and a name 255.
const MAX_WIDTH: usize = 255;

/// `start-stop/step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    start: u32,
    stop: u32,
    step: u32,
}

impl Range {
    pub(crate) fn read(token: Token<'_>) -> Result<Self, Rule> {
        let wrong = || Rule::GenerateRange(token.lossy());
        let text = std::str::from_utf8(token.raw).map_err(|_| wrong())?;
        let (range, step) = text.split_once('/').unwrap_or((text, "1"));
        let (start, stop) = range.split_once('-').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let range = Self {
            start: number(start).ok_or_else(wrong)?,
            stop: number(stop).ok_or_else(wrong)?,
            step: number(step).ok_or_else(wrong)?,
        };
        if range.start > range.stop || range.step == 0 { Err(wrong()) } else { Ok(range) }
    }

    pub(crate) fn count(self) -> u64 {
        u64::from((self.stop - self.start) / self.step) + 1
    }

    pub(crate) fn values(self) -> impl Iterator<Item = u32> {
        (0..self.count())
            .filter_map(move |turn| u32::try_from(turn).ok()?.checked_mul(self.step)?.checked_add(self.start))
    }
}

/// The data of the records as it stood, to be read anew for each: a single quoted word stands for the text in it.
pub(crate) fn template(tokens: &[Token<'_>]) -> Vec<u8> {
    let mut text = Vec::new();
    if let [Token { quoted: true, raw, .. }] = tokens {
        let mut rest = *raw;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match (first, after) {
                (b'\\', [b'"', ..]) => {}
                (b'\\', [next, after @ ..]) => {
                    text.extend([b'\\', *next]);
                    rest = after;
                }
                _ => text.push(*first),
            }
        }
        return text;
    }
    for token in tokens {
        if !token.glued {
            text.push(b' ');
        }
        let quote: &[u8] = if token.quoted { b"\"" } else { b"" };
        text.extend_from_slice(&[quote, token.raw, quote].concat());
    }
    text
}

/// Puts the template with its counters replaced in place of what `out` holds, which gets no longer than an entry may be.
pub(crate) fn substitute(template: &[u8], value: u32, out: &mut Vec<u8>) -> Result<(), Rule> {
    out.clear();
    let mut rest = template;
    while let Some((first, after)) = rest.split_first() {
        if out.len() > MAX_ENTRY_LEN {
            return Err(Rule::TooLong);
        }
        rest = match (first, after) {
            (b'\\', [next, after @ ..]) => {
                out.extend([b'\\', *next]);
                after
            }
            (b'$', [b'$', after @ ..]) => {
                out.extend(br"\$");
                after
            }
            (b'$', [b'{', after @ ..]) => {
                let end = after.iter().position(|byte| *byte == b'}');
                let end = end.ok_or_else(|| Rule::GenerateModifier(bounded_text(after)))?;
                let (modifier, after) = after.split_at(end);
                write_counter(modifier, value, out)?;
                after.split_first().map_or(&[][..], |(_, after)| after)
            }
            (b'$', after) => {
                out.extend(value.to_string().bytes());
                after
            }
            (byte, after) => {
                out.push(*byte);
                after
            }
        };
    }
    Ok(())
}

/// `offset,width,base`, each but the first may be missing.
fn write_counter(modifier: &[u8], value: u32, out: &mut Vec<u8>) -> Result<(), Rule> {
    let wrong = || Rule::GenerateModifier(bounded_text(modifier));
    let text = std::str::from_utf8(modifier).map_err(|_| wrong())?;
    let mut parts = text.split(',');
    let offset: i64 = parts.next().unwrap_or("").parse::<i32>().map_err(|_| wrong())?.into();
    let width: usize = parts.next().unwrap_or("0").parse().map_err(|_| wrong())?;
    let base = parts.next().unwrap_or("d");
    let signed = i64::from(value) + offset;
    // Below zero as 32 bits, which is what BIND counts in.
    let number = u32::try_from(signed.rem_euclid(1 << 32)).map_err(|_| wrong())?;
    if width > MAX_WIDTH || parts.next().is_some() {
        return Err(wrong());
    }
    let mut text = String::new();
    let _ = match base {
        "d" => write!(text, "{signed:0width$}"),
        "o" => write!(text, "{number:0width$o}"),
        "x" => write!(text, "{number:0width$x}"),
        "X" => write!(text, "{number:0width$X}"),
        "n" => write!(text, "{}", nibbles(number, width)),
        "N" => write!(text, "{}", nibbles(number, width).to_ascii_uppercase()),
        _ => return Err(wrong()),
    };
    out.extend(text.bytes());
    Ok(())
}

/// Hex digits from the last to the first with dots between, at least `width` characters, dots counted.
fn nibbles(mut number: u32, mut width: usize) -> String {
    let mut text = String::new();
    loop {
        let _ = write!(text, "{:x}", number & 0xf);
        number >>= 4;
        width = width.saturating_sub(1);
        if width > 0 || number != 0 {
            text.push('.');
            width = width.saturating_sub(1);
        }
        if width == 0 && number == 0 {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_place_of_counters_stops_at_the_length_of_an_entry() {
        let mut out = Vec::new();
        let wide = b"${0,255}";
        let error = substitute(&wide.repeat(MAX_ENTRY_LEN / wide.len()), 1, &mut out).unwrap_err();
        assert!(matches!(error, Rule::TooLong), "{error}");
        assert!(out.len() <= MAX_ENTRY_LEN + MAX_WIDTH, "{} bytes", out.len());
        substitute(&wide.repeat(1000), 1, &mut out).unwrap();
        assert_eq!(out.len(), 255_000);
    }
}
