//! How a copy that is other than what voters agree on is put right.
//!
//! ```text
//!  Listing ─ all ranges; their root is the agreed one ─▶ Fetching ─ entries of those that differ; each has its hash ─▶ Writing
//!     └── it is not there, or something else ──▶ given up: the next marker finds it again
//! ```
//! Nothing that an upstream says counts but for its hash: the root of all ranges stands in the agreement, which is in the
//! chain, the hashes of the ranges are what the root is of, and entries are what the hash of a range is of.
//!
//! Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use zonecast_kv_proto::{RangeHash, RangeSum, RangeSums, RangesGiven, RangesWant, Span};
use zonecast_kv_store::RangeContent;

use crate::copy_checks::{Differs, Other};

/// An upstream that has not answered for so long will not: it may be of an earlier release.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Until an upstream that has not summed up its copy yet is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Questions that come to nothing before it is given up.
const MOST_TRIES: u32 = 12;

/// A copy that differs in more ranges is fetched again as a whole.
const MOST_RANGES: usize = 64;

/// The same for more bytes: they are held in memory until all are there.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// One repair.
#[derive(Debug)]
pub(crate) struct RangeRepair {
    other: Other,
    stage: Stage,
    /// When the present question is given up, while there is one.
    asked_until: Option<Duration>,
    /// Not before this is asked again.
    not_before: Duration,
    tries: u32,
}

#[derive(Debug)]
enum Stage {
    Listing(Vec<RangeSum>),
    Fetching { wanted: VecDeque<Wanted>, ranges: Vec<RangeContent>, bytes: usize },
    Writing(u64),
}

#[derive(Debug)]
struct Wanted {
    span: Span,
    hash: RangeHash,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum RepairStep {
    /// Ask the upstream.
    Ask(RangesWant),
    /// Write these ranges, as they were at the marker of this number.
    Write(u64, Vec<RangeContent>),
}

/// What an answer was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// One of several.
    GoesOn,
    /// It is known now where the copy differs.
    Found(Differs),
    /// The copy is to be fetched again as a whole, because of this.
    FetchAll(String),
    /// Nothing more can be done until the next marker, because of this.
    GivenUp(String),
}

impl RangeRepair {
    pub(crate) fn new(other: Other) -> Self {
        Self { other, stage: Stage::Listing(vec![]), asked_until: None, not_before: Duration::ZERO, tries: 0 }
    }

    /// The number of the marker.
    pub(crate) fn number(&self) -> u64 {
        self.other.marker.number
    }

    /// How many ranges are put right, once that is known.
    pub(crate) fn ranges(&self) -> u64 {
        if let Stage::Writing(ranges) = self.stage { ranges } else { 0 }
    }

    /// The connection is gone, and with it the answer.
    pub(crate) fn lost(&mut self) {
        self.asked_until = None;
    }

    /// The next thing to do, if there is one now.
    pub(crate) fn step(&mut self, now: Duration) -> Option<RepairStep> {
        if self.asked_until.is_some() || now < self.not_before {
            return None;
        }
        let number = self.number();
        let want = match &mut self.stage {
            Stage::Listing(ranges) => RangesWant { number, from: ranges.len() as u64, entries: None },
            Stage::Fetching { wanted, ranges, .. } => match wanted.front() {
                Some(Wanted { span, .. }) => RangesWant { number, from: 0, entries: Some(span.clone()) },
                None => {
                    let ranges = std::mem::take(ranges);
                    self.stage = Stage::Writing(ranges.len() as u64);
                    return Some(RepairStep::Write(number, ranges));
                }
            },
            Stage::Writing(_) => return None,
        };
        self.asked_until = Some(now + ANSWER_WITHIN);
        Some(RepairStep::Ask(want))
    }

    /// When to look again though nothing happened.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        match self.stage {
            Stage::Writing(_) => None,
            _ => Some(self.asked_until.unwrap_or(self.not_before)),
        }
    }

    /// Whether the upstream has not answered in time.
    pub(crate) fn is_overdue(&self, now: Duration) -> bool {
        self.asked_until.is_some_and(|until| now >= until)
    }

    /// Takes an answer.
    pub(crate) fn take(&mut self, now: Duration, given: RangesGiven) -> Answered {
        if given.number != self.number() || self.asked_until.is_none() {
            return Answered::GoesOn;
        }
        self.asked_until = None;
        if !given.is_there {
            self.tries += 1;
            self.not_before = now + AGAIN_AFTER;
            return match self.tries {
                MOST_TRIES.. => Answered::GivenUp("its upstream does not keep what was there at the marker".into()),
                _ => Answered::GoesOn,
            };
        }
        match &mut self.stage {
            Stage::Listing(ranges) => {
                let expected = self.other.agreement.ranges;
                let is_short = given.ranges.is_empty() || ranges.len() as u64 + given.ranges.len() as u64 > expected;
                if given.of != expected || is_short {
                    return other_than_agreed();
                }
                ranges.extend(given.ranges);
                if (ranges.len() as u64) < expected {
                    return Answered::GoesOn;
                }
                let ranges = std::mem::take(ranges);
                self.listed(ranges)
            }
            Stage::Fetching { wanted, ranges, bytes } => {
                let Some(front) = wanted.front() else { return Answered::GoesOn };
                if RangeHash::of_entries(&given.entries) != front.hash {
                    return other_than_agreed();
                }
                *bytes += given.entries.len();
                if *bytes > MOST_BYTES {
                    return Answered::FetchAll(format!("more than {MOST_BYTES} bytes of it are in ranges that differ"));
                }
                if let Some(Wanted { span, .. }) = wanted.pop_front() {
                    ranges.push(RangeContent { span, entries: given.entries });
                }
                Answered::GoesOn
            }
            Stage::Writing(_) => Answered::GoesOn,
        }
    }

    /// All ranges have come.
    fn listed(&mut self, ranges: Vec<RangeSum>) -> Answered {
        let agreed = RangeSums::told(ranges).filter(|sums| sums.root() == self.other.agreement.root);
        let Some(agreed) = agreed else { return other_than_agreed() };
        let differing = agreed.differing(&self.other.own.published);
        if differing.len() > MOST_RANGES {
            return Answered::FetchAll(format!("{} of its {} ranges differ", differing.len(), agreed.ranges().len()));
        }
        let range =
            |number: &usize| Some(Wanted { span: agreed.span(*number)?, hash: agreed.ranges().get(*number)?.hash });
        let wanted: VecDeque<Wanted> = differing.iter().filter_map(range).collect();
        let first = differing.first().and_then(|number| agreed.ranges().get(*number));
        let first = first.map(|range| range.last.to_vec()).unwrap_or_default();
        let differs = Differs { number: self.number(), ranges: wanted.len() as u64, first };
        self.stage = Stage::Fetching { wanted, ranges: vec![], bytes: 0 };
        Answered::Found(differs)
    }
}

fn other_than_agreed() -> Answered {
    Answered::GivenUp("its upstream does not hold what voters agree on either".into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use zonecast_kv_proto::{Agreement, Marker, RangeHasher, encode_entries};
    use zonecast_kv_store::Checked;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    type Copy = Vec<(Bytes, Bytes)>;

    fn copy(keys: u32) -> Copy {
        let key = |number: u32| Bytes::from([&[0, 1][..], &number.to_be_bytes()].concat());
        (0..keys).map(|number| (key(number), Bytes::from_static(b"value"))).collect()
    }

    fn sums(copy: &Copy) -> RangeSums {
        let mut hasher = RangeHasher::default();
        copy.iter().for_each(|(key, value)| hasher.add(key, value));
        hasher.finish()
    }

    fn repair(agreed: &Copy, own: &Copy) -> RangeRepair {
        let (agreed, own) = (sums(agreed), sums(own));
        let (root, ranges) = (agreed.root(), agreed.ranges().len() as u64);
        let agreement = Agreement { number: 7, root, ranges, agreeing: 2, voters: 3, ..Agreement::default() };
        RangeRepair::new(Other { marker: Marker::new(7, 1, 1), own: Arc::new(Checked::of(own, 1, None)), agreement })
    }

    fn page(copy: &Copy, from: u64, most: usize) -> RangesGiven {
        let sums = sums(copy);
        let ranges = sums.ranges().iter().skip(usize::try_from(from).unwrap()).take(most).cloned().collect();
        RangesGiven { number: 7, is_there: true, of: sums.ranges().len() as u64, ranges, ..RangesGiven::default() }
    }

    fn entries(copy: &Copy, span: &Span) -> RangesGiven {
        let within: Copy = copy.iter().filter(|(key, _)| span.contains(key)).cloned().collect();
        RangesGiven { number: 7, is_there: true, entries: encode_entries(&within), ..RangesGiven::default() }
    }

    fn asked(repair: &mut RangeRepair) -> RangesWant {
        match repair.step(NOW) {
            Some(RepairStep::Ask(want)) => want,
            other => panic!("{other:?}"),
        }
    }

    /// Lists all ranges of an upstream; the answer to the last page.
    fn list(repair: &mut RangeRepair, upstream: &Copy, most: usize) -> Answered {
        loop {
            let want = asked(repair);
            assert_eq!((want.number, &want.entries), (7, &None));
            assert!(repair.step(NOW).is_none(), "one question at a time");
            let answered = repair.take(NOW, page(upstream, want.from, most));
            if answered != Answered::GoesOn {
                return answered;
            }
        }
    }

    #[test]
    fn what_differs_is_listed_fetched_and_written() {
        let agreed = copy(20_000);
        let mut own = agreed.clone();
        own[777].1 = Bytes::from_static(b"velue");
        own.remove(15_000);
        let mut repair = repair(&agreed, &own);
        let Answered::Found(differs) = list(&mut repair, &agreed, 3) else { panic!("not found") };
        assert!(differs.number == 7 && (2..=4).contains(&differs.ranges), "{differs:?}");
        for _ in 0..differs.ranges {
            let span = asked(&mut repair).entries.unwrap();
            assert_eq!(repair.take(NOW, entries(&agreed, &span)), Answered::GoesOn);
        }
        let Some(RepairStep::Write(7, ranges)) = repair.step(NOW) else { panic!("nothing is written") };
        assert_eq!(ranges.len() as u64, differs.ranges);
        assert!(ranges.iter().any(|range| range.span.contains(&agreed[777].0)));
        assert!(repair.step(NOW).is_none() && repair.timeout().is_none());
    }

    #[test]
    fn an_upstream_that_holds_something_else_is_not_believed() {
        let agreed = copy(5_000);
        let mut own = agreed.clone();
        own[77].1 = Bytes::new();
        // It is as wrong as the copy itself, or wrong in its own way.
        for other in [own.clone(), copy(4_999), copy(0)] {
            assert!(matches!(list(&mut repair(&agreed, &own), &other, 100), Answered::GivenUp(_)));
        }
        let mut repair = repair(&agreed, &own);
        assert!(matches!(list(&mut repair, &agreed, 100), Answered::Found(_)));
        let span = asked(&mut repair).entries.unwrap();
        assert!(matches!(repair.take(NOW, entries(&own, &span)), Answered::GivenUp(_)));
    }

    #[test]
    fn a_copy_that_differs_in_much_is_fetched_as_a_whole() {
        let agreed = copy(200_000);
        let own: Copy = agreed.iter().map(|(key, _)| (key.clone(), Bytes::new())).collect();
        assert!(matches!(list(&mut repair(&agreed, &own), &agreed, 1000), Answered::FetchAll(_)));
    }

    #[test]
    fn who_does_not_have_it_yet_is_asked_again_for_a_while_and_a_lost_answer_is_asked_for_again() {
        let agreed = copy(10);
        let mut repair = repair(&agreed, &copy(9));
        asked(&mut repair);
        assert!(!repair.is_overdue(NOW) && repair.is_overdue(NOW + ANSWER_WITHIN));
        repair.lost();
        let mut now = NOW;
        for tries in 1..=MOST_TRIES {
            assert!(matches!(repair.step(now), Some(RepairStep::Ask(_))), "{tries}");
            let answered = repair.take(now, RangesGiven::not_there(7));
            assert_eq!(answered == Answered::GoesOn, tries < MOST_TRIES);
            assert!(repair.step(now).is_none());
            now += AGAIN_AFTER;
        }
        assert_eq!(repair.take(now, RangesGiven::not_there(6)), Answered::GoesOn, "of another marker");
    }
}
