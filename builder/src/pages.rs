//! Sections of a present zone: their bounds, and reading them a page at a time.

use std::ops::ControlFlow;

use zonecast_kv_proto::{KeyspaceId, View};
use zonecast_records::{Generation, KeyBuffer, KeySection, Path};

use crate::present::Entry;
use crate::read_error::ReadError;

/// How much of a scan is held at a time.
const PAGE_LEN: usize = 256 * 1024;

/// Reads the entries with `lower <= key < end`, all of them held at once.
pub(crate) fn collect<T>(
    view: &dyn View,
    lower: &[u8],
    end: &[u8],
    mut read: impl FnMut(&[u8], &[u8]) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let (mut found, mut damaged) = (vec![], None);
    view.scan(lower, end, &mut |key, value| match read(key, value) {
        Ok(entry) => {
            found.push(entry);
            ControlFlow::Continue(())
        }
        Err(error) => {
            damaged = Some(error);
            ControlFlow::Break(())
        }
    })?;
    damaged.map_or(Ok(found), Err)
}

/// Where keys stand, beside their generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) keyspace: KeyspaceId,
    pub(crate) section: KeySection,
}

impl Place {
    /// Address keys and RRsets that edges answer with, and those of the other kinds below.
    pub(crate) const NAME: Self = Self::published(KeySection::Name);
    pub(crate) const GLUE: Self = Self::published(KeySection::Glue);
    pub(crate) const NSEC: Self = Self::published(KeySection::Nsec);
    pub(crate) const NSEC3: Self = Self::published(KeySection::Nsec3);
    /// What never leaves the core.
    pub(crate) const CORE: Self = Self { keyspace: KeyspaceId::CORE, section: KeySection::Name };

    const fn published(section: KeySection) -> Self {
        Self { keyspace: KeyspaceId::DNS, section }
    }
}

/// A part of one section.
#[derive(Clone, Copy)]
pub(crate) enum Range<'p> {
    /// The keys of one node.
    Node(Path<'p>),
    /// The keys of every node beneath one.
    Beneath(Path<'p>),
    /// All.
    Section,
}

/// First key in the range, and first key after it.
pub(crate) fn bounds(generation: Generation, place: Place, range: Range<'_>) -> (Vec<u8>, Vec<u8>) {
    let prefix = KeyBuffer::new().prefix(place.keyspace, generation, place.section).to_vec();
    let mut after_section = prefix.clone();
    if let Some(number) = after_section.last_mut() {
        *number += 1;
    }
    let with = |path: Path<'_>, next: u8| [&prefix, path.as_bytes(), &[next]].concat();
    match range {
        Range::Section => (prefix, after_section),
        // The node's own keys go on with 00, those beneath with the first byte of a label, which is never 00.
        Range::Node(path) => (with(path, 0), with(path, 1)),
        Range::Beneath(path) => {
            let mut end = [&prefix, path.as_bytes()].concat();
            match end.last_mut() {
                // The 00 that ends the last label of the path.
                Some(last) if !path.as_bytes().is_empty() => *last += 1,
                _ => end = after_section,
            }
            (with(path, 1), end)
        }
    }
}

/// One section, a page at a time.
pub(crate) struct Pages<'v> {
    view: &'v dyn View,
    lower: Vec<u8>,
    end: Vec<u8>,
    page: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    ended: bool,
}

impl<'v> Pages<'v> {
    pub(crate) fn new(view: &'v dyn View, generation: Generation, place: Place) -> Self {
        let (lower, end) = bounds(generation, place, Range::Section);
        Self { view, lower, end, page: Vec::new().into_iter().peekable(), ended: false }
    }

    pub(crate) fn peek(&mut self) -> Result<Option<&Entry>, ReadError> {
        if self.page.peek().is_none() && !self.ended {
            let mut page: Vec<Entry> = Vec::new();
            let mut len = 0;
            self.ended = true;
            self.view.scan(&self.lower, &self.end, &mut |key, value| {
                if len >= PAGE_LEN {
                    self.ended = false;
                    return ControlFlow::Break(());
                }
                len += key.len() + value.len();
                page.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
            if let Some((last, _)) = page.last() {
                self.lower = [last.as_slice(), &[0]].concat();
            }
            self.page = page.into_iter().peekable();
        }
        Ok(self.page.peek())
    }

    pub(crate) fn next(&mut self) -> Option<Entry> {
        self.page.next()
    }
}
