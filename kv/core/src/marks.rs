//! How much of the raft log is kept: pure decisions about marks in it, which are
//! [`StateOptions::raft_log_bytes`](zonecast_kv_store::StateOptions) apart.
//!
//! What is applied on both sides of a mark is kept. A leader keeps more for those who are behind, but not without end: whoever
//! is further behind gets a snapshot.

use std::collections::VecDeque;

/// Marks that a leader keeps for followers that are behind.
const FOR_FOLLOWERS: usize = 4;
/// The same while a snapshot is on its way: without the log from there on the follower would need another one.
const FOR_SNAPSHOTS: usize = 64;

/// Indexes of the log at which so many bytes had been applied, the oldest first.
#[derive(Debug)]
pub(crate) struct Marks(VecDeque<u64>);

impl Marks {
    /// The log is applied up to there.
    pub(crate) fn new(applied: u64) -> Self {
        Self(VecDeque::from([applied]))
    }

    /// The next mark is reached. Says up to where the log can be given up, if more of it can: not what the slowest follower
    /// of a leader lacks, within bounds.
    pub(crate) fn pass(&mut self, applied: u64, slowest: Option<u64>, sends_snapshot: bool) -> Option<u64> {
        let needed = slowest.unwrap_or(u64::MAX);
        let most = if sends_snapshot { FOR_SNAPSHOTS } else { FOR_FOLLOWERS };
        let mut upto = None;
        while let Some(first) = self.0.pop_front_if(|first| *first <= needed) {
            upto = Some(first);
        }
        while self.0.len() > most {
            upto = self.0.pop_front();
        }
        self.0.push_back(applied);
        upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_lead_or_has_no_follower_behind_keeps_what_is_after_the_last_mark_but_one() {
        let mut marks = Marks::new(10);
        assert_eq!(marks.pass(20, None, false), Some(10));
        assert_eq!(marks.pass(30, None, false), Some(20));
        assert_eq!(marks.pass(40, Some(29), false), None, "a follower lacks entry 30");
        assert_eq!(marks.pass(50, Some(41), false), Some(40));
    }

    #[test]
    fn a_follower_that_is_behind_holds_the_log_for_a_while_and_not_for_ever() {
        let mut marks = Marks::new(0);
        assert_eq!(marks.pass(10, Some(0), false), Some(0));
        let kept: Vec<_> = (2..8).map(|mark| marks.pass(mark * 10, Some(5), false)).collect();
        assert_eq!(kept, [None, None, None, None, Some(10), Some(20)]);
        // As soon as it has caught up, all of that goes.
        assert_eq!(marks.pass(80, Some(70), false), Some(70));
    }

    #[test]
    fn while_a_snapshot_is_on_its_way_the_log_from_there_on_is_kept_within_a_larger_bound() {
        let mut marks = Marks::new(0);
        assert_eq!(marks.pass(1, None, true), Some(0));
        assert!((2..66).all(|mark| marks.pass(mark, Some(0), true).is_none()));
        assert_eq!(marks.pass(66, Some(0), true), Some(1));
        assert_eq!(marks.pass(67, Some(0), false), Some(62), "it was not sent");
    }
}
