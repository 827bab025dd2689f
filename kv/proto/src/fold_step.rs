//! What a relay tells its upstream of all edges at once that are in step: how far all of them are, and how long the last
//! version took to them.
//!
//! # Format
//! The positional MessagePack array `[2, epoch, applied, durable, held_us, times, role, name, slowest_us, apply_us]`. The
//! times are how far each bucket is behind the one before, and how many edges are in it, in turn.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    EdgeNews, EdgeNewsError, Epoch, MAX_EDGE_NEWS_LEN, Peer, Slowest, TIME_BUCKETS, Times, Version, is_node_name,
    positional, read_whole,
};

/// The first number of a message: what it is.
pub(crate) const EDGE: u8 = 1;
const STEP: u8 = 2;

/// Most bytes of a step: every bucket of time with as many edges as it can count, and a name.
pub const MAX_FOLD_STEP_LEN: usize = 4096;

positional! {
    /// As it is sent.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    struct WireStep {
        what: u8,
        epoch: Epoch,
        applied: Version,
        durable: Version,
        held_us: u64,
        times: Vec<u32> where len <= 2 * TIME_BUCKETS,
        role: String,
        name: String,
        slowest_us: u64,
        apply_us: u64,
    }
}

/// How far every edge is at least that is in step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldLevel {
    /// All of them have applied this.
    pub applied: Version,
    /// All of them have this on their disk.
    pub durable: Version,
}

impl FoldLevel {
    /// Whether somebody who is as far as `other` has all of it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.applied <= other.applied && self.durable <= other.durable
    }
}

/// All edges that are in step have come so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoldStep {
    /// The history that the versions belong to.
    pub epoch: Epoch,
    /// How far they are.
    pub level: FoldLevel,
    /// Since whoever says so had the applied version itself.
    pub held: Duration,
    /// How long that version took to them, from when whoever says so had it.
    pub times: Times,
}

/// What a core tells another, or a relay its upstream, of edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeTold {
    /// How one edge stands, by name.
    Edge(EdgeNews),
    /// How far all are that are in step.
    Step(FoldStep),
}

impl EdgeTold {
    /// As one message.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Edge(news) => news.to_bytes(),
            Self::Step(step) => step.to_bytes(),
        }
    }

    /// Back from [`EdgeTold::to_bytes`].
    ///
    /// # Errors
    /// It is none, or of a later release.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EdgeNewsError> {
        match what(bytes) {
            Some(STEP) => FoldStep::from_bytes(bytes).map(Self::Step),
            _ => EdgeNews::from_bytes(bytes).map(Self::Edge),
        }
    }
}

/// The first number of an array, if it is a small one.
fn what(bytes: &[u8]) -> Option<u8> {
    match bytes {
        [0x91..=0x9f, what @ 0..=0x7f, ..] | [0xdc, _, _, what @ 0..=0x7f, ..] => Some(*what),
        _ => None,
    }
}

impl FoldStep {
    fn to_bytes(&self) -> Bytes {
        let mut last = 0;
        let mut times = Vec::with_capacity(2 * self.times.counts().len());
        for (number, count) in self.times.counts() {
            times.extend([u32::from(*number - last), *count]);
            last = *number;
        }
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let slowest = self.times.slowest();
        let wire = WireStep {
            what: STEP,
            epoch: self.epoch,
            applied: self.level.applied,
            durable: self.level.durable,
            held_us: us(self.held),
            times,
            role: slowest.map(|slowest| slowest.peer.role.label().into()).unwrap_or_default(),
            name: slowest.map(|slowest| slowest.peer.name.clone()).unwrap_or_default(),
            slowest_us: slowest.map_or(0, |slowest| us(slowest.took)),
            apply_us: slowest.map_or(0, |slowest| us(slowest.apply)),
        };
        rmp_serde::to_vec(&wire).expect("writing plain data into memory cannot fail").into()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, EdgeNewsError> {
        if bytes.len() > MAX_FOLD_STEP_LEN {
            return Err(EdgeNewsError::TooLong(bytes.len()));
        }
        let syntax = |what: &dyn std::fmt::Display| EdgeNewsError::Syntax(what.to_string());
        let wire: WireStep = read_whole(bytes).map_err(|error| syntax(&error))?;
        let WireStep { epoch, applied, durable, held_us, times, role, name, slowest_us, apply_us, .. } = wire;
        if durable > applied {
            return Err(syntax(&"more is on disk than is applied"));
        }
        let slowest = if name.is_empty() {
            None
        } else {
            let peer = match role.parse() {
                Ok(role) if is_node_name(&name) => Peer { role, name },
                _ => return Err(EdgeNewsError::Peer { role, name }),
            };
            let [took, apply] = [slowest_us, apply_us].map(Duration::from_micros);
            Some(Slowest { peer, took, apply: apply.min(took) })
        };
        let times = counts(&times).and_then(|counts| Times::of(counts, slowest));
        let times = times.ok_or_else(|| syntax(&"times that make no sense"))?;
        let (level, held) = (FoldLevel { applied, durable }, Duration::from_micros(held_us));
        Ok(Self { epoch, level, held, times })
    }
}

/// Numbers of buckets and what is in them, from how far each is behind the one before.
fn counts(wire: &[u32]) -> Option<Vec<(u16, u32)>> {
    let (pairs, rest) = wire.as_chunks::<2>();
    let mut last = 0_u16;
    let mut next = |[further, count]: &[u32; 2]| {
        last = last.checked_add(u16::try_from(*further).ok()?)?;
        Some((last, *count))
    };
    let counts: Option<Vec<(u16, u32)>> = pairs.iter().map(&mut next).collect();
    counts.filter(|_| rest.is_empty())
}

const _: () = assert!(MAX_EDGE_NEWS_LEN < MAX_FOLD_STEP_LEN, "a frame that has room for a step has room for an edge");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_as_written_and_no_part_of_it() {
        let mut times = Times::default();
        for number in 1..50 {
            times.add(
                &Peer::edge("edge-1"),
                Duration::from_micros(number * number * 100),
                Duration::from_micros(number),
            );
        }
        let level = FoldLevel { applied: Version::new(9), durable: Version::new(8) };
        let full = FoldStep { epoch: Epoch::new(1), level, held: Duration::from_millis(3), times };
        let empty = FoldStep { level, ..FoldStep::default() };
        for step in [full, empty] {
            let bytes = EdgeTold::Step(step.clone()).to_bytes();
            assert_eq!(EdgeTold::from_bytes(&bytes).unwrap(), EdgeTold::Step(step));
            for cut in 0..bytes.len() {
                assert!(EdgeTold::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn the_longest_step_is_within_the_limit_and_nonsense_is_refused() {
        let counts = (0..TIME_BUCKETS).map(|number| (u16::try_from(number).unwrap(), u32::MAX)).collect();
        let (took, apply) = (Duration::from_micros(u64::MAX), Duration::ZERO);
        let times = Times::of(counts, Some(Slowest { peer: Peer::edge(&"a".repeat(63)), took, apply })).unwrap();
        let last = Version::new(u64::MAX);
        let level = FoldLevel { applied: last, durable: last };
        let longest = FoldStep { epoch: Epoch::new(u64::MAX), level, held: took, times };
        assert!(longest.to_bytes().len() <= MAX_FOLD_STEP_LEN, "{}", longest.to_bytes().len());
        let wire = WireStep { what: STEP, applied: Version::new(5), times: vec![1, 2, 0, 3], ..WireStep::default() };
        let read = |wire: &WireStep| EdgeTold::from_bytes(&rmp_serde::to_vec(wire).unwrap());
        assert!(read(&wire).is_err(), "a bucket twice");
        assert!(read(&WireStep { times: vec![1, 2, 3], ..wire.clone() }).is_err());
        assert!(read(&WireStep { times: vec![70_000, 2], ..wire.clone() }).is_err());
        assert!(read(&WireStep { times: vec![1, 2], durable: Version::new(6), ..wire.clone() }).is_err());
        assert!(read(&WireStep { times: vec![1, 2], name: "Not.A.Name".into(), ..wire.clone() }).is_err());
        assert!(read(&WireStep { times: vec![1, 2], ..wire }).is_ok());
    }
}
