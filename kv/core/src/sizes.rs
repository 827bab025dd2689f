//! Which cores vote: pure decisions about a membership.
//!
//! # Invariants
//! - A cluster has 1, 3 or 5 voters. An even number costs more and survives no more.
//! - A change goes from one such number to another in one joint step.

use std::collections::BTreeSet;

/// Most voters: each further one makes every commit wait for more disks.
const MAX_VOTERS: usize = 5;

/// Who is in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) voters: BTreeSet<u64>,
    /// Learners that have nearly all of the log.
    pub(crate) ready: BTreeSet<u64>,
    /// The others.
    pub(crate) behind: BTreeSet<u64>,
}

/// Why cores cannot be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CannotRemove {
    /// Nobody would vote.
    All,
    /// So many voters would be left.
    Even(usize),
}

impl Cores {
    /// The voters after learners that are ready got their votes: two at a time.
    pub(crate) fn promote(&self) -> Option<BTreeSet<u64>> {
        let room = MAX_VOTERS.saturating_sub(self.voters.len());
        let count = self.ready.len().min(room) & !1;
        (count > 0).then(|| self.voters.iter().chain(self.ready.iter().take(count)).copied().collect())
    }

    /// The voters after these are gone: a learner that is ready takes the place of one where the number would be even.
    pub(crate) fn remove(&self, gone: &BTreeSet<u64>) -> Result<BTreeSet<u64>, CannotRemove> {
        let mut left: BTreeSet<u64> = self.voters.difference(gone).copied().collect();
        if left.len().is_multiple_of(2) {
            let replacement = self.ready.difference(gone).next().copied();
            left.extend(replacement);
        }
        match left.len() {
            0 => Err(CannotRemove::All),
            even if even.is_multiple_of(2) => Err(CannotRemove::Even(even)),
            _ => Ok(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u64]) -> BTreeSet<u64> {
        ids.iter().copied().collect()
    }

    fn cores(voters: &[u64], ready: &[u64]) -> Cores {
        Cores { voters: set(voters), ready: set(ready), behind: set(&[99]) }
    }

    #[test]
    fn votes_are_given_to_two_at_a_time_and_to_five_in_all() {
        assert_eq!(cores(&[1], &[]).promote(), None);
        assert_eq!(cores(&[1], &[7]).promote(), None);
        assert_eq!(cores(&[1], &[7, 9]).promote(), Some(set(&[1, 7, 9])));
        assert_eq!(cores(&[1], &[7, 9, 11]).promote(), Some(set(&[1, 7, 9])));
        assert_eq!(cores(&[1], &[7, 9, 11, 12]).promote(), Some(set(&[1, 7, 9, 11, 12])));
        assert_eq!(cores(&[1, 2, 3], &[7, 9, 11, 12]).promote(), Some(set(&[1, 2, 3, 7, 9])));
        assert_eq!(cores(&[1, 2, 3, 4, 5], &[7, 9]).promote(), None);
    }

    #[test]
    fn what_is_left_is_odd() {
        assert_eq!(cores(&[1, 2, 3], &[]).remove(&set(&[2, 3])), Ok(set(&[1])));
        assert_eq!(cores(&[1, 2, 3], &[]).remove(&set(&[3])), Err(CannotRemove::Even(2)));
        assert_eq!(cores(&[1, 2, 3], &[8]).remove(&set(&[3])), Ok(set(&[1, 2, 8])));
        assert_eq!(cores(&[1, 2, 3], &[8]).remove(&set(&[3, 8])), Err(CannotRemove::Even(2)));
        assert_eq!(cores(&[1], &[8]).remove(&set(&[1])), Ok(set(&[8])));
        assert_eq!(cores(&[1], &[]).remove(&set(&[1])), Err(CannotRemove::All));
        assert_eq!(cores(&[1, 2, 3], &[8]).remove(&set(&[8])), Ok(set(&[1, 2, 3])));
    }
}
