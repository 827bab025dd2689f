//! Bytes to entries of tokens, the lowest layer of RFC 1035 section 5.1: lines, parentheses, quotes, comments.
//!
//! Tokens keep their escapes; [`Token::symbols`] resolves them where the meaning is known.

use crate::Rule;

/// Longest entry. The largest RDATA written as `\DDD` takes 262,140 bytes; the rest is room for comments.
pub(crate) const MAX_ENTRY_LEN: usize = 1 << 20;

/// A word or a quoted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// Between quotes or delimiters, escapes as written.
    pub(crate) raw: &'a [u8],
    pub(crate) quoted: bool,
    /// No white space in front of it.
    pub(crate) glued: bool,
    /// Printable ASCII without a backslash.
    pub(crate) plain: bool,
}

/// What stands between two line ends outside parentheses.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Of its first byte, from 1.
    pub(crate) line: u32,
    /// The source.
    pub(crate) text: &'a [u8],
    /// It begins with white space.
    pub(crate) blank_owner: bool,
    /// Why its tokens are not to be used.
    pub(crate) problem: Option<Rule>,
}

/// One byte of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Octet {
    pub(crate) byte: u8,
    pub(crate) escaped: bool,
}

pub(crate) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// In a token, but not printable ASCII, or a backslash.
    Special,
    Delimiter,
}

const KINDS: [Kind; 256] = kinds();

#[expect(clippy::indexing_slicing, reason = "in a constant, with an index below its length")]
const fn kinds() -> [Kind; 256] {
    let mut kinds = [Kind::Special; 256];
    let mut byte: u8 = 0x21;
    while byte < 0x7f {
        kinds[byte as usize] = match byte {
            b'(' | b')' | b'"' | b';' => Kind::Delimiter,
            b'\\' => Kind::Special,
            _ => Kind::Plain,
        };
        byte += 1;
    }
    kinds[0] = Kind::Delimiter;
    kinds[b' ' as usize] = Kind::Delimiter;
    kinds[b'\t' as usize] = Kind::Delimiter;
    kinds[b'\r' as usize] = Kind::Delimiter;
    kinds[b'\n' as usize] = Kind::Delimiter;
    kinds
}

fn kind(byte: u8) -> Kind {
    KINDS.get(usize::from(byte)).copied().unwrap_or(Kind::Special)
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    /// The next entry that holds a token, which it puts in place of those in `tokens`. `None` at the end.
    ///
    /// After a problem the next entry begins on a later line.
    pub(crate) fn next_entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Option<Entry<'a>> {
        loop {
            tokens.clear();
            let first = self.peek()?;
            let (start, line) = (self.at, self.line);
            let problem = self.scan_entry(start, tokens).err();
            if problem.is_some() {
                self.skip_line();
            }
            if problem.is_some() || !tokens.is_empty() {
                let text = self.bytes.get(start..self.at).unwrap_or_default();
                return Some(Entry { line, text, blank_owner: matches!(first, b' ' | b'\t' | b'\r'), problem });
            }
        }
    }

    fn scan_entry(&mut self, start: usize, tokens: &mut Vec<Token<'a>>) -> Result<(), Rule> {
        let mut depth: u32 = 0;
        let mut glued = false;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line = self.line.saturating_add(1);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                b';' => self.at = self.line_end(),
                b'(' => {
                    self.at += 1;
                    depth += 1;
                }
                b')' => {
                    self.at += 1;
                    depth = depth.checked_sub(1).ok_or(Rule::Unopened)?;
                }
                0 => return Err(Rule::Nul),
                b'"' => tokens.push(self.quoted(glued)?),
                _ => tokens.push(self.word(glued)?),
            }
            glued = !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')');
            if self.at - start > MAX_ENTRY_LEN && (depth > 0 || !tokens.is_empty()) {
                return Err(if depth > 0 { self.give_up() } else { Rule::TooLong });
            }
        }
        if depth > 0 { Err(self.give_up()) } else { Ok(()) }
    }

    /// Nothing after a parenthesis that is never closed means what it says.
    fn give_up(&mut self) -> Rule {
        self.at = self.bytes.len();
        Rule::Unclosed
    }

    fn word(&mut self, glued: bool) -> Result<Token<'a>, Rule> {
        let start = self.at;
        let mut plain = true;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += rest.iter().position(|byte| kind(*byte) != Kind::Plain).unwrap_or(rest.len());
            match self.peek() {
                Some(b'\\') => self.escape()?,
                Some(byte) if kind(byte) == Kind::Special => self.at += 1,
                _ => break,
            }
            plain = false;
        }
        Ok(Token { raw: self.since(start), quoted: false, glued, plain })
    }

    fn quoted(&mut self, glued: bool) -> Result<Token<'a>, Rule> {
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\n') | None => return Err(Rule::Quote),
                Some(0) => return Err(Rule::Nul),
                Some(b'\\') => {
                    self.escape()?;
                    plain = false;
                }
                Some(byte) => {
                    self.at += 1;
                    plain &= matches!(byte, b' '..=b'~');
                }
            }
        }
        let raw = self.since(start);
        self.at += 1;
        Ok(Token { raw, quoted: true, glued, plain })
    }

    fn escape(&mut self) -> Result<(), Rule> {
        self.at += 1;
        match self.peek() {
            Some(b'\n' | b'\r') | None => Err(Rule::Escape),
            Some(0) => Err(Rule::Nul),
            Some(_) => {
                self.at += 1;
                Ok(())
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    fn line_end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    fn skip_line(&mut self) {
        self.at = self.line_end();
        if self.at < self.bytes.len() {
            self.at += 1;
            self.line = self.line.saturating_add(1);
        }
    }
}

impl<'a> Token<'a> {
    /// Bytes with escapes resolved.
    pub(crate) fn symbols(self) -> impl Iterator<Item = Result<Octet, Rule>> + 'a {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            let (octet, after) = next_octet(rest)?;
            rest = after;
            Some(octet)
        })
    }

    /// As a file name, which must be UTF-8.
    pub(crate) fn path(self) -> Result<String, Rule> {
        let bytes: Result<Vec<u8>, Rule> = self.symbols().map(|octet| octet.map(|octet| octet.byte)).collect();
        String::from_utf8(bytes?).map_err(|_| Rule::Usage("a file name in UTF-8"))
    }

    /// For messages.
    pub(crate) fn lossy(self) -> String {
        bounded_text(self.raw)
    }

    /// Whether it is this word, without case.
    pub(crate) fn is(self, word: &str) -> bool {
        !self.quoted && self.raw.eq_ignore_ascii_case(word.as_bytes())
    }
}

fn next_octet(rest: &[u8]) -> Option<(Result<Octet, Rule>, &[u8])> {
    let plain = |byte| Ok(Octet { byte, escaped: false });
    let escaped = |byte| Ok(Octet { byte, escaped: true });
    match rest {
        [] => None,
        [b'\\', hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', after @ ..] => {
            let digits = [hundreds, tens, ones].map(|digit| u16::from(digit - b'0'));
            let [hundreds, tens, ones] = digits;
            let value = u8::try_from(hundreds * 100 + tens * 10 + ones).map_err(|_| Rule::Escape);
            Some((value.and_then(escaped), after))
        }
        [b'\\', b'0'..=b'9', after @ ..] => Some((Err(Rule::Escape), after)),
        [b'\\', byte, after @ ..] => Some((escaped(*byte), after)),
        [b'\\'] => Some((Err(Rule::Escape), &[])),
        [byte, after @ ..] => Some((plain(*byte), after)),
    }
}

/// At most this much of an entry or token stands in a message.
const MAX_SHOWN: usize = 160;

/// The bytes as one line of text, cut where it is long.
pub(crate) fn bounded_text(bytes: &[u8]) -> String {
    let trimmed = bytes.trim_ascii();
    let shown = trimmed.get(..MAX_SHOWN).unwrap_or(trimmed);
    let text = String::from_utf8_lossy(shown);
    let mut line: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if shown.len() < trimmed.len() {
        line.push_str("...");
    }
    line
}
