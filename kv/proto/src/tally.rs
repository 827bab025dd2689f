//! How many stand where: counts by place, kept in step by whoever moves.

use std::collections::BTreeMap;

/// Counts of those that stand at each place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally<K> {
    counts: BTreeMap<K, usize>,
    total: usize,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), total: 0 }
    }
}

impl<K: Ord + Copy> Tally<K> {
    /// So many more stand there.
    pub(crate) fn add(&mut self, at: K, count: usize) {
        if count > 0 {
            *self.counts.entry(at).or_default() += count;
            self.total += count;
        }
    }

    /// So many stand there no more.
    pub(crate) fn remove(&mut self, at: K, count: usize) {
        if let Some(there) = self.counts.get_mut(&at) {
            let gone = count.min(*there);
            *there -= gone;
            self.total -= gone;
            if *there == 0 {
                self.counts.remove(&at);
            }
        }
    }

    /// How many there are.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// The first place at which somebody stands.
    pub(crate) fn first(&self) -> Option<K> {
        self.counts.first_key_value().map(|(at, _)| *at)
    }

    /// The last place at which somebody stands.
    pub(crate) fn last(&self) -> Option<K> {
        self.counts.last_key_value().map(|(at, _)| *at)
    }

    /// The last place that so many have reached or passed. Costs as much as there are places beyond it.
    pub(crate) fn reached_by(&self, many: usize) -> Option<K> {
        let mut passed = 0;
        let enough = |(at, count): (&K, &usize)| {
            passed += count;
            (passed >= many).then_some(*at)
        };
        self.counts.iter().rev().find_map(enough)
    }

    /// How many stand there or further on.
    pub(crate) fn from(&self, at: K) -> usize {
        self.counts.range(at..).map(|(_, count)| count).sum()
    }
}
