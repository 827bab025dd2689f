//! Where zones come from: zone files with includes, generators and units, manifests, and record text from the API.
//!
//! ```text
//! Manifest ── apex, file ──▶ read_zone_file ── RecordRef, Location ──▶ sink (the builder)
//!                                 │  Sources   files below one folder, loaded once, digested
//!                                 │  Lexer     bytes to entries of tokens: parentheses, quotes, comments
//!                                 │  Reader    owner, TTL, class, type; $ORIGIN $TTL $INCLUDE $GENERATE
//!                                 ▼  rdata     tokens to wire form by a table of fields, and a check of that form
//!                              FileReport or every FileError
//! ```
//! The lexer, the RDATA parser and the formatter are pure over bytes; only [`ZoneRoot`] and [`Manifest`] touch files.
//!
//! # What loads
//! What NSD and BIND both load, loads here, with a warning where it is odd. Compared with NSD 4.6 and BIND 9.18:
//!
//! | odd thing | BIND | NSD | here |
//! |---|---|---|---|
//! | no TTL on a SOA that comes first, no `$TTL` | SOA minimum, warns | 3600 | SOA minimum, warns |
//! | no TTL later, no `$TTL` | last TTL, warns once | 3600 | last TTL, warns once |
//! | no TTL at all before a first record that is no SOA | refuses | 3600 | refuses |
//! | TTL over 2^31-1 | 0, warns | keeps it | 0 (RFC 2181 section 8), warns |
//! | `1h30` (number without unit at the end) | refuses | 3630 | refuses |
//! | units in a SOA serial | refuses | refuses | refuses |
//! | line end inside quotes | refuses | loads | refuses: one lost quote would swallow records |
//! | quoted name, address or number | refuses | loads | loads |
//! | parentheses inside parentheses | loads | refuses | loads |
//! | parenthesis never closed | refuses | loads | refuses |
//! | `\300`, `\1a` | refuses | warns or loads | refuses |
//! | NUL byte | refuses | loads | refuses |
//! | raw bytes over 127 in names and strings | loads | loads | loads, warns once |
//! | byte order mark | refuses | refuses | skipped, warns |
//! | `$GENERATE` | loads | refuses | loads, at most [`MAX_GENERATED`] records a zone |
//! | relative `$ORIGIN` | loads | refuses | loads |
//! | record out of zone | drops it, warns | refuses | handed on; the builder refuses or drops it, as is chosen |
//! | SOA whose owner is not the apex | refuses | refuses | refuses |
//! | OPT and other meta types as `TYPE41` | refuses | loads | refuses |
//! | MD and MF | refuses | loads | refuses |
//! | digest of TLSA or SMIMEA of a wrong length | loads | loads | refuses: dnspython does not read it |
//! | parameters of an SVCB with priority 0 | loads | loads | refuses: dnspython does not read it |
//! | `$GENERATE` and repeated includes over [`MAX_EXPANDED_BYTES`] | loads | loads | refuses |
//! | `$INCLUDE` path | of the server's folder | of the server's folder | of the root folder, else of the including file's |
//!
//! # Failure
//! Every error and warning names file, line, entry and rule. After an error reading goes on with the next entry, up
//! to [`MAX_ERRORS`]; the caller refuses the whole zone.

mod a_label;
mod digest;
mod field_check;
mod field_text;
mod fields;
mod format;
mod gateway;
mod generate;
mod lexer;
mod manifest;
mod old_fields;
mod presentation;
mod rdata;
mod reader;
mod record_text;
mod report;
mod root;
mod rule;
mod signature_time;
mod substitution;
mod svcb;
mod ttl;
mod uri_template;
mod words;
mod writing;

pub use a_label::with_a_labels;
pub use digest::{SourceDigest, digest_zone_file};
pub use format::{format_rdata, write_record, write_zone_file};
pub use generate::{MAX_EXPANDED_BYTES, MAX_GENERATED};
pub use manifest::{LeftOut, ListRule, Manifest, ManifestEntry, ManifestError, Place};
pub use presentation::parse_type;
pub use rdata::{check_rdata, parse_rdata};
pub use reader::{MAX_INCLUDE_DEPTH, MAX_RECORDS, read_zone_bytes, read_zone_file};
pub use record_text::{RecordText, RecordTextError, parse_owner, parse_rdata_words, parse_record_text};
pub use report::{FileError, FileReport, FileWarning, Location, MAX_ERRORS, MAX_WARNINGS, RecordSink};
pub use root::{MAX_SOURCE_BYTES, MAX_SOURCE_FILES, SourceError, ZoneRoot};
pub use rule::{Rule, Warning};
pub use ttl::{MAX_TTL, parse_ttl};
pub use writing::format_name;
