//! Which versions a folder of backups can give back: those of its backups, and those between two of them where the log of
//! the later one leads from the earlier one.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::shelf::backups_at;
use super::{Manifest, ShelfError, VerifyError};

/// A backup, as its manifest tells.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where it is.
    pub folder: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

/// The backups of a folder, the oldest first.
#[derive(Debug)]
pub struct Backups {
    /// Those that can be read.
    pub listed: Vec<Listed>,
    /// Why others cannot.
    pub unreadable: Vec<VerifyError>,
}

/// Versions that can be restored, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct VersionRange {
    /// The epoch that they are of.
    pub epoch: u64,
    /// The first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

/// A version that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// As numbered by the store.
    pub version: u64,
    /// Of which epoch: a version of this number can have been in several. If it is not said, of that of the newest backup.
    pub epoch: Option<u64>,
}

/// How a version is made.
#[derive(Debug)]
pub struct Way {
    /// The backup whose state is the beginning.
    pub base: Listed,
    /// Backups whose logs lead on from there, in this order.
    pub logs: Vec<Listed>,
}

impl Backups {
    /// Reads the manifests of all backups in a folder, or of the one that it is.
    ///
    /// # Errors
    /// It is none and holds none.
    pub fn read(folder: &Path) -> Result<Self, ShelfError> {
        let (mut listed, mut unreadable) = (vec![], vec![]);
        for folder in backups_at(folder)? {
            match Manifest::read(&folder) {
                Ok(manifest) => listed.push(Listed { folder, manifest }),
                Err(source) => unreadable.push(VerifyError::Manifest { path: Manifest::path(&folder), source }),
            }
        }
        Ok(Self { listed, unreadable })
    }

    /// Every version that can be restored, in order.
    #[must_use]
    pub fn ranges(&self) -> Vec<VersionRange> {
        let mut ranges: Vec<VersionRange> = self.of_newest_store().map(|backup| self.range_to(backup)).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, range| {
            let joins = next.epoch == range.epoch && next.first <= range.last.saturating_add(1);
            if joins {
                range.last = range.last.max(next.last);
            }
            joins
        });
        ranges
    }

    /// How a version is made, if it can be.
    #[must_use]
    pub fn way_to(&self, point: Point) -> Option<Way> {
        let epoch = point.epoch.or(self.listed.last().map(|newest| newest.manifest.epoch))?;
        let of_epoch = || self.of_newest_store().filter(|backup| backup.manifest.epoch == epoch);
        let earlier = of_epoch().filter(|backup| backup.manifest.version <= point.version);
        let base = earlier.max_by_key(|backup| (backup.manifest.version, backup.manifest.entry))?;
        let (mut version, mut reached) = (base.manifest.version, base.manifest.entry);
        let mut logs = vec![];
        // What is private and comes after the version, but before the next one, may be in a log after it.
        while version <= point.version
            && let Some(next) = of_epoch().find(|backup| leads_on(&backup.manifest, reached))
        {
            (version, reached) = (next.manifest.version, next.manifest.entry);
            logs.push(next.clone());
        }
        (version >= point.version).then(|| Way { base: base.clone(), logs })
    }

    fn of_newest_store(&self) -> impl Iterator<Item = &Listed> {
        let store = self.listed.last().map(|newest| &newest.manifest.store);
        self.listed.iter().filter(move |backup| Some(&backup.manifest.store) == store)
    }

    /// The versions that a backup and its log are enough for, with the earliest backup that the log follows.
    fn range_to(&self, backup: &Listed) -> VersionRange {
        let Manifest { epoch, version, entry, log_after, .. } = backup.manifest;
        let is_base = |base: &&Listed| {
            base.manifest.epoch == epoch && base.manifest.entry <= entry && base.manifest.entry >= log_after
        };
        let bases = log_after.into_iter().flat_map(|_| self.of_newest_store().filter(is_base));
        let first = bases.map(|base| base.manifest.version).min();
        VersionRange { epoch, first: first.unwrap_or(version).min(version), last: version }
    }
}

/// Whether the log of a backup has what comes after an entry.
fn leads_on(manifest: &Manifest, reached: Option<u64>) -> bool {
    reached.is_some() && manifest.log_after.is_some_and(|after| Some(after) <= reached) && manifest.entry > reached
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { epoch, first, last } = self;
        if first == last {
            write!(f, "version {first} of epoch {epoch}")
        } else {
            write!(f, "versions {first} to {last} of epoch {epoch}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One state: its epoch, version, entry, and the entry that its log follows.
    struct State(u64, u64, u64, Option<u64>);

    fn backups(states: &[State]) -> Backups {
        let listed = (0..).zip(states).map(|(number, State(epoch, version, entry, log_after))| {
            let manifest = Manifest::new("5".into(), *epoch, *version, number);
            let manifest = Manifest { entry: Some(*entry), log_after: *log_after, ..manifest };
            Listed { folder: number.to_string().into(), manifest }
        });
        Backups { listed: listed.collect(), unreadable: vec![] }
    }

    fn shown(backups: &Backups) -> String {
        backups.ranges().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Which backup is the base, and whose logs follow.
    fn way(backups: &Backups, version: u64, epoch: Option<u64>) -> Option<Vec<u64>> {
        let way = backups.way_to(Point { version, epoch })?;
        Some([&[way.base], &way.logs[..]].concat().iter().map(|backup| backup.manifest.time).collect())
    }

    #[test]
    fn a_version_is_made_of_the_last_backup_before_it_and_the_logs_after_that() {
        let backups = backups(&[State(0, 10, 100, None), State(0, 20, 120, Some(100)), State(0, 30, 150, Some(120))]);
        assert_eq!(shown(&backups), "versions 10 to 30 of epoch 0");
        for (version, expected) in [
            (9, None),
            (10, Some(vec![0, 1])),
            (19, Some(vec![0, 1])),
            (20, Some(vec![1, 2])),
            (30, Some(vec![2])),
            (31, None),
        ] {
            assert_eq!(way(&backups, version, None), expected, "{version}");
        }
    }

    #[test]
    fn a_gap_in_the_log_is_one_in_what_can_be_restored() {
        let backups = backups(&[State(0, 10, 100, None), State(0, 20, 120, None), State(0, 30, 150, Some(120))]);
        assert_eq!(shown(&backups), "version 10 of epoch 0; versions 20 to 30 of epoch 0");
        assert_eq!((way(&backups, 10, None), way(&backups, 11, None)), (Some(vec![0]), None));
        // As after a backup was removed.
        let without = Backups { listed: [&backups.listed[..1], &backups.listed[2..]].concat(), unreadable: vec![] };
        assert_eq!(shown(&without), "version 10 of epoch 0; version 30 of epoch 0");
        assert_eq!((way(&without, 20, None), way(&without, 30, None)), (None, Some(vec![2])));
    }

    #[test]
    fn a_version_of_an_earlier_epoch_is_given_only_to_who_names_the_epoch() {
        let backups = backups(&[
            State(0, 10, 100, None),
            State(0, 30, 150, Some(100)),
            State(7, 12, 1 << 33, None),
            State(7, 20, (1 << 33) + 9, Some(1 << 33)),
        ]);
        assert_eq!(shown(&backups), "versions 10 to 30 of epoch 0; versions 12 to 20 of epoch 7");
        assert_eq!((way(&backups, 15, None), way(&backups, 15, Some(0))), (Some(vec![2, 3]), Some(vec![0, 1])));
        assert_eq!((way(&backups, 11, None), way(&backups, 25, None)), (None, None));
    }

    #[test]
    fn backups_of_cores_that_are_behind_and_of_other_stores_do_no_harm() {
        let mut backups = backups(&[
            State(0, 10, 100, None),
            State(0, 30, 150, Some(100)),
            State(0, 20, 120, None),
            State(0, 40, 170, Some(120)),
        ]);
        assert_eq!(shown(&backups), "versions 10 to 40 of epoch 0");
        assert_eq!((way(&backups, 15, None), way(&backups, 25, None)), (Some(vec![0, 1]), Some(vec![2, 1])));
        assert_eq!(way(&backups, 35, None), Some(vec![1, 3]));
        backups.listed[1].manifest.store = "6".into();
        assert_eq!(shown(&backups), "version 10 of epoch 0; versions 20 to 40 of epoch 0");
    }

    #[test]
    fn backups_without_a_log_are_all_there_is_of_an_earlier_release() {
        let mut backups = backups(&[State(0, 10, 1, None), State(0, 11, 2, None)]);
        backups.listed.iter_mut().for_each(|backup| backup.manifest.entry = None);
        assert_eq!(shown(&backups), "versions 10 to 11 of epoch 0");
        assert_eq!((way(&backups, 10, None), way(&backups, 11, None)), (Some(vec![0]), Some(vec![1])));
    }
}
