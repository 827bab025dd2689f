//! Whether a zone's text changed since it was imported.
//!
//! What a zone file means depends on the apex, and on names and contents of the file and of all it includes; so that is
//! what the digest covers. Includes are found without parsing: every line that begins with `$INCLUDE` counts, also one
//! that turns out to stand inside a quoted string, so the digest covers at least the files that reading would open.

use std::fmt;
use std::path::Path;

use zonecast_records::Name;

use crate::lexer::Lexer;
use crate::root::{MAX_SOURCE_FILES, SourceError, Sources, ZoneRoot};

/// Longest `$INCLUDE` entry that is read, comments in it included; paths are at most 4,096 bytes.
pub(crate) const MAX_INCLUDE_LEN: usize = 8192;

/// Changes with everything that the digest covers and how.
const CONTEXT: &[u8] = b"zonecast zone file 1\0";

/// BLAKE3 over apex, names and contents of a zone's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceDigest([u8; 32]);

impl SourceDigest {
    /// From stored bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hex.
impl fmt::Display for SourceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The digest that reading the file now would report, without parsing it.
///
/// # Errors
/// The zone's own file cannot be read, or there are too many includes. An include that cannot be read is part of the
/// digest, not an error.
pub fn digest_zone_file(root: &ZoneRoot, file: &Path, apex: &Name) -> Result<SourceDigest, SourceError> {
    of(&mut Sources::open(root, file)?, apex)
}

/// Loads what it needs that is not loaded yet.
pub(crate) fn of(sources: &mut Sources<'_>, apex: &Name) -> Result<SourceDigest, SourceError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT);
    update_framed(&mut hasher, apex.as_wire());
    let mut seen = vec![0];
    let mut includes: usize = 0;
    let mut at = 0;
    while let Some(&file) = seen.get(at) {
        at += 1;
        let bytes = sources.contents(file);
        update_framed(&mut hasher, sources.shown(file).as_bytes());
        update_framed(&mut hasher, &bytes);
        for path in included_paths(&bytes) {
            includes += 1;
            if includes > MAX_SOURCE_FILES {
                return Err(SourceError::TooMany);
            }
            match sources.load(Path::new(&path), Some(file)) {
                Ok(included) if seen.contains(&included) => {}
                Ok(included) => seen.push(included),
                Err(error) => update_framed(&mut hasher, error.to_string().as_bytes()),
            };
        }
    }
    Ok(SourceDigest(*hasher.finalize().as_bytes()))
}

fn update_framed(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

/// Paths of lines that begin with `$INCLUDE`.
fn included_paths(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    let mut at = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    });
    lines.filter_map(move |(start, line)| {
        let line = if start == 0 { without_byte_order_mark(line) } else { line };
        let word = line.get(..INCLUDE.len()).filter(|word| word.eq_ignore_ascii_case(INCLUDE))?;
        let rest = bytes.get(start..)?;
        let rest = if start == 0 { without_byte_order_mark(rest) } else { rest };
        let rest = rest.get(word.len()..)?;
        let mut tokens = Vec::new();
        Lexer::new(rest.get(..MAX_INCLUDE_LEN).unwrap_or(rest)).next_entry(&mut tokens)?;
        tokens.first().and_then(|token| token.path().ok())
    })
}

const INCLUDE: &[u8] = b"$INCLUDE";

/// U+FEFF in UTF-8, which some editors put first.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(crate) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}
