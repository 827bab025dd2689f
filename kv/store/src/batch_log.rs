//! How much the batch log holds, and what to trim: versions in segments, the oldest of which go when all together are
//! over the cap. What an edge needs after the snapshot that it is loading is pinned and stays for longer, within a cap of
//! its own: else a busy core would trim it meanwhile, and the edge had to begin again.
//!
//! This is the accounting only; the versions stand in the `batches` column family. The mark of a segment is the
//! version it begins with; closed segments know their bytes, the open one is counted again at a start.

use std::collections::VecDeque;
use std::ops::Range;

use zonecast_kv_proto::Version;

/// Trimming removes one part in so many of the cap at a time.
const SEGMENTS: u64 = 32;

/// So many caps the log may grow to while versions are pinned: what a slow edge may make it take on the disk.
const PINNED_CAPS: u64 = 4;

/// The segments of the batch log with their bytes: it tells which of the oldest to trim.
#[derive(Debug)]
pub(crate) struct BatchLog {
    cap: u64,
    segments: VecDeque<Segment>,
    total: u64,
}

/// Versions from `first` to the beginning of the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) first: Version,
    pub(crate) bytes: u64,
}

/// What adding a version changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Segments whose mark is to be written.
    pub(crate) marks: Vec<Segment>,
    /// Segments whose mark is to be removed.
    pub(crate) unmarked: Vec<Version>,
    /// Versions that are to be removed.
    pub(crate) trimmed: Option<Range<Version>>,
}

impl BatchLog {
    /// With these segments in it, the last of them open.
    pub(crate) fn new(cap: u64, segments: impl IntoIterator<Item = Segment>) -> Self {
        let segments: VecDeque<Segment> = segments.into_iter().collect();
        let total = segments.iter().map(|segment| segment.bytes).sum();
        Self { cap, segments, total }
    }

    /// Bytes of all versions it holds.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The first version it holds, if it holds any.
    pub(crate) fn first(&self) -> Option<Version> {
        self.segments.front().map(|segment| segment.first)
    }

    /// Bytes that it may hold while nothing is pinned.
    pub(crate) fn cap(&self) -> u64 {
        self.cap
    }

    /// Bytes of about all versions after this one, if it holds all of them.
    pub(crate) fn bytes_after(&self, version: Version) -> Option<u64> {
        let holds_all = self.first().is_none_or(|first| version.next().is_some_and(|next| first <= next));
        let after = self.segments.iter().filter(|segment| segment.first > version);
        holds_all.then(|| after.map(|segment| segment.bytes).sum())
    }

    /// Whether it holds the version that follows this one.
    pub(crate) fn reaches(&self, version: Version) -> bool {
        self.first().is_some_and(|first| version.next().is_some_and(|next| first <= next))
    }

    /// Adds the next version. The newest segment is never trimmed, and nothing after `pinned` within the larger cap.
    pub(crate) fn add(&mut self, version: Version, bytes: u64, pinned: Option<Version>) -> Change {
        let mut change = Change::default();
        self.total += bytes;
        match self.segments.back_mut() {
            Some(open) if open.bytes < self.cap / SEGMENTS => open.bytes += bytes,
            last => {
                change.marks.extend(last.copied());
                change.marks.push(Segment { first: version, bytes: 0 });
                self.segments.push_back(Segment { first: version, bytes });
            }
        }
        let begin = self.first();
        while let Some(second) = self.segments.get(1).map(|segment| segment.first) {
            let needed = pinned.is_some_and(|pinned| second.get() > pinned.get().saturating_add(1));
            if self.total <= self.cap.saturating_mul(if needed { PINNED_CAPS } else { 1 }) {
                break;
            }
            let oldest = self.segments.pop_front().expect("there is a second one");
            self.total -= oldest.bytes;
            change.unmarked.push(oldest.first);
        }
        change.trimmed = begin.zip(self.first()).map(|(begin, end)| begin..end).filter(|range| !range.is_empty());
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_below_the_cap_and_never_loses_the_newest() {
        let mut log = BatchLog::new(3200, []);
        let mut trimmed = Version::new(1);
        for version in 1..=1000 {
            let change = log.add(Version::new(version), 70, None);
            if let Some(range) = change.trimmed {
                assert_eq!(range.start, trimmed);
                trimmed = range.end;
            }
            assert!(log.total() <= 3200);
            assert_eq!(log.first(), Some(trimmed));
        }
        assert!(log.total() > 3000, "{}", log.total());
        log.add(Version::new(1001), 1_000_000, None);
        log.add(Version::new(1002), 1, None);
        assert_eq!((log.first(), log.total()), (Some(Version::new(1002)), 1));
    }

    #[test]
    fn what_is_pinned_stays_up_to_a_larger_cap() {
        let mut log = BatchLog::new(3200, []);
        let pinned = Version::new(10);
        for version in 1..=3200 * PINNED_CAPS / 100 {
            log.add(Version::new(version), 100, Some(pinned));
            assert!(log.first() <= pinned.next(), "version 11 is needed, after {version}");
        }
        assert!(log.total() > 3200 * 3);
        // A pin does not fill the disk.
        for version in 3200 * PINNED_CAPS / 100 + 1..1000 {
            log.add(Version::new(version), 100, Some(pinned));
            assert!(log.total() <= 3200 * PINNED_CAPS);
        }
        // Without it the log is soon what it was.
        log.add(Version::new(1000), 100, None);
        assert!(log.total() <= 3200);
    }

    #[test]
    fn marks_rebuild_it() {
        let mut log = BatchLog::new(3200, []);
        let mut marks = std::collections::BTreeMap::new();
        for version in 1..=100 {
            let change = log.add(Version::new(version), version, None);
            marks.extend(change.marks.into_iter().map(|segment| (segment.first, segment.bytes)));
            change.unmarked.iter().for_each(|first| assert!(marks.remove(first).is_some()));
        }
        let (open, _) = *marks.last_key_value().as_ref().unwrap();
        *marks.get_mut(&open.clone()).unwrap() = (open.get()..=100).sum();
        let again = BatchLog::new(3200, marks.into_iter().map(|(first, bytes)| Segment { first, bytes }));
        assert_eq!((again.total(), again.first(), again.segments), (log.total(), log.first(), log.segments));
    }
}
