//! Who holds what: voters among themselves first, and then edges against what most voters hold. Pure.

use std::collections::BTreeMap;

use zonecast_api::types::{VerifiedNode, VerifiedState};
use zonecast_kv_proto::{Agreement, CopyCheckState, EdgeLink, EdgeReport, RangeHash, Version};

use super::{SumsState, VoterSums};

/// What a voter says; nothing while it does not answer.
#[derive(Clone, Debug)]
pub(crate) struct VoterSays {
    pub(crate) name: String,
    pub(crate) sums: Option<VoterSums>,
}

/// What more than half of the voters hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Majority {
    /// This.
    Of(Box<Agreement>),
    /// That is not known yet: some have not said.
    NotYet,
    /// Nothing: whatever the others say, no more than half hold the same.
    None,
}

/// A marker, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    /// Of the marker.
    pub(crate) number: u64,
    /// Where it stands, as far as that is known.
    pub(crate) version: Option<Version>,
    /// Whether nodes had time to say something.
    pub(crate) is_late: bool,
    pub(crate) majority: Majority,
    /// What more than half of the voters hold beside what is published.
    pub(crate) private: Option<RangeHash>,
    /// Whether two voters hold different published keys.
    pub(crate) are_apart: bool,
}

/// What more than half of the voters hold, at the marker of this number.
pub(crate) fn majority(number: u64, voters: &[VoterSays]) -> Majority {
    let done = || voters.iter().filter_map(|voter| voter.said(number)).filter(|sums| sums.state() == SumsState::Done);
    let mut groups: BTreeMap<[u8; 32], Vec<&VoterSums>> = BTreeMap::new();
    done().for_each(|sums| groups.entry(*sums.root.as_bytes()).or_default().push(sums));
    let largest = groups.values().max_by_key(|group| group.len());
    let agreeing = largest.map_or(0, Vec::len);
    if let Some(sums) = largest.and_then(|group| group.first()).filter(|_| agreeing * 2 > voters.len()) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (agreeing, voters) = (count(agreeing), count(voters.len()));
        let VoterSums { root, ranges, keys, .. } = **sums;
        return Majority::Of(Box::new(
            Agreement { number, root, ranges, keys, agreeing, voters, ..Agreement::default() }.written(),
        ));
    }
    let may_still = voters.iter().filter(|voter| voter.may_still_say(number)).count();
    if (agreeing + may_still) * 2 > voters.len() { Majority::NotYet } else { Majority::None }
}

/// What more than half of them hold beside what is published; while fewer have said anything, what all of these hold.
fn private_majority(number: u64, voters: &[VoterSays]) -> Option<RangeHash> {
    let done = || voters.iter().filter_map(|voter| voter.said(number)).filter(|sums| sums.state() == SumsState::Done);
    let hashes: Vec<RangeHash> = done().map(|sums| sums.private).collect();
    let holders = |hash: &RangeHash| hashes.iter().filter(|other| *other == hash).count();
    let is_right = |hash: &RangeHash| holders(hash) * 2 > voters.len() || holders(hash) == hashes.len();
    hashes.iter().copied().find(is_right)
}

/// Whether two voters hold different published keys.
fn are_apart(number: u64, voters: &[VoterSays]) -> bool {
    let done = || voters.iter().filter_map(|voter| voter.said(number)).filter(|sums| sums.state() == SumsState::Done);
    done().next().is_some_and(|first| done().any(|sums| sums.root != first.root))
}

impl VoterSays {
    /// What it says of this marker.
    fn said(&self, number: u64) -> Option<&VoterSums> {
        self.sums.as_ref().filter(|sums| sums.number == number)
    }

    /// Whether it may still come to something: it does not answer now, or reads.
    fn may_still_say(&self, number: u64) -> bool {
        match &self.sums {
            None => true,
            Some(sums) if sums.number == number => sums.state() == SumsState::Hashing,
            // It has not come to the marker yet.
            Some(sums) => sums.number < number && sums.number > 0,
        }
    }
}

impl Judge {
    /// From what voters say, and what they have agreed on at the last marker if they have: a voter that was started since
    /// says nothing any more.
    pub(crate) fn new(number: u64, is_late: bool, agreement: Option<Agreement>, voters: &[VoterSays]) -> Self {
        let version = voters.iter().find_map(|voter| Some(voter.said(number)?.version));
        let majority = agreement.map_or_else(|| majority(number, voters), |agreed| Majority::Of(Box::new(agreed)));
        let (private, are_apart) = (private_majority(number, voters), are_apart(number, voters));
        Self { number, version, is_late, majority, private, are_apart }
    }

    /// What has come of a voter.
    pub(crate) fn voter(&self, voter: &VoterSays) -> VerifiedNode {
        let node = VerifiedNode { node: voter.name.clone(), role: "core".into(), ..VerifiedNode::default() };
        let with = |state, why: &str| VerifiedNode { state, why: Some(why.to_owned()), ..node.clone() };
        let Some(sums) = &voter.sums else { return with(VerifiedState::Unknown, "it does not answer") };
        if sums.number != self.number {
            return match self.is_late {
                false => with(VerifiedState::Running, "it has not come to the marker"),
                true => with(VerifiedState::Unknown, "it was started, or got its state from another core, since"),
            };
        }
        match sums.state() {
            SumsState::Hashing => with(VerifiedState::Running, "it reads"),
            SumsState::Failed => with(VerifiedState::Failed, &sums.why),
            SumsState::Done => {
                let node = VerifiedNode { hash: Some(sums.root.to_string()), ..node.clone() };
                match (&self.majority, self.private) {
                    (Majority::NotYet, _) => VerifiedNode { state: VerifiedState::Running, ..node },
                    (Majority::None, _) if !self.are_apart => VerifiedNode {
                        state: VerifiedState::Unknown,
                        why: Some("too few voters say what they hold".into()),
                        ..node
                    },
                    (Majority::None, _) => VerifiedNode {
                        state: VerifiedState::Differs,
                        why: Some("no more than half of the voters hold the same published keys".into()),
                        ..node
                    },
                    (Majority::Of(agreed), _) if agreed.root != sums.root => VerifiedNode {
                        state: VerifiedState::Differs,
                        why: Some("its published keys are not those of most voters".into()),
                        ..node
                    },
                    (Majority::Of(_), Some(private)) if private == sums.private => {
                        VerifiedNode { state: VerifiedState::Equal, ..node }
                    }
                    // Voters that hold the same published keys may still be too few to say what is private.
                    (Majority::Of(_), None) if !self.is_late => VerifiedNode { state: VerifiedState::Running, ..node },
                    (Majority::Of(_), _) => VerifiedNode {
                        state: VerifiedState::Differs,
                        why: Some("its private keys are not those of most voters".into()),
                        ..node
                    },
                }
            }
        }
    }

    /// What has come of an edge, as the leader knows it.
    pub(crate) fn edge(&self, report: &EdgeReport) -> VerifiedNode {
        let node = VerifiedNode {
            node: report.peer.name.clone(),
            role: report.peer.role.to_string(),
            ..VerifiedNode::default()
        };
        let with = |state, why: &str| VerifiedNode { state, why: Some(why.to_owned()), ..node.clone() };
        let check = report.check.as_ref().filter(|check| check.number == self.number);
        let Some(check) = check else {
            let is_behind = self.version.is_some_and(|version| report.applied.is_none_or(|applied| applied < version));
            return match report.link {
                EdgeLink::Connected if is_behind => with(VerifiedState::Running, "it has not come to the marker"),
                EdgeLink::Connected if !self.is_late => with(VerifiedState::Running, "it has not said anything yet"),
                EdgeLink::Connected => {
                    let why = "it was started or took a snapshot since, holds some keyspaces only, or is of an earlier release";
                    with(VerifiedState::Unknown, why)
                }
                _ => with(VerifiedState::Unknown, "it is not connected"),
            };
        };
        let found = VerifiedNode {
            hash: Some(check.root.to_string()),
            ranges: (check.differing > 0).then_some(check.differing),
            key: (!check.first.is_empty()).then(|| check.first.escape_ascii().to_string()),
            ..node.clone()
        };
        let (state, why) = match (check.state(), &self.majority) {
            (Some(CopyCheckState::Hashing), _) => return with(VerifiedState::Running, "it reads"),
            (Some(CopyCheckState::Failed), _) => return with(VerifiedState::Failed, "its copy could not be read"),
            (Some(CopyCheckState::Repaired), _) => {
                (VerifiedState::Repaired, Some("it held other keys than most voters, and was put right"))
            }
            (Some(CopyCheckState::Hashed), Majority::Of(agreed)) if agreed.root == check.root => {
                (VerifiedState::Equal, None)
            }
            (Some(CopyCheckState::Hashed), Majority::Of(agreed)) if agreed.is_agreed() => {
                (VerifiedState::Differs, Some("its keys are not those of most voters"))
            }
            (Some(CopyCheckState::Hashed), Majority::Of(_)) => (
                VerifiedState::Differs,
                Some("its keys are not those of the only voter, and nobody can say which of the two is right"),
            ),
            (Some(CopyCheckState::Hashed), Majority::NotYet) => (VerifiedState::Running, None),
            (Some(CopyCheckState::Hashed), Majority::None) => {
                (VerifiedState::Unknown, Some("no more than half of the voters hold the same"))
            }
            (None, _) => (VerifiedState::Unknown, Some("it says what this release does not know")),
        };
        VerifiedNode { state, why: why.map(str::to_owned), ..found }
    }
}

#[cfg(test)]
mod tests {
    use zonecast_kv_proto::{CopyCheck, Peer};

    use super::*;

    const N: u64 = 7;

    fn voters(sums: &[Option<VoterSums>]) -> Vec<VoterSays> {
        let voter = |(number, sums): (usize, &Option<VoterSums>)| VoterSays {
            name: format!("core-{}", number + 1),
            sums: sums.clone(),
        };
        sums.iter().enumerate().map(voter).collect()
    }

    fn done(root: &[u8], private: &[u8]) -> Option<VoterSums> {
        Some(VoterSums::done(N, root, private))
    }

    fn judged(sums: &[Option<VoterSums>]) -> Vec<VerifiedState> {
        let voters = voters(sums);
        let judge = Judge::new(N, true, None, &voters);
        voters.iter().map(|voter| judge.voter(voter).state).collect()
    }

    #[test]
    fn voters_compare_among_themselves_and_most_of_them_are_right() {
        use VerifiedState::{Differs, Equal, Failed, Running, Unknown};
        let same = done(b"a", b"p");
        assert_eq!(judged(&[same.clone(), same.clone(), same.clone()]), [Equal, Equal, Equal]);
        assert_eq!(judged(&[done(b"x", b"p"), same.clone(), same.clone()]), [Differs, Equal, Equal]);
        assert_eq!(judged(&[same.clone(), done(b"a", b"x"), same.clone()]), [Equal, Differs, Equal]);
        assert_eq!(judged(&[same.clone(), same.clone(), None]), [Equal, Equal, Unknown]);
        assert_eq!(judged(&[same.clone(), None, None]), [Running, Unknown, Unknown]);
        assert_eq!(judged(&[same.clone(), done(b"x", b"p"), done(b"y", b"p")]), [Differs; 3]);
        let reads = Some(VoterSums::hashing(N));
        assert_eq!(judged(&[same.clone(), reads.clone(), reads.clone()]), [Running; 3]);
        assert_eq!(judged(&[same.clone(), same.clone(), Some(VoterSums::failed(N))]), [Equal, Equal, Failed]);
        let earlier = Some(VoterSums::done(N - 1, b"a", b"p"));
        assert_eq!(judged(&[same.clone(), same.clone(), earlier]), [Equal, Equal, Unknown]);
        assert_eq!(judged(std::slice::from_ref(&same)), [Equal]);
        let started = Some(VoterSums::of(None));
        assert_eq!(judged(&[same.clone(), started.clone(), started.clone()]), [Unknown; 3]);
        assert_eq!(judged(&[same.clone(), same.clone(), started.clone()]), [Equal, Equal, Unknown]);
        // What was agreed on stays so when voters are started one after the other.
        let voters = voters(&[same.clone(), started.clone(), started]);
        let agreement = majority(N, &super::tests::voters(&[same.clone(), same.clone(), same]));
        let Majority::Of(agreement) = agreement else { panic!("{agreement:?}") };
        let judge = Judge::new(N, true, Some(*agreement), &voters);
        let states: Vec<_> = voters.iter().map(|voter| judge.voter(voter).state).collect();
        assert_eq!(states, [Equal, Unknown, Unknown]);
    }

    #[test]
    fn a_majority_is_of_all_voters_and_not_of_those_that_answer() {
        let same = done(b"a", b"p");
        let of = |sums: &[Option<VoterSums>]| majority(N, &voters(sums));
        let agreed = |majority| match majority {
            Majority::Of(agreed) => (agreed.agreeing, agreed.voters, agreed.is_agreed()),
            other => panic!("{other:?}"),
        };
        assert_eq!(agreed(of(std::slice::from_ref(&same))), (1, 1, false));
        assert_eq!(agreed(of(&[same.clone(), same.clone(), None])), (2, 3, true));
        assert_eq!(of(&[same.clone(), None, None]), Majority::NotYet);
        assert_eq!(of(&[same.clone(), done(b"x", b"p"), done(b"y", b"p")]), Majority::None);
        let started = Some(VoterSums::of(None));
        assert_eq!(of(&[same.clone(), started.clone(), started]), Majority::None, "nobody will say any more");
        let five = [same.clone(), same.clone(), done(b"x", b"p"), done(b"x", b"p"), None];
        assert_eq!(of(&five), Majority::NotYet);
    }

    fn edge(check: Option<CopyCheck>, link: EdgeLink, applied: u64) -> EdgeReport {
        EdgeReport {
            peer: Peer::edge("edge-1"),
            is_expected: true,
            is_on_record: true,
            link,
            via: None,
            incarnation: 1,
            applied: Some(Version::new(applied)),
            durable: None,
            last_ack: None,
            check,
        }
    }

    #[test]
    fn edges_are_compared_with_what_most_voters_hold() {
        use VerifiedState::{Differs, Equal, Failed, Repaired, Running, Unknown};
        let same = done(b"a", b"p");
        let judge = |is_late| {
            let voters = voters(&[same.clone(), same.clone(), None]);
            Judge::new(N, is_late, None, &voters)
        };
        let of = |is_late, report: &EdgeReport| judge(is_late).edge(report);
        let (here, away) = (EdgeLink::Connected, EdgeLink::Away(std::time::Duration::ZERO));
        let said = |state, root: &[u8]| Some(CopyCheck::new(N, state, RangeHash::of_entries(root)));
        for (check, state) in [
            (said(CopyCheckState::Hashed, b"a"), Equal),
            (said(CopyCheckState::Hashed, b"x"), Differs),
            (said(CopyCheckState::Hashing, b""), Running),
            (said(CopyCheckState::Repaired, b"x"), Repaired),
            (said(CopyCheckState::Failed, b""), Failed),
            (Some(CopyCheck { number: N, state: 99, ..CopyCheck::default() }), Unknown),
        ] {
            assert_eq!(of(true, &edge(check.clone(), here, 9)).state, state, "{check:?}");
            assert_eq!(of(true, &edge(check.clone(), away, 9)).state, state, "what it said last counts: {check:?}");
        }
        assert_eq!(of(false, &edge(None, here, 9)).state, Running);
        assert_eq!(of(true, &edge(None, here, 9)).state, Unknown);
        assert_eq!(of(true, &edge(None, here, 4)).state, Running, "it is behind the marker");
        assert_eq!(of(false, &edge(None, away, 9)).state, Unknown);
        let earlier = CopyCheck::new(N - 1, CopyCheckState::Hashed, RangeHash::of_entries(b"a"));
        assert_eq!(of(true, &edge(Some(earlier), here, 9)).state, Unknown);
        let differs = said(CopyCheckState::Hashed, b"x").map(|check| check.differs(2, b"\0\x01key"));
        let node = of(true, &edge(differs, here, 9));
        assert_eq!((node.ranges, node.key.as_deref()), (Some(2), Some("\\x00\\x01key")));
    }
}
