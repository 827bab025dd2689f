//! What comes out of reading a zone file besides its records.

use std::fmt;
use std::ops::ControlFlow;

use thiserror::Error;
use zonecast_records::RecordRef;

use crate::{Rule, SourceDigest, Warning};

/// Most errors collected in a zone: an operator reads a few, and a file of another kind would give millions.
pub const MAX_ERRORS: usize = 20;

/// Most warnings kept for a zone; the rest is counted.
pub const MAX_WARNINGS: usize = 50;

/// Where records go. `Break` ends the reading, for a receiver that has refused the zone already.
pub type RecordSink<'s> = dyn FnMut(RecordRef<'_>, Location) -> ControlFlow<()> + 's;

/// Where a record stands: [`FileReport::place`] makes text of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Index in [`FileReport::files`].
    pub file: u32,
    /// From 1.
    pub line: u32,
}

/// An entry that is refused.
#[derive(Debug, Error)]
pub struct FileError {
    /// Path below the root folder.
    pub file: String,
    /// Where the entry begins, from 1; 0 stands for the file as a whole.
    pub line: u32,
    /// The entry on one line, cut where it is long.
    pub entry: String,
    /// Which rule it breaks.
    pub rule: Rule,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.line)?;
        write!(f, ": {}", self.rule)?;
        if self.entry.is_empty() { Ok(()) } else { write!(f, ": {}", self.entry) }
    }
}

/// An entry that is served, but odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWarning {
    /// Path below the root folder.
    pub file: String,
    /// Where the entry begins, from 1; 0 stands for the file as a whole.
    pub line: u32,
    /// The entry on one line, cut where it is long.
    pub entry: String,
    /// What is odd about it.
    pub oddity: Warning,
}

impl fmt::Display for FileWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.file, self.line)?;
        write!(f, ": {}", self.oddity)?;
        if self.entry.is_empty() { Ok(()) } else { write!(f, ": {}", self.entry) }
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, file: &str, line: u32) -> fmt::Result {
    if line == 0 { write!(f, "{file}") } else { write!(f, "{file}:{line}") }
}

/// What was read.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// Paths below the root folder, the zone's own file first, each once, in the order of first use.
    pub files: Vec<String>,
    /// In all files.
    pub bytes: u64,
    /// Handed to the sink.
    pub records: u64,
    /// At most [`MAX_WARNINGS`].
    pub warnings: Vec<FileWarning>,
    /// Warnings beyond those.
    pub more_warnings: u64,
    /// Of the very bytes that were parsed.
    pub digest: SourceDigest,
}

impl FileReport {
    /// As `file:line`.
    #[must_use]
    pub fn place(&self, location: Location) -> String {
        let file = usize::try_from(location.file).ok().and_then(|index| self.files.get(index));
        format!("{}:{}", file.map_or("?", String::as_str), location.line)
    }
}
