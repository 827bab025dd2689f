//! What a voter has come to at the last marker, as it tells the leader, which asks every voter.
//!
//! # Format
//! A stream of kind [`SUMS`]: the core that asks says nothing and ends its direction; the answer is one message, the
//! positional MessagePack array `[format, number, state, version, root, ranges, keys, private, why]`.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use zonecast_kv_core::{Core, FIRST_OTHER_KIND, Member};
use zonecast_kv_proto::{RangeHash, Version, positional, read_whole};
use zonecast_kv_store::{CheckProgress, RangeCheck};
use zonecast_kv_transport::CoreStream;

/// Kind of the streams on which the leader asks a core what it has come to.
pub(crate) const SUMS: u8 = FIRST_OTHER_KIND + 3;

/// For another core to answer.
const WITHIN: Duration = Duration::from_secs(2);

/// Longest answer: some numbers, and a reason.
const MAX_ANSWER: usize = 4096;

/// Longest reason.
const MAX_WHY: usize = 1024;

const FORMAT: u8 = 1;

positional! {
    /// See the module.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct VoterSums {
        /// 1.
        format: u8,
        /// That of the last marker; 0 if there was none since the start.
        pub(crate) number: u64,
        /// 0: it reads; 1: it has read everything; 2: it could not be read.
        state: u8,
        /// Where the marker stands.
        pub(crate) version: Version,
        /// Of everything published.
        pub(crate) root: RangeHash,
        /// How many ranges that is.
        pub(crate) ranges: u64,
        /// How many keys.
        pub(crate) keys: u64,
        /// Of everything else that voters have in common.
        pub(crate) private: RangeHash,
        /// Why it could not be read.
        pub(crate) why: String,
    }
}

/// How far a voter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SumsState {
    Hashing,
    Done,
    Failed,
}

impl VoterSums {
    /// What this node has come to.
    pub(crate) fn of(check: Option<&RangeCheck>) -> Self {
        let none = Self { format: FORMAT, ..Self::default() };
        let Some(RangeCheck { marker, position, progress }) = check else { return none };
        let begun = Self { number: marker.number, version: position.version, ..none };
        match progress {
            CheckProgress::Hashing => begun,
            CheckProgress::Done(done) => Self {
                state: 1,
                root: done.published.root(),
                ranges: done.published.ranges().len() as u64,
                keys: done.keys,
                private: done.private.as_ref().map(|private| private.root()).unwrap_or_default(),
                ..begun
            },
            CheckProgress::Failed(why) => Self { state: 2, why: why.chars().take(MAX_WHY / 4).collect(), ..begun },
        }
    }

    pub(crate) fn state(&self) -> SumsState {
        match self.state {
            0 => SumsState::Hashing,
            1 => SumsState::Done,
            _ => SumsState::Failed,
        }
    }

    fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(self).expect("writing plain data into memory cannot fail").into()
    }

    fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        if bytes.len() > MAX_ANSWER {
            return Err(io::Error::other(format!("an answer of {} bytes is too long", bytes.len())));
        }
        let sums: Self = read_whole(bytes).map_err(io::Error::other)?;
        let is_known = sums.format == FORMAT && sums.why.len() <= MAX_WHY;
        is_known.then_some(sums).ok_or_else(|| io::Error::other("the answer is not known to this release"))
    }

    #[cfg(test)]
    pub(crate) fn done(number: u64, root: &[u8], private: &[u8]) -> Self {
        let [root, private] = [root, private].map(RangeHash::of_entries);
        Self { format: FORMAT, number, state: 1, version: Version::new(5), root, private, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn hashing(number: u64) -> Self {
        Self { format: FORMAT, number, ..Self::default() }
    }

    #[cfg(test)]
    pub(crate) fn failed(number: u64) -> Self {
        Self { state: 2, why: "a disk".into(), ..Self::hashing(number) }
    }
}

/// Asks another core.
pub(crate) async fn ask_sums(core: &Core, member: &Member) -> io::Result<VoterSums> {
    let asking = async {
        let CoreStream { sender, mut receiver } = core.open(member, SUMS).await?;
        sender.finish().await.map_err(io::Error::other)?;
        let answer = receiver.next().await.map_err(io::Error::other)?;
        VoterSums::from_bytes(&answer.ok_or_else(|| io::Error::other("it did not answer"))?)
    };
    tokio::time::timeout(WITHIN, asking).await.map_err(io::Error::other)?
}

/// Answers a core that asks.
pub(crate) async fn answer_sums(core: Core, stream: CoreStream) {
    let CoreStream { mut sender, mut receiver } = stream;
    // It asks nothing more.
    if matches!(receiver.next().await, Ok(None)) {
        let sums = VoterSums::of(core.checks().present().as_ref());
        if sender.send(sums.to_bytes()).await.is_ok() {
            let _ = sender.finish().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_written_and_no_part_of_them() {
        for sums in [VoterSums::done(7, b"a", b"b"), VoterSums::hashing(7), VoterSums::failed(7), VoterSums::of(None)] {
            let bytes = sums.to_bytes();
            assert_eq!(VoterSums::from_bytes(&bytes).unwrap(), sums);
            for cut in 0..bytes.len() {
                assert!(VoterSums::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
        assert!(VoterSums::from_bytes(&[0x91, 2]).is_err());
        assert!(VoterSums::from_bytes(&[0; 5000]).is_err());
        let long = VoterSums { why: "x".repeat(2000), ..VoterSums::failed(1) };
        assert!(VoterSums::from_bytes(&long.to_bytes()).is_err());
    }
}
