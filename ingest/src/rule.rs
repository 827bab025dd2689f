//! The rules that zone text can break, and the oddities it may have.

use thiserror::Error;

use crate::generate::{MAX_EXPANDED_BYTES, MAX_GENERATED};
use crate::lexer::MAX_ENTRY_LEN;
use crate::reader::{MAX_INCLUDE_DEPTH, MAX_RECORDS};
use crate::root::SourceError;

/// Why an entry of a zone file, or record text from the API, is refused.
#[derive(Debug, Error)]
pub enum Rule {
    /// Binary data.
    #[error("a NUL byte: this is not text, write it as \\000")]
    Nul,
    /// `)` too many.
    #[error("a closing parenthesis without an opening one")]
    Unopened,
    /// `(` too many.
    #[error("an opening parenthesis is never closed")]
    Unclosed,
    /// `"` too many.
    #[error("a quoted string does not end on its line")]
    Quote,
    /// In the data of one record, where there are no lines.
    #[error("a line end: write it as \\010 or \\013 where it is data")]
    LineEnd,
    /// Neither at the beginning of a word nor at its end.
    #[error("a quote inside a word: write \\\" for one that is data, or put quotes around the whole word")]
    QuoteInside,
    /// RFC 1035 section 5.1.
    #[error("bad escape: a backslash takes one character, or three digits up to 255")]
    Escape,
    /// An entry without end, or with too much in it.
    #[error("the entry is over {MAX_ENTRY_LEN} bytes")]
    TooLong,
    /// A blank owner before any owner.
    #[error("no owner name: a line that begins with white space repeats the owner before it, and there is none")]
    NoOwner,
    /// Two dots in a row, or one in front.
    #[error("bad name {0:?}: empty label")]
    EmptyLabel(String),
    /// RFC 1035 section 2.3.4.
    #[error("bad name {0:?}: a label is over 63 bytes")]
    LongLabel(String),
    /// RFC 1035 section 2.3.4.
    #[error("bad name {0:?}: over 255 bytes in all")]
    LongName(String),
    /// A relative name that already ends in the zone's name.
    #[error(
        "name {0:?} is relative and already ends in the zone's name: add a dot at its end, or leave the zone's name out"
    )]
    ForgottenDot(String),
    /// Neither digits nor digits with units.
    #[error("bad TTL {0:?}: seconds up to 4294967295, or numbers with units as in 1h30m or 1w2d")]
    Ttl(String),
    /// Neither on the record, nor by `$TTL`, nor before it.
    #[error("no TTL: give one, or $TTL before the first record (RFC 2308 section 4)")]
    NoTtl,
    /// Not IN.
    #[error("class {0} is not served: only IN is")]
    Class(String),
    /// Not a mnemonic and not `TYPE123`.
    #[error("unknown type {0:?}")]
    Type(String),
    /// OPT, ANY and the like.
    #[error("type {0} is never stored in a zone (RFC 6895 section 3.1)")]
    MetaType(String),
    /// Owner and perhaps more, but no type.
    #[error("the entry ends before its type")]
    NoType,
    /// What the data of this type looks like.
    #[error("{rtype} data: {problem}")]
    Rdata {
        /// Mnemonic.
        rtype: String,
        /// What is wrong.
        problem: String,
    },
    /// A `$` directive that does not exist.
    #[error("unknown directive {0:?}")]
    Directive(String),
    /// Too few or too many words after a directive.
    #[error("use {0}")]
    Usage(&'static str),
    /// An included file cannot be read.
    #[error("$INCLUDE {path:?}: {problem}")]
    Include {
        /// As written.
        path: String,
        /// The reason.
        #[source]
        problem: SourceError,
    },
    /// A file that includes itself.
    #[error("$INCLUDE {0:?}: this file is being read already")]
    IncludeCycle(String),
    /// Includes in includes.
    #[error("$INCLUDE deeper than {MAX_INCLUDE_DEPTH} files")]
    IncludeDepth,
    /// `$GENERATE` range.
    #[error("bad $GENERATE range {0:?}: use start-stop or start-stop/step, start <= stop, step > 0")]
    GenerateRange(String),
    /// `${...}` in `$GENERATE`.
    #[error("bad $GENERATE modifier {0:?}: use ${{offset,width,base}}, base one of d o x X n N, width up to 255")]
    GenerateModifier(String),
    /// Too many records out of `$GENERATE`.
    #[error("$GENERATE makes more than {MAX_GENERATED} records in this zone")]
    GenerateCount,
    /// Bytes that no file holds.
    #[error("$GENERATE lines and files that are included again make over {MAX_EXPANDED_BYTES} bytes in this zone")]
    Expanded,
    /// Too many records.
    #[error("a zone has at most {MAX_RECORDS} records")]
    TooManyRecords,
    /// The SOA names another zone.
    #[error("the SOA belongs to {owner}, but the zone is {apex}")]
    SoaOwner {
        /// Of the SOA.
        owner: String,
        /// As the manifest, the file name or the caller says.
        apex: String,
    },
    /// The file itself cannot be read.
    #[error("{0}")]
    Source(#[from] SourceError),
    /// Reading stopped.
    #[error("too many errors, the rest of the zone was not read")]
    TooManyErrors,
}

/// What is served but odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Warning {
    /// The SOA came first and had no TTL.
    #[error("no TTL and no $TTL: taking the SOA minimum")]
    SoaTtl,
    /// An included file begins with a blank owner.
    #[error("an included file begins without an owner name: taking the one of the including file")]
    InheritedOwner,
    /// Neither TTL nor `$TTL`.
    #[error("no TTL and no $TTL: taking the TTL of the record before, here and below (RFC 1035 section 5.1)")]
    PreviousTtl,
    /// RFC 2181 section 8.
    #[error("TTL over 2147483647: taking 0 (RFC 2181 section 8)")]
    HugeTtl,
    /// Bytes that are not ASCII.
    #[error("bytes outside ASCII are taken as they are, here and below: escape them, and write names in punycode")]
    NotAscii,
    /// U+FEFF first.
    #[error("the file begins with a byte order mark: skipped")]
    ByteOrderMark,
    /// Last line without line feed.
    #[error("the file does not end with a line feed: is it whole?")]
    NoLineFeed,
}
