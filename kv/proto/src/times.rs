//! How long a version took to many edges, in few bytes: counts of edges in buckets of time, and the slowest edge.
//!
//! A bucket is a sixteenth of the power of two that it is in, so the middle of a bucket is within 3.2 % of every time in
//! it. Two of them are merged by adding their counts, in whatever order, so relays pass on one for all that is below them.

use std::time::Duration;

use crate::Peer;

/// Buckets of each power of two: 16.
const STEPS_LOG: u32 = 4;
const STEPS: u64 = 1 << STEPS_LOG;

/// The first power of two, in microseconds, that is not told from longer ones: two minutes.
const LONGEST_LOG: u32 = 27;

/// Buckets in all: one for each of the first microseconds, and then sixteen for each power of two.
pub const TIME_BUCKETS: usize = ((LONGEST_LOG - STEPS_LOG + 1) << STEPS_LOG) as usize;

/// Edges by the time that a version took to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The number of a bucket, and how many edges are in it; ascending.
    counts: Vec<(u16, u32)>,
    /// The one that took longest.
    slowest: Option<Slowest>,
}

/// The edge that took longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slowest {
    /// The edge.
    pub peer: Peer,
    /// Until it had acknowledged the version.
    pub took: Duration,
    /// Of that, from the arrival of the version at the edge to its application, as the edge says.
    pub apply: Duration,
}

impl Times {
    /// These counts, which [`Times::counts`] gave, and the slowest. Nothing where they are not ascending, or of a bucket that
    /// there is not.
    #[must_use]
    pub fn of(counts: Vec<(u16, u32)>, slowest: Option<Slowest>) -> Option<Self> {
        let is_ascending = counts.is_sorted_by(|(one, _), (next, _)| one < next);
        let is_known = counts.last().is_none_or(|(last, _)| usize::from(*last) < TIME_BUCKETS);
        (is_ascending && is_known).then_some(Self { counts, slowest })
    }

    /// Numbers of buckets and how many edges are in each; ascending.
    #[must_use]
    pub fn counts(&self) -> &[(u16, u32)] {
        &self.counts
    }

    /// The edge that took longest.
    #[must_use]
    pub fn slowest(&self) -> Option<&Slowest> {
        self.slowest.as_ref()
    }

    /// Nobody is said to be the slowest.
    pub(crate) fn forget_slowest(&mut self) {
        self.slowest = None;
    }

    /// One more edge.
    pub fn add(&mut self, peer: &Peer, took: Duration, apply: Duration) {
        self.put(bucket(took), 1);
        self.slower(peer, took, apply);
    }

    /// All edges of `other`, each so much later.
    pub fn merge(&mut self, other: &Self, later: Duration) {
        other.counts.iter().for_each(|(number, count)| self.put(bucket(middle(*number) + later), *count));
        if let Some(Slowest { peer, took, apply }) = &other.slowest {
            self.slower(peer, *took + later, *apply);
        }
    }

    /// For each bucket the time in its middle, and how many edges are in it. None is beyond the slowest.
    pub fn spread(&self) -> impl Iterator<Item = (Duration, u64)> {
        let most = self.slowest.as_ref().map_or(Duration::MAX, |slowest| slowest.took);
        self.counts.iter().map(move |(number, count)| (middle(*number).min(most), u64::from(*count)))
    }

    fn put(&mut self, number: u16, count: u32) {
        let at = self.counts.partition_point(|(other, _)| *other < number);
        match self.counts.get_mut(at) {
            Some((other, there)) if *other == number => *there = there.saturating_add(count),
            _ => self.counts.insert(at, (number, count)),
        }
    }

    fn slower(&mut self, peer: &Peer, took: Duration, apply: Duration) {
        match &mut self.slowest {
            Some(slowest) if slowest.took >= took => {}
            Some(slowest) => {
                slowest.peer.clone_from(peer);
                (slowest.took, slowest.apply) = (took, apply.min(took));
            }
            None => self.slowest = Some(Slowest { peer: peer.clone(), took, apply: apply.min(took) }),
        }
    }
}

/// The number of the bucket that a time is in.
fn bucket(time: Duration) -> u16 {
    let most = (1 << LONGEST_LOG) - 1;
    let us = u64::try_from(time.as_micros()).unwrap_or(most).min(most);
    let power = us.max(STEPS).ilog2() - STEPS_LOG;
    let number = u64::from(power) * STEPS + (us >> power);
    u16::try_from(number).expect("there are few buckets")
}

/// The time in the middle of a bucket.
fn middle(number: u16) -> Duration {
    let number = u64::from(number);
    let power = (number / STEPS).saturating_sub(1);
    let first = (number - power * STEPS) << power;
    Duration::from_micros(first + (1 << power) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_bucket_is_as_wide_as_it_says() {
        let mut random = Random(1);
        let mut last = 0;
        for us in (0..5000).chain((0..20_000).map(|_| random.below(1 << LONGEST_LOG))) {
            let number = bucket(Duration::from_micros(us));
            assert!(usize::from(number) < TIME_BUCKETS);
            let off = u64::try_from(middle(number).as_micros()).unwrap().abs_diff(us);
            assert!(off * 1000 <= us * 32, "{us} us is off by {off}");
            if us < 5000 {
                assert!(number == last || number == last + 1, "{us}");
                last = number;
            }
        }
        assert_eq!(usize::from(bucket(Duration::MAX)), TIME_BUCKETS - 1);
    }

    #[test]
    fn what_is_merged_is_what_is_added_in_any_order() {
        let (ms, peer) = (Duration::from_millis, |number| Peer::edge(&format!("edge-{number}")));
        let mut parts = [Times::default(), Times::default()];
        let mut all = Times::default();
        for number in 1..200 {
            parts[usize::from(number % 3 == 0)].add(&peer(number), ms(number), ms(1));
            all.add(&peer(number), ms(number), ms(1));
        }
        let mut merged = parts[0].clone();
        merged.merge(&parts[1], Duration::ZERO);
        let mut other = parts[1].clone();
        other.merge(&parts[0], Duration::ZERO);
        assert_eq!((merged.counts(), merged.slowest()), (all.counts(), all.slowest()));
        assert_eq!(other, merged);
        let mut later = Times::default();
        later.merge(&merged, ms(1000));
        assert_eq!(later.slowest().unwrap().took, ms(1199));
        assert!(later.spread().all(|(time, _)| time >= ms(960) && time <= ms(1199)));
        assert_eq!(Times::of(merged.counts().to_vec(), merged.slowest().cloned()), Some(merged));
        assert_eq!(Times::of(vec![(3, 1), (3, 1)], None), None);
        assert_eq!(Times::of(vec![(u16::MAX, 1)], None), None);
    }
}
