//! Response rate limiting: a flood of queries with a forged address must not become a flood of answers there.
//!
//! What is counted is one answer to one network: answers of one kind from one source to addresses of one prefix. The
//! source is the name asked for where it has data of its own, else the delegation, the wildcard or the DNAME that the
//! answer comes from, and of names that are not there the zone, because random names are what a flood asks for; errors
//! count without any. Who shows a cookie of ours, asks over TCP or is exempt is never limited.
//!
//! Each count is a bucket of the generic cell rate algorithm (ITU-T I.371), one number: when the answers sent so far are
//! paid for. A table of fixed size holds the buckets by hash; two that share one are limited together, which a hash with
//! a secret key keeps from being chosen. Nothing is forgotten by a clock and nothing is allocated.
//!
//! # Threads
//! The table is shared by all of them, without a lock.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use zonecast_edge_reader::Outcome;

use crate::Prefixes;

/// Buckets, 8 bytes each: with 10,000 of them in use, one in fifty shares its own.
const BUCKETS: usize = 1 << 19;

/// How much may come at once: what a second allows.
const BURST_NS: u64 = 1_000_000_000;

/// Bits of an address that make its network, as BIND has them.
const IPV4_BITS: u32 = 24;
const IPV6_BITS: u32 = 56;

/// Length of a header.
const HEADER_LEN: usize = 12;

/// Settings of response rate limiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Answers of one kind from one source to one network, per second.
    pub per_second: NonZeroU32,
    /// Every n-th answer over the limit is sent truncated, empty with TC, and the others are dropped; without it all are.
    pub slip: Option<NonZeroU8>,
    /// Addresses that are never limited.
    pub exempt: Prefixes,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send,
    Truncate,
    Drop,
}

/// Limits how many answers a network gets in a second: a table of fixed size has a bucket for each hash of answer and
/// network.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: RateLimit,
    interval_ns: u64,
    hash: RandomState,
    buckets: Box<[AtomicU64]>,
    over: AtomicU32,
}

impl RateLimiter {
    /// With nothing counted.
    pub(crate) fn new(limit: RateLimit) -> Self {
        let buckets = std::iter::repeat_with(AtomicU64::default).take(BUCKETS).collect();
        let interval_ns = BURST_NS / u64::from(limit.per_second.get());
        Self { limit, interval_ns, hash: RandomState::new(), buckets, over: AtomicU32::new(0) }
    }

    /// Counts an answer. `now` is nanoseconds of a clock that only goes forwards.
    pub(crate) fn judge(&self, now: u64, address: IpAddr, query: &[u8], outcome: &Outcome) -> Verdict {
        if outcome.address_proven
            || self.limit.exempt.contains(address)
            || self.take(now, self.place(address, query, outcome))
        {
            return Verdict::Send;
        }
        let over = self.over.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        match self.limit.slip {
            Some(slip) if over.is_multiple_of(slip.get().into()) => Verdict::Truncate,
            _ => Verdict::Drop,
        }
    }

    /// Takes one answer out of a bucket, if it is not empty.
    fn take(&self, now: u64, place: usize) -> bool {
        let Some(bucket) = self.buckets.get(place) else { return true };
        let paid = |until: u64| Some(until.max(now) + self.interval_ns).filter(|until| until - now <= BURST_NS);
        bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }

    fn place(&self, address: IpAddr, query: &[u8], outcome: &Outcome) -> usize {
        let mut hasher = self.hash.build_hasher();
        match address {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits() >> (u32::BITS - IPV4_BITS)),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits() >> (u128::BITS - IPV6_BITS)),
        }
        hasher.write_u8(outcome.class as u8);
        for byte in source(query, outcome) {
            hasher.write_u8(byte.to_ascii_lowercase());
        }
        usize::try_from(hasher.finish()).unwrap_or_default() % BUCKETS
    }
}

/// The end of the name asked for that the answer comes from, in wire form.
fn source<'q>(query: &'q [u8], outcome: &Outcome) -> &'q [u8] {
    let name = query.get(HEADER_LEN..).map(question_name).unwrap_or_default();
    name.get(name.len().saturating_sub(usize::from(outcome.source_len))..).unwrap_or_default()
}

/// A name without compression, as far as it is there.
fn question_name(bytes: &[u8]) -> &[u8] {
    let mut len = 0;
    while let Some(label) = bytes.get(len) {
        len += 1 + usize::from(*label);
        if *label == 0 {
            break;
        }
    }
    bytes.get(..len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::base::iana::Rcode;
    use zonecast_edge_reader::AnswerClass;

    const SECOND: u64 = 1_000_000_000;

    fn limiter(per_second: u32, slip: u8) -> RateLimiter {
        let exempt = Prefixes::new(vec!["192.0.2.64/26".parse().unwrap()]).unwrap();
        let limit = RateLimit { per_second: per_second.try_into().unwrap(), slip: NonZeroU8::new(slip), exempt };
        RateLimiter::new(limit)
    }

    /// Of `example.`, and of the longest name.
    fn source_len(class: AnswerClass) -> u8 {
        match class {
            AnswerClass::NxDomain | AnswerClass::Referral | AnswerClass::Wildcard | AnswerClass::Chain => 9,
            AnswerClass::Refused => 0,
            _ => 255,
        }
    }

    fn outcome(class: AnswerClass) -> Outcome {
        let mut outcome = Outcome::new(class, Rcode::NOERROR);
        outcome.source_len = source_len(class);
        outcome
    }

    /// `NAME.example.`
    fn query(name: &str) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        [&[0; 12][..], &[length], name.as_bytes(), b"\x07example\x00\x00\x01\x00\x01"].concat()
    }

    fn sent(limiter: &RateLimiter, now: u64, address: [u8; 4], ask: &[u8], class: AnswerClass) -> usize {
        let judged = (0..100).map(|_| limiter.judge(now, address.into(), ask, &outcome(class)));
        judged.filter(|verdict| *verdict == Verdict::Send).count()
    }

    #[test]
    fn a_second_holds_as_many_as_it_allows_and_gives_them_back() {
        let (limiter, www) = (limiter(20, 2), query("www"));
        let ask = |now| sent(&limiter, now, [192, 0, 2, 1], &www, AnswerClass::Positive);
        assert_eq!(ask(5 * SECOND), 20);
        assert_eq!(ask(5 * SECOND), 0);
        assert_eq!(ask(5 * SECOND + SECOND / 2), 10);
        assert_eq!(ask(60 * SECOND), 20, "no more than one second's after a rest");
    }

    #[test]
    fn networks_sources_and_kinds_are_counted_apart_but_random_names_together() {
        let limiter = limiter(10, 0);
        let now = SECOND;
        let ask = |address, name: &str, class| sent(&limiter, now, address, &query(name), class);
        assert_eq!(ask([192, 0, 2, 1], "www", AnswerClass::Positive), 10);
        assert_eq!(ask([192, 0, 2, 9], "WWW", AnswerClass::Positive), 0, "the same /24, the same name");
        assert_eq!(ask([192, 0, 3, 1], "www", AnswerClass::Positive), 10);
        assert_eq!(ask([192, 0, 2, 1], "mail", AnswerClass::Positive), 10);
        assert_eq!(ask([192, 0, 2, 1], "www", AnswerClass::NoData), 10);
        assert_eq!(ask([192, 0, 2, 1], "a1", AnswerClass::NxDomain), 10);
        assert_eq!(ask([192, 0, 2, 1], "b2", AnswerClass::NxDomain), 0);
        for class in [AnswerClass::Referral, AnswerClass::Wildcard, AnswerClass::Chain] {
            assert_eq!(ask([192, 0, 2, 1], "a1", class), 10);
            assert_eq!(ask([192, 0, 2, 1], "b2", class), 0, "of the same source: {class:?}");
        }
        assert_eq!(ask([192, 0, 2, 1], "c3", AnswerClass::Refused), 10);
        assert_eq!(ask([192, 0, 2, 1], "d4", AnswerClass::Refused), 0);
        let v6 = |address: &str| {
            let (address, ask) = (address.parse().unwrap(), query("www"));
            let judged = (0..20).map(|_| limiter.judge(now, address, &ask, &outcome(AnswerClass::Positive)));
            judged.filter(|verdict| *verdict == Verdict::Send).count()
        };
        assert_eq!([v6("2001:db8::1"), v6("2001:db8:0:ff::2"), v6("2001:db8:0:100::1")], [10, 0, 10]);
    }

    #[test]
    fn slips_and_exceptions() {
        let (limiter, www) = (limiter(1, 3), query("www"));
        let judge = |address: [u8; 4], outcome| limiter.judge(SECOND, address.into(), &www, &outcome);
        let positive = outcome(AnswerClass::Positive);
        let verdicts: Vec<Verdict> = (0..7).map(|_| judge([192, 0, 2, 1], positive)).collect();
        use Verdict::{Drop, Send, Truncate};
        assert_eq!(verdicts, [Send, Drop, Drop, Truncate, Drop, Drop, Truncate]);
        let mut proven = positive;
        proven.address_proven = true;
        assert_eq!(judge([192, 0, 2, 1], proven), Send, "a cookie");
        assert!((0..9).all(|_| judge([192, 0, 2, 65], positive) == Send), "exempt");
    }

    #[test]
    fn no_query_is_too_short() {
        let limiter = limiter(1, 1);
        for len in 0..30 {
            for fill in [0, 1, 63, 255] {
                limiter.judge(0, [192, 0, 2, 1].into(), &vec![fill; len], &outcome(AnswerClass::NxDomain));
            }
        }
    }
}
