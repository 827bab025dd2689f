//! The meaning of entries: records with owner, TTL, class and type, and the `$` directives between them.
//!
//! # Invariants
//! An include restores origin and owner when it ends (RFC 1035 section 5.1), because both live in the scope of one file;
//! `$TTL` and the last TTL live on, as in BIND.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;

use domain::base::iana::{Class, Rtype};
use zonecast_records::{Name, RecordRef};

use crate::digest::{BYTE_ORDER_MARK, MAX_INCLUDE_LEN, SourceDigest, of as digest_of, without_byte_order_mark};
use crate::generate::{self, MAX_EXPANDED_BYTES, MAX_GENERATED, Range};
use crate::lexer::{Entry, Lexer, Token, bounded_text};
use crate::presentation::{Origin, read_class, read_name, read_type};
use crate::rdata::{read_rdata, read_rdata_text};
use crate::report::{FileError, FileReport, FileWarning, Location, MAX_ERRORS, MAX_WARNINGS, RecordSink};
use crate::root::{MAX_SOURCE_FILES, SourceError, Sources, ZoneRoot};
use crate::ttl::{MAX_TTL, parse_seconds};
use crate::{Rule, Warning};

/// How deep includes may lie in each other.
pub const MAX_INCLUDE_DEPTH: usize = 16;

/// Most records of a zone: they are in memory while it is built, at 40 bytes each beside names and data. The 4 GiB of
/// text that a zone may have hold about as many, unless its lines are there to hold more.
pub const MAX_RECORDS: u64 = 100_000_000;

/// Reads a zone file and all it includes and hands each record to the sink, in order.
///
/// `file` is relative to the root folder. `apex` is the initial origin. When the sink breaks off, what was read so far
/// is reported as if it were all.
///
/// # Errors
/// Every rule broken, up to [`MAX_ERRORS`]. The sink has then received the records that break none.
pub fn read_zone_file(
    root: &ZoneRoot,
    file: &Path,
    apex: &Name,
    sink: &mut RecordSink<'_>,
) -> Result<FileReport, Vec<FileError>> {
    let sources = Sources::open(root, file).map_err(|problem| {
        vec![FileError { file: file.display().to_string(), line: 0, entry: String::new(), rule: problem.into() }]
    })?;
    Reader::new(sources, apex, sink).read()
}

/// As [`read_zone_file`] for text that comes from elsewhere, named `shown` in messages. It cannot include files.
///
/// # Errors
/// As [`read_zone_file`].
pub fn read_zone_bytes(
    shown: &str,
    bytes: &[u8],
    apex: &Name,
    sink: &mut RecordSink<'_>,
) -> Result<FileReport, Vec<FileError>> {
    Reader::new(Sources::of_text(shown, bytes), apex, sink).read()
}

struct Reader<'r, 's> {
    sources: Sources<'r>,
    apex: &'r Name,
    sink: &'r mut RecordSink<'s>,
    /// Files being read, the innermost last.
    open: Vec<usize>,
    includes: usize,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    generated: u64,
    /// Against [`MAX_EXPANDED_BYTES`].
    expanded: u64,
    records: u64,
    stopped: bool,
    errors: Vec<FileError>,
    warnings: Vec<FileWarning>,
    more_warnings: u64,
    /// Oddities that are told once.
    told: HashSet<Warning>,
    /// RDATA of the record at hand.
    rdata: Vec<u8>,
}

/// What holds for one file.
struct Scope<'a> {
    file: usize,
    origin: Name,
    owner: Option<Name>,
    /// The word that gave the owner under the present origin: zone files repeat owners.
    owner_word: &'a [u8],
    /// The owner is that of the including file.
    inherited: bool,
}

/// The entry at hand.
#[derive(Clone, Copy)]
struct Here<'a> {
    file: usize,
    line: u32,
    text: &'a [u8],
}

/// What stands between owner and data.
struct Head {
    ttl: Option<u32>,
    rtype: Rtype,
}

impl<'r, 's> Reader<'r, 's> {
    fn new(sources: Sources<'r>, apex: &'r Name, sink: &'r mut RecordSink<'s>) -> Self {
        Self {
            sources,
            apex,
            sink,
            open: Vec::new(),
            includes: 0,
            default_ttl: None,
            last_ttl: None,
            generated: 0,
            expanded: 0,
            records: 0,
            stopped: false,
            errors: Vec::new(),
            warnings: Vec::new(),
            more_warnings: 0,
            told: HashSet::new(),
            rdata: Vec::new(),
        }
    }

    fn read(mut self) -> Result<FileReport, Vec<FileError>> {
        self.read_file(0, *self.apex, None);
        let digest = match digest_of(&mut self.sources, self.apex) {
            Ok(digest) => digest,
            Err(problem) => {
                self.error(Here { file: 0, line: 0, text: &[] }, problem.into());
                SourceDigest::new([0; 32])
            }
        };
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok(FileReport {
            files: self.sources.all_shown(),
            bytes: self.sources.total_bytes(),
            records: self.records,
            warnings: self.warnings,
            more_warnings: self.more_warnings,
            digest,
        })
    }

    /// `owner` is what a blank first owner repeats: that of the including file, as in NSD and BIND.
    fn read_file(&mut self, file: usize, origin: Name, owner: Option<Name>) {
        self.open.push(file);
        let contents = self.sources.contents(file);
        let bytes = without_byte_order_mark(&contents);
        let whole = Here { file, line: 0, text: &[] };
        if contents.starts_with(BYTE_ORDER_MARK) {
            self.warn(whole, Warning::ByteOrderMark);
        }
        let mut scope = Scope { file, origin, owner, owner_word: &[], inherited: owner.is_some() };
        let mut lexer = Lexer::new(bytes);
        let mut tokens = Vec::new();
        while !self.stopped
            && let Some(entry) = lexer.next_entry(&mut tokens)
        {
            let here = Here { file, line: entry.line, text: entry.text };
            let done = match entry.problem {
                Some(problem) => Err(problem),
                None => self.read_entry(&mut scope, &entry, &tokens),
            };
            if let Err(rule) = done {
                self.error(here, rule);
            }
        }
        if !self.stopped && bytes.last().is_some_and(|last| *last != b'\n') {
            self.warn(whole, Warning::NoLineFeed);
        }
        self.open.pop();
    }

    fn read_entry<'a>(&mut self, scope: &mut Scope<'a>, entry: &Entry<'a>, tokens: &[Token<'a>]) -> Result<(), Rule> {
        let here = Here { file: scope.file, line: entry.line, text: entry.text };
        if entry.text.starts_with(b"$") {
            return self.read_directive(scope, here, tokens);
        }
        let mut rest = tokens;
        if !entry.blank_owner
            && let Some((first, after)) = tokens.split_first()
        {
            rest = after;
            scope.inherited = false;
            if scope.owner.is_none() || scope.owner_word != first.raw || first.quoted {
                scope.owner = Some(read_name(*first, scope.origin())?);
                scope.owner_word = if first.quoted { &[] } else { first.raw };
            }
        }
        if tokens.iter().any(|token| !token.plain && !token.raw.is_ascii()) {
            self.warn_once(here, Warning::NotAscii);
        }
        if std::mem::take(&mut scope.inherited) {
            self.warn(here, Warning::InheritedOwner);
        }
        let owner = scope.owner.as_ref().ok_or(Rule::NoOwner)?;
        let head = self.read_head(here, &mut rest)?;
        let origin = Origin { name: &scope.origin, refuse_repeated: false };
        let mut rdata = std::mem::take(&mut self.rdata);
        let done =
            read_rdata(head.rtype, rest, origin, &mut rdata).and_then(|()| self.emit(here, owner, &head, &rdata));
        self.rdata = rdata;
        done
    }

    /// TTL and class in either order, then the type.
    fn read_head(&mut self, here: Here<'_>, rest: &mut &[Token<'_>]) -> Result<Head, Rule> {
        let mut ttl = None;
        let mut has_class = false;
        while let Some((token, after)) = rest.split_first() {
            *rest = after;
            if ttl.is_none() && token.raw.first().is_some_and(u8::is_ascii_digit) {
                ttl = Some(self.read_ttl(here, *token)?);
            } else if !has_class && let Some(class) = read_class(*token) {
                has_class = true;
                if class != Class::IN {
                    return Err(Rule::Class(class.to_string()));
                }
            } else {
                return Ok(Head { ttl, rtype: read_type(token.raw)? });
            }
        }
        Err(Rule::NoType)
    }

    fn read_ttl(&mut self, here: Here<'_>, token: Token<'_>) -> Result<u32, Rule> {
        let seconds = parse_seconds(token.raw).ok_or_else(|| Rule::Ttl(token.lossy()))?;
        Ok(self.bound_ttl(here, seconds))
    }

    fn bound_ttl(&mut self, here: Here<'_>, seconds: u32) -> u32 {
        if seconds <= MAX_TTL {
            return seconds;
        }
        self.warn(here, Warning::HugeTtl);
        0
    }

    /// Settles the TTL and hands the record on.
    fn emit(&mut self, here: Here<'_>, owner: &Name, head: &Head, rdata: &[u8]) -> Result<(), Rule> {
        if head.rtype == Rtype::SOA && owner != self.apex {
            return Err(Rule::SoaOwner { owner: owner.to_string(), apex: self.apex.to_string() });
        }
        let ttl = match (head.ttl, self.default_ttl, self.last_ttl) {
            (Some(ttl), _, _) => {
                self.last_ttl = Some(ttl);
                ttl
            }
            (None, Some(default), _) => default,
            (None, None, Some(last)) => {
                self.warn_once(here, Warning::PreviousTtl);
                last
            }
            (None, None, None) => self.soa_ttl(here, head.rtype, rdata)?,
        };
        let location = Location { file: u32::try_from(here.file).unwrap_or(u32::MAX), line: here.line };
        if self.records >= MAX_RECORDS {
            self.stopped = true;
            return Err(Rule::TooManyRecords);
        }
        self.records += 1;
        if (self.sink)(RecordRef { owner, rtype: head.rtype, ttl, rdata }, location) == ControlFlow::Break(()) {
            self.stopped = true;
        }
        Ok(())
    }

    /// A first record without TTL: the minimum of a SOA becomes the default, as in BIND.
    fn soa_ttl(&mut self, here: Here<'_>, rtype: Rtype, rdata: &[u8]) -> Result<u32, Rule> {
        let minimum = rdata.last_chunk::<4>().filter(|_| rtype == Rtype::SOA).ok_or(Rule::NoTtl)?;
        self.warn(here, Warning::SoaTtl);
        let ttl = self.bound_ttl(here, u32::from_be_bytes(*minimum));
        self.default_ttl = Some(ttl);
        Ok(ttl)
    }

    fn read_directive<'a>(&mut self, scope: &mut Scope<'a>, here: Here<'a>, tokens: &[Token<'a>]) -> Result<(), Rule> {
        let Some((word, arguments)) = tokens.split_first() else { return Ok(()) };
        if word.is("$ORIGIN") {
            let [name] = arguments else { return Err(Rule::Usage("$ORIGIN name")) };
            scope.origin = read_name(*name, scope.origin())?;
            scope.owner_word = &[];
            Ok(())
        } else if word.is("$TTL") {
            let [ttl] = arguments else { return Err(Rule::Usage("$TTL seconds")) };
            self.default_ttl = Some(self.read_ttl(here, *ttl)?);
            Ok(())
        } else if word.is("$INCLUDE") {
            self.include(scope, here, arguments)
        } else if word.is("$GENERATE") {
            self.generate(scope, here, arguments)
        } else {
            Err(Rule::Directive(word.lossy()))
        }
    }

    fn include(&mut self, scope: &Scope<'_>, here: Here<'_>, arguments: &[Token<'_>]) -> Result<(), Rule> {
        const USAGE: Rule = Rule::Usage("$INCLUDE file [origin], in 8,192 bytes");
        let (path, origin) = match arguments {
            [path] => (path, scope.origin),
            [path, origin] => (path, read_name(*origin, scope.origin())?),
            _ => return Err(USAGE),
        };
        if here.text.len() > MAX_INCLUDE_LEN {
            return Err(USAGE);
        }
        let path = path.path()?;
        self.includes += 1;
        if self.includes > MAX_SOURCE_FILES {
            return Err(SourceError::TooMany.into());
        }
        let loaded = self.sources.count();
        let file = self.sources.load(Path::new(&path), Some(scope.file));
        let file = file.map_err(|problem| Rule::Include { path: path.clone(), problem })?;
        if self.open.contains(&file) {
            return Err(Rule::IncludeCycle(path));
        }
        if self.open.len() > MAX_INCLUDE_DEPTH {
            return Err(Rule::IncludeDepth);
        }
        if file < loaded {
            self.expand(self.sources.contents(file).len())?;
        }
        self.read_file(file, origin, scope.owner);
        Ok(())
    }

    fn generate(&mut self, scope: &Scope<'_>, here: Here<'_>, arguments: &[Token<'_>]) -> Result<(), Rule> {
        const USAGE: Rule = Rule::Usage("$GENERATE start-stop[/step] owner [ttl] [class] type data");
        let [range, owner_template, rest @ ..] = arguments else { return Err(USAGE) };
        let range = Range::read(*range)?;
        let mut rest = rest;
        let head = self.read_head(here, &mut rest)?;
        if rest.is_empty() {
            return Err(USAGE);
        }
        self.generated = self.generated.saturating_add(range.count());
        if self.generated > MAX_GENERATED {
            return Err(Rule::GenerateCount);
        }
        let template = generate::template(rest);
        let (mut word, mut text, mut rdata) = (Vec::new(), Vec::new(), Vec::new());
        for value in range.values() {
            generate::substitute(owner_template.raw, value, &mut word)?;
            generate::substitute(&template, value, &mut text)?;
            self.expand(word.len() + text.len())?;
            let owner = Token { raw: &word, plain: false, ..*owner_template };
            let owner = read_name(owner, scope.origin())?;
            read_rdata_text(head.rtype, &text, scope.origin(), &mut rdata)?;
            self.emit(here, &owner, &head, &rdata)?;
            if self.stopped {
                break;
            }
        }
        Ok(())
    }

    /// Counts bytes that no file holds.
    fn expand(&mut self, bytes: usize) -> Result<(), Rule> {
        self.expanded = self.expanded.saturating_add(bytes as u64);
        if self.expanded <= MAX_EXPANDED_BYTES {
            return Ok(());
        }
        self.stopped = true;
        Err(Rule::Expanded)
    }

    fn error(&mut self, here: Here<'_>, rule: Rule) {
        let file = self.sources.shown(here.file).to_owned();
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(FileError { file: file.clone(), line: here.line, entry: bounded_text(here.text), rule });
        }
        if self.errors.len() == MAX_ERRORS - 1 {
            self.stopped = true;
            self.errors.push(FileError { file, line: 0, entry: String::new(), rule: Rule::TooManyErrors });
        }
    }

    fn warn_once(&mut self, here: Here<'_>, oddity: Warning) {
        if self.told.insert(oddity) {
            self.warn(here, oddity);
        }
    }

    fn warn(&mut self, here: Here<'_>, oddity: Warning) {
        if self.warnings.len() >= MAX_WARNINGS {
            self.more_warnings += 1;
            return;
        }
        let file = self.sources.shown(here.file).to_owned();
        self.warnings.push(FileWarning { file, line: here.line, entry: bounded_text(here.text), oddity });
    }
}

impl Scope<'_> {
    fn origin(&self) -> Origin<'_> {
        Origin { name: &self.origin, refuse_repeated: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first error of a reader that has taken so much already.
    fn error_after(text: &str, taken: impl FnOnce(&mut Reader<'_, '_>)) -> Option<String> {
        let apex = "example".parse().unwrap();
        let mut sink = |_: RecordRef<'_>, _| ControlFlow::Continue(());
        let mut reader = Reader::new(Sources::of_text("zone", text.as_bytes()), &apex, &mut sink);
        taken(&mut reader);
        reader.read().err().map(|errors| errors[0].to_string())
    }

    #[test]
    fn what_a_zone_may_hold_is_bounded_with_place_and_reason() {
        let two = "$TTL 1\na A 192.0.2.1\nb A 192.0.2.1\nc A 192.0.2.1\n";
        assert_eq!(error_after(two, |reader| reader.records = MAX_RECORDS - 3), None);
        let error = error_after(two, |reader| reader.records = MAX_RECORDS - 2).unwrap();
        assert!(error.starts_with("zone:4: a zone has at most 100000000 records"), "{error}");
        // Owner, a space, and data.
        let generate = "$TTL 1\n$GENERATE 10-99 a$ A 192.0.2.$\n";
        let takes = 90 * (3 + 11);
        assert_eq!(error_after(generate, |reader| reader.expanded = MAX_EXPANDED_BYTES - takes), None);
        let error = error_after(generate, |reader| reader.expanded = MAX_EXPANDED_BYTES - takes + 1).unwrap();
        assert!(error.starts_with("zone:2: $GENERATE lines and files that are included again make over"), "{error}");
    }

    #[test]
    fn a_generated_record_is_no_longer_than_a_written_one() {
        let line = format!("$GENERATE 1-1 a 1 TXT {}\n", "${0,255}".repeat(100_000));
        let error = error_after(&line, |_| ()).unwrap();
        assert!(error.starts_with("zone:1: the entry is over"), "{error}");
    }
}
