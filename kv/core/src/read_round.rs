//! One round of questions by which a leader confirms reads: does each voter still follow it? (ReadIndex, section 6.4 of the
//! Raft dissertation.)
//!
//! openraft's own ReadIndex is not used: it takes an old answer of a follower for one to later appends, so voters that have
//! elected somebody else since could confirm a read.
//!
//! # Invariants
//! - A read is confirmed by answers that were given after it had come: the round begins after it, with what the leader
//!   is at that time.
//! - Whoever answers has promised nothing to a later leader at that time, because what it follows only grows. A later
//!   leader needs a majority of one of the memberships that the round asks; so none was elected, and acknowledged
//!   anything, before the read had come.
//! - What earlier leaders have committed is in the log below the first entry of the leader's own, which is committed.

use std::collections::BTreeSet;

use openraft::impls::leader_id_adv::LeaderId;

/// What a leader is when a round begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) leader: LeaderId<u64, u64>,
    /// Index of the last committed entry. It is the leader's own.
    pub(crate) committed: u64,
    /// The voters: of the present membership, and of the one before while a change is under way.
    pub(crate) voters: Vec<BTreeSet<u64>>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ReadRound {
    tenure: Tenure,
    follow: BTreeSet<u64>,
    do_not: BTreeSet<u64>,
}

/// What has come of a round so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    NotYet,
    /// The leader led when the round began. A read must have applied the log up to this index.
    Yes(u64),
    /// No majority can be reached any more.
    No,
}

impl ReadRound {
    /// The leader itself is the first who follows.
    pub(crate) fn new(tenure: Tenure) -> Self {
        let follow = BTreeSet::from([tenure.leader.node_id]);
        Self { tenure, follow, do_not: BTreeSet::new() }
    }

    /// Who is to be asked.
    pub(crate) fn others(&self) -> BTreeSet<u64> {
        let voters = self.tenure.voters.iter().flatten().copied();
        voters.filter(|voter| *voter != self.tenure.leader.node_id).collect()
    }

    /// A voter has said whom it follows, or is not reached.
    pub(crate) fn answered(&mut self, voter: u64, follows: Option<LeaderId<u64, u64>>) {
        let follows_this = follows == Some(self.tenure.leader);
        let answers = if follows_this { &mut self.follow } else { &mut self.do_not };
        answers.insert(voter);
    }

    pub(crate) fn confirmed(&self) -> Confirmed {
        let sets = &self.tenure.voters;
        if !sets.is_empty() && sets.iter().all(|set| has_majority(set, &self.follow)) {
            Confirmed::Yes(self.tenure.committed)
        } else if sets.iter().all(|set| has_majority(set, &set.difference(&self.do_not).copied().collect())) {
            Confirmed::NotYet
        } else {
            Confirmed::No
        }
    }
}

fn has_majority(set: &BTreeSet<u64>, of: &BTreeSet<u64>) -> bool {
    2 * set.intersection(of).count() > set.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: LeaderId<u64, u64> = LeaderId { term: 4, node_id: 1 };
    const LATER: LeaderId<u64, u64> = LeaderId { term: 5, node_id: 2 };

    fn round(voters: &[&[u64]]) -> ReadRound {
        let voters = voters.iter().map(|set| set.iter().copied().collect()).collect();
        ReadRound::new(Tenure { leader: OWN, committed: 30, voters })
    }

    /// What comes of it after each answer.
    fn answers(voters: &[&[u64]], answers: &[(u64, Option<LeaderId<u64, u64>>)]) -> Vec<Confirmed> {
        let mut round = round(voters);
        let mut all = vec![round.confirmed()];
        for (voter, follows) in answers {
            round.answered(*voter, *follows);
            all.push(round.confirmed());
        }
        all
    }

    use Confirmed::{No, NotYet, Yes};

    #[test]
    fn a_majority_that_follows_confirms() {
        assert_eq!(answers(&[&[1]], &[]), [Yes(30)]);
        assert_eq!(answers(&[&[1, 2, 3]], &[(3, Some(OWN))]), [NotYet, Yes(30)]);
        assert_eq!(answers(&[&[1, 2, 3]], &[(2, None), (3, Some(OWN))]), [NotYet, NotYet, Yes(30)]);
        let of_five: &[&[u64]] = &[&[1, 2, 3, 4, 5]];
        assert_eq!(answers(of_five, &[(2, Some(OWN)), (2, Some(OWN))]), [NotYet, NotYet, NotYet]);
        assert_eq!(answers(of_five, &[(2, Some(OWN)), (5, Some(OWN))]), [NotYet, NotYet, Yes(30)]);
    }

    #[test]
    fn who_follows_another_leader_does_not_count() {
        assert_eq!(answers(&[&[1, 2, 3]], &[(2, Some(LATER)), (3, None)]), [NotYet, NotYet, No]);
        let before = LeaderId { term: 3, node_id: 1 };
        assert_eq!(answers(&[&[1, 2, 3]], &[(2, Some(before)), (3, Some(LATER))]), [NotYet, NotYet, No]);
    }

    #[test]
    fn both_memberships_of_a_change_must_confirm() {
        let joint: &[&[u64]] = &[&[1, 2, 3], &[3, 4, 5]];
        assert_eq!(round(joint).others(), BTreeSet::from([2, 3, 4, 5]));
        assert_eq!(answers(joint, &[(2, Some(OWN)), (4, Some(OWN))]), [NotYet, NotYet, NotYet]);
        assert_eq!(answers(joint, &[(3, Some(OWN)), (4, Some(OWN))]), [NotYet, NotYet, Yes(30)]);
        assert_eq!(answers(joint, &[(4, None), (5, None)]), [NotYet, NotYet, No]);
    }

    #[test]
    fn a_leader_that_has_removed_itself_has_no_part_in_it_nor_has_a_learner() {
        let without: &[&[u64]] = &[&[2, 3, 4]];
        assert_eq!(answers(without, &[(2, Some(OWN)), (9, Some(OWN))]), [NotYet, NotYet, NotYet]);
        assert_eq!(answers(without, &[(2, Some(OWN)), (4, Some(OWN))]), [NotYet, NotYet, Yes(30)]);
    }

    #[test]
    fn no_membership_confirms_nothing() {
        assert_ne!(round(&[]).confirmed(), Yes(30));
    }
}
