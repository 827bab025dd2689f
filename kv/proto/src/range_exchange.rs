//! What a node asks its publisher of the copy that both have summed up at a marker, and the answers.

use bytes::Bytes;
use thiserror::Error;

use crate::{MAX_KEY_LEN, MAX_RANGE_LEN, MAX_RANGES_IN_MESSAGE, MAX_VALUE_LEN, RangeSum, Span, positional, read_whole};

/// Longest answer: a range and the entry that goes beyond it.
#[expect(clippy::cast_possible_truncation, reason = "1 MiB")]
pub const MAX_GIVEN_LEN: usize = MAX_RANGE_LEN as usize + MAX_VALUE_LEN + MAX_KEY_LEN + 1024;

positional! {
    /// A question: for some of the ranges, or for the entries of one.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct RangesWant {
        /// The number of the marker.
        pub number: u64,
        /// The ranges from this one on are wanted.
        pub from: u64,
        /// The entries between these keys are wanted, and no ranges.
        pub entries: Option<Span>,
    }
}

positional! {
    /// An answer.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct RangesGiven {
        /// The number of the marker.
        pub number: u64,
        /// Whether it is kept here what the copy was at the marker.
        pub is_there: bool,
        /// How many ranges there are in all.
        pub of: u64,
        /// Ranges in order.
        pub ranges: Vec<RangeSum> where len <= MAX_RANGES_IN_MESSAGE,
        /// Entries in order, as in a snapshot.
        pub entries: Bytes,
    }
}

/// Bytes that are no answer.
#[derive(Debug, Error)]
#[error("not an answer about ranges: {0}")]
pub struct RangesGivenError(rmp_serde::decode::Error);

impl RangesGiven {
    /// It is not kept here.
    #[must_use]
    pub fn not_there(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// As one message.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        rmp_serde::to_vec(self).expect("writing plain data into memory cannot fail").into()
    }

    /// Back from [`RangesGiven::to_bytes`].
    ///
    /// # Errors
    /// Something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RangesGivenError> {
        read_whole(bytes).map_err(RangesGivenError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_MESSAGE_LEN, RangeHash};

    #[test]
    fn answers_are_read_as_written_and_fit_a_message() {
        let hash = RangeHash::of_entries(b"x");
        let ranges = vec![RangeSum { last: Bytes::from_static(b"key"), hash }; 3];
        for given in [
            RangesGiven::not_there(7),
            RangesGiven { number: 7, is_there: true, of: 9, ranges, ..RangesGiven::default() },
            RangesGiven { number: 7, is_there: true, entries: vec![7; 100].into(), ..RangesGiven::default() },
        ] {
            let bytes = given.to_bytes();
            assert_eq!(RangesGiven::from_bytes(&bytes).unwrap(), given);
            for cut in 0..bytes.len() {
                assert!(RangesGiven::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
        let last = Bytes::from(vec![7; MAX_KEY_LEN]);
        let ranges = vec![RangeSum { last, hash }; MAX_RANGES_IN_MESSAGE];
        let longest = RangesGiven { number: u64::MAX, is_there: true, of: u64::MAX, ranges, ..RangesGiven::default() };
        assert!(longest.to_bytes().len() > MAX_MESSAGE_LEN, "so bytes end a page, too");
        const { assert!(MAX_GIVEN_LEN + 1024 < MAX_MESSAGE_LEN) };
        let too_many = RangesGiven { ranges: vec![RangeSum::default(); MAX_RANGES_IN_MESSAGE + 1], ..longest };
        assert!(RangesGiven::from_bytes(&too_many.to_bytes()).is_err());
    }
}
