//! What clients asked of one register and heard, and whether the order of its versions explains all of it.
//!
//! ```text
//! client 1   ├─ write 7 ─▶ version 4 ─┤
//! client 2              ├─ read ─▶ 6 at version 3 ─┤       explained: it began before the write was answered
//! client 3                                 ├─ read ─▶ 6 at version 3 ─┤       stale
//! ```
//! Every write makes the next version of its register and has a value of its own, and every read says which version it saw.
//! So the versions are the only order that can explain a history, and nothing has to be searched: it is looked at whether
//! that order has each write once, agrees with real time, and gives each read its value. Pure: times are arguments.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use thiserror::Error;

/// A value and the version at which it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How often the register had been written.
    pub version: u64,
    /// What it says; no two writes have the same.
    pub value: u64,
}

/// What has become of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// A read that was answered.
    Read(Seen),
    /// A write that was acknowledged.
    Wrote(Seen),
    /// A write of this value of which the client was told that nothing has changed.
    Refused(u64),
    /// A write of this value that may have been done, or may be done at any time from its beginning on.
    Unknown(u64),
}

/// An operation of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When the client asked, since some moment that all clients share.
    pub asked: Duration,
    /// When it was answered, or gave up.
    pub heard: Duration,
    /// With what outcome.
    pub done: Done,
}

/// All that was asked of one register, in any order.
#[derive(Clone, Debug)]
pub struct History {
    /// What stood there before everything else.
    pub first: Seen,
    /// What the clients did.
    pub operations: Vec<Operation>,
}

/// Why no order explains a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Two clients wrote the same value, so this history says nothing.
    #[error("the value {0} was written by two operations: the clients are at fault")]
    SameValue(u64),
    /// A value came from nowhere.
    #[error("a read saw {0:?}, which nobody had written")]
    NeverWritten(Seen),
    /// A write that was refused was done all the same.
    #[error("a read saw {0:?}, of which the client had been told that nothing had changed")]
    RefusedAndDone(Seen),
    /// One version has two values: one of two acknowledged writes is lost.
    #[error("one version is {0:?} and {1:?}")]
    TwoValues(Seen, Seen),
    /// One write made two versions.
    #[error("the write of {} was done twice: versions {} and {}", .0.value, .0.version, .1.version)]
    DoneTwice(Seen, Seen),
    /// Versions that no write can have made.
    #[error("{missing} versions come from no write that is known, and only {unknown} writes have an unknown outcome")]
    WithoutWrite {
        /// Versions of which neither a write nor a read says anything.
        missing: u64,
        /// Writes that may have made some of them.
        unknown: u64,
    },
    /// A read that goes back.
    #[error("stale: a read asked at {:?} saw {seen:?}, and version {newest} had been answered before", .read.asked)]
    Stale {
        /// The read.
        read: Operation,
        /// What it saw.
        seen: Seen,
        /// The last version that was known when it began.
        newest: u64,
    },
    /// A write that is before what had been answered when it began.
    #[error("a write asked at {:?} made version {version}, and version {newest} had been answered before", .write.asked)]
    BeforeItsTime {
        /// The write.
        write: Operation,
        /// Its version.
        version: u64,
        /// The last version that was known when it began.
        newest: u64,
    },
}

/// What a history that is explained consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads that were answered.
    pub reads: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Writes that were refused.
    pub refused: u64,
    /// Writes whose client does not know.
    pub unknown: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.refused += other.refused;
        self.unknown += other.unknown;
    }
}

impl History {
    /// Whether the order of versions explains all of it, in time that grows as its length does (and a sort).
    ///
    /// # Errors
    /// The first thing that it does not explain.
    pub fn check(&self) -> Result<Counts, Violation> {
        let versions = Versions::of(self)?;
        versions.are_all_written(self)?;
        versions.agree_with_time(self)?;
        Ok(self.counts())
    }

    /// How many operations of each kind there are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for operation in &self.operations {
            match operation.done {
                Done::Read(_) => counts.reads += 1,
                Done::Wrote(_) => counts.writes += 1,
                Done::Refused(_) => counts.refused += 1,
                Done::Unknown(_) => counts.unknown += 1,
            }
        }
        counts
    }
}

/// The versions of a register, as writes and reads tell of them.
struct Versions {
    value_of: BTreeMap<u64, u64>,
    version_of: HashMap<u64, u64>,
}

impl Versions {
    fn of(history: &History) -> Result<Self, Violation> {
        let mut versions = Self { value_of: BTreeMap::new(), version_of: HashMap::new() };
        versions.add(history.first)?;
        let mut writes = HashMap::new();
        for operation in &history.operations {
            let (Done::Wrote(Seen { value, .. }) | Done::Refused(value) | Done::Unknown(value)) = operation.done else {
                continue;
            };
            if value == history.first.value || writes.insert(value, operation.done).is_some() {
                return Err(Violation::SameValue(value));
            }
        }
        for operation in &history.operations {
            match operation.done {
                Done::Wrote(seen) => versions.add(seen)?,
                Done::Read(seen) => {
                    match writes.get(&seen.value) {
                        Some(Done::Refused(_)) => return Err(Violation::RefusedAndDone(seen)),
                        None if seen.value != history.first.value => return Err(Violation::NeverWritten(seen)),
                        _ => {}
                    }
                    versions.add(seen)?;
                }
                Done::Refused(_) | Done::Unknown(_) => {}
            }
        }
        Ok(versions)
    }

    /// Each version has one value, and each value one version.
    fn add(&mut self, seen: Seen) -> Result<(), Violation> {
        let value = *self.value_of.entry(seen.version).or_insert(seen.value);
        if value != seen.value {
            return Err(Violation::TwoValues(Seen { value, ..seen }, seen));
        }
        let version = *self.version_of.entry(seen.value).or_insert(seen.version);
        if version != seen.version {
            return Err(Violation::DoneTwice(Seen { version, ..seen }, seen));
        }
        Ok(())
    }

    /// No version below the first, and no more gaps than there are writes that nobody has seen.
    fn are_all_written(&self, history: &History) -> Result<(), Violation> {
        let first = history.first.version;
        let last = self.value_of.last_key_value().map_or(first, |(version, _)| *version);
        if let Some((version, value)) = self.value_of.first_key_value().filter(|(version, _)| **version < first) {
            return Err(Violation::NeverWritten(Seen { version: *version, value: *value }));
        }
        let known = u64::try_from(self.value_of.len()).unwrap_or(u64::MAX);
        let missing = (last - first + 1).saturating_sub(known);
        let is_unseen = |operation: &&Operation| matches!(operation.done, Done::Unknown(value) if !self.version_of.contains_key(&value));
        let unknown = history.operations.iter().filter(is_unseen).count();
        let unknown = u64::try_from(unknown).unwrap_or(u64::MAX);
        if missing > unknown { Err(Violation::WithoutWrite { missing, unknown }) } else { Ok(()) }
    }

    /// Whatever was answered before an operation began is before it.
    fn agree_with_time(&self, history: &History) -> Result<(), Violation> {
        let mut asked: Vec<&Operation> = history.operations.iter().collect();
        asked.sort_unstable_by_key(|operation| operation.asked);
        let answered = history.operations.iter().filter_map(|operation| match operation.done {
            Done::Read(seen) | Done::Wrote(seen) => Some((operation.heard, seen.version)),
            Done::Refused(_) | Done::Unknown(_) => None,
        });
        let mut answered: Vec<(Duration, u64)> = answered.collect();
        answered.sort_unstable();
        let mut answered = answered.into_iter().peekable();
        let mut newest = history.first.version;
        for operation in asked {
            while let Some((_, version)) = answered.next_if(|(heard, _)| *heard < operation.asked) {
                newest = newest.max(version);
            }
            self.is_after(operation, newest)?;
        }
        Ok(())
    }

    fn is_after(&self, operation: &Operation, newest: u64) -> Result<(), Violation> {
        let write = |version| Violation::BeforeItsTime { write: *operation, version, newest };
        match operation.done {
            Done::Read(seen) if seen.version < newest => Err(Violation::Stale { read: *operation, seen, newest }),
            Done::Wrote(seen) if seen.version <= newest => Err(write(seen.version)),
            Done::Unknown(value) => match self.version_of.get(&value) {
                Some(version) if *version <= newest => Err(write(*version)),
                _ => Ok(()),
            },
            Done::Read(_) | Done::Wrote(_) | Done::Refused(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Random;

    fn seen(version: u64, value: u64) -> Seen {
        Seen { version, value }
    }

    fn at(asked: u64, heard: u64, done: Done) -> Operation {
        Operation { asked: Duration::from_millis(asked), heard: Duration::from_millis(heard), done }
    }

    fn read(asked: u64, heard: u64, version: u64, value: u64) -> Operation {
        at(asked, heard, Done::Read(seen(version, value)))
    }

    fn wrote(asked: u64, heard: u64, version: u64, value: u64) -> Operation {
        at(asked, heard, Done::Wrote(seen(version, value)))
    }

    /// Of a register that says 0 at version 1.
    fn check(operations: &[Operation]) -> Result<Counts, Violation> {
        History { first: seen(1, 0), operations: operations.to_vec() }.check()
    }

    #[test]
    fn operations_at_the_same_time_are_in_either_order() {
        check(&[]).unwrap();
        check(&[wrote(0, 10, 2, 7), read(5, 6, 1, 0), read(5, 7, 2, 7), read(11, 12, 2, 7)]).unwrap();
        check(&[wrote(0, 10, 3, 7), wrote(0, 10, 2, 8), read(11, 12, 3, 7)]).unwrap();
        // What is heard at the moment at which another one asks is not before it.
        check(&[wrote(0, 10, 2, 7), read(10, 12, 1, 0)]).unwrap();
    }

    #[test]
    fn a_read_of_what_was_overwritten_before_is_stale() {
        let broken = check(&[wrote(0, 10, 2, 7), read(11, 12, 1, 0)]);
        assert!(matches!(broken, Err(Violation::Stale { newest: 2, .. })), "{broken:?}");
        // Two reads, with the write still under way.
        let broken = check(&[wrote(0, 20, 2, 7), read(1, 5, 2, 7), read(6, 8, 1, 0)]);
        assert!(matches!(broken, Err(Violation::Stale { newest: 2, .. })), "{broken:?}");
        // With a write of which the client does not know.
        let broken = check(&[at(0, 3, Done::Unknown(7)), read(1, 5, 2, 7), read(6, 8, 1, 0)]);
        assert!(matches!(broken, Err(Violation::Stale { newest: 2, .. })), "{broken:?}");
    }

    #[test]
    fn an_acknowledged_write_that_is_lost_is_found() {
        // Nothing came after it.
        let broken = check(&[wrote(0, 10, 2, 7), wrote(11, 12, 3, 8), read(13, 14, 2, 7)]);
        assert!(matches!(broken, Err(Violation::Stale { newest: 3, .. })), "{broken:?}");
        // Another one has its version.
        let broken = check(&[wrote(0, 10, 2, 7), wrote(11, 12, 2, 8)]);
        assert_eq!(broken, Err(Violation::TwoValues(seen(2, 7), seen(2, 8))));
        let broken = check(&[wrote(0, 10, 2, 7), at(11, 12, Done::Unknown(8)), read(20, 21, 2, 8)]);
        assert_eq!(broken, Err(Violation::TwoValues(seen(2, 7), seen(2, 8))));
    }

    #[test]
    fn a_write_that_is_done_twice_is_found() {
        let broken = check(&[wrote(0, 10, 2, 7), wrote(0, 10, 3, 8), read(11, 12, 4, 7)]);
        assert_eq!(broken, Err(Violation::DoneTwice(seen(2, 7), seen(4, 7))));
        let broken = check(&[at(0, 1, Done::Unknown(7)), read(2, 3, 2, 7), wrote(4, 5, 3, 8), read(6, 7, 4, 7)]);
        assert_eq!(broken, Err(Violation::DoneTwice(seen(2, 7), seen(4, 7))));
        // Though nobody has seen the second time.
        let broken = check(&[wrote(0, 10, 2, 7), wrote(11, 12, 4, 8)]);
        assert_eq!(broken, Err(Violation::WithoutWrite { missing: 1, unknown: 0 }));
        let broken = check(&[at(0, 1, Done::Unknown(7)), wrote(11, 12, 4, 8)]);
        assert_eq!(broken, Err(Violation::WithoutWrite { missing: 2, unknown: 1 }));
    }

    #[test]
    fn a_value_from_nowhere_or_of_a_refused_write_is_found() {
        assert_eq!(check(&[read(0, 1, 2, 7)]), Err(Violation::NeverWritten(seen(2, 7))));
        assert_eq!(check(&[at(0, 1, Done::Refused(7)), read(0, 1, 2, 7)]), Err(Violation::RefusedAndDone(seen(2, 7))));
        assert_eq!(check(&[wrote(0, 1, 0, 7)]), Err(Violation::NeverWritten(seen(0, 7))));
        assert_eq!(check(&[wrote(0, 1, 2, 7), at(0, 1, Done::Refused(7))]), Err(Violation::SameValue(7)));
        assert_eq!(check(&[wrote(0, 1, 2, 0)]), Err(Violation::SameValue(0)));
    }

    #[test]
    fn a_write_is_after_what_was_answered_before_it_began() {
        let broken = check(&[wrote(0, 10, 3, 7), wrote(11, 12, 2, 8)]);
        assert!(matches!(broken, Err(Violation::BeforeItsTime { version: 2, newest: 3, .. })), "{broken:?}");
        // It was read before anybody had asked for it.
        let broken = check(&[read(0, 1, 2, 7), wrote(2, 3, 2, 7)]);
        assert!(matches!(broken, Err(Violation::BeforeItsTime { version: 2, newest: 2, .. })), "{broken:?}");
        let broken = check(&[read(0, 1, 2, 7), at(2, 3, Done::Unknown(7))]);
        assert!(matches!(broken, Err(Violation::BeforeItsTime { version: 2, newest: 2, .. })), "{broken:?}");
    }

    #[test]
    fn a_write_of_unknown_outcome_may_come_at_any_time_or_never() {
        let unknown = at(0, 1, Done::Unknown(7));
        check(&[unknown, read(2, 3, 1, 0)]).unwrap();
        check(&[unknown, read(2, 3, 1, 0), read(500, 501, 2, 7)]).unwrap();
        // Overwritten before anybody saw it.
        check(&[unknown, wrote(2, 3, 3, 8), read(4, 5, 3, 8)]).unwrap();
    }

    /// A register that is right, and clients whose operations overlap: `damage` changes what one of them heard.
    fn history_of(seed: u64, damage: impl FnOnce(&mut Vec<Operation>)) -> Result<Counts, Violation> {
        let mut random = Random::new(seed);
        let (mut now, mut register, mut operations) = (100, seen(1, 0), Vec::new());
        for value in 1..=200 {
            now += 2;
            let (asked, heard) = (now - random.number() % 20, now + random.number() % 20);
            let is_read = random.below(2) == 0;
            if !is_read {
                register = seen(register.version + 1, value);
            }
            let unheard = !is_read && random.below(8) == 0;
            operations.push(match (is_read, unheard) {
                (true, _) => at(asked, heard, Done::Read(register)),
                (false, true) => at(asked, heard, Done::Unknown(value)),
                (false, false) => at(asked, heard, Done::Wrote(register)),
            });
        }
        now += 40;
        operations.push(at(now, now + 1, Done::Read(register)));
        damage(&mut operations);
        History { first: seen(1, 0), operations }.check()
    }

    #[test]
    fn what_a_right_register_answers_is_explained_and_its_damage_is_not() {
        for seed in 0..50 {
            history_of(seed, |_| {}).unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
            let last_write = |operations: &[Operation]| {
                operations.iter().rposition(|operation| matches!(operation.done, Done::Wrote(_))).unwrap()
            };
            let found = [
                // The last read sees what stood there long before.
                history_of(seed, |operations| operations.last_mut().unwrap().done = Done::Read(seen(1, 0))),
                // An acknowledged write never came to be.
                history_of(seed, |operations| {
                    let at = last_write(operations);
                    if let Done::Wrote(seen) = &mut operations[at].done {
                        seen.value += 1_000;
                    }
                    let Done::Wrote(lost) = operations[at].done else { return };
                    let reader =
                        Operation { done: Done::Read(seen(lost.version, lost.value - 1_000)), ..operations[at] };
                    operations.push(reader);
                }),
                // A write that its client was told to have failed.
                history_of(seed, |operations| {
                    let Done::Read(seen) = operations.last().unwrap().done else { return };
                    let of = |operation: &Operation| match operation.done {
                        Done::Wrote(wrote) => wrote.value == seen.value,
                        Done::Unknown(value) => value == seen.value,
                        _ => false,
                    };
                    let write = operations.iter_mut().find(|operation| of(operation)).unwrap();
                    write.done = Done::Refused(seen.value);
                }),
            ];
            assert!(found.iter().all(Result::is_err), "seed {seed}: {found:?}");
        }
    }
}
