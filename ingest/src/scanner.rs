//! Our tokens as the `domain` crate wants to read them, for the types whose RDATA we leave to it.

use domain::base::name::Name as DomainName;
use domain::base::scan::{ConvertSymbols, EntrySymbol, Scanner, ScannerError, Symbol};
use domain::base::{CharStr, ToName};
use domain::dep::octseq::str::Str;
use thiserror::Error;

use crate::Rule;
use crate::lexer::{Octet, Token};
use crate::presentation::{Origin, problem, read_name};

pub(crate) struct TokenScanner<'t, 'a> {
    tokens: &'t [Token<'a>],
    origin: Origin<'t>,
}

/// The rule that the tokens break.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct ScanError(pub(crate) Rule);

impl ScannerError for ScanError {
    fn custom(message: &'static str) -> Self {
        Self(problem(message))
    }

    fn end_of_entry() -> Self {
        Self(problem("ends early"))
    }

    fn short_buf() -> Self {
        Self(problem("over 65,535 bytes"))
    }

    fn trailing_tokens() -> Self {
        Self(problem("has more fields than the type"))
    }
}

/// A name of the `domain` crate.
pub(crate) type ScannedName = DomainName<Vec<u8>>;

impl<'t, 'a> TokenScanner<'t, 'a> {
    pub(crate) fn new(tokens: &'t [Token<'a>], origin: Origin<'t>) -> Self {
        Self { tokens, origin }
    }

    /// Tokens not read yet.
    pub(crate) fn rest(&self) -> &'t [Token<'a>] {
        self.tokens
    }

    fn next(&mut self) -> Result<Token<'a>, ScanError> {
        let (token, rest) = self.tokens.split_first().ok_or_else(ScanError::end_of_entry)?;
        self.tokens = rest;
        Ok(*token)
    }

    fn octets(token: Token<'_>) -> Result<Vec<u8>, ScanError> {
        let mut out = Vec::with_capacity(token.raw.len());
        crate::presentation::write_octets(token, &mut out).map_err(ScanError)?;
        Ok(out)
    }
}

/// Bytes outside printable ASCII go as if escaped, since `domain` refuses them otherwise and NSD and BIND do not.
fn symbol(octet: Octet) -> Symbol {
    match octet {
        Octet { byte: byte @ b' '..=b'~', escaped: false } => Symbol::Char(char::from(byte)),
        Octet { byte: byte @ b' '..=b'~', escaped: true } => Symbol::SimpleEscape(byte),
        Octet { byte, .. } => Symbol::DecimalEscape(byte),
    }
}

fn symbols<'a>(token: Token<'a>) -> impl Iterator<Item = Result<Symbol, ScanError>> + 'a {
    token.symbols().map(|octet| octet.map(symbol).map_err(ScanError))
}

impl Scanner for TokenScanner<'_, '_> {
    type Octets = Vec<u8>;
    type OctetsBuilder = Vec<u8>;
    type Name = ScannedName;
    type Error = ScanError;

    fn has_space(&self) -> bool {
        self.tokens.first().is_some_and(|token| !token.glued)
    }

    fn continues(&mut self) -> bool {
        !self.tokens.is_empty()
    }

    fn scan_symbols<F>(&mut self, op: F) -> Result<(), ScanError>
    where
        F: FnMut(Symbol) -> Result<(), ScanError>,
    {
        let token = self.next()?;
        if token.raw.is_empty() {
            // Its numbers would read as 0.
            return Err(ScanError(problem("an empty field")));
        }
        symbols(token).try_for_each({
            let mut op = op;
            move |symbol| op(symbol?)
        })
    }

    fn scan_entry_symbols<F>(&mut self, mut op: F) -> Result<(), ScanError>
    where
        F: FnMut(EntrySymbol) -> Result<(), ScanError>,
    {
        loop {
            for symbol in symbols(self.next()?) {
                op(symbol?.into())?;
            }
            op(EntrySymbol::EndOfToken)?;
            if self.tokens.is_empty() {
                return Ok(());
            }
        }
    }

    fn convert_token<C: ConvertSymbols<Symbol, ScanError>>(&mut self, mut convert: C) -> Result<Vec<u8>, ScanError> {
        let mut out = Vec::new();
        for symbol in symbols(self.next()?) {
            out.extend_from_slice(convert.process_symbol(symbol?)?.unwrap_or_default());
        }
        out.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(out)
    }

    fn convert_entry<C: ConvertSymbols<EntrySymbol, ScanError>>(
        &mut self,
        mut convert: C,
    ) -> Result<Vec<u8>, ScanError> {
        let mut out = Vec::new();
        while !self.tokens.is_empty() {
            for symbol in symbols(self.next()?) {
                out.extend_from_slice(convert.process_symbol(symbol?.into())?.unwrap_or_default());
            }
        }
        out.extend_from_slice(convert.process_tail()?.unwrap_or_default());
        Ok(out)
    }

    fn scan_octets(&mut self) -> Result<Vec<u8>, ScanError> {
        Self::octets(self.next()?)
    }

    fn scan_svcb_octets(&mut self) -> Result<Vec<u8>, ScanError> {
        let mut octets = Self::octets(self.next()?)?;
        if self.tokens.first().is_some_and(|token| token.glued && token.quoted) {
            octets.extend(Self::octets(self.next()?)?);
        }
        Ok(octets)
    }

    fn scan_ascii_str<F, T>(&mut self, op: F) -> Result<T, ScanError>
    where
        F: FnOnce(&str) -> Result<T, ScanError>,
    {
        let octets = Self::octets(self.next()?)?;
        match std::str::from_utf8(&octets) {
            Ok(text) if text.is_ascii() => op(text),
            _ => Err(ScanError(problem("a word has bytes outside ASCII"))),
        }
    }

    fn scan_name(&mut self) -> Result<ScannedName, ScanError> {
        let name = read_name(self.next()?, self.origin).map_err(ScanError)?;
        Ok(name.as_domain().to_name())
    }

    fn scan_charstr(&mut self) -> Result<CharStr<Vec<u8>>, ScanError> {
        let octets = self.scan_octets()?;
        CharStr::from_octets(octets).map_err(|_| ScanError(problem("a string is over 255 bytes: split it")))
    }

    fn scan_string(&mut self) -> Result<Str<Vec<u8>>, ScanError> {
        Str::from_utf8(self.scan_octets()?).map_err(|_| ScanError(problem("a string is not UTF-8")))
    }

    fn scan_charstr_entry(&mut self) -> Result<Vec<u8>, ScanError> {
        let mut out = Vec::new();
        loop {
            crate::presentation::write_string(self.next()?, &mut out).map_err(ScanError)?;
            if self.tokens.is_empty() {
                return Ok(out);
            }
        }
    }

    fn scan_opt_unknown_marker(&mut self) -> Result<bool, ScanError> {
        // RFC 3597 data never comes here.
        Ok(false)
    }

    fn octets_builder(&mut self) -> Result<Vec<u8>, ScanError> {
        Ok(Vec::new())
    }
}
