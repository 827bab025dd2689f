//! Which zones there are: a manifest, or every file of a folder.
//!
//! # Format
//! One zone a line, `apex<TAB>file`, UTF-8. Blank lines and lines that begin with `#` are skipped. The apex may be `.`
//! and may end in a dot; the file is relative to the zones folder, wherever the manifest lies.
//!
//! Without a manifest every file of the folder is a zone, in byte order of the names, dotfiles left out; its apex is
//! its name less `.zone`. `root.zone` is the zone `root.`: the root zone needs a manifest, as its file would be a
//! dotfile. So does an apex with other characters than names of hosts and services have: a file with such a name is
//! more often a copy than a zone.
//!
//! # Failure
//! A line or file that cannot be a zone keeps no other out: [`Manifest::left_out`] has it with the reason. Of two that
//! are the same zone, in whatever spelling, neither is listed, since nobody knows which is meant.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zonecast_records::{Name, NameError};

use crate::a_label::a_labels;
use crate::lexer::bounded_text;

/// Most bytes of a manifest: 10,000,000 zones of 100 bytes a line.
const MAX_MANIFEST_LEN: u64 = 1 << 30;

/// Most lines or files whose reasons are kept; the rest is counted.
const MAX_LEFT_OUT: usize = 1000;

/// Zones and their files.
#[derive(Debug, Default)]
pub struct Manifest {
    /// In the order of the manifest, or of the names of the files.
    pub entries: Vec<ManifestEntry>,
    /// What cannot be a zone, up to 1,000 of it.
    pub left_out: Vec<LeftOut>,
    /// What cannot be a zone beyond those.
    pub more_left_out: u64,
    /// Dotfiles of the folder, which nobody looked at.
    pub hidden: u64,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Of the zone.
    pub apex: Name,
    /// Relative to the zones folder.
    pub file: PathBuf,
}

/// A line of a manifest, or a file of a folder, that is not listed.
#[derive(Debug)]
pub struct LeftOut {
    /// Which it is.
    pub place: Place,
    /// The zone that it would be, where that is known.
    pub apex: Option<Box<Name>>,
    /// The reason.
    pub rule: ListRule,
}

/// Where a zone is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Of the manifest, from 1.
    Line(u64),
    /// In the folder.
    File(PathBuf),
}

/// Why something is not listed.
#[derive(Debug, Error)]
pub enum ListRule {
    /// Not `apex<TAB>file`.
    #[error("{0:?} is not an apex, one tab and a file")]
    Line(String),
    /// The bytes are no text.
    #[error("not UTF-8")]
    NotText,
    /// The apex is not a name.
    #[error("{text:?} is not the name of a zone: {source}")]
    Apex {
        /// As it stands.
        text: String,
        /// The reason.
        source: NameError,
    },
    /// Letters that names have only as A-labels, RFC 5890 section 2.3.2.1.
    #[error("{text:?} is not the name of a zone: write {a_labels}")]
    ULabel {
        /// As it stands.
        text: String,
        /// The same as DNS has it.
        a_labels: String,
    },
    /// A character that the name of a zone hardly has.
    #[error(
        "{0:?} has characters that are unusual in the name of a zone: rename the file, or list \
         it in a manifest if it is right"
    )]
    Odd(String),
    /// The file `.` cannot be.
    #[error("the file name names no zone; list the root zone in a manifest")]
    Root,
    /// Two for one zone.
    #[error("zone {apex} is listed twice, the other is {other}: neither is read")]
    Twice {
        /// The zone.
        apex: Box<Name>,
        /// Line or file.
        other: String,
    },
    /// A folder, a pipe, a device.
    #[error("not a regular file")]
    NotAFile,
    /// The operating system's word.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// Why there is no list at all.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Manifest or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Over 1 GiB.
    #[error("{} is over {MAX_MANIFEST_LEN} bytes", .0.display())]
    TooLarge(PathBuf),
}

impl Manifest {
    /// Reads a manifest file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let wrap = |source| ManifestError::Io { path: path.to_owned(), source };
        if fs::metadata(path).map_err(wrap)?.len() > MAX_MANIFEST_LEN {
            return Err(ManifestError::TooLarge(path.to_owned()));
        }
        Ok(Self::parse(&fs::read(path).map_err(wrap)?))
    }

    /// Reads the contents of a manifest.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut listing = Listing::default();
        let bytes = crate::digest::without_byte_order_mark(bytes);
        for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let place = Place::Line(line);
            match parse_line(bytes) {
                Ok(None) => {}
                Ok(Some(entry)) => listing.add(entry, place),
                Err(rule) => listing.leave_out(LeftOut { place, apex: None, rule }),
            }
        }
        listing.finish()
    }

    /// Every file of a folder.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn of_folder(folder: &Path) -> Result<Self, ManifestError> {
        let wrap = |source| ManifestError::Io { path: folder.to_owned(), source };
        let mut listing = Listing::default();
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(wrap)? {
            let name = entry.map_err(wrap)?.file_name();
            if name.as_encoded_bytes().starts_with(b".") {
                listing.manifest.hidden += 1;
            } else {
                names.push(name);
            }
        }
        names.sort_unstable();
        for file in names.into_iter().map(PathBuf::from) {
            let apex = apex_of_file(&file);
            // Follows symbolic links: mounted configuration is often made of them.
            let rule = match fs::metadata(folder.join(&file)) {
                Ok(data) if data.is_file() => None,
                // Files that others include may lie in folders; none of those is called like a zone file.
                Ok(data) if data.is_dir() && file.extension().is_none_or(|extension| extension != "zone") => continue,
                Ok(_) => Some(ListRule::NotAFile),
                Err(error) => Some(ListRule::Unreadable(error)),
            };
            let place = Place::File(file.clone());
            match (rule, apex) {
                (None, Ok(apex)) => listing.add(ManifestEntry { apex, file }, place),
                (None, Err(rule)) => listing.leave_out(LeftOut { place, apex: None, rule }),
                (Some(rule), apex) => listing.leave_out(LeftOut { place, apex: apex.ok().map(Box::new), rule }),
            }
        }
        Ok(listing.finish())
    }
}

/// A manifest that grows.
#[derive(Default)]
struct Listing {
    manifest: Manifest,
    /// Where each zone is listed first.
    first: HashMap<Name, Place>,
    twice: HashSet<Name>,
}

impl Listing {
    fn add(&mut self, entry: ManifestEntry, place: Place) {
        let apex = entry.apex;
        let Some(first) = self.first.get(&apex) else {
            self.first.insert(apex, place);
            self.manifest.entries.push(entry);
            return;
        };
        let twice = |place: &Place, other: &Place| {
            let rule = ListRule::Twice { apex: Box::new(apex), other: other.shown() };
            LeftOut { place: place.clone(), apex: Some(Box::new(apex)), rule }
        };
        let (first, second) = (twice(first, &place), twice(&place, first));
        if self.twice.insert(apex) {
            self.leave_out(first);
        }
        self.leave_out(second);
    }

    fn leave_out(&mut self, left_out: LeftOut) {
        if self.manifest.left_out.len() < MAX_LEFT_OUT {
            self.manifest.left_out.push(left_out);
        } else {
            self.manifest.more_left_out += 1;
        }
    }

    fn finish(self) -> Manifest {
        let Self { mut manifest, twice, .. } = self;
        if !twice.is_empty() {
            manifest.entries.retain(|entry| !twice.contains(&entry.apex));
        }
        manifest
    }
}

impl Place {
    fn shown(&self) -> String {
        match self {
            Self::Line(line) => format!("line {line}"),
            Self::File(file) => file.display().to_string(),
        }
    }
}

fn parse_line(bytes: &[u8]) -> Result<Option<ManifestEntry>, ListRule> {
    let text = std::str::from_utf8(bytes).map_err(|_| ListRule::NotText)?;
    let text = text.trim_end();
    if text.trim_start().is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let wrong = || ListRule::Line(bounded_text(bytes));
    let (apex, file) = text.split_once('\t').ok_or_else(wrong)?;
    if apex.is_empty() || file.is_empty() || file.contains('\t') || apex != apex.trim() || file != file.trim() {
        return Err(wrong());
    }
    Ok(Some(ManifestEntry { apex: parse_apex(apex)?, file: PathBuf::from(file) }))
}

fn parse_apex(text: &str) -> Result<Name, ListRule> {
    let shown = || bounded_text(text.as_bytes());
    text.parse().map_err(|source| match a_labels(text) {
        Some(a_labels) => ListRule::ULabel { text: shown(), a_labels },
        None => ListRule::Apex { text: shown(), source },
    })
}

fn apex_of_file(file: &Path) -> Result<Name, ListRule> {
    let name = file.to_str().ok_or(ListRule::NotText)?;
    let apex = parse_apex(name.strip_suffix(".zone").unwrap_or(name))?;
    // RFC 2317 has zones with a slash, which a file name has as an escape.
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    if !apex.labels().flatten().all(is_usual) {
        return Err(ListRule::Odd(bounded_text(name.as_bytes())));
    }
    if apex.label_count() > 0 { Ok(apex) } else { Err(ListRule::Root) }
}
