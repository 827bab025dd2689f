//! Which zones there are: a manifest, or every file of a folder.
//!
//! # Format
//! One zone a line, `apex<TAB>file`, UTF-8. Blank lines and lines that begin with `#` are skipped. The apex may be `.`
//! and may end in a dot; the file is relative to the zones folder, wherever the manifest lies.
//!
//! Without a manifest every regular file of the folder is a zone, in byte order of the names, dotfiles left out; its
//! apex is its name less `.zone`. `root.zone` is the zone `root.`: the root zone needs a manifest, as its file would
//! be a dotfile.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zonecast_records::{Name, NameError};

/// Most bytes of a manifest: 10,000,000 zones of 100 bytes a line.
const MAX_MANIFEST_LEN: u64 = 1 << 30;

/// Most errors reported at once.
const MAX_MANIFEST_ERRORS: usize = 20;

/// Zones and their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// In the order of the manifest, or of the names of the files.
    pub entries: Vec<ManifestEntry>,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Of the zone.
    pub apex: Name,
    /// Relative to the zones folder.
    pub file: PathBuf,
}

/// Why there is no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Manifest or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Over 1 GiB.
    #[error("{} is over {MAX_MANIFEST_LEN} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Not `apex<TAB>file`.
    #[error("line {line}: {text:?} is not an apex, one tab and a file")]
    Line {
        /// From 1.
        line: usize,
        /// As it stands.
        text: String,
    },
    /// The bytes are no text.
    #[error("line {line}: not UTF-8")]
    NotText {
        /// From 1.
        line: usize,
    },
    /// The apex is not a name.
    #[error("line {line}: apex {text:?}: {source}")]
    Apex {
        /// From 1.
        line: usize,
        /// As it stands.
        text: String,
        /// Why.
        source: NameError,
    },
    /// Two lines for one zone.
    #[error("line {line}: zone {apex} stands on line {first} already")]
    Duplicate {
        /// From 1.
        line: usize,
        /// Where it came first.
        first: usize,
        /// The zone.
        apex: Box<Name>,
    },
    /// Two files for one zone.
    #[error("{} and {} are both zone {apex}", first.display(), second.display())]
    DuplicateFile {
        /// The zone.
        apex: Box<Name>,
        /// In byte order.
        first: PathBuf,
        /// In byte order.
        second: PathBuf,
    },
    /// A name that cannot be a zone's.
    #[error("{}: not the name of a zone", .0.display())]
    FileName(PathBuf),
}

impl Manifest {
    /// Reads a manifest file.
    ///
    /// # Errors
    /// Every bad line, up to 20, or the one reason why it cannot be read.
    pub fn read(path: &Path) -> Result<Self, Vec<ManifestError>> {
        let wrap = |source| vec![ManifestError::Io { path: path.to_owned(), source }];
        if fs::metadata(path).map_err(wrap)?.len() > MAX_MANIFEST_LEN {
            return Err(vec![ManifestError::TooLarge(path.to_owned())]);
        }
        Self::parse(&fs::read(path).map_err(wrap)?)
    }

    /// Reads the contents of a manifest.
    ///
    /// # Errors
    /// Every bad line, up to 20.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<ManifestError>> {
        let mut entries = Vec::new();
        let mut errors = Vec::new();
        let mut lines: HashMap<Name, usize> = HashMap::new();
        let bytes = crate::digest::without_byte_order_mark(bytes);
        for (index, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = index + 1;
            match parse_line(line, bytes) {
                Ok(None) => {}
                Ok(Some(entry)) => match lines.get(&entry.apex) {
                    Some(&first) => errors.push(ManifestError::Duplicate { line, first, apex: Box::new(entry.apex) }),
                    None => {
                        lines.insert(entry.apex, line);
                        entries.push(entry);
                    }
                },
                Err(error) => errors.push(error),
            }
            if errors.len() >= MAX_MANIFEST_ERRORS {
                break;
            }
        }
        if errors.is_empty() { Ok(Self { entries }) } else { Err(errors) }
    }

    /// Every file of a folder.
    ///
    /// # Errors
    /// The folder cannot be read, names that are no zones, two files for one zone.
    pub fn of_folder(folder: &Path) -> Result<Self, Vec<ManifestError>> {
        let wrap = |source| vec![ManifestError::Io { path: folder.to_owned(), source }];
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(wrap)? {
            let name = entry.map_err(wrap)?.file_name();
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            // Follows symbolic links: mounted configuration is often made of them.
            if !is_hidden && fs::metadata(folder.join(&name)).is_ok_and(|data| data.is_file()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        let mut entries: Vec<ManifestEntry> = Vec::with_capacity(names.len());
        let mut errors = Vec::new();
        let mut known: HashMap<Name, usize> = HashMap::new();
        for name in names {
            let file = PathBuf::from(name);
            match apex_of_file(&file) {
                None => errors.push(ManifestError::FileName(file)),
                Some(apex) => match known.get(&apex).and_then(|first| entries.get(*first)) {
                    Some(first) => {
                        let (apex, first) = (Box::new(apex), first.file.clone());
                        errors.push(ManifestError::DuplicateFile { apex, first, second: file });
                    }
                    None => {
                        known.insert(apex, entries.len());
                        entries.push(ManifestEntry { apex, file });
                    }
                },
            }
        }
        errors.truncate(MAX_MANIFEST_ERRORS);
        if errors.is_empty() { Ok(Self { entries }) } else { Err(errors) }
    }
}

fn parse_line(line: usize, bytes: &[u8]) -> Result<Option<ManifestEntry>, ManifestError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText { line })?;
    let text = text.trim_end();
    if text.trim_start().is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let wrong = || ManifestError::Line { line, text: crate::lexer::bounded_text(bytes) };
    let (apex, file) = text.split_once('\t').ok_or_else(wrong)?;
    if apex.is_empty() || file.is_empty() || file.contains('\t') || apex != apex.trim() || file != file.trim() {
        return Err(wrong());
    }
    let parsed = apex.parse::<Name>();
    let apex = parsed.map_err(|source| ManifestError::Apex { line, text: apex.to_owned(), source })?;
    Ok(Some(ManifestEntry { apex, file: PathBuf::from(file) }))
}

fn apex_of_file(file: &Path) -> Option<Name> {
    let name = file.to_str()?;
    let apex: Name = name.strip_suffix(".zone").unwrap_or(name).parse().ok()?;
    (apex.label_count() > 0).then_some(apex)
}
